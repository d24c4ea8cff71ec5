"""The loop in one process: every embedded preset learns, and a reward without weights changes nothing."""

import math

import pytest
import ray

from benchmarks.arms import Models, run_arm, run_base, with_seed
from eva_rl.actors.reward_setup import reward_of
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

    def compare(self, settings, models, conditions, directory, *, evaluation_seed):
        """Rewards on held-out scenes: of the base policy, and of an arm with another training seed."""
        reward = reward_of(tiny_settings(), penalty_scale=1.0)
        shared = Models(world_model=models.world_model, idm=models.idm, judge=None)
        base, _ = run_base(settings, shared, reward=reward)
        arm = run_arm(
            "arm",
            with_seed(settings, settings.run.seed + 1),
            conditions,
            shared,
            trainer=SoloRun,
            cpu_seconds=1e-9,
            reward=reward,
            adapters=directory,
            evaluation_seed=evaluation_seed,
        )
        assert arm.is_base
        return [outcome.reward for outcome in base], [outcome.reward for outcome in arm.outcomes]


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


IDLE = {"term_weights": NO_REWARD, "penalty_scale": 1.0}


def test_an_arm_that_learns_nothing_is_the_base_policy_whatever_its_seed(
    process, tiny_models, tiny_conditions, tmp_path
):
    settings = settings_of("paper", reward=IDLE, evaluation={"num_conditions": 2}, video={"num_frames": 17})
    arguments = (settings, tiny_models, tiny_conditions, tmp_path)
    base, arm = ray.get(process.compare.remote(*arguments, evaluation_seed=settings.run.seed))
    assert arm == base
    _, with_other_noise = ray.get(process.compare.remote(*arguments, evaluation_seed=settings.run.seed + 1))
    assert with_other_noise != base


def test_a_reward_without_weights_leaves_the_policy_as_it_was(process, tiny_models, tiny_conditions):
    settings = settings_of("paper", reward=IDLE)
    before, after, _ = ray.get(process.train.remote(settings, tiny_models, tiny_conditions))
    assert before == after
