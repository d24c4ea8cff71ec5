"""A run whose stages sleep: real Ray actors under the project's own dispatcher, without any model."""

import time
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.placement_group import placement_group, remove_placement_group

from eva_rl.actors.dispatcher import Dispatcher
from eva_rl.actors.member import Place
from eva_rl.actors.order import Order
from eva_rl.actors.pool import RolePool, start_actor
from eva_rl.config.faults import FaultSettings
from eva_rl.planning.workload import StageTimes, Workload

GENERATOR, SCORER = "generator", "scorer"
DEADLINE_S = 120.0


class SleepingStage:
    """A generator, scorer or learner that only takes time."""

    def __init__(self) -> None:
        self._version = 0

    def work(self, duration_s: float, version: int | None = None, sync_s: float = 0.0) -> None:
        """Sleeps for the stage's length, and for the adapter's where it is a new one."""
        if version is not None and version != self._version:
            self._version, duration_s = version, duration_s + sync_s
        time.sleep(duration_s)


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """Sleeping takes no CPU: more actors than cores may sleep at once."""

    num_cpus: float = 0.0
    num_gpus: float = 0.0


class SleepingRun:
    """One run in the driver's order: batches ahead, orders to whoever is free, one update after the other.

    Args:
        workload: counts and sizes.
        times: how long every stage sleeps; without spread.
        place: where all actors run.
    """

    def __init__(self, workload: Workload, times: StageTimes, place: Place) -> None:
        self._work, self._times = workload, times
        self._dispatcher = Dispatcher(FaultSettings(), tell=lambda line: None)
        for role, count in ((GENERATOR, workload.num_generators), (SCORER, workload.num_scorers)):
            self._dispatcher.employ(RolePool(role, _start, [place] * count))
        self._learner = _start(place)
        ray.get(self._learner.__ray_ready__.remote())
        pools = self._dispatcher.pools.values()
        self._dispatcher.wait_until(
            lambda: all(member.is_ready for pool in pools for member in pool.members), what="actors"
        )
        self._num_scored = [0] * workload.num_steps

    def finish(self) -> tuple[float, ...]:
        """Plays the run; returns when every training step ended, in seconds after its beginning."""
        started, ends = time.perf_counter(), []
        ahead, num_steps = self._work.rollouts_ahead, self._work.num_steps
        for batch in range(min(ahead + 1, num_steps)):
            self._order(batch)
        for step in range(num_steps):
            self._dispatcher.wait_until(
                lambda step=step: self._num_scored[step] == self._work.num_chunks, what=f"batch {step}"
            )
            update = self._learner.work.remote(self._times.learn_s)
            self._dispatcher.collect([update], what=f"update {step}", timeout_s=DEADLINE_S)
            ends.append(time.perf_counter() - started)
            if (following := step + 1 + ahead) < num_steps:
                self._order(following)
        return tuple(ends)

    def stop(self) -> None:
        """Ends all actors."""
        for role in (GENERATOR, SCORER):
            self._dispatcher.dismiss(role)
        ray.kill(self._learner)

    def _order(self, batch: int) -> None:
        version = max(0, batch - self._work.rollouts_ahead)
        for share in self._work.chunk_shares:
            arguments = (self._times.generate_s * share, version, self._times.sync_s)
            order = _order(GENERATOR, arguments, label=f"batch {batch}")
            self._dispatcher.submit(order, lambda *_, share=share: self._score(batch, share))

    def _score(self, batch: int, share: float) -> None:
        order = _order(SCORER, (self._times.score_s * share,), label=f"rewards of batch {batch}")
        self._dispatcher.submit(order, lambda *_: self._count(batch))

    def _count(self, batch: int) -> None:
        self._num_scored[batch] += 1


def measured_step_ends(workload: Workload, times: StageTimes) -> tuple[float, ...]:
    """Starts the roles, plays one run, stops them; returns when every training step ended, in seconds."""
    group = placement_group([{"CPU": 0.01}])
    ray.get(group.ready())
    run = SleepingRun(workload, times, Place(group=group, bundle=0))
    try:
        return run.finish()
    finally:
        run.stop()
        remove_placement_group(group)


def _order(role: str, arguments: tuple[Any, ...], *, label: str) -> Order:
    return Order(role=role, method="work", arguments=arguments, label=label, deadline_s=DEADLINE_S)


def _start(place: Place) -> Any:
    return start_actor(SleepingStage, place, resources=Nothing(), arguments=())
