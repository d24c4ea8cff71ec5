"""The RL algorithm: credit and loss."""

from typing import Literal

from pydantic import Field

from eva_rl.config.section import Section

POLICY_GRADIENT_LOSSES = ("clipped_ratio", "grpo_guard")
FORWARD_LOSSES = ("nft", "awm", "raft")
DIRECT_LOSSES = ("direct",)


class AlgorithmSettings(Section):
    """What is learned from a batch of rollouts."""

    preset: str | None = Field(
        default=None,
        description="Published or own configuration to start from, a row of PRESETS (eva_rl/config). "
        "It replaces what the configuration file says about sampling, algorithm, learner and adapter; "
        "settings given next to it win.",
    )
    loss: Literal["clipped_ratio", "grpo_guard", "nft", "awm", "raft", "direct"] = Field(
        default="clipped_ratio",
        description="Row of ALGORITHMS: clipped_ratio and grpo_guard learn from the stochastic steps; "
        "nft, awm and raft from the finished clips, noised again; direct from the reward's own gradient.",
    )
    groups_per_step: int = Field(default=8, ge=1, description="Conditions per training step.")
    group_size: int = Field(default=8, ge=1, description="Rollouts per condition.")
    inner_epochs: int = Field(default=1, ge=1, description="Optimiser steps per batch of rollouts.")

    advantage_std: Literal["group", "global", "max_group"] = Field(
        default="group", description="Whose standard deviation divides the centred rewards."
    )
    advantage_correction: int = Field(
        default=0, ge=0, le=1, description="0: standard deviation of the population; 1: unbiased (n - 1)."
    )
    advantage_clip: float = Field(default=5.0, gt=0, description="Largest absolute advantage.")
    std_floor: float = Field(
        default=1e-4, gt=0, description="Smallest divisor of an advantage, in units of the reward."
    )
    credit: Literal["rollout", "frames_and_arms"] = Field(
        default="rollout",
        description="One advantage per rollout, or one per latent frame and arm from the share of the reward "
        "that they cost; for clipped_ratio.",
    )
    arm_regions: Literal["halves", "idm_gradient"] = Field(
        default="halves",
        description="Which part of the picture belongs to which arm, for frames_and_arms: image strips, "
        "or where the inverse dynamics model looks.",
    )
    keep_per_group: int | None = Field(
        default=None,
        ge=1,
        description="Members of a group to learn from; default: all. For raft, whose default is 1.",
    )
    keep_rule: Literal["best", "extremes"] = Field(
        default="best", description="Keep the best members, or half best and half worst (DanceGRPO)."
    )

    ratio_clip: float | None = Field(
        default=1e-3, gt=0, description="Clip range of the importance ratio; null is no clip."
    )
    step_weight: str = Field(
        default="uniform", description="Row of STEP_WEIGHTS: how much each denoising step counts."
    )
    kl_form: str = Field(
        default="wan",
        description="Row of KL_FORMS: distance to the reference policy; only the policy-gradient losses take "
        "another than velocity.",
    )
    kl_beta: float = Field(default=0.004, ge=0, description="Weight of the distance to the reference policy.")
    anchor_weight: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the supervised flow-matching loss on the conditions' own demonstrations.",
    )

    num_noise_draws: int = Field(
        default=1, ge=1, description="Noise levels drawn per finished clip; for nft, awm and raft."
    )
    lowest_sigma: float = Field(default=0.02, ge=0, lt=1, description="Smallest of those noise levels.")
    highest_sigma: float = Field(default=1.0, gt=0, le=1, description="Largest of those noise levels.")
    nft_mix: float = Field(
        default=1.0, gt=0, le=1, description="Share of the new policy in nft's implicit one (its beta)."
    )
    awm_weight: str = Field(
        default="uniform", description="Row of AWM_WEIGHTS: from matching error to awm's log-prob."
    )
    behaviour: Literal["newest", "nft_type1", "nft_type2"] = Field(
        default="newest",
        description="Adapter that samples: the newest, or NFT's lagging average (its decay types).",
    )
    backprop_steps: int = Field(
        default=1, ge=1, description="Last denoising steps that carry the reward's gradient; for direct."
    )
    soft_gripper_weight: float = Field(
        default=0.0,
        ge=0,
        description="Weight of gripper_chatter in the learner's reward, on how probably a gripper is open "
        "and in place of the grippers' limits: a threshold has no gradient. 0 learns from the arms alone; "
        "for direct.",
    )

    average_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Decay of the adapter's moving average, which is what is evaluated and exported; "
        "default: the newest adapter.",
    )
    average_every_steps: int = Field(default=1, ge=1, description="Training steps between two averagings.")
    average_warms_up: bool = Field(
        default=False, description="Average over a short past at first: min((1 + n) / (10 + n), decay)."
    )

    @property
    def learns_from_steps(self) -> bool:
        """Whether the loss needs stochastic denoising steps with their log-probs."""
        return self.loss in POLICY_GRADIENT_LOSSES

    @property
    def learns_from_clips(self) -> bool:
        """Whether the loss needs finished clips only."""
        return self.loss in FORWARD_LOSSES
