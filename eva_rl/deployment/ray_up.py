"""The cluster file of `ray up`: virtual machines that Ray's own autoscaler starts and stops."""

from typing import Any

from eva_rl.config.deployment import DeploymentSettings, GroupSettings, MachineSettings
from eva_rl.deployment.demand import demands_of, labels_of
from eva_rl.deployment.loading import Deployment
from eva_rl.deployment.pods import GCS_PORT, METRICS_PORT

HEAD = "head"
TOKEN_FILE = "/home/ray/.ray/auth_token"
"""Where Ray looks for its token when no variable names one."""


def ray_up_cluster(deployment: Deployment) -> dict[str, Any]:
    """The complete cluster file; `ray up FILE` reads nothing else but the user's ~/.ray/auth_token."""
    settings = deployment.settings
    workers = {name: getattr(settings.groups, name) for name in (*demands_of(deployment.run), "data")}
    head_type = _node_type(settings, settings.groups.head) | {"resources": {"CPU": 0}}
    environment = " ".join(f"{name}={value}" for name, value in deployment.environment.items())
    # Version 2 of the autoscaler, which looks at labels.
    start = f"ulimit -n 65536; RAY_AUTH_MODE=token RAY_enable_autoscaler_v2=1 {environment} ray start"
    return {
        "cluster_name": settings.job.name,
        "max_workers": sum(group.max_replicas for group in workers.values()),
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": max(1, round(settings.kubernetes.idle_timeout_s / 60)),
        "provider": settings.vm.provider,
        "auth": {"ssh_user": settings.vm.ssh_user},
        "docker": _docker(settings),
        "head_node_type": HEAD,
        "available_node_types": {HEAD: head_type}
        | {name: _worker_type(settings, name, group) for name, group in workers.items()},
        "file_mounts": {TOKEN_FILE: "~/.ray/auth_token"},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        "initialization_commands": list(settings.vm.mount_commands),
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [
            "ray stop",
            f"{start} --head --port={GCS_PORT} --num-cpus=0 --dashboard-host=127.0.0.1 "
            f"--metrics-export-port={METRICS_PORT} --autoscaling-config=~/ray_bootstrap_config.yaml",
        ],
        "worker_start_ray_commands": [
            "ray stop",
            f"{start} --address=$RAY_HEAD_IP:{GCS_PORT} --metrics-export-port={METRICS_PORT}",
        ],
    }


def _docker(settings: DeploymentSettings) -> dict[str, Any]:
    models, runs = settings.volumes.models.mount, settings.volumes.runs.mount
    return {
        "image": settings.image.cpu,
        "container_name": "eva_rl",
        "pull_before_run": settings.image.pull_policy == "Always",
        "run_options": [
            "--ulimit nofile=65536:65536",
            f"--volume {models}:{models}:ro",
            f"--volume {runs}:{runs}",
        ],
    }


def _worker_type(settings: DeploymentSettings, name: str, group: GroupSettings) -> dict[str, Any]:
    return _node_type(settings, group) | {
        "min_workers": group.min_replicas,
        "max_workers": group.max_replicas,
        "labels": labels_of(name, group),
    }


def _node_type(settings: DeploymentSettings, machine: MachineSettings) -> dict[str, Any]:
    resources = {"CPU": machine.cpus} | ({"GPU": machine.gpus} if machine.gpus else {}) | machine.resources
    image = {"docker": {"worker_image": settings.image.cuda}} if machine.gpus else {}
    return {"resources": resources, "node_config": dict(machine.vm), **image}
