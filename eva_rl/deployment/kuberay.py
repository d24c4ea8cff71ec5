"""KubeRay's resources: the autoscaling RayCluster, the RayJob that brings one along, and their volumes."""

from typing import Any

import yaml

from eva_rl.config.deployment import GroupSettings, VolumeSettings
from eva_rl.deployment.command import run_command
from eva_rl.deployment.demand import demands_of, labels_of
from eva_rl.deployment.loading import Deployment
from eva_rl.deployment.pods import container_security, head_pod, submitter_pod, worker_pod

API_VERSION = "ray.io/v1"


def ray_cluster(deployment: Deployment) -> dict[str, Any]:
    """A cluster that stays: for `cluster/submit.sh` and for work by hand."""
    return {
        "apiVersion": API_VERSION,
        "kind": "RayCluster",
        "metadata": _metadata(deployment),
        "spec": _cluster_spec(deployment),
    }


def ray_job(deployment: Deployment) -> dict[str, Any]:
    """The run with its own cluster, which is gone when the run has ended."""
    settings = deployment.settings
    return {
        "apiVersion": API_VERSION,
        "kind": "RayJob",
        "metadata": _metadata(deployment),
        "spec": {
            "entrypoint": run_command(deployment, root=settings.image.root),
            "runtimeEnvYAML": yaml.safe_dump({"env_vars": deployment.environment}),
            "submissionMode": "K8sJobMode",
            "submitterPodTemplate": submitter_pod(deployment),
            "backoffLimit": settings.job.max_retries,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": settings.job.keep_finished_s,
            "rayClusterSpec": _cluster_spec(deployment),
        },
    }


def volume_claims(deployment: Deployment) -> list[dict[str, Any]]:
    """The claims that the pods mount; apply them once, before the first run."""
    volumes = deployment.settings.volumes
    return [_claim(volumes.models), _claim(volumes.runs)]


def _metadata(deployment: Deployment) -> dict[str, Any]:
    return {"name": deployment.settings.job.name, "labels": {"app.kubernetes.io/name": "eva-rl"}}


def _cluster_spec(deployment: Deployment) -> dict[str, Any]:
    settings = deployment.settings
    kubernetes, groups = settings.kubernetes, settings.groups
    auth = {"mode": "token"} | ({"secretName": kubernetes.auth_secret} if kubernetes.auth_secret else {})
    return {
        "rayVersion": settings.versions.ray,
        "authOptions": auth,
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "version": "v2",
            "upscalingMode": "Default",
            "idleTimeoutSeconds": kubernetes.idle_timeout_s,
            "resources": {key: {"cpu": "500m", "memory": "1Gi"} for key in ("requests", "limits")},
            "securityContext": container_security(),
        },
        "headGroupSpec": {
            # No CPUs for tasks and actors: the head holds the driver, and must survive every worker.
            "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
            "template": head_pod(deployment),
        },
        "workerGroupSpecs": [
            _worker_group(deployment, name, getattr(groups, name))
            for name in (*demands_of(deployment.run), "data")
        ],
    }


def _worker_group(deployment: Deployment, name: str, group: GroupSettings) -> dict[str, Any]:
    custom = {"resources": {key: str(amount) for key, amount in group.resources.items()}}
    return {
        "groupName": name,
        "replicas": group.min_replicas,
        "minReplicas": group.min_replicas,
        "maxReplicas": group.max_replicas,
        "labels": labels_of(name, group),
        **(custom if group.resources else {}),
        "rayStartParams": {},
        "template": worker_pod(deployment, group, role=name),
    }


def _claim(volume: VolumeSettings) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": f"{volume.size_gib}Gi"}},
    }
    if volume.storage_class:
        spec["storageClassName"] = volume.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": volume.claim, "labels": {"app.kubernetes.io/name": "eva-rl"}},
        "spec": spec,
    }
