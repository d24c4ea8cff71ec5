"""What the run showed: the headline, and before against after in tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from eva_rl.evaluation.comparison import ComparisonRow, Verdict, compare, compare_tasks
from eva_rl.evaluation.quantities import QUANTITIES
from eva_rl.evaluation.wording import (
    NOT_EXECUTED,
    cautions,
    finding,
    format_difference,
    format_estimate,
    format_value,
    unit_of_difference,
)
from eva_rl.records.evaluation import Outcome

HEADLINE = "monitored_success"  # fixed before any run: choosing it by the result would void its interval
CARDS = ("success", "reward", "violations/limits", "relative_path_length")
VERDICT_SYMBOLS: dict[Verdict, str] = {"better": "▲", "worse": "▼", "not shown": "○", "changed": "●"}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One comparison, ready to print.

    Attributes:
        label: name of the quantity or task.
        unit: of before and after; difference_unit: of the difference.
        before, after: value alone; before_interval, after_interval: with the interval.
        difference: with its interval and signs.
        verdict: what may be claimed; symbol: the same as a sign.
    """

    label: str
    unit: str
    difference_unit: str
    before: str
    after: str
    before_interval: str
    after_interval: str
    difference: str
    verdict: Verdict
    symbol: str


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Before against after.

    Attributes:
        headline: the one comparison that the run is judged by; None where nothing was executed.
        sentences: what is shown, and what is not.
        cautions: what a reader must know before believing it.
        cards: the next most important comparisons.
        quantities: every quantity over all tasks.
        tasks: executed success by task.
        task_rows: the rows behind `tasks`, for the chart.
        num_conditions: held-out conditions on each side.
    """

    headline: Cell | None
    sentences: tuple[str, ...]
    cautions: tuple[str, ...]
    cards: tuple[Cell, ...]
    quantities: tuple[Cell, ...]
    tasks: tuple[Cell, ...]
    task_rows: tuple[ComparisonRow, ...]
    num_conditions: int


def findings_of(before: Sequence[Outcome] | None, after: Sequence[Outcome] | None) -> Findings | None:
    """Compares the two sides; None unless both hold the same conditions."""
    if not before or not after or not _are_same_conditions(before, after):
        return None
    rows = compare(before, after)
    task_rows = compare_tasks(before, after)
    by_name = {row.quantity.name: row for row in rows}
    return Findings(
        headline=_cell(by_name[HEADLINE]) if HEADLINE in by_name else None,
        sentences=tuple(finding(by_name[name]) for name in (HEADLINE, "success") if name in by_name)
        or (f"Success: {NOT_EXECUTED} (robot.simulator = none).",),
        cautions=tuple(cautions(by_name)),
        cards=tuple(_cell(by_name[name]) for name in CARDS if name in by_name),
        quantities=tuple(_cell(row) for row in rows),
        tasks=tuple(_cell(row) for row in task_rows if row.quantity.name == HEADLINE),
        task_rows=tuple(task_rows),
        num_conditions=len(before),
    )


def one_sided(outcomes: Sequence[Outcome]) -> list[tuple[str, str, str]]:
    """Label, unit and estimate of every quantity when there is nothing to compare with."""
    return [
        (quantity.label, quantity.unit, format_estimate(quantity, quantity.estimate(outcomes)))
        for quantity in QUANTITIES.values()
        if any(quantity.value(outcome) == quantity.value(outcome) for outcome in outcomes)
    ]


def _cell(row: ComparisonRow) -> Cell:
    quantity = row.quantity
    return Cell(
        label=row.task or quantity.label,
        unit="" if row.task else quantity.unit,
        difference_unit=unit_of_difference(quantity),
        before=format_value(quantity, row.before.value),
        after=format_value(quantity, row.after.value),
        before_interval=format_estimate(quantity, row.before),
        after_interval=format_estimate(quantity, row.after),
        difference=format_difference(quantity, row.difference),
        verdict=row.verdict,
        symbol=VERDICT_SYMBOLS[row.verdict],
    )


def _are_same_conditions(before: Sequence[Outcome], after: Sequence[Outcome]) -> bool:
    sides = [sorted(outcome.condition_id for outcome in outcomes) for outcomes in (before, after)]
    return sides[0] == sides[1] and len(set(sides[0])) == len(sides[0])
