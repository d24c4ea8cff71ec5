"""A run whose stages sleep: real Ray actors and the driver's rules of dealing, without any model."""

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import ray

from eva_rl.planning.workload import StageTimes, Workload


class SleepingStage:
    """A generator, scorer or learner that only takes time."""

    def __init__(self) -> None:
        self._version = 0

    def work(self, duration_s: float, version: int | None = None, sync_s: float = 0.0) -> None:
        """Sleeps for the stage's length, and for the adapter's where it is a new one."""
        if version is not None and version != self._version:
            self._version, duration_s = version, duration_s + sync_s
        time.sleep(duration_s)


class SleepingRoles:
    """Started actors of one workload; each process is really there.

    Args:
        workload: counts.
    """

    def __init__(self, workload: Workload) -> None:
        actor: Any = ray.remote(num_cpus=0)(SleepingStage)
        self.generators = [actor.remote() for _ in range(workload.num_generators)]
        self.scorers = [actor.remote() for _ in range(workload.num_scorers)]
        self.learner = actor.remote()
        ray.get([each.work.remote(0.0) for each in self._all()])

    def stop(self) -> None:
        """Ends the actors."""
        for actor in self._all():
            ray.kill(actor)

    def _all(self) -> Sequence[Any]:
        return [*self.generators, *self.scorers, self.learner]


class SleepingRun:
    """One run of the sleeping roles under the rules that `eva_rl.planning.timeline` models.

    Args:
        workload: counts and sizes.
        times: how long every stage sleeps; without spread.
        roles: started for the same workload.
    """

    def __init__(self, workload: Workload, times: StageTimes, roles: SleepingRoles) -> None:
        self._work, self._times, self._roles = workload, times, roles
        self._to_generate: deque[tuple[int, int]] = deque()
        self._to_score: deque[tuple[int, int]] = deque()
        self._free = {"generator": deque(roles.generators), "scorer": deque(roles.scorers)}
        self._calls: dict[Any, tuple[str, Any, tuple[int, int]]] = {}
        self._num_scored = [0] * workload.num_steps
        self._num_ordered = self._num_learned = 0
        self._is_learning = False

    def finish(self) -> tuple[float, ...]:
        """Plays the run; returns when every training step ended, in seconds after its beginning."""
        started, ends = time.perf_counter(), []
        for _ in range(self._work.rollouts_ahead + 1):
            self._order_batch()
        self._deal()
        while self._num_learned < self._work.num_steps:
            (done,), _ = ray.wait(list(self._calls), num_returns=1)
            ray.get(done)
            role, actor, chunk = self._calls.pop(done)
            if role == "learner":
                ends.append(time.perf_counter() - started)
                self._is_learning, self._num_learned = False, self._num_learned + 1
                self._order_batch()
            else:
                self._free[role].append(actor)
                if role == "generator":
                    self._to_score.append(chunk)
                else:
                    self._num_scored[chunk[0]] += 1
            self._deal()
        return tuple(ends)

    def _deal(self) -> None:
        times = self._times
        while self._to_generate and self._free["generator"]:
            chunk, actor = self._to_generate.popleft(), self._free["generator"].popleft()
            version = max(0, chunk[0] - self._work.rollouts_ahead)
            duration_s = times.generate_s * self._work.chunk_shares[chunk[1]]
            self._calls[actor.work.remote(duration_s, version, times.sync_s)] = ("generator", actor, chunk)
        while self._to_score and self._free["scorer"]:
            chunk, actor = self._to_score.popleft(), self._free["scorer"].popleft()
            duration_s = times.score_s * self._work.chunk_shares[chunk[1]]
            self._calls[actor.work.remote(duration_s)] = ("scorer", actor, chunk)
        step = self._num_learned
        if self._is_learning or step == self._work.num_steps:
            return
        if self._num_scored[step] == self._work.num_chunks:
            self._is_learning, learner = True, self._roles.learner
            self._calls[learner.work.remote(times.learn_s)] = ("learner", learner, (step, 0))

    def _order_batch(self) -> None:
        if self._num_ordered < self._work.num_steps:
            batch = self._num_ordered
            self._to_generate.extend((batch, index) for index in range(self._work.num_chunks))
            self._num_ordered += 1


def measured_step_ends(workload: Workload, times: StageTimes) -> tuple[float, ...]:
    """Starts the roles, plays one run, stops them; returns when every training step ended, in seconds."""
    roles = SleepingRoles(workload)
    try:
        return SleepingRun(workload, times, roles).finish()
    finally:
        roles.stop()
