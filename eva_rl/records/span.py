"""What somebody did from when to when."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

EPOCH_S = time.time() - time.perf_counter()
"""When the process's clock read 0; taken once, so that spans nest exactly, whatever the system clock does."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """One piece of work or waiting, on one clock for all of a run.

    Example:
        Span(role="generator", number=3, name="generate", start_s=1764195121.25, duration_s=0.31,
             details={"label": "batch 7, chunk 1"})

    Attributes:
        role: driver, learner, generator or scorer.
        number: which member of the role.
        name: what was done.
        start_s: seconds since the epoch.
        duration_s: seconds.
        details: shown beside the span.
    """

    role: str
    number: int
    name: str
    start_s: float
    duration_s: float
    details: Mapping[str, str | float] = field(default_factory=dict)

    @classmethod
    def between(
        cls,
        started: float,
        ended: float,
        *,
        role: str,
        number: int,
        name: str,
        details: Mapping[str, str | float] | None = None,
    ) -> "Span":
        """A span from two readings of this process's `time.perf_counter` (or, on Linux, `time.monotonic`)."""
        return cls(
            role=role,
            number=number,
            name=name,
            start_s=EPOCH_S + started,
            duration_s=ended - started,
            details=details or {},
        )

    @property
    def end_s(self) -> float:
        """Seconds since the epoch."""
        return self.start_s + self.duration_s
