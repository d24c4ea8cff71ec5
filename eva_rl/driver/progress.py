"""Live progress of a run: which stage, how far, how fast, what reward, how long still."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from eva_rl.trust.text import plain_text

LOG_EVERY_S = 10.0
"""Seconds between lines where there is no terminal to redraw."""
LOG_WIDTH = 110


class StageProgress:
    """Progress within one stage."""

    def __init__(self, run: "RunProgress", label: str, total: int | None) -> None:
        self._run = run
        self._label = label
        self._total = total
        self._done = 0
        self._note = ""
        self._listeners: list[Callable[[str], None]] = []
        self._started = self._logged = time.monotonic()
        self._task = run.bars.add_task(label, total=total, note="")

    def advance(self, amount: int = 1, *, note: str = "") -> None:
        """Counts finished items; the note says what they brought."""
        self._done += amount
        self._note = escape(plain_text(note)) or self._note  # it quotes tasks and file names of the data
        for hear in self._listeners:
            hear(note)
        self._run.bars.update(self._task, advance=amount, note=self._note)
        if not self._run.is_live and time.monotonic() - self._logged > LOG_EVERY_S:
            self._log()

    def listen(self, hear: Callable[[str], None]) -> None:
        """Hands every note on to somebody else too."""
        self._listeners.append(hear)

    def note(self, text: str) -> None:
        """Shows a line beside the bar without counting anything."""
        self.advance(0, note=text)

    def go_to(self, num_done: int) -> None:
        """Sets the count, forwards or backwards: a run that lost its learner begins again further back."""
        self.advance(num_done - self._done)

    def warn(self, text: str) -> None:
        """Prints a line that stays."""
        self._run.tell(text)

    def finish(self) -> None:
        """Marks the stage as done."""
        self._run.bars.update(self._task, total=self._done or 1, completed=self._done or 1)
        if not self._run.is_live:
            self._log()

    def _log(self) -> None:
        now = time.monotonic()
        elapsed, self._logged = now - self._started, now
        left = (
            f", {elapsed / self._done * (self._total - self._done):.0f} s left"
            if self._total and self._done
            else ""
        )
        count = f" {self._done}/{self._total}" if self._total else ""
        self._run.console.print(
            f"{self._label}:{count} after {elapsed:.0f} s{left} {self._note}".rstrip(), soft_wrap=True
        )


class RunProgress:
    """Progress of all stages: live bars in a terminal, plain lines elsewhere."""

    def __init__(self, stages: Sequence[str], *, console: Console | None = None) -> None:
        self.console = console or _console()
        self.is_live = self.console.is_terminal
        self._stages = list(stages)
        self.bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[note]}"),
            console=self.console,
            disable=not self.is_live,
        )

    def __enter__(self) -> "RunProgress":
        self.bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bars.stop()

    def tell(self, text: str) -> None:
        """Prints a line that stays."""
        self.console.print(plain_text(text), markup=False, style="yellow", soft_wrap=True)

    @contextmanager
    def stage(self, name: str, *, total: int | None = None) -> Iterator[StageProgress]:
        """Opens a stage that was announced when the run began."""
        number = self._stages.index(name) + 1
        progress = StageProgress(self, f"[{number}/{len(self._stages)}] {name}", total)
        if not self.is_live:
            self.console.print(f"[{number}/{len(self._stages)}] {name}", markup=False)
        yield progress
        progress.finish()


def _console() -> Console:
    """The terminal; a log file gets lines wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)
