"""Which batches are in generation, and which one is learned from next."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from eva_rl.actors.roles import Roles
from eva_rl.config.align import AlignSettings
from eva_rl.driver.batch import Batch, Chunk, order_chunks, send_adapter, wait_for_rewards
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.run_state import RunState
from eva_rl.records.adapter import AdapterWeights


class Batches(Protocol):
    """A source of training batches."""

    def take(self, *, check: Callable[[], None]) -> Batch:
        """Waits for the next batch to learn from; `check` may raise to end the wait."""
        ...

    def release(self, weights: AdapterWeights) -> None:
        """A new policy exists: orders what it is to make."""
        ...


class ScheduledBatches:
    """Batch k is made by policy version max(0, k - rollouts_ahead), whatever the timing.

    Args:
        settings: of the run.
        roles: who works on the batches.
        schedule: conditions of every batch.
        state: where the run stands; it holds the policies of the batches in flight.
    """

    def __init__(
        self, settings: AlignSettings, roles: Roles, schedule: ConditionSchedule, state: RunState
    ) -> None:
        self._settings = settings
        self._dispatcher = roles.dispatcher
        self._schedule = schedule
        self._pending: deque[Batch] = deque()
        plan = settings.schedule
        for index, weights in state.policies_in_flight(plan.rollouts_ahead, plan.num_training_steps):
            self._order(index, weights)

    def take(self, *, check: Callable[[], None]) -> Batch:
        """Waits for the oldest batch."""
        return wait_for_rewards(self._pending.popleft(), self._dispatcher, check=check)

    def release(self, weights: AdapterWeights) -> None:
        """Orders the batch that this version is to make, if the run has one left for it."""
        index = weights.version.training_step + self._settings.schedule.rollouts_ahead
        if index < self._settings.schedule.num_training_steps:
            self._order(index, weights)

    def _order(self, index: int, weights: AdapterWeights) -> None:
        chunks = order_chunks(
            self._dispatcher,
            self._schedule.batch(index),
            index=index,
            policy=send_adapter(weights),
            settings=self._settings,
        )
        self._pending.append(Batch(index, chunks))


class UnorderedBatches:
    """Throughput first: a training step takes the chunks that are ready first. Not reproducible.

    As many batches as in the scheduled mode are admitted to generation, and no rollout is ever learned from
    that is older than `schedule.max_staleness`: chunks that would be next time are waited for.

    Args:
        settings: of the run.
        roles: who works on the batches.
        schedule: conditions; each is learned from once per epoch, in whatever order.
        state: where the run stands; its ledger says what was learned from already.
    """

    def __init__(
        self, settings: AlignSettings, roles: Roles, schedule: ConditionSchedule, state: RunState
    ) -> None:
        self._settings = settings
        self._dispatcher = roles.dispatcher
        self._schedule = schedule
        self._training_step = state.training_step
        self._in_flight: list[Chunk] = []
        self._learned = state.ledger.learned_groups()
        plan = settings.schedule
        for index in range(min(state.training_step + plan.rollouts_ahead + 1, plan.num_training_steps)):
            self._order(index, state.policy)

    def take(self, *, check: Callable[[], None]) -> Batch:
        """Waits until enough chunks are ready, and with them all that would become too old."""
        size = self._settings.generators.groups_per_call
        wanted = -(-self._settings.algorithm.groups_per_step // size)

        def chosen() -> list[Chunk]:
            return choose_ready(
                self._in_flight,
                wanted,
                training_step=self._training_step,
                max_staleness=self._settings.schedule.max_staleness,
            )

        def is_ready() -> bool:
            check()
            return bool(chosen())

        self._dispatcher.wait_until(is_ready, what=f"any {wanted} chunks for step {self._training_step}")
        taken = chosen()
        self._in_flight = [chunk for chunk in self._in_flight if chunk not in taken]
        self._training_step += 1
        return Batch(self._training_step - 1, taken)

    def release(self, weights: AdapterWeights) -> None:
        """Admits one more batch."""
        index = weights.version.training_step + self._settings.schedule.rollouts_ahead
        if index < self._settings.schedule.num_training_steps:
            self._order(index, weights)

    def _order(self, index: int, weights: AdapterWeights) -> None:
        """Orders what was not learned from before the run was interrupted."""
        conditions = [
            condition
            for condition in self._schedule.batch(index)
            if (index, condition.condition.condition_id) not in self._learned
        ]
        self._in_flight += order_chunks(
            self._dispatcher,
            conditions,
            index=index,
            policy=send_adapter(weights),
            settings=self._settings,
        )


def choose_ready(
    in_flight: list[Chunk], wanted: int, *, training_step: int, max_staleness: int
) -> list[Chunk]:
    """The chunks to learn from now, or none while it is too early.

    Args:
        in_flight: in the order in which they were ordered.
        wanted: number of chunks of a training step.
        training_step: that they are for.
        max_staleness: of any rollout, in training steps.

    Returns:
        `wanted` chunks, all of them scored: first those that would be too old at the next step, then
        the ready ones that were ordered first. Empty while one of the former, or too many of the latter, are
        missing.
    """
    oldest = [chunk for chunk in in_flight if training_step - chunk.policy.training_step >= max_staleness]
    others = [chunk for chunk in in_flight if chunk not in oldest and chunk.is_scored]
    chosen = [*oldest[:wanted], *others][:wanted]
    is_complete = len(chosen) == wanted and all(chunk.is_scored for chunk in chosen)
    return chosen if is_complete else []


ORDERINGS: Mapping[str, Callable[[AlignSettings, Roles, ConditionSchedule, RunState], Batches]] = {
    "scheduled": ScheduledBatches,
    "unordered": UnorderedBatches,
}
"""Values of schedule.ordering."""
