"""Units in which joint positions are regressed."""

from jaxtyping import Float
from torch import Tensor

STD_FLOOR = 0.05  # a joint that hardly moves in the recordings must not blow up its own errors


def position_statistics(actions: Float[Tensor, "N T D"]) -> tuple[Float[Tensor, " D"], Float[Tensor, " D"]]:
    """Mean and standard deviation of every dimension over all frames of all episodes.

    Args:
        actions: [episodes, frames, dimensions], rad; grippers 0..1.
    """
    values = actions.flatten(0, 1).float()
    return values.mean(dim=0), values.std(dim=0).clamp_min(STD_FLOOR)
