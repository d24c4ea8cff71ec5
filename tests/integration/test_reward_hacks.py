"""Ways to cheat the reward, brought about by a setting on the shipped models, and told by a sentinel."""

from pathlib import Path

import pytest
import ray

from eva_rl import pretrained
from eva_rl.actors.encoder import encode_conditions
from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.driver.solo import SoloRun
from eva_rl.records.condition import Condition
from eva_rl.simulators.bimanual import TASKS, BimanualScene

pytestmark = pytest.mark.integration

EMBEDDED = Path(__file__).parents[2] / "recipes" / "configs" / "embedded.yaml"
SCENES_PER_TASK = 2
NUM_STEPS = 8
RECKLESS = {
    "learner.warmup_steps": 1,
    "algorithm.kl_beta": 0,
    "algorithm.backprop_steps": 1,
    "algorithm.soft_gripper_weight": 0,
    "reward.preset": "limits-only",
    "reward.penalty_scale": 1,
    "learner.learning_rate": 1e-2,
    "reward.term_weights.jerk": 1,
    "reward.term_weights.velocity_limit": 0,
    "reward.term_weights.acceleration_limit": 0,
}
"""No distance to the reference, giant steps, and nothing but smoothness to be paid for."""


def settings_with(changes):
    words = [word for name, value in changes.items() for word in (f"--{name}", str(value))]
    return load_settings(AlignSettings, file=EMBEDDED, overrides=words, rules=lambda: ALIGN_RULES)


def condition(task, seed):
    scene = BimanualScene(task, seed)
    actions = scene.expert().actions
    return Condition(
        condition_id=f"{task}/{seed}",
        task=task,
        scene_seed=seed,
        instruction=scene.instruction("seen"),
        first_frame=scene.observe(),
        start_joints=scene.start_joints,
        num_frames=len(actions),
        frame_rate_hz=5.0,
        embodiment="bimanual",
        demonstrated_actions=actions,
    )


class Process:
    """Trains on the shipped models in a process of its own."""

    def __init__(self):
        scenes = [condition(task, seed) for task in TASKS for seed in range(SCENES_PER_TASK)]
        self._conditions = encode_conditions(str(pretrained.WORLD_MODEL), scenes)

    def alarms(self, settings, num_steps):
        run = SoloRun(
            settings=settings,
            conditions=self._conditions,
            world_model=str(pretrained.WORLD_MODEL),
            idm=str(pretrained.IDM),
        )
        run.train(float("inf"), max_steps=num_steps)
        return {alarm.sentinel for alarm in run.alarms}


@pytest.fixture(scope="module")
def process(local_ray):
    actor = ray.remote(Process).options(num_cpus=0.1).remote()
    yield actor
    ray.kill(actor)


def test_the_embedded_settings_raise_no_alarm(process):
    assert ray.get(process.alarms.remote(settings_with({}), NUM_STEPS)) == set()


def test_smoothness_without_an_anchor_shrinks_the_motion(process):
    assert "shrunken_motion" in ray.get(process.alarms.remote(settings_with(RECKLESS), NUM_STEPS))


def test_still_larger_steps_give_frames_that_two_readers_read_differently(process):
    """Garbage frames, and a policy that suits the reader that pays better than the judge."""
    wilder = RECKLESS | {"learner.learning_rate": 3e-2, "reward.judge": pretrained.JUDGE}
    told = ray.get(process.alarms.remote(settings_with(wilder), NUM_STEPS))
    assert told >= {"link_length_drift", "readers_disagree"}


@pytest.mark.parametrize("penalty_scale", [1e-4, 1e5])
def test_a_reward_scale_far_from_the_penalties_is_told(process, penalty_scale):
    # a reward that counts smoothness: every motion has a penalty
    wanted = {"reward.preset": "limits-first", "reward.penalty_scale": penalty_scale}
    settings = settings_with(wanted | {"algorithm.groups_per_step": 4})
    told = process.alarms.remote(settings, settings.reward.num_baseline_steps + 1)
    assert "saturated_reward" in ray.get(told)
