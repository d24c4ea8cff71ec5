"""Resources of the three roles: generators, scorers, learner."""

from typing import Literal

from pydantic import Field

from eva_rl.config.placement import PlacedSection


class PoolSettings(PlacedSection):
    """A role whose members may come and go."""

    count: int = Field(default=1, ge=1, description="Members wanted.")
    min_count: int | None = Field(
        default=None,
        ge=1,
        description="Members that the run waits for before it begins; the others join as machines appear. "
        "Default: all of them.",
    )
    max_count: int | None = Field(
        default=None,
        ge=1,
        description="Members at most, where cluster.autoscaling chooses their number. Default: count.",
    )

    @property
    def num_at_start(self) -> int:
        """Members that must be there before the run begins."""
        return self.count if self.min_count is None else self.min_count

    @property
    def num_at_most(self) -> int:
        """Members that the run may ever have."""
        return self.count if self.max_count is None else self.max_count


class GeneratorSettings(PoolSettings):
    """Actors that sample rollouts."""

    count: int = Field(default=2, ge=1, description="Generators wanted.")
    num_threads: int = Field(default=1, ge=1, description="Compute threads per generator.")
    groups_per_call: int = Field(default=4, ge=1, description="Groups that are denoised in one forward pass.")
    merges_adapter: bool | None = Field(
        default=None,
        description="Add the adapter to the network's weights for sampling: a sixth faster on the embedded "
        "model, for a second copy of the adapted layers. Default: in float32, where it changes nothing.",
    )


class ScorerSettings(PoolSettings):
    """Actors that decode rollouts into joint motion and reward it."""

    num_threads: int = Field(default=1, ge=1, description="Compute threads per scorer.")


class LearnerSettings(PlacedSection):
    """DeepSpeed ranks that update the adapter."""

    num_ranks: int = Field(default=1, ge=1, description="Data-parallel DeepSpeed ranks, one actor each.")
    num_threads: int = Field(default=1, ge=1, description="Compute threads per rank.")
    zero_stage: Literal[0, 1, 2, 3] = Field(
        default=0,
        description="DeepSpeed ZeRO stage; 3 rounds what a "
        "bfloat16 network keeps in float32, which puts first ratios off by about 1e-4.",
    )
    groups_per_micro_batch: int = Field(default=4, ge=1, description="Groups per backward pass.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Peak learning rate of AdamW.")
    warmup_steps: int = Field(
        default=5, ge=0, description="Optimiser steps over which the learning rate rises."
    )
    decay: Literal["constant", "linear", "cosine"] = Field(
        default="constant", description="Shape of the learning rate after the warm-up."
    )
    betas: tuple[float, float] = Field(default=(0.9, 0.99), description="AdamW's moment decays.")
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW's weight decay.")
    max_grad_norm: float = Field(
        default=1.0, gt=0, description="Gradient norm above which gradients are scaled."
    )
    offloads_optimizer: bool = Field(
        default=False, description="Keep AdamW's moments in CPU memory; for zero_stage 1 to 3."
    )
    checkpoints_activations: bool = Field(
        default=False, description="Recompute activations in the backward pass: less memory, more time."
    )
