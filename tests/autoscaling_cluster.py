"""A Ray cluster on loopback whose autoscaler really starts and stops machines: Ray nodes on this computer.

Tests and benchmarks use it alike:

    with autoscaling_cluster(directory, worker={"CPU": 2}, max_workers=2) as cluster:
        subprocess.run([...], env=cluster.environment)
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from eva_rl.driver.ray_session import LOCAL_ENVIRONMENT, QUIET_ENVIRONMENT

REPOSITORY = Path(__file__).parents[1]
RAY = Path(sys.executable).with_name("ray")
LOOPBACK = "127.0.0.1"
HEAD_ID = "f" * 51 + "00000"  # the provider's own name for the head, in hexadecimal
HEAD_TYPE = "ray.head.default"  # the provider's own name for its kind
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class AutoscalingCluster:
    """A running head.

    Attributes:
        address: of the head, `host:port`.
        environment: under which a process joins as a driver.
        log: what head and autoscaler print.
    """

    address: str
    environment: Mapping[str, str]
    log: Path

    def run(self, program: str, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs a Python program as a driver on the cluster."""
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=dict(self.environment),
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


@contextmanager
def autoscaling_cluster(
    directory: Path,
    *,
    worker: Mapping[str, float],
    max_workers: int,
    head_cpus: int = 2,
    idle_timeout_s: float = 4.0,
    object_store_mb: int = 100,
) -> Iterator[AutoscalingCluster]:
    """Starts a head with an autoscaler that may add `max_workers` machines; stops all of it at the end.

    Args:
        directory: for the configuration, the token and the log.
        worker: resources of one machine.
        max_workers: machines at most; there are none to begin with.
        head_cpus: CPUs of the head.
        idle_timeout_s: how long a machine may be idle before it is stopped.
        object_store_mb: of every node.
    """
    port = _free_port()
    environment = _environment(directory)
    configuration = directory / "autoscaling.json"
    types = {"worker": dict(worker) | {"object_store_memory": object_store_mb * 2**20}}
    configuration.write_text(json.dumps(_configuration(port, head_cpus, types, max_workers, idle_timeout_s)))
    words = [str(RAY), "start", "--head", "--block", f"--port={port}", f"--num-cpus={head_cpus}"]
    words += [f"--autoscaling-config={configuration}", "--include-dashboard=false", "--disable-usage-stats"]
    words += [f"--object-store-memory={object_store_mb * 2**20}", f"--ray-client-server-port={_free_port()}"]
    words += [f"--dashboard-agent-listen-port={_free_port()}"]
    log = directory / "head.log"
    with log.open("w") as output:
        head = subprocess.Popen(
            words, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=directory
        )
    cluster = AutoscalingCluster(address=f"{LOOPBACK}:{port}", environment=environment, log=log)
    try:
        _wait_for_port(port, head, log)
        yield AutoscalingCluster(
            address=cluster.address, environment=environment | {"RAY_ADDRESS": cluster.address}, log=log
        )
    finally:
        _stop(head, port)


def _configuration(
    port: int,
    head_cpus: int,
    types: Mapping[str, Mapping[str, float]],
    max_workers: int,
    idle_timeout_s: float,
) -> dict[str, object]:
    """Every key of Ray's schema of a cluster; the provider reads only its own section and the types."""
    node_types: dict[str, object] = {
        HEAD_TYPE: {"resources": {"CPU": head_cpus}, "node_config": {}, "max_workers": 0},
    }
    for name, resources in types.items():
        node_types[name] = {
            "resources": dict(resources),
            "node_config": {},
            "min_workers": 0,
            "max_workers": max_workers,
        }
    commands = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    return {
        "cluster_name": "loopback",
        "max_workers": max_workers,
        "upscaling_speed": 10.0,
        "idle_timeout_minutes": idle_timeout_s / 60,
        "provider": {
            "type": "external",
            "module": "tests.logical_machines.LogicalMachines",
            "gcs_address": f"{LOOPBACK}:{port}",
            "launch_multiple": True,
            "head_node_id": HEAD_ID,
        },
        "auth": {},
        "docker": {},
        **{f"{name}_commands": [] for name in commands},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        "available_node_types": node_types,
        "head_node_type": HEAD_TYPE,
    }


def _environment(directory: Path) -> dict[str, str]:
    """For the head, its autoscaler, its machines and every driver: loopback, a token, frequent looks."""
    token = directory / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return (
        inherited
        | LOCAL_ENVIRONMENT
        | QUIET_ENVIRONMENT
        | {
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "PATH": f"{RAY.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
        }
    )


def _wait_for_port(port: int, head: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        if head.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the head did not come up:\n{log.read_text()}")
        if "Ray runtime started" in log.read_text():
            return
        time.sleep(0.2)


def _stop(head: subprocess.Popen[bytes], port: int) -> None:
    """Asks the head to stop, then stops whatever of its cluster is left, by process number."""
    head.send_signal(signal.SIGTERM)
    try:
        head.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        head.kill()
        head.wait()
    left = [process for process in psutil.process_iter() if _belongs_to(process, port)]
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=STOP_TIMEOUT_S)


def _belongs_to(process: psutil.Process, port: int) -> bool:
    """Whether a process was started for the head at this port; every Ray process is told its address."""
    try:
        return f"{LOOPBACK}:{port}" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return listener.getsockname()[1]
