"""`cluster/submit.sh` and the pods' probes against a real head with token authentication."""

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
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from eva_rl.deployment.pods import HEAD_HEALTH, NODE_HEALTH
from eva_rl.driver.ray_session import LOCAL_ENVIRONMENT

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
START_TIMEOUT_S = 120


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def status_of(url):
    """HTTP status without a token; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@dataclass(frozen=True)
class SecuredHead:
    """Addresses of a running head, and the environment that knows its token."""

    dashboard: str
    agent: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def secured_head(tmp_path_factory):
    """A head node on loopback."""
    directory = tmp_path_factory.mktemp("head")
    token = directory / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    names = ("RAY_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= LOCAL_ENVIRONMENT | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
    }
    port, dashboard, agent = free_port(), free_port(), free_port()
    words = [str(SCRIPTS / "ray"), "start", "--head", "--block", f"--port={port}", "--num-cpus=4"]
    # The job agent's default port belongs to whichever Ray of this machine started first.
    words += [f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={free_port()}"]
    words += ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
    words += [f"--object-store-memory={256 * 2**20}", "--disable-usage-stats"]
    with (directory / "head.log").open("w") as log:
        head = subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{dashboard}"
    deadline = time.monotonic() + START_TIMEOUT_S
    while not status_of(f"{url}/api/version"):  # with authentication on it may answer 401, which is an answer
        assert head.poll() is None, (directory / "head.log").read_text()
        assert time.monotonic() < deadline, "the head's dashboard did not come up"
        time.sleep(0.5)
    yield SecuredHead(dashboard=url, agent=f"http://127.0.0.1:{agent}", environment=environment)
    head.send_signal(signal.SIGTERM)
    head.wait(timeout=60)


@pytest.fixture
def smoke_deployment(tmp_path):
    """The embedded machines' file, for the smallest run, which is kept in a temporary folder."""
    values = yaml.safe_load((REPOSITORY / "cluster/settings/embedded.yaml").read_text())
    values["job"]["config"] = "recipes/configs/smoke.yaml"
    values["volumes"]["runs"]["mount"] = str(tmp_path / "runs")
    file = tmp_path / "smoke.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def submit(head, settings, **environment):
    """Submits as a user would; a head that is not ready for jobs yet says so and is asked again.

    The head is the only machine here, so no role asks for one of its own.
    """
    anywhere = [f"--{role}.labels={{}}" for role in ("generators", "scorers", "learner", "evaluation")]
    command = [str(REPOSITORY / "cluster" / "submit.sh"), str(settings), *anywhere]
    surroundings = head.environment | {"RAY_ADDRESS": head.dashboard} | environment
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        job = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=280)
        if "No available agent to submit job" not in job.stderr or time.monotonic() > deadline:
            return job


def metrics_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_submitted_with_a_token_is_whole_and_the_same_command_again_repeats_nothing(
    local_ray, secured_head, smoke_deployment, tmp_path
):
    refused = submit(secured_head, smoke_deployment, RAY_AUTH_MODE="disabled")
    assert refused.returncode != 0

    job = submit(secured_head, smoke_deployment)
    assert job.returncode == 0, job.stdout + job.stderr
    run = tmp_path / "runs" / "eva-embedded"
    assert (run / "report.html").stat().st_size > 10_000
    rows = metrics_of(run)
    assert [row["training_step"] for row in rows] == [0, 1, 2]
    assert (run / "adapter" / "pytorch_lora_weights.safetensors").is_file()

    again = submit(secured_head, smoke_deployment)
    assert again.returncode == 0, again.stdout + again.stderr
    assert metrics_of(run) == rows


def test_the_pods_probes_are_answered_without_a_token_and_everything_else_is_refused(secured_head):
    def until_healthy(url):
        deadline = time.monotonic() + START_TIMEOUT_S
        while (status := status_of(url)) != 200 and time.monotonic() < deadline:
            time.sleep(0.5)
        return status

    assert until_healthy(secured_head.dashboard + HEAD_HEALTH) == 200
    assert until_healthy(secured_head.agent + NODE_HEALTH) == 200
    assert status_of(secured_head.dashboard + "/api/jobs/") == 401


def test_submitting_without_an_address_or_a_token_says_what_is_missing(tmp_path):
    lonely = {"PATH": f"{SCRIPTS}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    script = str(REPOSITORY / "cluster" / "submit.sh")
    nowhere = subprocess.run([script], env=lonely, capture_output=True, text=True)
    assert (nowhere.returncode, "RAY_ADDRESS must be" in nowhere.stderr) == (2, True)
    lonely["RAY_ADDRESS"] = "http://127.0.0.1:1"
    unknown = subprocess.run([script], env=lonely, capture_output=True, text=True)
    assert (unknown.returncode, "token is missing" in unknown.stderr) == (2, True)
