"""What one run asks of its roles: how many actors, how many chunks, how long each stage takes."""

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, kw_only=True)
class StageTimes:
    """Seconds of each stage, as one actor measures them.

    Example:
        StageTimes(generate_s=40.0, score_s=6.0, learn_s=90.0, sync_s=0.5)

    Attributes:
        generate_s: one generator, one chunk of groups.
        score_s: one scorer, one chunk of groups.
        learn_s: the learner's ranks together, one batch.
        sync_s: a generator takes over a new adapter, before its first chunk of that version.
        spread: standard deviation of a chunk's generation and scoring as a share of their mean (lognormal).
    """

    generate_s: float
    score_s: float
    learn_s: float
    sync_s: float = 0.0
    spread: float = 0.0

    def __post_init__(self) -> None:
        for name in ("generate_s", "score_s", "learn_s", "sync_s", "spread"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be finite and not negative, got {value}")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One run as the scheduler sees it.

    Example:
        Workload(num_steps=60, groups_per_step=8, groups_per_call=4, num_generators=2, num_scorers=1)

    Attributes:
        num_steps: training steps.
        groups_per_step: groups of one batch.
        groups_per_call: groups of one chunk.
        num_generators: generator actors.
        num_scorers: scorer actors.
        rollouts_ahead: batches in generation beyond the one being learned from; 0 is synchronous.
    """

    num_steps: int
    groups_per_step: int
    groups_per_call: int
    num_generators: int
    num_scorers: int
    rollouts_ahead: int = 0

    def __post_init__(self) -> None:
        for name in ("num_steps", "groups_per_step", "groups_per_call", "num_generators", "num_scorers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.rollouts_ahead < 0:
            raise ValueError(f"rollouts_ahead must not be negative, got {self.rollouts_ahead}")

    @property
    def num_chunks(self) -> int:
        """Chunks of one batch."""
        return ceil(self.groups_per_step / self.groups_per_call)

    @property
    def chunk_shares(self) -> tuple[float, ...]:
        """Size of every chunk of a batch as a share of a full one: the last may be smaller."""
        rest = self.groups_per_step - (self.num_chunks - 1) * self.groups_per_call
        return (1.0,) * (self.num_chunks - 1) + (rest / self.groups_per_call,)
