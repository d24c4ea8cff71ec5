"""The timeline of the loop: what driver and learner did in each training step, and members in between."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from eva_rl.metrics.trace import TraceFile
from eva_rl.records.span import Span

WAIT, LEARN, SEND, RECORD = "wait for rewards", "learn", "send adapter", "metrics and checkpoint"
STAGES = (WAIT, LEARN, SEND, RECORD)
"""What a training step is made of, in this order; together they are the whole step."""


class Timeline:
    """Writes the spans of a run; does nothing without a file, and gives up one that cannot be written.

    Args:
        file: the trace; None writes nothing.
        tell: receives a line when the file is given up.
    """

    def __init__(self, file: Path | None, *, tell: Callable[[str], None] = print) -> None:
        self._tell = tell
        self._trace = None if file is None else TraceFile(file)

    def close(self) -> None:
        """Ends the file."""
        if self._trace is not None:
            self._do(self._trace.close)

    def member_worked(self, span: Span) -> None:
        """Takes in what a generator or scorer did."""
        self._write([span])

    def step_ended(self, training_step: int, readings: Sequence[float]) -> None:
        """Takes in one training step of the loop.

        Args:
            training_step: the step.
            readings: of `time.perf_counter` at the step's beginning and at the end of each of STAGES.
        """
        details = {"training_step": float(training_step)}
        stages = [
            _of_driver(name, readings[index], readings[index + 1], details)
            for index, name in enumerate(STAGES)
        ]
        whole = _of_driver(f"training step {training_step}", readings[0], readings[-1], details)
        learner = Span.between(
            readings[1], readings[2], role="learner", number=0, name=LEARN, details=details
        )
        self._write([whole, *stages, learner])

    def _write(self, spans: Sequence[Span]) -> None:
        if self._trace is not None:
            self._do(partial(self._trace.write, spans))

    def _do(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:
            self._trace = None
            self._tell(f"the timeline ends here: its file cannot be written ({error.strerror})")


def _of_driver(name: str, started: float, ended: float, details: Mapping[str, float]) -> Span:
    return Span.between(started, ended, role="driver", number=0, name=name, details=details)
