"""The shift of flow-matching noise levels towards noise."""

from torch import Tensor


def shifted(levels: Tensor, *, shift: float) -> Tensor:
    """Moves noise levels in 0..1 towards 1: shift * s / (1 + (shift - 1) * s); 0 and 1 stay.

    Source: Esser et al. 2024 (arXiv 2403.03206), equation 23; Wan samples and EVA trains with it.
    """
    return shift * levels / (1.0 + (shift - 1.0) * levels)
