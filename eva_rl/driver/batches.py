"""Which batches are in generation: always those of the schedule, whatever the timing."""

from collections import deque
from collections.abc import Iterable

from eva_rl.actors.roles import Roles
from eva_rl.config.align import AlignSettings
from eva_rl.driver.batch import PendingBatch
from eva_rl.driver.chunk import send_adapter
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.records.adapter import AdapterWeights


class ScheduledBatches:
    """Batch k is made by policy version max(0, k - rollouts_ahead): ordered as soon as that version exists.

    Args:
        settings: of the run.
        roles: who works on the batches.
        schedule: conditions of every batch.
        in_flight: index and policy of the batches to begin with, oldest first.
    """

    def __init__(
        self,
        settings: AlignSettings,
        roles: Roles,
        schedule: ConditionSchedule,
        in_flight: Iterable[tuple[int, AdapterWeights]],
    ) -> None:
        self._settings = settings
        self._roles = roles
        self._schedule = schedule
        self._pending: deque[PendingBatch] = deque()
        for index, weights in in_flight:
            self._order(index, weights)

    def take(self) -> PendingBatch:
        """The batch to learn from next; it may still be in the making."""
        return self._pending.popleft()

    def release(self, weights: AdapterWeights) -> None:
        """A new policy exists: orders the batch that it is to make, if the run has one left for it."""
        index = weights.version.training_step + self._settings.schedule.rollouts_ahead
        if index < self._settings.schedule.num_training_steps:
            self._order(index, weights)

    def _order(self, index: int, weights: AdapterWeights) -> None:
        self._pending.append(
            PendingBatch(
                self._roles,
                self._schedule.batch(index),
                index=index,
                policy=send_adapter(weights),
                settings=self._settings,
            )
        )
