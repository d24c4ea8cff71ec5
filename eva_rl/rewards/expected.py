"""What an honest motion of a condition looks like, for the terms that need a reference."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ExpectedMotion:
    """Start pose and amount of motion; a leading axis of 1 serves all members.

    Example:
        ExpectedMotion(start_joints=float32[1, 14], path_length=tensor([3.1]))

    Attributes:
        start_joints: pose that the first frame shows, rad (grippers 0..1); None if no term asks for it.
        path_length: distance that all arm joints of a demonstration travel together, rad; None likewise.
    """

    start_joints: Float[Tensor, "members_or_1 dimensions"] | None = None
    path_length: Float[Tensor, " members_or_1"] | None = None
