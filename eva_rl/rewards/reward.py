"""The kinematic reward: weighted cost terms, squashed into (0, scale]."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.embodiments import Embodiment
from eva_rl.records.reward import RewardBreakdown
from eva_rl.rewards.expected import ExpectedMotion
from eva_rl.rewards.limits import KinematicLimits
from eva_rl.rewards.motion import JointMotion
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
    """

    weights: Mapping[str, float]
    p0: float
    gamma: float
    scale: float
    velocity_scale: float = 1.0

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
        for name in ("p0", "gamma", "scale", "velocity_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} of the reward must be positive, got {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class KinematicReward:
    """The reward of one robot at one frame rate.

    Example:
        reward = KinematicReward.of(EMBODIMENTS["bimanual"], REWARD_PRESETS["eva-paper"], frame_rate_hz=5.0)
        breakdown = reward(positions)

    Attributes:
        form: weights and shape.
        limits: of the robot, on the device of the positions.
        frame_rate_hz: true rate of the videos' frames.
    """

    form: RewardForm
    limits: KinematicLimits
    frame_rate_hz: float

    @classmethod
    def of(
        cls,
        embodiment: Embodiment,
        form: RewardForm,
        *,
        frame_rate_hz: float,
        dtype: torch.dtype = torch.float32,
    ) -> "KinematicReward":
        """Builds the reward of an embodiment.

        Args:
            embodiment: a row of EMBODIMENTS.
            form: a row of REWARD_PRESETS, or one made from it.
            frame_rate_hz: true rate of the videos' frames.
            dtype: floating type of the positions to come.
        """
        limits = KinematicLimits.of(embodiment, velocity_scale=form.velocity_scale, dtype=dtype)
        return cls(form=form, limits=limits, frame_rate_hz=frame_rate_hz)

    def __call__(
        self,
        positions: Float[Tensor, "members frames dimensions"],
        *,
        expected: ExpectedMotion | None = None,
    ) -> RewardBreakdown:
        """Rewards the motion of several videos, each by itself.

        A video with a position that is not finite is not judged: its reward, penalty and terms are NaN.

        Args:
            positions: decoded joint positions, rad (grippers 0..1).
            expected: needed by the terms beyond the paper only.

        Returns:
            Rewards, penalties and the weighted terms, which add up to the penalties exactly.

        Raises:
            ValueError: if there are fewer than four frames, or a term lacks what it expects.
        """
        motion = JointMotion.from_positions(positions, self.frame_rate_hz)
        judged = positions.isfinite().all(dim=(1, 2))
        expected = expected or ExpectedMotion()
        terms: dict[str, Tensor] = {}
        for name, weight in self.form.weights.items():
            if weight > 0:
                cost = REWARD_TERMS[name](motion, self.limits, expected=expected)
                terms[name] = (weight * cost).where(judged, torch.nan)
        penalties = sum(terms.values(), start=torch.zeros(len(positions)).to(positions))
        rewards = self.form.scale * (1 + penalties / self.form.p0) ** -self.form.gamma
        return RewardBreakdown(
            rewards=rewards.where(judged, torch.nan),
            penalties=penalties.where(judged, torch.nan),
            terms=terms,
            judged=judged,
        )


def calibrate_p0(penalties: Float[Tensor, " rollouts"]) -> float:
    """Returns the median penalty of rollouts of the reference policy, to be used as p0.

    The median rollout then has reward scale * 2^(-gamma), where the reward is neither saturated nor flat.

    Args:
        penalties: of reference rollouts; NaN, where a rollout was not judged, is left out.

    Raises:
        ValueError: if no rollout was judged, or if the median is 0.
    """
    p0 = float(penalties.nanquantile(0.5))
    if not 0 < p0 < float("inf"):
        raise ValueError(
            f"p0 must be a positive finite penalty, got a median of {p0} over {penalties.numel()} reference "
            f"rollouts: check that they move and that the scorer judged them, or set p0 by hand."
        )
    return p0


REWARD_PRESETS: Mapping[str, RewardForm] = {
    # arXiv 2603.17808 for the form; RobbinW/large-video-planner flow_grpo/idm_reward.py for the numbers
    "eva-paper": RewardForm(
        weights={"jerk": 0.5, "acceleration": 0.25, "velocity_limit": 2.0, "acceleration_limit": 1.0},
        p0=2000.0,
        gamma=0.5,
        scale=10.0,
        velocity_scale=0.85,
    ),
}
