"""How far a training has come, in steps or in CPU time, and the learning rate that belongs to it."""

import math
import time
from dataclasses import dataclass

import torch
from torch import distributed

FINAL_LEARNING_RATE_SHARE = 0.01


@dataclass
class TrainingProgress:
    """Counts optimiser steps and CPU seconds; the same on every worker.

    Attributes:
        num_steps: optimiser steps of the whole training.
        cpu_budget_s: CPU seconds after which a worker stops all the same; None for no such limit.
        step: finished optimiser steps.
        cpu_s: CPU seconds of the busiest worker, earlier attempts included.
    """

    num_steps: int
    cpu_budget_s: float | None = None
    step: int = 0
    cpu_s: float = 0.0

    def __post_init__(self) -> None:
        self._last_reading_s = time.process_time()

    def advance(self) -> None:
        """Counts one finished step."""
        reading_s = time.process_time()
        self.step += 1
        self.cpu_s = _largest_of_workers(self.cpu_s + reading_s - self._last_reading_s)
        self._last_reading_s = reading_s

    @property
    def share(self) -> float:
        """0 at the start, 1 at the end; by steps, or by the CPU budget where that is further."""
        by_time = 0.0 if self.cpu_budget_s is None else self.cpu_s / self.cpu_budget_s
        return min(1.0, max(self.step / self.num_steps, by_time))


def learning_rate_share(progress: TrainingProgress, *, warmup_steps: int, decay_share: float) -> float:
    """Learning rate relative to its peak: linear warm-up, a plateau, then a cosine down to 1 %.

    Args:
        progress: where the training stands.
        warmup_steps: steps of the linear rise.
        decay_share: 0..1, last part of the training in which the rate falls; 1 is a plain cosine.
    """
    warmup = min(1.0, (progress.step + 1) / max(1, warmup_steps))
    if decay_share <= 0:
        return warmup
    decayed = max(0.0, 1.0 - (1.0 - progress.share) / decay_share)
    cosine = 0.5 * (1.0 + math.cos(math.pi * decayed))
    return warmup * (FINAL_LEARNING_RATE_SHARE + (1.0 - FINAL_LEARNING_RATE_SHARE) * cosine)


def _largest_of_workers(seconds: float) -> float:
    # Workers must agree: one that stopped alone would leave the others waiting in their next all-reduce.
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return seconds
    reading = torch.tensor(seconds, dtype=torch.float64)
    distributed.all_reduce(reading, op=distributed.ReduceOp.MAX)
    return reading.item()
