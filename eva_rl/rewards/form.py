"""The numbers of the kinematic reward: weights and shape."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from eva_rl.rewards.terms import REWARD_TERMS


@dataclass(frozen=True, kw_only=True)
class RewardForm:
    """Numbers of the reward: R = scale * (1 + P / p0)^(-gamma) with P = sum of weight * term.

    Example:
        REWARD_PRESETS["eva-paper"]

    Attributes:
        weights: weight per row of REWARD_TERMS; terms that are not named cost nothing.
        p0: penalty at which the reward has fallen to scale * 2^(-gamma); see `calibrate_p0`.
        gamma: steepness; 0.5 falls slowly, so that bad videos still differ.
        scale: reward of a motion without cost.
        velocity_scale: share of the robot's joint speeds that counts as its limit.
        acceleration_scale: the same for its joint accelerations.
    """

    weights: Mapping[str, float]
    p0: float
    gamma: float
    scale: float
    velocity_scale: float = 1.0
    acceleration_scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuses unknown terms and numbers that would not make a reward."""
        for name, weight in self.weights.items():
            if name not in REWARD_TERMS:
                nearest = difflib.get_close_matches(name, REWARD_TERMS, n=1, cutoff=0.0)[0]
                raise ValueError(
                    f"Reward term {name!r} is unknown; the nearest is {nearest!r}, all are "
                    f"{', '.join(REWARD_TERMS)}."
                )
            if weight < 0:
                raise ValueError(f"The weight of reward term {name!r} must be at least 0, got {weight}.")
        for name in ("p0", "gamma", "scale", "velocity_scale", "acceleration_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} of the reward must be positive, got {getattr(self, name)}.")

    def leverage(self, rewards: Float[Tensor, " rollouts"]) -> Float[Tensor, " rollouts"]:
        """How much of the scale a small relative cut of the penalty would win: -d(R / scale) / d ln P.

        With x = P / p0 it is gamma x (1 + x)^-(gamma + 1): .18 at the median penalty with gamma .5, and next
        to nothing where the reward is saturated, P far below or far above p0.

        Args:
            rewards: given by this form, whatever its p0 was.
        """
        share = rewards / self.scale
        relative_penalty = share ** (-1 / self.gamma) - 1
        return self.gamma * relative_penalty / (1 + relative_penalty) * share
