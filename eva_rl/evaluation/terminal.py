"""The before/after table for a terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eva_rl.evaluation.comparison import ComparisonRow
from eva_rl.evaluation.wording import (
    NOT_EXECUTED,
    cautions,
    finding,
    format_difference,
    format_value,
    unit_of_difference,
)
from eva_rl.trust.text import plain_text

HEADLINE = "monitored_success"
COLOURS = {"better": "green", "worse": "red", "not shown": "dim", "changed": "yellow"}
SYMBOLS = {"better": "▲", "worse": "▼", "not shown": "·", "changed": "●"}


def print_comparison(
    rows: Sequence[ComparisonRow], task_rows: Sequence[ComparisonRow], *, console: Console
) -> None:
    """Prints what changed: the finding, every quantity over all tasks, success per task; 100 columns suffice.

    Args:
        rows: from `compare`.
        task_rows: from `compare_tasks`.
        console: where to print.
    """
    by_name = {row.quantity.name: row for row in rows}
    shown_tasks = [row for row in task_rows if row.quantity.name == HEADLINE]
    cells = [_cells(row) for row in (*rows, *shown_tasks)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("held-out evaluation", no_wrap=True)
    for column, header in enumerate(("before", "after", "difference [95 %]", ""), start=1):
        # In a narrow terminal the words are cut, never the figures.
        width = max(len(header), *(len(row[column]) for row in cells)) if cells else None
        table.add_column(header, justify="right" if header else "left", no_wrap=True, min_width=width)
    for position, (row, (label, before, after, *claim)) in enumerate(
        zip((*rows, *shown_tasks), cells, strict=True)
    ):
        coloured = (Text(text, style=COLOURS[row.verdict]) for text in claim)
        table.add_row(
            Text(plain_text(label)), before, after, *coloured, end_section=position == len(rows) - 1
        )
    console.print()
    console.print(table)
    for name in (HEADLINE, "success"):
        if name in by_name:
            row = by_name[name]
            console.print(finding(row), style=f"bold {COLOURS[row.verdict]}", highlight=False)
    if HEADLINE not in by_name:
        console.print(f"Success: {NOT_EXECUTED} (robot.simulator = none).", style="bold", highlight=False)
    for caution in cautions(by_name):
        console.print(f"Caution: {caution}", style="yellow", highlight=False)


def _cells(row: ComparisonRow) -> tuple[str, ...]:
    """Label, before, after, difference and verdict of a row."""
    quantity = row.quantity
    unit = f" ({quantity.unit})" if quantity.unit else ""
    difference_unit = " pts" if unit_of_difference(quantity) == "points" else ""
    return (
        f"  {row.task} (%, executed)" if row.task else f"{quantity.label}{unit}",
        format_value(quantity, row.before.value),
        format_value(quantity, row.after.value),
        format_difference(quantity, row.difference) + difference_unit,
        f"{SYMBOLS[row.verdict]} {row.verdict}",
    )
