"""Cost terms: pure functions of joint motion, at least 0, lower is better.

`jerk`, `acceleration`, `velocity_limit` and `acceleration_limit` are EVA's. The others go beyond the paper,
whose reward knows no position limits and is highest for a robot that does not move; they have no weight
unless a setting gives them one. A motion of constant speed inside the limits, with the expected start and
path length, costs nothing in any term.

Every term averages over time and over dimensions, grippers counting less (see `dimension_weights`).
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.rewards.expected import ExpectedMotion
from eva_rl.rewards.limits import KinematicLimits
from eva_rl.rewards.motion import JointMotion

GRIPPER_WEIGHT = 0.2  # before the division by the mean weight
HUBER_FRACTION = 0.5  # Huber widths as a fraction of the acceleration limit
FLOOR_FRACTION = 0.5  # share of the expected path below which `motion_floor` costs


class RewardTerm(Protocol):
    """Costs the motion of several videos; every row of REWARD_TERMS has this signature."""

    def __call__(
        self, motion: JointMotion, limits: KinematicLimits, *, expected: ExpectedMotion
    ) -> Float[Tensor, " members"]:
        """Returns one cost per member, which depends on that member alone.

        Args:
            motion: of the videos.
            limits: of the robot.
            expected: of the conditions.
        """
        ...


def jerk(
    motion: JointMotion, limits: KinematicLimits, *, expected: ExpectedMotion
) -> Float[Tensor, " members"]:
    """Huber cost of the jerk, quadratic up to half the acceleration limit gained in one frame.

    Source: P_jerk of EVA, arXiv 2603.17808.
    """
    width = HUBER_FRACTION * limits.acceleration * motion.frame_rate_hz
    return _mean_cost(_huber(motion.jerk, width), limits)


def acceleration(
    motion: JointMotion, limits: KinematicLimits, *, expected: ExpectedMotion
) -> Float[Tensor, " members"]:
    """Huber cost of the acceleration, quadratic up to half its limit. Source: P_acc of EVA."""
    return _mean_cost(_huber(motion.acceleration, HUBER_FRACTION * limits.acceleration), limits)


def velocity_limit(
    motion: JointMotion, limits: KinematicLimits, *, expected: ExpectedMotion
) -> Float[Tensor, " members"]:
    """Squared excess of the speed over its limit, (rad/s)^2. Source: P_vlim of EVA."""
    return _mean_cost((motion.velocity.abs() - limits.velocity).relu() ** 2, limits)


def acceleration_limit(
    motion: JointMotion, limits: KinematicLimits, *, expected: ExpectedMotion
) -> Float[Tensor, " members"]:
    """Squared excess of the acceleration over its limit, (rad/s^2)^2. Source: P_alim of EVA."""
    return _mean_cost((motion.acceleration.abs() - limits.acceleration).relu() ** 2, limits)


def position_limit(
    motion: JointMotion, limits: KinematicLimits, *, expected: ExpectedMotion
) -> Float[Tensor, " members"]:
    """Squared distance from the range of positions, rad^2."""
    below, above = limits.lower - motion.positions, motion.positions - limits.upper
    return _mean_cost(below.relu() ** 2 + above.relu() ** 2, limits)


def start_pose(
    motion: JointMotion, limits: KinematicLimits, *, expected: ExpectedMotion
) -> Float[Tensor, " members"]:
    """Squared distance of the first frame from the pose it was generated from, rad^2.

    Raises:
        ValueError: if the start joints are not known.
    """
    if expected.start_joints is None:
        raise ValueError(
            "Reward term start_pose needs expected.start_joints: pass the condition's start joints."
        )
    return _mean_cost((motion.positions[:, :1] - expected.start_joints[:, None]) ** 2, limits)


def motion_floor(
    motion: JointMotion, limits: KinematicLimits, *, expected: ExpectedMotion
) -> Float[Tensor, " members"]:
    """Squared shortfall below half of the expected path length: 0 for any lively motion, 1 at rest.

    Raises:
        ValueError: if the expected path length is not known.
    """
    return (1 - _path_ratio(motion, limits, expected) / FLOOR_FRACTION).relu() ** 2


def path_ratio(
    motion: JointMotion, limits: KinematicLimits, *, expected: ExpectedMotion
) -> Float[Tensor, " members"]:
    """Squared relative departure from the expected path length: punishes detours and laziness alike.

    Raises:
        ValueError: if the expected path length is not known.
    """
    return (_path_ratio(motion, limits, expected) - 1) ** 2


REWARD_TERMS: Mapping[str, RewardTerm] = {
    "jerk": jerk,
    "acceleration": acceleration,
    "velocity_limit": velocity_limit,
    "acceleration_limit": acceleration_limit,
    "position_limit": position_limit,
    "start_pose": start_pose,
    "motion_floor": motion_floor,
    "path_ratio": path_ratio,
}


def dimension_weights(limits: KinematicLimits) -> Float[Tensor, " dimensions"]:
    """Returns the weight of each dimension: grippers count a fifth of a joint; the mean is 1."""
    weights = torch.ones_like(limits.velocity).where(~limits.is_gripper, GRIPPER_WEIGHT)
    return weights / weights.mean()


def _mean_cost(
    costs: Float[Tensor, "members times dimensions"], limits: KinematicLimits
) -> Float[Tensor, " members"]:
    return (dimension_weights(limits) * costs).mean(dim=(1, 2))


def _huber(
    values: Float[Tensor, "members times dimensions"], width: Float[Tensor, " dimensions"]
) -> Float[Tensor, "members times dimensions"]:
    """x^2 / 2 up to |x| = width, then width (|x| - width / 2)."""
    size = values.abs()
    return torch.where(size <= width, size**2 / 2, width * (size - width / 2))


def _path_ratio(
    motion: JointMotion, limits: KinematicLimits, expected: ExpectedMotion
) -> Float[Tensor, " members"]:
    if expected.path_length is None:
        raise ValueError(
            "Reward terms motion_floor and path_ratio need expected.path_length: pass the demonstrations'."
        )
    return motion.path_lengths(limits.is_gripper) / expected.path_length
