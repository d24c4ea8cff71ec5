"""Machines leave a run, with and without a notice; real Ray nodes on this machine."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray

from benchmarks.sabotage import busy, in_actor
from eva_rl.actors.roles import GENERATOR, SCORER
from tests.integration.logical_nodes import OBJECT_STORE, joined_nodes
from tests.sabotage import sabotaged
from tests.tiny import tiny_settings
from tests.tiny_run import running_roles, train

pytestmark = pytest.mark.integration

ELSEWHERE = {"num_cpus": 2, "resources": {"elsewhere": 1}}


def elsewhere(**overrides):
    return tiny_settings(generators__custom_resources="{elsewhere: 1}", **overrides)


@pytest.fixture(scope="module")
def clean_version(local_ray, tiny_models, tiny_conditions, tmp_path_factory):
    settings, directory = tiny_settings(), tmp_path_factory.mktemp("clean")
    with running_roles(settings, tiny_models) as roles:
        train(settings, roles, tiny_conditions, directory)
        return roles.learner.deployed().version


def test_what_a_removed_node_took_with_it_is_made_again(
    clean_version, tiny_models, tiny_conditions, tmp_path
):
    with joined_nodes(ELSEWHERE) as cluster:
        (first,) = cluster.worker_nodes

        def remove(roles):
            if not busy(roles, GENERATOR):
                return False
            cluster.add_node(**OBJECT_STORE | ELSEWHERE)
            cluster.remove_node(first)
            return True

        version, rows, told = sabotaged(elsewhere(), tiny_models, tiny_conditions, tmp_path, deed=remove)
    assert version == clean_version
    assert rows[-1]["faults/replaced_members"] >= 1
    assert any(line.startswith("generator 0 was lost") for line in told)


def test_a_draining_node_gets_no_new_order_and_a_checkpoint_is_written(
    clean_version, tiny_models, tiny_conditions, tmp_path
):
    leaving = []

    def drain(roles):
        member = roles.dispatcher.pools[GENERATOR].members[0]
        if not member.is_ready:
            return False
        leaving.append(member)
        table = ray.util.placement_group_table(member.place.group)
        command = [Path(sys.executable).with_name("ray"), "drain-node", "--reason-message", "test"]
        command += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--deadline-remaining-seconds", "600"]
        command += ["--node-id", table["bundles_to_node_id"][member.place.bundle]]
        command += ["--address", ray.get_runtime_context().gcs_address]
        subprocess.run(command, check=True, capture_output=True)
        for scorer in roles.dispatcher.pools[SCORER].members:
            in_actor(scorer.actor, lambda role: time.sleep(5))  # the notice comes before the step's end
        return True

    settings = elsewhere(
        generators__count=2,
        generators__strategy="STRICT_SPREAD",
        schedule__checkpoint_every_steps=100,
        schedule__num_training_steps=3,
    )
    with joined_nodes(ELSEWHERE, ELSEWHERE):
        version, _, _ = sabotaged(settings, tiny_models, tiny_conditions, tmp_path, deed=drain)
    assert version == clean_version
    assert leaving[0].is_draining
    assert (tmp_path / "checkpoints" / "step_000002").is_dir()
