"""The table of reward terms: costs of at least 0, lower is better.

`jerk`, `acceleration`, `velocity_limit` and `acceleration_limit` are EVA's. The others go beyond the paper
and have no weight unless a setting gives them one. A motion of constant speed inside the limits that starts
where it should, goes as far as expected, keeps clear of itself, looks like what it shows and solves its task
costs nothing in any term.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from eva_rl.rewards.evidence import Evidence
from eva_rl.rewards.honesty_terms import (
    CHATTER_S,
    demonstrated_motion,
    gripper_chatter,
    motion_floor,
    path_ratio,
    position_limit,
    start_pose,
)
from eva_rl.rewards.limits import KinematicLimits
from eva_rl.rewards.motion import JointMotion
from eva_rl.rewards.paper_terms import acceleration, acceleration_limit, jerk, velocity_limit
from eva_rl.rewards.scene_terms import collision_margin, cycle_consistency, task_progress


@runtime_checkable  # shape annotations are checked in tests
class CostFunction(Protocol):
    """Costs the motion of several videos, frame by frame."""

    def __call__(
        self, motion: JointMotion, limits: KinematicLimits, *, evidence: Evidence
    ) -> Float[Tensor, "members frames dimensions"]:
        """Returns a cost map per member, which depends on that member alone; its sum is the member's cost.

        Args:
            motion: of the videos.
            limits: of the robot.
            evidence: what else is known about the videos.

        Raises:
            MissingEvidenceError: if what the term judges by is not known.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Term:
    """One row of REWARD_TERMS.

    Example:
        Term(cost=jerk, reach_frames=3, source="P_jerk of EVA, arXiv 2603.17808")

    Attributes:
        cost: the cost map.
        reach_frames: how many frames before the booked one a cost looks at; None for the whole clip, so that
            a cost belongs to no frame in particular.
        reach_s: seconds that it looks back beyond that.
        needs: fields of Evidence that must be known.
        source: where the term comes from.
    """

    cost: CostFunction
    reach_frames: int | None
    source: str
    reach_s: float = 0.0
    needs: tuple[str, ...] = ()

    def frames_back(self, frame_rate_hz: float) -> int | None:
        """Returns how many frames before the booked one a cost depends on; None for all."""
        if self.reach_frames is None:
            return None
        return self.reach_frames + math.ceil(self.reach_s * frame_rate_hz - 1e-6)


_EVA = "of EVA, arXiv 2603.17808"
_OWN = "own: "

REWARD_TERMS: Mapping[str, Term] = {
    "jerk": Term(cost=jerk, reach_frames=3, source=f"P_jerk {_EVA}"),
    "acceleration": Term(cost=acceleration, reach_frames=2, source=f"P_acc {_EVA}"),
    "velocity_limit": Term(cost=velocity_limit, reach_frames=1, source=f"P_vlim {_EVA}"),
    "acceleration_limit": Term(cost=acceleration_limit, reach_frames=2, source=f"P_alim {_EVA}"),
    "position_limit": Term(cost=position_limit, reach_frames=0, source=_OWN + "ranges of EMBODIMENTS"),
    "gripper_chatter": Term(
        cost=gripper_chatter, reach_frames=0, reach_s=CHATTER_S, source=_OWN + "grippers are commands"
    ),
    "start_pose": Term(
        cost=start_pose, reach_frames=0, needs=("start_joints",), source=_OWN + "the start is given"
    ),
    "motion_floor": Term(
        cost=motion_floor,
        reach_frames=None,
        needs=("path_length",),
        source=_OWN + "EVA names static arms among the hacks of its reward",
    ),
    "path_ratio": Term(
        cost=path_ratio, reach_frames=None, needs=("path_length",), source=_OWN + "as far as demonstrated"
    ),
    "demonstrated_motion": Term(
        cost=demonstrated_motion,
        reach_frames=0,
        needs=("demonstration",),
        source=_OWN + "the goal, and the way there, of a demonstration",
    ),
    "collision_margin": Term(
        cost=collision_margin,
        reach_frames=0,
        needs=("arm_clearance_m",),
        source=_OWN + "distances of the simulator's geometry",
    ),
    "cycle_consistency": Term(
        cost=cycle_consistency,
        reach_frames=0,
        needs=("cycle_error",),
        source=_OWN + "the video must look like the motion that is read from it",
    ),
    "task_progress": Term(
        cost=task_progress, reach_frames=None, needs=("progress",), source=_OWN + "tasks of the simulator"
    ),
}
"""Every term that a weight can name; a new row is tested by `tests/contracts` unasked."""

TRAINING_TERMS = ("cycle_consistency", "demonstrated_motion")
"""Nothing is evaluated by these: not every rung has a video, and held-out scenes lend no demonstration."""

SMOOTHNESS_TERMS = ("jerk", "acceleration")
"""Every motion costs something in these; without them a reward is flat where motion is within the limits."""
