"""Per-joint statistics of recorded drive targets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ActionStatistics:
    """Distribution of every joint over a set of recorded actions.

    Example:
        ActionStatistics(mean=float64[14], std=float64[14], lower=float64[14], upper=float64[14],
                         num_frames=68000)

    Attributes:
        mean: [dimensions], rad; grippers 0..1.
        std: [dimensions], population standard deviation.
        lower: [dimensions], low quantile: a limit estimated from data where the robot's own is unknown.
        upper: [dimensions], high quantile.
        num_frames: rows that the figures rest on.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    num_frames: int

    @classmethod
    def from_actions(cls, actions: NDArray[np.float32], *, quantile: float = 0.001) -> "ActionStatistics":
        """Computes the statistics in float64.

        Args:
            actions: [..., dimensions]; leading axes are flattened.
            quantile: share of rows below `lower`, and of rows above `upper`.

        Raises:
            ValueError: there are no rows.
        """
        rows = actions.reshape(-1, actions.shape[-1]).astype(np.float64)
        if len(rows) == 0:
            raise ValueError("action statistics need at least one frame, got none")
        lower, upper = np.quantile(rows, (quantile, 1 - quantile), axis=0)
        return cls(
            mean=rows.mean(axis=0), std=rows.std(axis=0), lower=lower, upper=upper, num_frames=len(rows)
        )
