"""How well decoded positions match recorded ones."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

JOINT_TOLERANCE_RAD = 0.05
GRIPPER_TOLERANCE = 0.5


def frame_accuracy(
    positions: Float[Tensor, "B T D"], actions: Float[Tensor, "B T D"], *, gripper_dimensions: Sequence[int]
) -> float:
    """Share of frames with every joint within 0.05 rad and every gripper within 0.5.

    This is the EVA authors' test accuracy (public source ReshineWang/vidar). It is coarse: joint noise of a
    tenth of that tolerance already moves the reward, so read it next to `joint_rmse`.

    Args:
        positions: [batch, frames, dimensions], decoded.
        actions: [batch, frames, dimensions], recorded.
        gripper_dimensions: which dimensions are grippers.
    """
    tolerance = positions.new_full((positions.shape[-1],), JOINT_TOLERANCE_RAD)
    tolerance[list(gripper_dimensions)] = GRIPPER_TOLERANCE
    return ((positions - actions).abs() <= tolerance).all(dim=-1).float().mean().item()


def joint_rmse(
    positions: Float[Tensor, "B T D"], actions: Float[Tensor, "B T D"], *, gripper_dimensions: Sequence[int]
) -> float:
    """Root mean square error over all joints and frames, rad."""
    joints = [index for index in range(positions.shape[-1]) if index not in set(gripper_dimensions)]
    return (positions - actions)[..., joints].square().mean().sqrt().item()


def gripper_accuracy(
    positions: Float[Tensor, "B T D"], actions: Float[Tensor, "B T D"], *, gripper_dimensions: Sequence[int]
) -> float:
    """Share of gripper values on the recorded side of one half."""
    grippers = list(gripper_dimensions)
    return ((positions[..., grippers] > 0.5) == (actions[..., grippers] > 0.5)).float().mean().item()
