"""One training batch on its way: references to rollouts, and their rewards when they are ready."""

from collections.abc import Callable, Sequence

from ray import ObjectRef

from eva_rl.actors.roles import Roles
from eva_rl.config.align import AlignSettings
from eva_rl.driver.chunk import Chunk, SentAdapter
from eva_rl.driver.scores import BatchScores
from eva_rl.records.condition import EncodedCondition


class PolicyMismatchError(RuntimeError):
    """A rollout was made by another adapter than the one that was scheduled for it."""


class PendingBatch:
    """A batch that generators and scorers are working on.

    Args:
        roles: who works on it.
        conditions: one group each.
        index: training step that the batch belongs to.
        policy: adapter that must have made every rollout of it.
        settings: size of the chunks, deadlines.
    """

    def __init__(
        self,
        roles: Roles,
        conditions: Sequence[EncodedCondition],
        *,
        index: int,
        policy: SentAdapter,
        settings: AlignSettings,
    ) -> None:
        self.index = index
        self.policy = policy.version
        self._dispatcher = roles.dispatcher
        size = settings.generators.groups_per_call
        self._chunks = [
            Chunk(
                roles.dispatcher,
                conditions[first : first + size],
                training_step=index,
                policy=policy,
                faults=settings.faults,
                label=f"batch {index}, chunk {first // size}",
            )
            for first in range(0, len(conditions), size)
        ]

    @property
    def groups(self) -> list[ObjectRef]:
        """One reference per rollout group, in the order of the conditions; complete once it is scored."""
        return [group for chunk in self._chunks for group in chunk.groups]

    @property
    def first_chunk(self) -> tuple[ObjectRef, ...]:
        """The groups of the first chunk."""
        return self._chunks[0].groups

    @property
    def num_adapter_bytes(self) -> int:
        """Bytes of adapters that were copied into generators for this batch."""
        return sum(chunk.receipt.num_adapter_bytes for chunk in self._chunks if chunk.receipt is not None)

    def wait_for_rewards(self, *, check: Callable[[], None] = lambda: None) -> BatchScores:
        """Waits until every group is scored.

        Args:
            check: called again and again meanwhile; may raise to end the wait.

        Raises:
            PolicyMismatchError: when a rollout carries the hash of another adapter.
        """

        def is_scored() -> bool:
            check()
            return all(chunk.is_scored for chunk in self._chunks)

        self._dispatcher.wait_until(is_scored, what=f"rewards of batch {self.index}")
        groups = tuple(group for chunk in self._chunks for group in chunk.scores or ())
        for group in groups:
            if group.adapter != self.policy:
                raise PolicyMismatchError(
                    f"batch {self.index}: {group.condition_id} was made by {group.adapter}, "
                    f"but {self.policy} was scheduled; the adapter was lost or altered on its way"
                )
        return BatchScores.of(groups)
