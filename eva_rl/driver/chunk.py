"""A few groups of a batch on their way from order to reward."""

from collections.abc import Sequence
from dataclasses import dataclass

import ray
from ray import ObjectRef

from eva_rl.actors.dispatcher import Dispatcher
from eva_rl.actors.order import Order
from eva_rl.actors.roles import GENERATOR, SCORER
from eva_rl.config.faults import FaultSettings
from eva_rl.records.adapter import AdapterVersion, AdapterWeights
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.reward import ScoredGroup
from eva_rl.records.rollout import GenerationReceipt


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
