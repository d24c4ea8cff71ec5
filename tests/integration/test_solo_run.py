"""The loop in one process: every embedded preset learns, and a reward without weights changes nothing."""

import math

import pytest
import ray

from eva_rl.config.align import AlignSettings
from eva_rl.config.embedded_presets import EMBEDDED
from eva_rl.config.presets import merged
from eva_rl.driver.solo import SoloRun
from tests.tiny import tiny_settings

pytestmark = pytest.mark.integration

SMALL = {
    "algorithm": {"groups_per_step": 2},
    "adapter": {"rank": 2, "alpha": 4.0},
    "learner": {"groups_per_micro_batch": 1, "warmup_steps": 0},
}
NO_REWARD = {"jerk": 0.0, "acceleration": 0.0, "velocity_limit": 0.0, "acceleration_limit": 0.0}


def settings_of(preset, **sections):
    values = merged(merged(tiny_settings().model_dump(), EMBEDDED[preset].values()), SMALL)
    return AlignSettings.model_validate(merged(values, sections))


class Process:
    """Trains one arm after the other: starting processes is slow."""

    def train(self, settings, models, conditions):
        run = SoloRun(
            settings=settings, conditions=conditions, world_model=models.world_model, idm=models.idm
        )
        before = run.deployed().version.content_hash
        run.train(1e-9)  # at least one step
        return before, run.deployed().version.content_hash, run.steps


@pytest.fixture(scope="module")
def process(local_ray):
    actor = ray.remote(Process).options(num_cpus=0.1).remote()
    yield actor
    ray.kill(actor)


@pytest.mark.parametrize("preset", EMBEDDED)
def test_every_embedded_preset_takes_a_training_step(process, tiny_models, tiny_conditions, preset):
    settings = settings_of(preset)
    before, after, steps = ray.get(process.train.remote(settings, tiny_models, tiny_conditions))
    assert before != after
    assert math.isfinite(steps[0].reward)
    assert steps[0].num_rollouts == 2 * settings.algorithm.group_size
    assert steps[0].cpu_s > 0


def test_credit_can_follow_the_gradient_of_the_idm(process, tiny_models, tiny_conditions):
    settings = settings_of("embedded_credit", algorithm={"arm_regions": "idm_gradient"})
    before, after, _ = ray.get(process.train.remote(settings, tiny_models, tiny_conditions))
    assert before != after


def test_a_reward_without_weights_leaves_the_policy_as_it_was(process, tiny_models, tiny_conditions):
    settings = settings_of("paper", reward={"term_weights": NO_REWARD, "penalty_scale": 1.0})
    before, after, _ = ray.get(process.train.remote(settings, tiny_models, tiny_conditions))
    assert before == after
