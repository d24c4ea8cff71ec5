"""A real autoscaler starts machines for members that wait for one, and stops them when they are idle."""

import json
import os
import subprocess
import sys

import pytest

from tests.autoscaling_cluster import REPOSITORY, autoscaling_cluster

pytestmark = pytest.mark.integration

DRIVER = """
import json, sys, time
import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from eva_rl.actors.placement import demand_of, place_member
from eva_rl.config.roles import GeneratorSettings
from eva_rl.driver.machine_requests import machine_request

ray.init(address="auto", logging_level="error")
wanted = GeneratorSettings(num_cpus=1, custom_resources={"gen": 2})

def living():
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}

def until(number):
    while len(living()) != number:
        time.sleep(0.1)

class Member:
    def node(self):
        return ray.get_runtime_context().get_node_id()

head, started = living(), time.monotonic()
with machine_request() as request:
    members = [place_member("generators", wanted) for _ in range(2)]
    ray.get([member.ready() for member in members])
    up_s = time.monotonic() - started
    actors = [
        ray.remote(Member).options(
            num_cpus=wanted.num_cpus, scheduling_strategy=PlacementGroupSchedulingStrategy(member.group, 0)
        ).remote()
        for member in members
    ]
    nodes = set(ray.get([actor.node.remote() for actor in actors]))
    request.ask([demand_of("generators", wanted, 1)])
    for member in members:
        member.release()
    until(2)
    time.sleep(6)  # longer than the idle timeout: the machine that was asked for stays, however idle
    kept = len(living())
released = time.monotonic()
until(1)
down_s = time.monotonic() - released
print("FOUND", json.dumps({
    "before": len(head), "on_workers": len(nodes - head), "kept": kept, "up_s": up_s, "down_s": down_s,
}))
"""


def test_machines_come_for_waiting_members_stay_while_asked_for_and_go_when_idle(tmp_path):
    with autoscaling_cluster(
        tmp_path, worker={"CPU": 2, "gen": 2}, max_workers=2, idle_timeout_s=3
    ) as cluster:
        done = cluster.run(DRIVER, timeout_s=200)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
    found = json.loads(line.removeprefix("FOUND"))
    assert found["before"] == 1
    assert found["on_workers"] == 2
    assert found["kept"] == 2


WATCH = """
import ray, time
ray.init(address="auto", logging_level="error")
seen = [1]
while len(seen) == 1 or seen[-1] > 1:
    living = sum(node["Alive"] for node in ray.nodes())
    if living != seen[-1]:
        seen.append(living)
    time.sleep(0.1)
print("SEEN", seen)
"""

RECIPE = [
    "recipes/robotwin_align.py",
    "--config",
    "recipes/configs/smoke.yaml",
    "--generators.groups_per_call",
    "1",
]
SHORT = [
    "--schedule.num_training_steps",
    "12",
    "--evaluation.num_conditions",
    "5",
    "--evaluation.num_videos",
    "0",
]
GROWING = ["--cluster.autoscaling", "true", "--cluster.grow_after_s", "0", "--generators.count", "1"]
GROWING += ["--generators.max_count", "2", "--generators.custom_resources", "{gen: 1}"]


def aligned(directory, environment, *words):
    """Runs the recipe; returns what it printed and its adapter's bytes."""
    command = [sys.executable, *RECIPE, *SHORT, "--run.directory", str(directory), *words]
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, (directory / "adapter" / "pytorch_lora_weights.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_on_machines_that_come_and_go_makes_the_adapter_of_a_fixed_size_run(tmp_path):
    with autoscaling_cluster(tmp_path, worker={"CPU": 1, "gen": 1}, max_workers=2, head_cpus=4) as cluster:
        watch = subprocess.Popen(
            [sys.executable, "-c", WATCH], env=cluster.environment, stdout=subprocess.PIPE, text=True
        )
        printed, grown = aligned(tmp_path / "grown", cluster.environment, *GROWING)
        seen, _ = watch.communicate(timeout=120)
    (line,) = [line for line in seen.splitlines() if line.startswith("SEEN")]
    numbers = json.loads(line.removeprefix("SEEN"))
    assert (numbers[0], max(numbers), numbers[-1]) == (1, 3, 1)
    assert "generator 1 joins" in printed
    _, fixed = aligned(tmp_path / "fixed", os.environ, "--local", "--generators.count", "1")
    assert grown == fixed
