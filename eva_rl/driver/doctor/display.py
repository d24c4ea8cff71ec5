"""The doctor's results as a table for the terminal and as data."""

import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eva_rl.driver.doctor.check import Result

VERDICTS = {True: ("✓", "green"), False: ("✕", "red"), None: ("–", "dim")}  # noqa: RUF001  en dash: not judged


def print_results(results: Sequence[Result], *, console: Console) -> None:
    """Prints one line per check, and under the table what to do about those that failed."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("", "check", "figure", "allowed", "proves that"):
        table.add_column(header, justify="right" if header in ("figure", "allowed") else "left")
    for result in results:
        mark, style = VERDICTS[result.finding.passed]
        table.add_row(
            Text(mark, style=style),
            Text(result.check.name),
            Text(figure_text(result)),
            Text(range_text(result)),
            Text(result.check.proves + (f"\n{result.finding.note}" if result.finding.note else "")),
        )
    console.print(table)
    for result in results:
        if result.finding.passed is False:
            console.print(Text(str(result), style="red"), soft_wrap=True)


def results_as_data(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The results as JSON: null for a figure that is missing or not finite."""
    return [
        {
            "check": result.check.name,
            "proves": result.check.proves,
            "passed": result.finding.passed,
            "figure": _number(result.finding.figure),
            "allowed": [_number(bound) for bound in result.finding.allowed],
            "unit": result.finding.unit,
            "note": result.finding.note,
            "advice": result.check.advice if result.finding.passed is False else "",
        }
        for result in results
    ]


def figure_text(result: Result) -> str:
    """The figure with its unit, three significant digits."""
    figure = result.finding.figure
    return "–" if figure is None else f"{figure:.3g} {result.finding.unit}".rstrip()  # noqa: RUF001


def range_text(result: Result) -> str:
    """The range in words that are as short as they can be."""
    if result.finding.figure is None:
        return ""
    low, high = result.finding.allowed
    if low == high:
        return f"= {low:g}"
    return f"{low:.3g} .. {high:.3g}"


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
