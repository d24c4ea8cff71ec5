"""Cost terms beyond the paper that look at the decoded motion: what a smooth cheat would get away with.

The paper's reward knows no position limits, and is highest for a robot that does not move at all. Every
function returns a cost map (see `cost_map.py`).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from eva_rl.rewards.cost_map import even_map, weighted_mean_map
from eva_rl.rewards.evidence import Evidence
from eva_rl.rewards.limits import KinematicLimits
from eva_rl.rewards.motion import JointMotion

FLOOR_FRACTION = 0.5  # share of the expected path below which `motion_floor` costs
CHATTER_S = 0.6  # a gripper that comes back within this time chatters; picking and placing takes longer


def position_limit(
    motion: JointMotion, limits: KinematicLimits, *, evidence: Evidence
) -> Float[Tensor, "members frames dimensions"]:
    """Squared distance from the range of positions, rad^2."""
    below, above = limits.lower - motion.positions, motion.positions - limits.upper
    return weighted_mean_map(below.relu() ** 2 + above.relu() ** 2, limits, motion=motion)


def gripper_chatter(
    motion: JointMotion, limits: KinematicLimits, *, evidence: Evidence
) -> Float[Tensor, "members frames dimensions"]:
    """How far grippers go to and fro: the smaller of opening and closing travel in the last CHATTER_S.

    Averaged over frames and grippers, in units of a full opening. Opening once or closing once costs nothing,
    and so does closing, carrying for longer than CHATTER_S, and opening again.
    """
    window = chatter_frames(motion.frame_rate_hz)
    travel = motion.positions.diff(dim=1).where(limits.is_gripper, 0)
    travel = functional.pad(travel, (0, 0, window, 0))  # before the clip nothing moved
    opening, closing = (part.relu().unfold(1, window, 1).sum(dim=-1) for part in (travel, -travel))
    return torch.minimum(opening, closing) / (motion.num_frames * limits.is_gripper.sum())


def chatter_frames(frame_rate_hz: float) -> int:
    """Returns how many frame-to-frame travels make CHATTER_S."""
    return math.ceil(CHATTER_S * frame_rate_hz - 1e-6)


def start_pose(
    motion: JointMotion, limits: KinematicLimits, *, evidence: Evidence
) -> Float[Tensor, "members frames dimensions"]:
    """Squared distance of the first frame from the pose it was generated from, rad^2."""
    start = evidence.required("start_joints", by="start_pose")
    missed = weighted_mean_map((motion.positions[:, :1] - start[:, None]) ** 2, limits, motion=motion)
    return missed.flip(1)  # its one time is the first frame, not the last


def motion_floor(
    motion: JointMotion, limits: KinematicLimits, *, evidence: Evidence
) -> Float[Tensor, "members frames dimensions"]:
    """Squared shortfall below half of the expected path length: 0 for any lively motion, 1 at rest."""
    share = motion.path_lengths(limits.is_gripper) / evidence.required("path_length", by="motion_floor")
    return even_map((1 - share / FLOOR_FRACTION).relu()[:, None] ** 2, motion)


def demonstrated_motion(
    motion: JointMotion, limits: KinematicLimits, *, evidence: Evidence
) -> Float[Tensor, "members frames dimensions"]:
    """Squared distance from where a demonstration of this scene is at the same time, rad^2.

    It names one way to the goal and its timing, so it also costs where the policy has found another.
    """
    shown = evidence.required("demonstration", by="demonstrated_motion")
    return weighted_mean_map((motion.positions - shown) ** 2, limits, motion=motion)


def path_ratio(
    motion: JointMotion, limits: KinematicLimits, *, evidence: Evidence
) -> Float[Tensor, "members frames dimensions"]:
    """Squared relative departure from the expected path length: punishes detours and laziness alike."""
    share = motion.path_lengths(limits.is_gripper) / evidence.required("path_length", by="path_ratio")
    return even_map((share - 1)[:, None] ** 2, motion)
