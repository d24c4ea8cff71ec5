"""Pod templates of head and workers, fit for namespaces that enforce the restricted Pod Security Standard."""

from typing import Any

from eva_rl.config.deployment import DeploymentSettings, MachineSettings
from eva_rl.deployment.loading import Deployment

GCS_PORT, DASHBOARD_PORT, CLIENT_PORT, METRICS_PORT = 6379, 8265, 10001, 8080
AGENT_PORT = 52365
"""Where KubeRay lets Ray's dashboard agent listen; it tells whether the node itself is well."""
HEAD_HEALTH, NODE_HEALTH = "/api/gcs_healthz", "/api/local_raylet_healthz"
"""Ray answers these two without a token (ray/dashboard/http_server_head.py, http_server_agent.py)."""
START_TIMEOUT_S, PROBE_EVERY_S = 300, 10


def head_pod(deployment: Deployment) -> dict[str, Any]:
    """The head's pod: driver, GCS, dashboard, autoscaler; it needs the API server's token."""
    ports = {
        "gcs-server": GCS_PORT,
        "dashboard": DASHBOARD_PORT,
        "client": CLIENT_PORT,
        "metrics": METRICS_PORT,
    }
    container = _container(deployment, deployment.settings.groups.head, name="ray-head", ports=ports)
    container |= _probes(live=(HEAD_HEALTH, DASHBOARD_PORT), ready=(NODE_HEALTH, AGENT_PORT))
    return _template(deployment, deployment.settings.groups.head, container, role="head")


def worker_pod(deployment: Deployment, group: MachineSettings, *, role: str) -> dict[str, Any]:
    """A worker's pod: one Ray node with everything that its machine has."""
    container = _container(deployment, group, name="ray-worker", ports={"metrics": METRICS_PORT})
    container |= _probes(live=(NODE_HEALTH, AGENT_PORT), ready=(NODE_HEALTH, AGENT_PORT))
    template = _template(deployment, group, container, role=role)
    template["spec"]["automountServiceAccountToken"] = False
    return template


def submitter_pod(deployment: Deployment) -> dict[str, Any]:
    """The pod that submits the job; KubeRay adds the command and the token."""
    settings = deployment.settings
    container = {
        "name": "ray-job-submitter",
        "image": settings.image.cpu,
        "imagePullPolicy": settings.image.pull_policy,
        "resources": {key: {"cpu": "500m", "memory": "1Gi"} for key in ("requests", "limits")},
        "securityContext": container_security(),
    }
    spec = {"restartPolicy": "Never", "securityContext": _pod_security(settings), "containers": [container]}
    return {"spec": spec}


def container_security() -> dict[str, Any]:
    """What no container of ours may do."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _pod_security(settings: DeploymentSettings) -> dict[str, Any]:
    user = settings.kubernetes.user_id
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",  # large volumes: no walk over every file at every start
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container(
    deployment: Deployment, machine: MachineSettings, *, name: str, ports: dict[str, int]
) -> dict[str, Any]:
    settings = deployment.settings
    volumes = settings.volumes
    amounts = {"cpu": str(machine.cpus), "memory": f"{machine.memory_gib}Gi"}
    amounts |= {"nvidia.com/gpu": str(machine.gpus)} if machine.gpus else {}
    return {
        "name": name,
        "image": settings.image.cuda if machine.gpus else settings.image.cpu,
        "imagePullPolicy": settings.image.pull_policy,
        "ports": [{"name": label, "containerPort": port} for label, port in ports.items()],
        "env": [{"name": key, "value": value} for key, value in deployment.environment.items()],
        "resources": {"requests": dict(amounts), "limits": dict(amounts)},
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "models", "mountPath": volumes.models.mount, "readOnly": True},
            {"name": "runs", "mountPath": volumes.runs.mount},
            {"name": "object-store", "mountPath": "/dev/shm"},
            {"name": "ray-logs", "mountPath": "/tmp/ray"},
        ],
    }


def _template(
    deployment: Deployment, machine: MachineSettings, container: dict[str, Any], *, role: str
) -> dict[str, Any]:
    settings = deployment.settings
    claims = {"models": settings.volumes.models, "runs": settings.volumes.runs}
    spec: dict[str, Any] = {
        "restartPolicy": "Never",  # a dead Ray node is replaced by the autoscaler, never revived
        "enableServiceLinks": False,
        "securityContext": _pod_security(settings),
        "containers": [container],
        "volumes": [
            *(
                {"name": name, "persistentVolumeClaim": {"claimName": volume.claim}}
                for name, volume in claims.items()
            ),
            {
                "name": "object-store",
                "emptyDir": {"medium": "Memory", "sizeLimit": f"{machine.object_store_gib}Gi"},
            },
            {"name": "ray-logs", "emptyDir": {}},
        ],
    }
    if machine.node_selector:
        spec["nodeSelector"] = dict(machine.node_selector)
    if machine.gpus:
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return {"metadata": {"labels": {"app.kubernetes.io/name": "eva-rl", "eva-rl/role": role}}, "spec": spec}


def _probes(*, live: tuple[str, int], ready: tuple[str, int]) -> dict[str, Any]:
    def ask(target: tuple[str, int], failures: int) -> dict[str, Any]:
        path, port = target
        return {
            "httpGet": {"path": path, "port": port},
            "periodSeconds": PROBE_EVERY_S,
            "timeoutSeconds": 5,
            "failureThreshold": failures,
        }

    return {
        "startupProbe": ask(live, START_TIMEOUT_S // PROBE_EVERY_S),
        "livenessProbe": ask(live, 12),
        "readinessProbe": ask(ready, 3),
    }
