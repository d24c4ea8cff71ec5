"""How long a run takes: a discrete-event model of generators, scorers and learner."""

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from eva_rl.planning.workload import StageTimes, Workload


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What became of a run.

    Attributes:
        makespan_s: from the first order to the last update.
        step_ends_s: when every training step's update was there.
        busy_s: seconds of work by role, over all its actors (the learner's ranks count as one).
        utilisation: `busy_s` as a share of what the role's actors could have done.
    """

    makespan_s: float
    step_ends_s: tuple[float, ...]
    busy_s: dict[str, float]
    utilisation: dict[str, float]

    @property
    def bottleneck(self) -> str:
        """The role that is busy for the largest share of the run."""
        return max(self.utilisation, key=lambda role: self.utilisation[role])

    @property
    def step_s(self) -> float:
        """Seconds per training step once the pipeline is filled: over the second half of the run."""
        ends, half = self.step_ends_s, len(self.step_ends_s) // 2
        return (ends[-1] - ends[half - 1]) / (len(ends) - half) if half else ends[-1]


class _Event(IntEnum):
    GENERATED, SCORED, LEARNED = range(3)


class _Run:
    """The state of a simulated run; `finish` plays it to the end.

    Rules, as in the driver: batch k is made by policy version max(0, k - rollouts_ahead) and ordered as soon
    as that version exists; chunks wait in one queue in the order of the batches and go to whichever generator
    is free; a chunk waits for a free scorer once it is generated; batch k is learned from when all of it is
    scored and batch k - 1 was learned from.
    """

    def __init__(self, workload: Workload, times: StageTimes, seed: int) -> None:
        self._work, self._times, self._random = workload, times, random.Random(seed)
        self._clock, self._num_events = 0.0, 0
        self._events: list[tuple[float, int, _Event, tuple[int, int]]] = []
        self._to_generate: deque[tuple[int, int]] = deque()
        self._to_score: deque[tuple[int, int]] = deque()
        self._idle_generators: list[int] = list(range(workload.num_generators))
        self._versions = [0] * workload.num_generators
        self._busy_generators: dict[tuple[int, int], int] = {}
        self._num_idle_scorers = workload.num_scorers
        self._num_scored = [0] * workload.num_steps
        self._num_ordered = self._num_learned = 0
        self._is_learning = False
        self._step_ends: list[float] = []
        self._busy = {"generators": 0.0, "scorers": 0.0, "learner": 0.0}

    def finish(self) -> Timeline:
        for _ in range(min(self._work.rollouts_ahead + 1, self._work.num_steps)):
            self._order_batch()
        self._start_work()
        while self._events:
            self._clock, _, event, chunk = heapq.heappop(self._events)
            self._happen(event, chunk)
            self._start_work()
        actors = {"generators": self._work.num_generators, "scorers": self._work.num_scorers, "learner": 1}
        return Timeline(
            makespan_s=self._clock,
            step_ends_s=tuple(self._step_ends),
            busy_s=dict(self._busy),
            utilisation={
                role: busy / (actors[role] * self._clock) if self._clock else 0.0
                for role, busy in self._busy.items()
            },
        )

    def _happen(self, event: _Event, chunk: tuple[int, int]) -> None:
        if event is _Event.GENERATED:
            heapq.heappush(self._idle_generators, self._busy_generators.pop(chunk))
            self._to_score.append(chunk)
        elif event is _Event.SCORED:
            self._num_idle_scorers += 1
            self._num_scored[chunk[0]] += 1
        else:
            self._is_learning = False
            self._num_learned += 1
            self._step_ends.append(self._clock)
            self._order_batch()

    def _start_work(self) -> None:
        while self._to_generate and self._idle_generators:
            self._generate(self._to_generate.popleft(), heapq.heappop(self._idle_generators))
        while self._to_score and self._num_idle_scorers:
            self._num_idle_scorers -= 1
            chunk = self._to_score.popleft()
            self._occupy("scorers", self._duration(self._times.score_s, chunk), _Event.SCORED, chunk)
        step = self._num_learned
        is_left = step < self._work.num_steps and not self._is_learning
        if is_left and self._num_scored[step] == self._work.num_chunks:
            self._is_learning = True
            self._occupy("learner", self._times.learn_s, _Event.LEARNED, (step, 0))

    def _generate(self, chunk: tuple[int, int], generator: int) -> None:
        duration = self._duration(self._times.generate_s, chunk)
        version = max(0, chunk[0] - self._work.rollouts_ahead)
        if self._versions[generator] != version:
            self._versions[generator] = version
            duration += self._times.sync_s
        self._busy_generators[chunk] = generator
        self._occupy("generators", duration, _Event.GENERATED, chunk)

    def _order_batch(self) -> None:
        if self._num_ordered < self._work.num_steps:
            batch = self._num_ordered
            self._to_generate.extend((batch, index) for index in range(self._work.num_chunks))
            self._num_ordered += 1

    def _occupy(self, role: str, duration_s: float, event: _Event, chunk: tuple[int, int]) -> None:
        self._busy[role] += duration_s
        self._num_events += 1  # equal times happen in the order in which they were begun
        heapq.heappush(self._events, (self._clock + duration_s, self._num_events, event, chunk))

    def _duration(self, mean_s: float, chunk: tuple[int, int]) -> float:
        mean_s *= self._work.chunk_shares[chunk[1]]
        if not self._times.spread:
            return mean_s
        variance = math.log1p(self._times.spread**2)
        return mean_s * self._random.lognormvariate(-variance / 2, math.sqrt(variance))


def simulate(workload: Workload, times: StageTimes, *, seed: int = 0) -> Timeline:
    """Plays one run: exact for fixed stage times, one draw of it where they spread.

    Driver, object store and failures cost nothing here.

    Args:
        workload: counts and sizes.
        times: of every stage.
        seed: of the draws, for times that spread.
    """
    return _Run(workload, times, seed).finish()


def least_makespan_s(workload: Workload, times: StageTimes) -> float:
    """A bound that no schedule of these counts beats: every role's work, and the longest chain.

    The chain: the first batch must be generated and scored, then all updates follow one another; without
    batches ahead, every batch is generated, scored and learned from in turn. Spread is not looked at.
    """
    work = sum(workload.chunk_shares) * workload.num_steps
    rounds = max(workload.chunk_shares[0], sum(workload.chunk_shares) / workload.num_generators)
    batch_s = rounds * times.generate_s + min(workload.chunk_shares) * times.score_s
    num_serial = -(-workload.num_steps // (workload.rollouts_ahead + 1))
    return max(
        work * times.generate_s / workload.num_generators,
        work * times.score_s / workload.num_scorers,
        batch_s + times.learn_s * workload.num_steps,
        num_serial * (batch_s + times.learn_s),
    )
