"""A local Ray is reachable from this machine only."""

import json
import subprocess
import sys

import pytest
import ray

pytestmark = pytest.mark.integration

PROGRAM = """
import json, os, psutil
from eva_rl.config.run import ClusterSettings
from eva_rl.driver.ray_session import ray_session

def ancestors(process):
    return {parent.pid for parent in process.parents()} | {process.pid}

with ray_session(ClusterSettings(num_cpus=1, object_store_mb=80)):
    import ray
    ray.get(ray.remote(lambda: None).remote())
    session = ray._private.worker.global_worker.node.get_session_dir_path()
    addresses = []
    for process in psutil.process_iter():
        try:
            if session in " ".join(process.cmdline()) or os.getpid() in ancestors(process):
                sockets = process.net_connections("tcp")
                addresses += [c.laddr.ip for c in sockets if c.status == psutil.CONN_LISTEN]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    print("ADDRESSES", json.dumps(sorted(set(addresses))))
"""


def test_a_local_ray_listens_on_loopback_only(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ADDRESSES")]
    addresses = json.loads(line.removeprefix("ADDRESSES"))
    assert addresses
    assert set(addresses) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


BESIDE = """
import os
from eva_rl.config.run import ClusterSettings
from eva_rl.driver.ray_session import ray_session

with ray_session(ClusterSettings(address="local", num_cpus=3, object_store_mb=80)):
    import ray
    print("NODE", ray.get_runtime_context().gcs_address, ray.cluster_resources()["CPU"], len(ray.nodes()))
"""


def test_a_local_run_never_touches_a_running_cluster(local_ray, monkeypatch):
    running = ray.get_runtime_context().gcs_address
    resources, jobs = ray.cluster_resources(), len(ray._private.state.jobs())
    monkeypatch.setenv("RAY_ADDRESS", running)
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("NODE")]
    _, address, num_cpus, num_nodes = line.split()
    assert address != running
    assert (num_cpus, num_nodes) == ("3.0", "1")
    assert (ray.cluster_resources(), len(ray._private.state.jobs())) == (resources, jobs)
    assert ray.get(ray.remote(lambda: 1).options(num_cpus=0).remote()) == 1


def test_the_align_recipe_sets_the_environment_before_ray_is_imported():
    program = (
        "import sys; from eva_rl.config.rules import ALIGN_RULES; "
        "from eva_rl.driver.preflight import PREFLIGHT_RULES; "
        "from eva_rl.driver.ray_session import prepare_environment; print('ray' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split()[-1] == "False"
