"""What the reward terms may know about a rollout besides the motion that it shows."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


class MissingEvidenceError(ValueError):
    """A reward term has a weight, but nobody gave what it judges by: a mistake in the settings."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Facts for the terms beyond the paper; a leading axis of 1 serves all members.

    Example:
        Evidence(start_joints=float32[1, 14], path_length=tensor([3.1]), progress=tensor([0.4, 1.0]))

    Attributes:
        start_joints: pose that the first frame shows, rad (grippers 0..1); None if no term asks for it, as
            everywhere below.
        path_length: distance that all arm joints of a demonstration travel together, rad.
        demonstration: positions of a demonstration of the same scene, frame by frame, rad (grippers 0..1).
        arm_clearance_m: smallest distance of each arm to itself and to the other arm along the decoded
            motion, m; negative where they would overlap. A last axis of 1 speaks for all arms.
        cycle_error: mean squared difference between the generated frames and the decoded motion rendered
            again, pixels in 0..1.
        progress: how far the decoded motion brings the task in a simulator, 0 .. 1 (goal reached).
    """

    start_joints: Float[Tensor, "members_or_1 dimensions"] | None = None
    path_length: Float[Tensor, " members_or_1"] | None = None
    demonstration: Float[Tensor, "members_or_1 frames dimensions"] | None = None
    arm_clearance_m: Float[Tensor, "members frames arms_or_1"] | None = None
    cycle_error: Float[Tensor, "members frames"] | None = None
    progress: Float[Tensor, " members"] | None = None

    def required(self, name: str, *, by: str) -> Tensor:
        """Returns one fact.

        Args:
            name: attribute of this record.
            by: reward term that cannot do without it.

        Raises:
            MissingEvidenceError: if it is not known.
        """
        fact = getattr(self, name)
        if fact is None:
            raise MissingEvidenceError(
                f"Reward term {by} needs evidence.{name}, which is not known here: pass it, or set the "
                f"term's weight to 0."
            )
        return fact
