"""Rewards of one batch; the largest thing the driver ever holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eva_rl.records.reward import RewardBreakdown, ScoredGroup


@dataclass(frozen=True, kw_only=True)
class BatchScores:
    """Rewards of one batch.

    Attributes:
        rewards: [groups, members], NaN where the scorer abstained.
        judged: [groups, members], False where the scorer abstained.
        groups: per group, its breakdown and timings.
    """

    rewards: Float[Tensor, "groups members"]
    judged: Bool[Tensor, "groups members"]
    groups: tuple[ScoredGroup, ...]

    @classmethod
    def of(cls, groups: Sequence[ScoredGroup]) -> "BatchScores":
        """Gathers the groups of a batch, in the order of its conditions."""
        return cls(
            rewards=torch.stack([group.breakdown.rewards for group in groups]),
            judged=torch.stack([group.breakdown.judged for group in groups]),
            groups=tuple(groups),
        )

    @property
    def breakdowns(self) -> list[RewardBreakdown]:
        """What the rewards are made of, group by group."""
        return [group.breakdown for group in self.groups]
