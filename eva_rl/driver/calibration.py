"""The reward's scale P0, from rollouts of the model as it was given."""

import ray
import torch

from eva_rl.actors.roles import Roles
from eva_rl.config.align import AlignSettings
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.rewards.reward import calibrate_p0

CALIBRATION_STEP = -1
"""Training step that seeds the calibration rollouts: none of the run's own."""


def calibrate_reward(settings: AlignSettings, roles: Roles, schedule: ConditionSchedule) -> float:
    """Sets P0 on every scorer and returns it.

    With reward.penalty_scale "calibrated", P0 is the median penalty of one batch of rollouts of the
    untouched policy (EVA takes P0 from rollouts of the pretrained model), so that a typical rollout starts
    at the same point of the reward's curve on every robot.

    Raises:
        ValueError: when no calibration rollout could be judged.
    """
    scale = settings.reward.penalty_scale
    if scale == "calibrated":
        chunks = roles.generators.generate(schedule.batch(0), CALIBRATION_STEP)
        groups = [group.breakdown for chunk in ray.get(roles.scorers.score(chunks)) for group in chunk]
        scale = calibrate_p0(torch.cat([group.penalties for group in groups]))
    roles.scorers.set_penalty_scale(scale)
    return scale
