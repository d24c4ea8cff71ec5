"""The kinematic reward: weighted cost terms, squashed into (0, scale]."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.embodiments import Embodiment
from eva_rl.records.reward import RewardBreakdown
from eva_rl.rewards.cells import reward_cells
from eva_rl.rewards.evidence import Evidence
from eva_rl.rewards.form import RewardForm
from eva_rl.rewards.limits import KinematicLimits
from eva_rl.rewards.motion import JointMotion
from eva_rl.rewards.terms import REWARD_TERMS


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
        limits = KinematicLimits.of(
            embodiment,
            velocity_scale=form.velocity_scale,
            acceleration_scale=form.acceleration_scale,
            dtype=dtype,
        )
        return cls(form=form, limits=limits, frame_rate_hz=frame_rate_hz)

    @property
    def needs(self) -> frozenset[str]:
        """Fields of Evidence that the weighted terms judge by."""
        return frozenset(
            need
            for name, weight in self.form.weights.items()
            if weight > 0
            for need in REWARD_TERMS[name].needs
        )

    def without(self, *terms: str) -> "KinematicReward":
        """The same reward with these terms at weight 0."""
        return replace(
            self, form=replace(self.form, weights={**self.form.weights, **dict.fromkeys(terms, 0.0)})
        )

    def for_soft_grippers(self, weight: float) -> "KinematicReward":
        """The same reward for grippers that are probabilities: chatter costs in place of their limits.

        A gripper's limit knows clear jumps only, and one costs so much more than P0 that no gradient is left.
        `gripper_chatter` costs little by little, from the first doubt on.

        Args:
            weight: of `gripper_chatter`.
        """
        form = replace(self.form, weights={**self.form.weights, "gripper_chatter": weight})
        return replace(self, form=form, limits=self.limits.with_free_grippers())

    def __call__(
        self,
        positions: Float[Tensor, "members frames dimensions"],
        *,
        evidence: Evidence | None = None,
        with_cells: bool = False,
        frames_per_latent: int = 4,
    ) -> RewardBreakdown:
        """Rewards the motion of several videos, each by itself.

        A video with a position or a cost that is not finite is not judged: its reward, penalty and terms are
        NaN.

        Args:
            positions: decoded joint positions, rad (grippers 0..1).
            evidence: needed by the terms beyond the paper only.
            with_cells: whether to say which latent frames and arms lost the reward (see `cells.py`).
            frames_per_latent: pixel frames in each latent frame but the first, for the cells.

        Returns:
            Rewards, penalties and the weighted terms, which add up to the penalties exactly.

        Raises:
            MissingEvidenceError: if a term lacks what it judges by.
            ValueError: if there are fewer than four frames, or if they do not fill the latent frames.
        """
        motion = JointMotion.from_positions(positions, self.frame_rate_hz)
        evidence = evidence or Evidence()
        maps = {
            name: weight * REWARD_TERMS[name].cost(motion, self.limits, evidence=evidence)
            for name, weight in self.form.weights.items()
            if weight > 0
        }
        terms = {name: costs.sum(dim=(1, 2)) for name, costs in maps.items()}
        penalties = sum(terms.values(), start=torch.zeros(len(positions)).to(positions))
        judged = positions.isfinite().all(dim=(1, 2)) & penalties.isfinite()
        terms = {name: costs.where(judged, torch.nan) for name, costs in terms.items()}
        penalties = penalties.where(judged, torch.nan)
        rewards = self.form.scale * (1 + penalties / self.form.p0) ** -self.form.gamma
        return RewardBreakdown(
            rewards=rewards,
            penalties=penalties,
            terms=terms,
            judged=judged,
            cells=self._cells(maps, rewards, penalties, frames_per_latent) if with_cells else None,
        )

    def _cells(
        self,
        maps: Mapping[str, Float[Tensor, "members frames dimensions"]],
        rewards: Float[Tensor, " members"],
        penalties: Float[Tensor, " members"],
        frames_per_latent: int,
    ) -> Float[Tensor, "members latent_frames arms"]:
        """Shares the lost reward among the costs in proportion to their size, then books the shares."""
        lost_per_cost = ((self.form.scale - rewards) / penalties).where(penalties != 0, 0)
        lost = {name: costs * lost_per_cost[:, None, None] for name, costs in maps.items()}
        return reward_cells(
            lost,
            frames_back={name: REWARD_TERMS[name].frames_back(self.frame_rate_hz) for name in lost},
            arm_of_dimension=self.limits.arm_of_dimension,
            frames_per_latent=frames_per_latent,
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
    # ours: the same terms, weighted towards the two that a controller stops for, with a margin below both;
    # p0 is the median penalty of the shipped base (7.0 to 7.2 over two seeds)
    "limits-first": RewardForm(
        weights={"jerk": 0.1, "acceleration": 0.05, "velocity_limit": 2.0, "acceleration_limit": 30.0},
        p0=7.1,
        gamma=0.5,
        scale=10.0,
        velocity_scale=0.85,
        acceleration_scale=0.88,
    ),
    # ours: what a controller stops for and nothing else; a clean motion costs nothing. p0 lies between what a
    # joint (.2) and a gripper that chatters (20) costs; a median would lie among the clips that pass no limit
    "limits-only": RewardForm(
        weights={"velocity_limit": 2.0, "acceleration_limit": 30.0},
        p0=1.0,
        gamma=0.5,
        scale=10.0,
        velocity_scale=0.85,
        acceleration_scale=0.88,
    ),
    # ours: and where to go. A clip of the shipped base is .04 rad off its demonstration, a penalty of .07;
    # the weight is the best of three by executed success (docs/alignment.md)
    "limits-and-demonstration": RewardForm(
        weights={"velocity_limit": 2.0, "acceleration_limit": 30.0, "demonstrated_motion": 50.0},
        p0=0.2,
        gamma=0.5,
        scale=10.0,
        velocity_scale=0.85,
        acceleration_scale=0.88,
    ),
}
