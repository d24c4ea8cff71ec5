"""Which checkpoints stay beside the newest ones: those that were best by a metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

METRICS = "metrics"
"""Entry of a checkpoint's state: the metrics of the training step that ended with it, by name."""


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How many checkpoints stay.

    Example:
        Retention(num_newest=3, num_best=2, metric="reward/mean", better="higher")

    Attributes:
        num_newest: newest checkpoints that stay.
        num_best: checkpoints that stay although newer ones have come; 0 keeps none.
        metric: that decides which are best.
        better: which end of it is better.
    """

    num_newest: int
    num_best: int = 0
    metric: str = "reward/mean"
    better: Literal["higher", "lower"] = "higher"

    def superfluous(self, values: Mapping[int, float | None]) -> Sequence[int]:
        """The training steps whose checkpoints need not stay.

        The best are chosen among all, so that a newest one that is best takes a folder; of equals the newer
        stays.

        Args:
            values: of the metric, by training step; one that is unknown is never best.
        """
        sign = 1 if self.better == "higher" else -1
        ranked = sorted((sign * value, step) for step, value in values.items() if value is not None)
        best = [step for _, step in ranked[-self.num_best :]] if self.num_best else []
        return [step for step in sorted(values)[: -self.num_newest] if step not in best]
