"""A local Ray is reachable from this machine only."""

import json
import os
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


def test_the_align_recipe_sets_the_environment_before_ray_and_diffusers_are_imported():
    program = (
        "import sys; from eva_rl.config.rules import ALIGN_RULES; "
        "from eva_rl.driver.preflight import PREFLIGHT_RULES; "
        "from eva_rl.driver.ray_session import prepare_environment; "
        "print(sorted({'ray', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split()[-1] == "[]"


TOKEN_PROGRAM = """
import os, stat
from eva_rl.config.run import ClusterSettings
from eva_rl.driver.ray_session import ray_session

with ray_session(ClusterSettings(num_cpus=1, object_store_mb=80)):
    import ray, subprocess, sys
    probe = "import ray, sys; ray.init(address=sys.argv[1], logging_level='error'); print('JOINED')"
    address = ray.get_runtime_context().gcs_address
    token = os.environ["RAY_AUTH_TOKEN_PATH"]
    print("MODE", *(oct(stat.S_IMODE(os.stat(path).st_mode)) for path in (token, os.path.dirname(token))))

    def answer(**changes):
        command = [sys.executable, "-c", probe, address]
        done = subprocess.run(command, env=os.environ | changes, capture_output=True, text=True)
        return "JOINED" in done.stdout

    print("WITH", answer())
    print("WITHOUT", answer(RAY_AUTH_MODE="disabled"))
print("LEFT", os.path.exists(token), [name for name in os.environ if name.startswith("RAY_AUTH")])
"""


def without_ray_settings():
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("RAY_AUTH", "RAY_ADDRESS"))
    }


def test_a_local_ray_takes_work_from_holders_of_its_own_token_only():
    done = subprocess.run(
        [sys.executable, "-c", TOKEN_PROGRAM],
        env=without_ray_settings(),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    facts = [line for line in done.stdout.splitlines() if line.split()[0].isupper()]
    assert facts == ["MODE 0o600 0o700", "WITH True", "WITHOUT False", "LEFT False []"]


def test_a_ray_that_was_imported_too_early_is_not_started():
    program = (
        "import ray; from eva_rl.config.run import ClusterSettings; "
        "from eva_rl.driver.ray_session import ray_session\n"
        "with ray_session(ClusterSettings(num_cpus=1)): print('STARTED')"
    )
    environment = {
        name: value for name, value in without_ray_settings().items() if "WINDOWS_OR_OSX" not in name
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120
    )
    assert "STARTED" not in done.stdout
    assert "was imported before" in done.stderr
