"""The roles as they are when they share a GPU in turns: each call wakes the weights and puts them to sleep.

Wherever a role is not at work its weights are in CPU memory. What stays on the GPU is small, or not the
role's own: the adapter that DeepSpeed trains with its moments, the judge, and the models that
`algorithm.loss: direct` reads rewards with.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from eva_rl.actors.deepspeed_engine import Rendezvous
from eva_rl.actors.generator import Generator
from eva_rl.actors.gpu_turns import gpu_turn
from eva_rl.actors.learner import Learner
from eva_rl.actors.scorer import Scorer
from eva_rl.checkpoints.folder import Folder
from eva_rl.config.align import AlignSettings
from eva_rl.records.adapter import AdapterWeights, LearnerUpdate
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.reward import ScoredGroup
from eva_rl.records.rollout import GenerationReceipt, RolloutGroup
from eva_rl.world_model.latent_codec import LatentCodec


class SleepingGenerator(Generator):
    """A generator whose network is awake only while it samples."""

    def __init__(self, settings: AlignSettings, world_model_directory: str) -> None:
        self._turn = gpu_turn(settings)
        with self._turn:
            super().__init__(settings, world_model_directory)
            self._turn.mind(self._world_model.transformer)

    def fulfil(
        self, conditions: Sequence[EncodedCondition], training_step: int, weights: AdapterWeights
    ) -> tuple[GenerationReceipt | RolloutGroup, ...]:
        """Samples with the given adapter, awake."""
        with self._turn:
            return super().fulfil(conditions, training_step, weights)


class SleepingScorer(Scorer):
    """A scorer whose models are awake only while it scores."""

    def __init__(self, settings: AlignSettings, world_model_directory: str, idm_directory: str) -> None:
        self._turn = gpu_turn(settings)
        with self._turn:
            super().__init__(settings, world_model_directory, idm_directory)
            self._turn.mind(self._idm)

    @cached_property
    def _codec(self) -> LatentCodec:
        codec = LatentCodec.from_directory(
            self._world_model_directory, device=self._device, settings=self._settings.world_model
        )
        self._turn.mind(codec.vae)
        return codec

    def arm_sites(self, *groups: RolloutGroup) -> Int[np.ndarray, "height width"]:
        """Which arms each latent site speaks for; awake."""
        with self._turn:
            return super().arm_sites(*groups)

    def score(self, *groups: RolloutGroup) -> list[ScoredGroup]:
        """Rewards every rollout of the groups, awake."""
        with self._turn:
            return super().score(*groups)


class SleepingLearner(Learner):
    """A rank whose frozen weights are awake only while it learns; two ranks never share a GPU."""

    def __init__(self, settings: AlignSettings, world_model_directory: str, idm_directory: str) -> None:
        self._turn = gpu_turn(settings)
        with self._turn:
            super().__init__(settings, world_model_directory, idm_directory)
            self._turn.mind(self._world_model.transformer, only_frozen=True)

    def join(self, rendezvous: Rendezvous) -> AdapterWeights:
        """Joins the other ranks, awake."""
        with self._turn:
            return super().join(rendezvous)

    def learn(
        self, advantages: Float[Tensor, "groups members *cells"], *groups: RolloutGroup
    ) -> LearnerUpdate | None:
        """One training step, awake."""
        with self._turn:
            return super().learn(advantages, *groups)

    def deployed(self) -> AdapterWeights:
        """The adapter to evaluate, read awake."""
        with self._turn:
            return super().deployed()

    def save(self, folder: Folder) -> dict[str, str] | None:
        """Writes a checkpoint, awake."""
        with self._turn:
            return super().save(folder)

    def load(self, folder: Folder) -> None:
        """Takes up a checkpoint, awake."""
        with self._turn:
            super().load(folder)

    def export(self, directory: str) -> None:
        """Writes the deployed adapter, awake."""
        with self._turn:
            super().export(directory)
