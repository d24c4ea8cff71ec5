"""One training batch: orders for its chunks, then references to rollouts and their rewards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ray
from ray import ObjectRef

from eva_rl.actors.dispatcher import Dispatcher
from eva_rl.actors.order import Order
from eva_rl.actors.roles import GENERATOR, SCORER
from eva_rl.config.align import AlignSettings
from eva_rl.config.faults import FaultSettings
from eva_rl.driver.scores import BatchScores
from eva_rl.records.adapter import AdapterVersion, AdapterWeights
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.reward import ScoredGroup
from eva_rl.records.rollout import GenerationReceipt


class PolicyMismatchError(RuntimeError):
    """A rollout was made by another adapter than the one that was ordered for it."""


@dataclass(frozen=True, kw_only=True)
class SentAdapter:
    """An adapter in the object store, where every generator finds it.

    Attributes:
        version: that rollouts made with it must carry.
        reference: of the AdapterWeights.
    """

    version: AdapterVersion
    reference: ObjectRef


def send_adapter(weights: AdapterWeights) -> SentAdapter:
    """Puts an adapter where orders can name it; one copy per machine, made when the first order needs it."""
    return SentAdapter(version=weights.version, reference=ray.put(weights))


class Chunk:
    """Groups that are denoised together, then scored together as soon as they are ready.

    Args:
        dispatcher: takes the orders.
        conditions: one group each.
        training_step: batch that the groups belong to; seeds noise and window.
        policy: adapter to sample with.
        faults: deadlines.
        label: for messages, such as "batch 3, chunk 1".
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        conditions: Sequence[EncodedCondition],
        *,
        training_step: int,
        policy: SentAdapter,
        faults: FaultSettings,
        label: str,
    ) -> None:
        self.policy = policy.version
        self.groups: tuple[ObjectRef, ...] = ()
        self.receipt: GenerationReceipt | None = None
        self.scores: Sequence[ScoredGroup] | None = None
        self._dispatcher = dispatcher
        self._faults = faults
        self._label = label
        self._order = Order(
            role=GENERATOR,
            method="fulfil",
            arguments=(list(conditions), training_step, policy.reference),
            num_results=len(conditions),
            label=f"rollouts of {label}",
            deadline_s=faults.generation_deadline_s,
        )
        self._generate()

    @property
    def is_scored(self) -> bool:
        """Whether the rewards are there."""
        return self.scores is not None

    def _generate(self) -> None:
        """Orders the rollouts; a second time, they are the same to the bit."""
        self._dispatcher.submit(self._order, self._score)

    def _score(self, receipt: GenerationReceipt, groups: Sequence[ObjectRef]) -> None:
        self.receipt, self.groups = receipt, tuple(groups)
        order = Order(
            role=SCORER,
            method="score",
            arguments=self.groups,
            label=f"rewards of {self._label}",
            deadline_s=self._faults.scoring_deadline_s,
        )
        self._dispatcher.submit(order, self._keep, on_lost_input=self._generate)

    def _keep(self, scores: Sequence[ScoredGroup], _: Sequence[ObjectRef]) -> None:
        self.scores = scores


class Batch:
    """What one training step learns from.

    Args:
        index: training step.
        chunks: groups in the order in which they are learned from.
    """

    def __init__(self, index: int, chunks: Sequence[Chunk]) -> None:
        self.index = index
        self.chunks = list(chunks)

    @property
    def is_scored(self) -> bool:
        """Whether all rewards are there."""
        return all(chunk.is_scored for chunk in self.chunks)

    @property
    def groups(self) -> list[ObjectRef]:
        """One reference per rollout group; complete once the batch is scored."""
        return [group for chunk in self.chunks for group in chunk.groups]

    @property
    def num_adapter_bytes(self) -> int:
        """Bytes of adapters that were copied into generators for this batch."""
        return sum(chunk.receipt.num_adapter_bytes for chunk in self.chunks if chunk.receipt is not None)

    def scores(self) -> BatchScores:
        """Rewards of all groups, in the order of `groups`.

        Raises:
            PolicyMismatchError: when a rollout carries the hash of another adapter than was ordered.
        """
        for chunk in self.chunks:
            for group in chunk.scores or ():
                if group.adapter != chunk.policy:
                    raise PolicyMismatchError(
                        f"batch {self.index}: {group.condition_id} was made by {group.adapter}, but "
                        f"{chunk.policy} was ordered; the adapter was lost or altered on its way"
                    )
        return BatchScores.of([group for chunk in self.chunks for group in chunk.scores or ()])


def order_chunks(
    dispatcher: Dispatcher,
    conditions: Sequence[EncodedCondition],
    *,
    index: int,
    policy: SentAdapter,
    settings: AlignSettings,
) -> list[Chunk]:
    """Orders the rollouts of a batch, and their rewards as they become ready; does not wait.

    Args:
        dispatcher: takes the orders.
        conditions: one group each.
        index: of the batch; seeds noise and window.
        policy: adapter to sample with.
        settings: size of the chunks, deadlines.
    """
    size = settings.generators.groups_per_call
    return [
        Chunk(
            dispatcher,
            conditions[first : first + size],
            training_step=index,
            policy=policy,
            faults=settings.faults,
            label=f"batch {index}, chunk {first // size}",
        )
        for first in range(0, len(conditions), size)
    ]


def wait_for_rewards(
    batch: Batch, dispatcher: Dispatcher, *, check: Callable[[], None] = lambda: None
) -> Batch:
    """Waits until every group of the batch is scored; returns the batch.

    Args:
        batch: that was ordered.
        dispatcher: works on it, and on everything else meanwhile.
        check: called again and again; may raise to end the wait.
    """

    def is_scored() -> bool:
        check()
        return batch.is_scored

    dispatcher.wait_until(is_scored, what=f"rewards of batch {batch.index}")
    return batch
