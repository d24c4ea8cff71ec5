"""A run that begins small: members join as machines appear and leave again, and no byte changes."""

import pytest
import ray

from eva_rl.actors.roles import GENERATOR
from tests.integration.logical_nodes import OBJECT_STORE, joined_nodes
from tests.tiny import tiny_settings
from tests.tiny_run import running_roles, train

pytestmark = pytest.mark.integration

ON_A_SEAT = {"generators__custom_resources": "{seat: 1}", "cluster__machines_may_join": True}
GROWING = ON_A_SEAT | {"generators__min_count": 1, "generators__count": 2}
SEAT = {"num_cpus": 1, "resources": {"seat": 1}} | OBJECT_STORE


@pytest.fixture(scope="module")
def fixed_policy(local_ray, tiny_models, tiny_conditions, tmp_path_factory):
    """Version of the adapter that one generator makes from beginning to end."""
    settings = tiny_settings(schedule__num_training_steps=3)
    with running_roles(settings, tiny_models) as roles:
        state = train(settings, roles, tiny_conditions, tmp_path_factory.mktemp("fixed") / "run")
    return state.policy.version


def test_a_generator_that_joins_mid_run_and_leaves_again_changes_no_byte(
    fixed_policy, tiny_models, tiny_conditions, tmp_path
):
    sampled, steps = [], []
    with joined_nodes(SEAT) as cluster, running_roles(tiny_settings(**GROWING), tiny_models) as roles:
        pool = roles.dispatcher.pools[GENERATOR]

        def after_step(note):
            if not note.startswith("reward "):
                return
            steps.append(len(pool.members))
            if len(steps) == 1:
                cluster.add_node(**SEAT)
                roles.dispatcher.wait_until(
                    lambda: len(pool.members) == 2 and pool.members[1].is_ready,
                    what="the second generator",
                )
            elif len(steps) == 2:
                late = pool.members[1]
                made = ray.get(late.actor.version.remote())
                sampled.append(made.training_step)
                late.is_draining = True

        state = train(tiny_settings(**GROWING), roles, tiny_conditions, tmp_path / "run", on_note=after_step)
    assert steps[:2] == [1, 2]
    assert state.policy.version == fixed_policy
    assert sampled in ([1], [2]), "the late generator has sampled nothing: its adapter is the untouched one"


def test_colocated_roles_that_sleep_in_turns_change_no_byte(
    fixed_policy, tiny_models, tiny_conditions, tmp_path
):
    settings = tiny_settings(cluster__placement="colocated", cluster__idle_roles_sleep=True)
    with running_roles(settings, tiny_models) as roles:
        state = train(settings, roles, tiny_conditions, tmp_path / "run")
    assert state.policy.version == fixed_policy
