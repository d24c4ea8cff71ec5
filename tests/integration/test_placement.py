"""Roles on logical nodes of a real local Ray, told from Ray's own table."""

import time

import pytest
import ray

from eva_rl.actors.machines import PlacementError
from eva_rl.actors.placement import place_evaluators, place_member, place_roles
from tests.integration.logical_nodes import OBJECT_STORE, bundles_of, joined_nodes, node_with, nodes_of
from tests.tiny import tiny_settings

pytestmark = pytest.mark.integration

NODES = (  # beside the head of the tests' Ray: 4 CPUs, no GPU, no label
    {"num_cpus": 4, "num_gpus": 2, "labels": {"pool": "gpu"}, "resources": {"accelerator_type:H100": 1}},
    {"num_cpus": 4, "num_gpus": 2, "labels": {"pool": "gpu"}, "resources": {"fast_disk": 4}},
)
CLOSED = {"cluster__machines_may_join": False}


@pytest.fixture(scope="module")
def cluster(local_ray):
    with joined_nodes(*NODES) as running:
        yield running


@pytest.fixture
def place(cluster):
    free, placed = ray.available_resources()["CPU"], []

    def place(function, **overrides):
        placed.append(function(tiny_settings(**CLOSED | overrides), tell=lambda line: None))
        return placed[-1]

    yield place
    for placement in placed:
        placement.release()
    wait_until(lambda: ray.available_resources().get("CPU") == free)


def wait_until(is_true, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_every_role_has_a_group_of_its_own_with_what_its_settings_name(place):
    placed = place(
        place_roles,
        generators__count=2,
        generators__num_gpus=0.5,
        generators__memory_mb=64,
        scorers__custom_resources="{fast_disk: 2}",
        learner__num_cpus=1,
        learner__num_gpus=1,
    )
    assert bundles_of(placed.generators) == [{"CPU": 0.25, "GPU": 0.5, "memory": 64 * 2**20}] * 2
    assert bundles_of(placed.scorers) == [{"CPU": 0.25, "fast_disk": 2}]
    assert bundles_of(placed.learner) == [{"CPU": 1, "GPU": 1}]
    assert len({placed.generators.group, placed.scorers.group, placed.learner.group}) == 3


def test_labels_accelerators_and_custom_resources_choose_the_machine(place):
    placed = place(
        place_roles,
        generators__labels="{pool: '!gpu'}",
        scorers__custom_resources="{fast_disk: 1}",
        learner__accelerator_type="H100",
    )
    assert nodes_of(placed.generators) == [node_with(**{"node:__internal_head__": 1.0})]
    assert nodes_of(placed.scorers) == [node_with(fast_disk=4)]
    assert nodes_of(placed.learner) == [node_with(**{"accelerator_type:H100": 1})]


@pytest.mark.parametrize(("strategy", "num_nodes"), [("STRICT_PACK", 1), ("STRICT_SPREAD", 3)])
def test_the_strategy_decides_how_many_machines_the_members_are_on(place, strategy, num_nodes):
    placed = place(place_roles, generators__count=3, generators__strategy=strategy)
    assert len(set(nodes_of(placed.generators))) == num_nodes


def test_colocated_roles_share_the_bundle_and_so_the_gpu_of_a_learner_rank(place):
    placed = place(
        place_roles,
        cluster__placement="colocated",
        learner__num_ranks=2,
        learner__num_gpus=0.5,
        learner__strategy="STRICT_SPREAD",
        generators__count=2,
        generators__num_gpus=0.25,
        scorers__count=2,
        scorers__num_gpus=0.25,
    )
    assert placed.learner.group == placed.generators.group == placed.scorers.group
    assert bundles_of(placed.learner) == [{"CPU": 0.75, "GPU": 1}] * 2
    assert placed.learner.bundles == placed.generators.bundles == placed.scorers.bundles == (0, 1)
    assert len(set(nodes_of(placed.learner))) == 2


def test_evaluators_get_machines_of_their_own_only_when_they_are_asked_for(place):
    place(place_roles, learner__num_cpus=4, generators__num_cpus=4, evaluation__num_cpus=4)
    groups = [row["name"] for row in ray.util.placement_group_table().values() if row["state"] == "CREATED"]
    assert not [name for name in groups if "evaluation" in name]
    evaluators = place(place_evaluators, evaluation__num_cpus=1)
    assert bundles_of(evaluators) == [{"CPU": 1}]


def test_a_further_member_gets_a_group_of_its_own_without_waiting(place):
    whole = place_evaluators(
        tiny_settings(**CLOSED, evaluation__num_cpus=4, evaluation__num_evaluators=3), tell=lambda line: None
    )
    member = place_member("generators", tiny_settings(generators__num_cpus=4).generators)
    reference = member.ready()
    assert ray.wait([reference], timeout=1)[0] == []
    whole.release()
    assert ray.wait([reference], timeout=30)[0] == [reference]
    assert bundles_of(member) == [{"CPU": 4}]
    member.release()


def test_a_bundle_that_no_machine_can_ever_hold_is_refused_at_once(place):
    started = time.monotonic()
    with pytest.raises(PlacementError, match=r"learner 1 x .CPU 0.25, GPU 8.*the largest has CPU 4, GPU 2"):
        place(place_roles, learner__num_gpus=8)
    assert time.monotonic() - started < 2


def test_a_sum_that_the_cluster_can_never_hold_is_refused_at_once(place):
    with pytest.raises(PlacementError, match="generators 6 x GPU 1 = GPU 6 wanted, GPU 4 at most"):
        place(place_roles, generators__count=6, generators__num_gpus=1)


def test_evaluators_that_can_never_fit_are_refused_before_training(place):
    with pytest.raises(PlacementError, match=r"evaluation 1 x .CPU 16"):
        place(place_roles, evaluation__num_cpus=16)


def test_what_the_named_node_types_cannot_hold_is_refused_and_what_they_can_is_waited_for(place):
    types = "[{resources: {CPU: 4, GPU: 8}, max_count: 1}]"
    growing = {"cluster__machines_may_join": True, "cluster__node_types": types}
    growing |= {"cluster__address": "joined", "cluster__placement_timeout_s": 1}
    with pytest.raises(PlacementError, match="can never fit"):
        place(place_roles, learner__num_gpus=16, **growing)
    with pytest.raises(PlacementError, match="machines were missing for"):
        place(place_roles, learner__num_gpus=8, **growing)


def test_a_machine_that_comes_later_is_waited_for_aloud(cluster):
    lines = []

    def tell(line):
        lines.append(line)
        if len(lines) == 1:
            cluster.add_node(num_cpus=1, num_gpus=4, **OBJECT_STORE)

    waits = {"cluster__machines_may_join": True, "cluster__address": "joined"}
    placed = place_roles(tiny_settings(learner__num_gpus=4, **waits), tell=tell)
    assert nodes_of(placed.learner) == [node_with(GPU=4)]
    placed.release()
    assert "3 machines with CPU 12" in lines[0]
    assert "learner 1 x (CPU 0.25, GPU 4, PACK); enough in sum, but not on machines that fit" in lines[0]
