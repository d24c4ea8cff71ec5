"""Before against after, on the same conditions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from eva_rl.evaluation.intervals import paired_difference
from eva_rl.evaluation.quantities import QUANTITIES, Quantity
from eva_rl.records.evaluation import Estimate, Outcome

Verdict = Literal["better", "worse", "not shown", "changed"]
TASK_QUANTITIES = ("monitored_success", "success")


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """One quantity before and after.

    Example:
        ComparisonRow(quantity=QUANTITIES["success"], task=None,
                      before=Estimate(value=0.46, low=0.39, high=0.53, n=200),
                      after=Estimate(value=0.525, low=0.46, high=0.59, n=200),
                      difference=Estimate(value=0.065, low=0.01, high=0.12, n=200))

    Attributes:
        quantity: what is compared.
        task: None over all tasks.
        difference: after - before, paired by condition.
    """

    quantity: Quantity
    task: str | None
    before: Estimate
    after: Estimate
    difference: Estimate

    @property
    def verdict(self) -> Verdict:
        """What may be claimed: a change only if its 95 % interval leaves out 0."""
        if self.difference.low <= 0 <= self.difference.high:
            return "not shown"
        if self.quantity.better == "neither":
            return "changed"
        return "better" if (self.difference.value > 0) == (self.quantity.better == "higher") else "worse"

    @property
    def relative_change(self) -> float:
        """(after - before) / before; NaN where nothing was there before."""
        return self.difference.value / self.before.value if self.before.value else float("nan")


def compare(before: Sequence[Outcome], after: Sequence[Outcome]) -> list[ComparisonRow]:
    """Compares every quantity over all tasks.

    Args:
        before: outcomes of the base policy.
        after: outcomes of the aligned policy, on the same conditions in any order.

    Raises:
        ValueError: the two do not hold the same conditions.
    """
    pairs = pair_by_condition(before, after)
    rows = (_compare_one(quantity, pairs, task=None) for quantity in QUANTITIES.values())
    return [row for row in rows if row is not None]


def compare_tasks(before: Sequence[Outcome], after: Sequence[Outcome]) -> list[ComparisonRow]:
    """Compares both kinds of success task by task, in the order in which the tasks appear.

    Raises:
        ValueError: the two do not hold the same conditions.
    """
    pairs = pair_by_condition(before, after)
    tasks = dict.fromkeys(old.task for old, _ in pairs)
    rows = (
        _compare_one(QUANTITIES[name], [pair for pair in pairs if pair[0].task == task], task=task)
        for task in tasks
        for name in TASK_QUANTITIES
    )
    return [row for row in rows if row is not None]


def pair_by_condition(before: Sequence[Outcome], after: Sequence[Outcome]) -> list[tuple[Outcome, Outcome]]:
    """Pairs outcomes of equal conditions, in the order of `before`.

    Raises:
        ValueError: a condition is missing on one side or appears twice.
    """
    matches = {outcome.condition_id: outcome for outcome in after}
    ids = [outcome.condition_id for outcome in before]
    lonely = set(ids) ^ set(matches)
    if lonely or len(set(ids)) != len(ids) or len(matches) != len(after):
        raise ValueError(
            f"before and after must hold the same conditions once each, got {len(before)} and {len(after)} "
            f"outcomes with {len(lonely)} conditions on one side only, such as {sorted(lonely)[:2]}; "
            "evaluate both on one list"
        )
    return [(old, matches[old.condition_id]) for old in before]


def comparison_as_data(rows: Sequence[ComparisonRow]) -> list[dict[str, Any]]:
    """Turns rows into plain values for JSON."""
    return [
        {
            "quantity": row.quantity.name,
            "unit": row.quantity.unit,
            "task": row.task,
            "before": asdict(row.before),
            "after": asdict(row.after),
            "difference": asdict(row.difference),
            "verdict": row.verdict,
        }
        for row in rows
    ]


def _compare_one(
    quantity: Quantity, pairs: Sequence[tuple[Outcome, Outcome]], *, task: str | None
) -> ComparisonRow | None:
    """Compares one quantity over the pairs in which both sides have it; None if there are none."""
    measured = [
        (old, new) for old, new in pairs if not np.isnan([quantity.value(old), quantity.value(new)]).any()
    ]
    if not measured:
        return None
    before, after = zip(*measured, strict=True)
    return ComparisonRow(
        quantity=quantity,
        task=task,
        before=quantity.estimate(before),
        after=quantity.estimate(after),
        difference=paired_difference(
            [quantity.value(outcome) for outcome in before], [quantity.value(outcome) for outcome in after]
        ),
    )
