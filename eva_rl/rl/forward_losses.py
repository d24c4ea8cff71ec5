"""Losses of the forward-process methods: reward-weighted matching of noised clean rollouts.

With x = (1 - t) x0 + t eps, t the noise level, the network is asked for its flow velocity v at x, where plain
flow matching would teach eps - x0. All means are over the entries of the free frames, per rollout; `kl` is
mean (v - v_ref)^2 in every row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eva_rl.rl.awm_weights import AWM_WEIGHTS
from eva_rl.rl.forward_process import NoisedClips
from eva_rl.rl.group_loss import GroupLoss, check_reference
from eva_rl.rl.log_prob import free_mean
from eva_rl.rl.losses import ClippedLoss, clipped_ratio_loss
from eva_rl.rl.matching import matching_loss, scaled_clean_error


@dataclass(frozen=True, kw_only=True)
class ForwardObjective:
    """What a noised clean rollout is learned with.

    Example:
        ForwardObjective(loss="nft", nft_mix=1.0, advantage_max=5.0, kl_beta=1e-4)

    Attributes:
        loss: a key of FORWARD_LOSSES.
        nft_mix: b of `nft`, the share of the policy in its two mixtures; 1, or 0.1 with several rewards.
        advantage_max: advantage at which a rollout counts as good, or bad, without reserve; for `nft`, `awm`.
        ratio_clip: half width of the trust region of `awm`; None: none.
        awm_weight: a key of AWM_WEIGHTS, for `awm`.
        kl_beta: weight of the distance to the reference; 0 needs no reference.
    """

    loss: str
    nft_mix: float = 1.0
    advantage_max: float = 5.0
    ratio_clip: float | None = None
    awm_weight: str = "uniform"
    kl_beta: float = 0.0

    def __post_init__(self) -> None:
        """Refuses names that are not in their table and numbers out of range."""
        for setting, name, table in (
            ("loss", self.loss, FORWARD_LOSSES),
            ("awm_weight", self.awm_weight, AWM_WEIGHTS),
        ):
            if name not in table:
                raise ValueError(f"{setting} must be one of {', '.join(table)}, got {name!r}.")
        for setting in ("nft_mix", "advantage_max", "ratio_clip"):
            value = getattr(self, setting)
            if value is not None and value <= 0:
                raise ValueError(f"{setting} must be positive, got {value}.")
        if self.kl_beta < 0:
            raise ValueError(f"kl_beta must be at least 0, got {self.kl_beta}.")


class ForwardLoss(Protocol):
    """Forms the loss of one noised group; every row of FORWARD_LOSSES has this signature."""

    def __call__(
        self,
        noised: NoisedClips,
        flow_velocity: Float[Tensor, "members channels frames height width"],
        *,
        behaviour_flow_velocity: Float[Tensor, "members channels frames height width"] | None,
        reference_flow_velocity: Float[Tensor, "members channels frames height width"] | None,
        advantages: Float[Tensor, " members"],
        objective: ForwardObjective,
        free_frames: Bool[Tensor, "1 1 frames 1 1"],
    ) -> GroupLoss:
        """Returns the loss of one group.

        Args:
            noised: the group's clean rollouts, noised again.
            flow_velocity: the policy's velocity at `noised.latents`; carries the gradient.
            behaviour_flow_velocity: that of the policy that sampled the rollouts; `raft` needs none.
            reference_flow_velocity: that of the reference; None if `kl_beta` is 0.
            advantages: one per member; for `raft` the weight of a kept rollout, and 0 for a rejected one.
            objective: what to learn with.
            free_frames: False on the latent frames that were given.

        Raises:
            ValueError: if a velocity that the objective needs is missing.
        """
        ...


def nft(
    noised: NoisedClips,
    flow_velocity: Float[Tensor, "members channels frames height width"],
    *,
    behaviour_flow_velocity: Float[Tensor, "members channels frames height width"] | None,
    reference_flow_velocity: Float[Tensor, "members channels frames height width"] | None,
    advantages: Float[Tensor, " members"],
    objective: ForwardObjective,
    free_frames: Bool[Tensor, "1 1 frames 1 1"],
) -> GroupLoss:
    """DiffusionNFT: good rollouts pull the policy towards them, bad ones pull its mirror image.

        q   = clip(A / A_max, -1, 1) / 2 + 1/2
        v+  = b v + (1 - b) v_old,    v- = (1 + b) v_old - b v,    x0+- = x - t v+-
        L+- = mean (x0+- - x0)^2 / stopgrad max(mean |x0+- - x0|, 1e-5)
        loss = A_max mean_members[ q L+ + (1 - q) L- ] / b

    At v = v_old this is matching with the weight A. Away from it, a rollout of advantage 0 pulls to v_old.

    Source: arXiv 2509.16117; NVlabs/DiffusionNFT scripts/train_nft_sd3.py.
    """
    velocity = flow_velocity.to(noised.latents.dtype)
    behaviour = _behaviour(behaviour_flow_velocity, objective).to(velocity.dtype)
    mix = objective.nft_mix
    goodness = (advantages / objective.advantage_max).clamp(-1, 1) / 2 + 0.5
    positive = scaled_clean_error(noised, mix * velocity + (1 - mix) * behaviour, free_frames=free_frames)
    negative = scaled_clean_error(noised, (1 + mix) * behaviour - mix * velocity, free_frames=free_frames)
    losses = (goodness * positive + (1 - goodness) * negative) / mix
    return _group_loss(
        objective.advantage_max * losses.mean(),
        velocity,
        reference_flow_velocity,
        kl_beta=objective.kl_beta,
        free_frames=free_frames,
    )


def awm(
    noised: NoisedClips,
    flow_velocity: Float[Tensor, "members channels frames height width"],
    *,
    behaviour_flow_velocity: Float[Tensor, "members channels frames height width"] | None,
    reference_flow_velocity: Float[Tensor, "members channels frames height width"] | None,
    advantages: Float[Tensor, " members"],
    objective: ForwardObjective,
    free_frames: Bool[Tensor, "1 1 frames 1 1"],
) -> GroupLoss:
    """Advantage-weighted matching: PPO's ratio with the matching loss as negative log-prob.

        log p = -weight(l, t),    l = mean (v - (eps - x0))^2

    The behaviour's log-prob is of the same noise and level, so the ratio is 1 at the first replay. Advantages
    are clipped to +-A_max first.

    Source: arXiv 2509.25050; scxue/advantage_weighted_matching scripts/train_sd3_awm.py.
    """
    velocity = flow_velocity.to(noised.latents.dtype)
    behaviour = _behaviour(behaviour_flow_velocity, objective).to(velocity.dtype)
    weight = AWM_WEIGHTS[objective.awm_weight]
    behaviour_log_probs = -weight(matching_loss(noised, behaviour, free_frames=free_frames), noised.sigmas)
    log_probs = -weight(matching_loss(noised, velocity, free_frames=free_frames), noised.sigmas)
    clipped = clipped_ratio_loss(
        log_probs - behaviour_log_probs,
        advantages.clamp(-objective.advantage_max, objective.advantage_max),
        ratio_clip=objective.ratio_clip,
    )
    return _group_loss(
        clipped.loss,
        velocity,
        reference_flow_velocity,
        kl_beta=objective.kl_beta,
        free_frames=free_frames,
        ratios=clipped,
    )


def raft(
    noised: NoisedClips,
    flow_velocity: Float[Tensor, "members channels frames height width"],
    *,
    behaviour_flow_velocity: Float[Tensor, "members channels frames height width"] | None,
    reference_flow_velocity: Float[Tensor, "members channels frames height width"] | None,
    advantages: Float[Tensor, " members"],
    objective: ForwardObjective,
    free_frames: Bool[Tensor, "1 1 frames 1 1"],
) -> GroupLoss:
    """Rejection-sampling fine-tuning: plain flow matching on the rollouts that were kept.

        loss = sum_kept weight mean (v - (eps - x0))^2 / number kept

    With weights of 0 and 1, as from `select_members`, it is the supervised loss of the kept clips. A group
    that keeps none has loss 0.

    Source: arXiv 2304.06767 (RAFT), on the flow-matching loss.

    Raises:
        ValueError: if a weight is negative.
    """
    if (advantages < 0).any():
        raise ValueError(
            f"Loss raft takes weights of at least 0, 0 for a rejected rollout, got "
            f"{advantages.min().item():.3g}: take them from select_members."
        )
    velocity = flow_velocity.to(noised.latents.dtype)
    is_kept = advantages > 0
    losses = matching_loss(noised.select(is_kept), velocity[is_kept], free_frames=free_frames)
    return _group_loss(
        (advantages[is_kept] * losses).sum() / is_kept.sum().clamp(min=1),
        velocity,
        reference_flow_velocity,
        kl_beta=objective.kl_beta,
        free_frames=free_frames,
    )


FORWARD_LOSSES: Mapping[str, ForwardLoss] = {
    "nft": nft,
    "awm": awm,
    "raft": raft,
}


def _behaviour(
    behaviour_flow_velocity: Float[Tensor, "members channels frames height width"] | None,
    objective: ForwardObjective,
) -> Float[Tensor, "members channels frames height width"]:
    if behaviour_flow_velocity is None:
        raise ValueError(
            f"Loss {objective.loss} needs behaviour_flow_velocity: evaluate the network at the noised "
            f"latents with the adapter that sampled the rollouts."
        )
    return behaviour_flow_velocity.detach()


def _group_loss(
    policy_loss: Float[Tensor, ""],
    flow_velocity: Float[Tensor, "members channels frames height width"],
    reference_flow_velocity: Float[Tensor, "members channels frames height width"] | None,
    *,
    kl_beta: float,
    free_frames: Bool[Tensor, "1 1 frames 1 1"],
    ratios: ClippedLoss | None = None,
) -> GroupLoss:
    """Adds the distance to the reference, and how far the ratios went where there are some."""
    check_reference(reference_flow_velocity, kl_beta=kl_beta)
    kl = torch.zeros_like(policy_loss)
    if reference_flow_velocity is not None:
        gap = flow_velocity - reference_flow_velocity.detach().to(flow_velocity.dtype)
        kl = free_mean(gap**2, free_frames=free_frames).mean()
    return GroupLoss(
        loss=policy_loss + kl_beta * kl,
        policy_loss=policy_loss.detach(),
        kl=kl.detach(),
        clip_fraction=None if ratios is None else ratios.clip_fraction,
        max_abs_log_ratio=None if ratios is None else ratios.max_abs_log_ratio,
    )
