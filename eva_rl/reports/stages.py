"""Where the time of a training step goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eva_rl.metrics import declared_metric
from eva_rl.reports.curves import values_of

STAGES = ("time/generate_s", "time/score_s", "time/wait_s", "time/learn_s", "time/sync_s")
WHOLE = "time/step_s"


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """One stage over the whole run.

    Attributes:
        label: of the stage.
        meaning: what is counted.
        median_s: of a training step.
        slowest_s: of any training step.
        total_s: of the run.
        percent_of_step: median over the median step; more than 100 where several actors work at once.
    """

    label: str
    meaning: str
    median_s: float
    slowest_s: float
    total_s: float
    percent_of_step: float


def stage_times(rows: Sequence[dict[str, Any]]) -> list[StageTime]:
    """Measures every stage that was written, the whole step first."""
    step_s = _finite(rows, WHOLE)
    times = []
    for name in (WHOLE, *STAGES):
        values = _finite(rows, name)
        if not len(values):
            continue
        median = float(np.median(values))
        stage = StageTime(
            label=name.removeprefix("time/").removesuffix("_s"),
            meaning=declared_metric(name).meaning,
            median_s=median,
            slowest_s=float(values.max()),
            total_s=float(values.sum()),
            percent_of_step=100 * median / float(np.median(step_s)) if step_s.any() else 0.0,
        )
        times.append(stage)
    return times


def _finite(rows: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    values = values_of(rows, name)
    return values[np.isfinite(values)]
