"""`ray job submit -- python recipes/robotwin_align.py` on a head with token authentication."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from eva_rl.driver.ray_session import LOCAL_ENVIRONMENT

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
START_TIMEOUT_S = 120


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(url):
    """Whether the dashboard is up; with authentication on it may answer 401, which is an answer."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture
def secured_head(tmp_path):
    """A head node on loopback; yields its dashboard address and the environment that knows the token."""
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    names = ("RAY_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= LOCAL_ENVIRONMENT | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
    }
    port, dashboard = free_port(), free_port()
    words = [str(SCRIPTS / "ray"), "start", "--head", "--block", f"--port={port}", "--num-cpus=4"]
    # The job agent's default port belongs to whichever Ray of this machine started first.
    words += [f"--dashboard-agent-listen-port={free_port()}", f"--ray-client-server-port={free_port()}"]
    words += ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
    words += [f"--object-store-memory={256 * 2**20}", "--disable-usage-stats"]
    with (tmp_path / "head.log").open("w") as log:
        head = subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{dashboard}"
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers(f"{url}/api/version"):
        assert head.poll() is None, (tmp_path / "head.log").read_text()
        assert time.monotonic() < deadline, "the head's dashboard did not come up"
        time.sleep(0.5)
    yield url, environment
    head.send_signal(signal.SIGTERM)
    head.wait(timeout=60)


def submit(url, environment, *words):
    """Submits as a user would; a head that is not ready for jobs yet says so and is asked again."""
    command = [str(SCRIPTS / "ray"), "job", "submit", "--address", url, "--working-dir", ".", "--", *words]
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        job = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=280
        )
        if "No available agent to submit job" not in job.stderr or time.monotonic() > deadline:
            return job


def test_the_align_recipe_runs_as_a_submitted_job_with_a_token_only(local_ray, secured_head, tmp_path):
    url, environment = secured_head
    refused = submit(url, environment | {"RAY_AUTH_MODE": "disabled"}, "python", "-c", "pass")
    assert refused.returncode != 0

    run = tmp_path / "run"
    recipe = ["python", "recipes/robotwin_align.py", "--config", "recipes/configs/smoke.yaml"]
    job = submit(url, environment, *recipe, "--run.directory", str(run))
    assert job.returncode == 0, job.stdout + job.stderr
    assert (run / "report.html").stat().st_size > 10_000
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["training_step"] for row in rows] == [0, 1, 2]
    assert (run / "adapter" / "pytorch_lora_weights.safetensors").is_file()
