"""The RL algorithm: sampling, credit and loss."""

from typing import Literal

from pydantic import Field

from eva_rl.config.section import Section


class SamplingSettings(Section):
    """How rollouts are drawn from the flow model."""

    num_steps: int = Field(
        default=4, ge=2, description="Denoising steps of a rollout, in training and evaluation."
    )
    kernel: str = Field(default="flow_sde", description="Row of KERNELS used at the stochastic steps.")
    noise_level: float = Field(default=0.3, ge=0, description="Noise strength of the stochastic steps.")
    window: str = Field(
        default="early_window", description="Row of WINDOWS: which denoising steps are stochastic."
    )
    window_size: int = Field(
        default=1, ge=1, description="Number of neighbouring stochastic denoising steps."
    )
    window_first_step: int = Field(
        default=0, ge=0, description="First denoising step that may be stochastic."
    )
    window_end_step: int | None = Field(
        default=None,
        ge=1,
        description="One past the last step that may be stochastic; default: all but the last.",
    )
    window_fraction: float = Field(
        default=0.6, gt=0, le=1, description="Share of steps, for random_fraction."
    )
    window_slide_every_steps: int = Field(
        default=25, ge=1, description="Training steps between two moves, for sliding_window."
    )
    shares_prefix: bool = Field(
        default=True,
        description="Start a group from one noise and compute its deterministic first steps once, then fork.",
    )
    antithetic: bool = Field(default=True, description="Draw a group's step noise in pairs of opposite sign.")


class AlgorithmSettings(Section):
    """Group-relative policy optimisation on the stochastic denoising steps."""

    groups_per_step: int = Field(default=8, ge=1, description="Conditions per training step.")
    group_size: int = Field(default=8, ge=2, description="Rollouts per condition.")
    loss: Literal["clipped_ratio", "grpo_guard"] = Field(default="clipped_ratio", description="Policy loss.")
    ratio_clip: float = Field(default=1e-3, gt=0, description="Clip range of the importance ratio.")
    advantage_clip: float = Field(default=5.0, gt=0, description="Largest absolute advantage.")
    advantage_std: Literal["group", "global", "max_group"] = Field(
        default="group", description="Whose standard deviation divides the centred rewards."
    )
    kl_form: str = Field(default="wan", description="Row of KL_FORMS: distance to the reference policy.")
    kl_beta: float = Field(default=0.004, ge=0, description="Weight of the distance to the reference policy.")
    inner_epochs: int = Field(default=1, ge=1, description="Optimiser steps per batch of rollouts.")


class ScheduleSettings(Section):
    """How long, and how far ahead."""

    num_training_steps: int = Field(default=60, ge=1, description="Training steps of the run.")
    rollouts_ahead: int = Field(
        default=0,
        ge=0,
        description="Batches in generation beyond the one being learned from; 0 is synchronous. "
        "Batch k is always made by policy max(0, k - rollouts_ahead).",
    )
    checkpoint_every_steps: int = Field(default=20, ge=1, description="Training steps between checkpoints.")
    keep_checkpoints: int = Field(default=3, ge=1, description="Newest checkpoints that are kept.")
