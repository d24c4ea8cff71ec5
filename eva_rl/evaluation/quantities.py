"""What is measured about an outcome, and which way is better."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eva_rl.evaluation.intervals import mean, mean_share
from eva_rl.records.evaluation import Estimate, EvaluationReport, Outcome
from eva_rl.records.execution import COMMAND_VIOLATIONS, CONTACT_VIOLATIONS, PLANNING_VIOLATIONS

Direction = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One number per outcome.

    Attributes:
        name: key of QUANTITIES.
        label: as people read it.
        unit: "%" for shares of conditions, whose values are 0 or 1.
        better: which direction is an improvement.
        value: reads it from an outcome; NaN where it could not be measured.
    """

    name: str
    label: str
    unit: str
    better: Direction
    value: Callable[[Outcome], float]

    @property
    def is_share(self) -> bool:
        """Whether the mean is a share of conditions."""
        return self.unit == "%"

    def estimate(self, outcomes: Sequence[Outcome]) -> Estimate:
        """Estimates the mean over the scenes that could be measured.

        Several outcomes of one scene, e.g. of two wordings, count as one value: their mean.

        Raises:
            ValueError: none could.
        """
        of_scenes: dict[str, list[float]] = {}
        for outcome in outcomes:
            if not np.isnan(value := self.value(outcome)):
                of_scenes.setdefault(outcome.scene_id, []).append(value)
        values = [sum(found) / len(found) for found in of_scenes.values()]
        return mean_share(values) if self.is_share else mean(values)


def summarise(rung: str, outcomes: Sequence[Outcome]) -> EvaluationReport:
    """Estimates every quantity; one that no outcome has is left out."""
    measured = {
        name: quantity.estimate(outcomes)
        for name, quantity in QUANTITIES.items()
        if any(not np.isnan(quantity.value(outcome)) for outcome in outcomes)
    }
    return EvaluationReport(rung=rung, outcomes=tuple(outcomes), summary=measured)


def _share(is_success: bool | None) -> float:
    """NaN where nothing was executed."""
    return math.nan if is_success is None else float(is_success)


LABELS = {"arm_contact": "arm contacts", "table_contact": "table contacts", "planning": "planner failures"}


def _violations_of(kind: str) -> Quantity:
    return Quantity(
        name=f"violations/{kind}",
        label=LABELS.get(kind, f"{kind} violations"),
        unit="frames",
        better="lower",
        value=lambda outcome: outcome.violations.get(kind, math.nan),
    )


_ROWS = (
    Quantity(
        name="monitored_success",
        label="executed success",
        unit="%",
        better="higher",
        value=lambda outcome: _share(outcome.monitored_success),
    ),
    Quantity(
        name="success",
        label="task success",
        unit="%",
        better="higher",
        value=lambda outcome: _share(outcome.success),
    ),
    Quantity(name="reward", label="reward", unit="", better="higher", value=lambda outcome: outcome.reward),
    Quantity(
        name="violations/limits",
        label="all limit violations",
        unit="frames",
        better="lower",
        value=lambda outcome: sum(outcome.violations[kind] for kind in COMMAND_VIOLATIONS),
    ),
    *(_violations_of(kind) for kind in (*COMMAND_VIOLATIONS, *CONTACT_VIOLATIONS, *PLANNING_VIOLATIONS)),
    Quantity(
        name="rms_jerk",
        label="rms jerk",
        unit="rad/s³",
        better="lower",
        value=lambda outcome: outcome.rms_jerk,
    ),
    Quantity(
        name="peak_acceleration",
        label="peak acceleration",
        unit="rad/s²",
        better="lower",
        value=lambda outcome: outcome.peak_acceleration,
    ),
    Quantity(
        name="tracking_error_rad",
        label="tracking error",
        unit="rad",
        better="lower",
        value=lambda outcome: outcome.tracking_error_rad,
    ),
    Quantity(
        name="arm_rmse_rad",
        label="distance to the expert",
        unit="rad",
        better="lower",
        value=lambda outcome: outcome.arm_rmse_rad,
    ),
    Quantity(
        name="relative_path_length",
        label="path length / expert's",
        unit="",
        better="neither",
        value=lambda outcome: outcome.path_length_rad / outcome.expert_path_length_rad,
    ),
)

QUANTITIES: dict[str, Quantity] = {row.name: row for row in _ROWS}
"""Everything that is reported about a set of outcomes, in the order of the tables."""
