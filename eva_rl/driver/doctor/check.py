"""One row of the doctor's table, and what it found."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A figure and the range in which it must lie.

    Example:
        Finding(figure=0.0131, allowed=(0.0, 0.0254), unit="rad")

    Attributes:
        figure: what was measured; None where there is nothing to measure.
        allowed: smallest and largest figure of a healthy run, both included.
        unit: of the figure.
        note: what was seen, or why there is nothing to measure.
    """

    figure: float | None
    allowed: tuple[float, float] = (-math.inf, math.inf)
    unit: str = ""
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the figure lies in its range, which NaN never does; None where nothing was measured."""
        if self.figure is None:
            return None
        return self.allowed[0] <= self.figure <= self.allowed[1]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One row of CHECKS.

    Attributes:
        name: what is looked at.
        proves: what a run may rely on when it passes.
        evidence: the record that it judges, one of `evidence.py`.
        judge: turns that record into a finding.
        advice: what to do when it fails.
    """

    name: str
    proves: str
    evidence: type
    judge: Callable[[Any], Finding]
    advice: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """A check with its finding."""

    check: Check
    finding: Finding

    def __str__(self) -> str:
        found, low, high = self.finding, *self.finding.allowed
        figure = "nothing" if found.figure is None else f"{found.figure:.4g} {found.unit}".rstrip()
        return (
            f"{self.check.name}: got {figure}, allowed {low:.4g} to {high:.4g}"
            f"{f' ({found.note})' if found.note else ''}. {self.check.advice}"
        )


class SelfTestError(RuntimeError):
    """The run would train, but not what it says; every failed check is named with its figure."""

    def __init__(self, failed: list[Result]) -> None:
        self.failed = tuple(failed)
        lines = "\n".join(f"  - {result}" for result in failed)
        super().__init__(
            f"{len(failed)} of the start-up checks failed\n{lines}\n"
            "`eva-rl doctor` with the same settings looks closer; --schedule.self_test false goes on "
            "regardless"
        )
