"""Rollouts and their rewards without Ray: the same plain classes, called one after the other."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int

from eva_rl.actors.generator import Generator
from eva_rl.actors.scorer import Scorer
from eva_rl.driver.batch import BatchScores
from eva_rl.driver.calibration import CALIBRATION_STEP
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.reward import ScoredGroup
from eva_rl.records.rollout import RolloutGroup


class LocalRollouts:
    """Batches of one list of conditions; also what calibration asks for.

    Args:
        generator, scorer: in this process.
        conditions: of every batch.
    """

    def __init__(self, generator: Generator, scorer: Scorer, conditions: Sequence[EncodedCondition]) -> None:
        self._generator, self._scorer = generator, scorer
        self._conditions = list(conditions)

    def batch(self, training_step: int) -> tuple[list[RolloutGroup], BatchScores]:
        """Samples and scores one batch."""
        groups = self._generator.generate(self._conditions, training_step)
        scored = self._scorer.score(*groups)
        scores = BatchScores(
            rewards=torch.stack([group.breakdown.rewards for group in scored]),
            judged=torch.stack([group.breakdown.judged for group in scored]),
            groups=tuple(scored),
        )
        return groups, scores

    def scored(self) -> Sequence[ScoredGroup]:
        """Rewards of calibration rollouts."""
        return self._scorer.score(*self._generator.generate(self._conditions, CALIBRATION_STEP))

    def arm_sites(self) -> Int[np.ndarray, "height width"]:
        """Which arms each latent site speaks for."""
        return self._scorer.arm_sites(*self._generator.generate(self._conditions[:1], CALIBRATION_STEP))
