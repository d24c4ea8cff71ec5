"""What a run asks of the autoscaler is taken back on every way out of it."""

import json
import signal
import subprocess
import sys
import time

import pytest
import ray
from ray._private.ray_constants import AUTOSCALER_RESOURCE_REQUEST_CHANNEL
from ray.experimental.internal_kv import _internal_kv_get

from eva_rl.actors.capacity import RoleDemand
from eva_rl.driver.machine_requests import machine_request

pytestmark = pytest.mark.integration

DRIVER = """
import sys, ray
from eva_rl.actors.capacity import RoleDemand
from eva_rl.driver.machine_requests import machine_request

ray.init(address=sys.argv[1], logging_level="error")
with machine_request() as request:
    request.ask([RoleDemand(role="generators", count=2, bundle={"CPU": 1.0}, labels={"market": "spot"})])
    print("ASKED", flush=True)
    way = sys.stdin.readline().strip()
    if way == "raise":
        raise ValueError("something went wrong")
    if way == "wait":
        print("WAITING", flush=True)
        ray.get(ray.remote(lambda: None).options(resources={"never": 1}).remote())
"""


@pytest.fixture
def asked(local_ray):
    """Reads the bundles that the cluster's autoscaler is asked for; this Ray keeps them in its store."""

    def read():
        return json.loads(_internal_kv_get(AUTOSCALER_RESOURCE_REQUEST_CHANNEL) or "[]")

    return read


@pytest.fixture
def driver(asked):
    address = ray.get_runtime_context().gcs_address
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ASKED\n", process.stderr.read()
    assert asked() == [{"CPU": 1.0}, {"CPU": 1.0}]
    yield process
    process.kill()
    process.wait()


def tell(driver, way):
    driver.stdin.write(way + "\n")
    driver.stdin.flush()


def test_the_end_of_a_run_clears_its_request(driver, asked):
    tell(driver, "end")
    assert driver.wait(timeout=30) == 0
    assert asked() == []


def test_an_exception_clears_the_request(driver, asked):
    tell(driver, "raise")
    assert driver.wait(timeout=30) == 1
    assert "something went wrong" in driver.stderr.read()
    assert asked() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_clears_the_request_even_while_ray_is_waited_for(driver, asked, number):
    tell(driver, "wait")
    assert driver.stdout.readline() == "WAITING\n"
    time.sleep(0.2)  # into ray.get, which no output can announce
    driver.send_signal(number)
    assert driver.wait(timeout=30) != 0
    assert asked() == []


def test_a_run_begins_with_what_a_killed_one_left_behind_cleared(driver, asked):
    driver.kill()
    driver.wait()
    assert asked() == [{"CPU": 1.0}, {"CPU": 1.0}]
    with machine_request() as request:
        assert asked() == []
        request.ask([RoleDemand(role="scorers", count=1, bundle={"GPU": 1.0})])
        assert asked() == [{"GPU": 1.0}]
    assert asked() == []
