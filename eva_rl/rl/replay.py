"""The learner's side of one trained step: the policy loss as a function of the flow velocity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eva_rl.records.rollout import TrainedStep
from eva_rl.rl.kernels import Transition, step_transition
from eva_rl.rl.kl import KL_FORMS
from eva_rl.rl.log_ratios import LOG_RATIOS
from eva_rl.rl.losses import clipped_ratio_loss
from eva_rl.rl.objective import Objective
from eva_rl.rl.step_weights import STEP_WEIGHTS


@dataclass(frozen=True, kw_only=True)
class ReplayLoss:
    """Loss of one group at one trained step.

    Example:
        ReplayLoss(loss=tensor(-0.0012), policy_loss=tensor(-0.0013), kl=tensor(0.02),
                   clip_fraction=tensor(0.0), max_abs_log_ratio=tensor(2e-7))

    Attributes:
        loss: step weight * policy_loss + kl_beta * kl; the only entry that carries a gradient.
        policy_loss: the clipped loss, before its step weight.
        kl: mean distance to the reference, before its weight; 0 without a reference.
        clip_fraction: share of the members whose ratio left the trust region.
        max_abs_log_ratio: about 0 at the first replay; more says that the replay is not the rollout.
    """

    loss: Float[Tensor, ""]
    policy_loss: Float[Tensor, ""]
    kl: Float[Tensor, ""]
    clip_fraction: Float[Tensor, ""]
    max_abs_log_ratio: Float[Tensor, ""]


def replay_step(
    step: TrainedStep,
    flow_velocity: Float[Tensor, "members_or_1 channels frames height width"],
    *,
    reference_flow_velocity: Float[Tensor, "members_or_1 channels frames height width"] | None,
    advantages: Float[Tensor, " members"],
    sigmas: Sequence[float],
    objective: Objective,
    free_frames: Bool[Tensor, "1 1 frames 1 1"],
    step_noise: Float[Tensor, "members channels frames height width"] | None = None,
) -> ReplayLoss:
    """Returns the loss of one group at one trained step.

    Where the group shares the latents of the step, one evaluation of the network serves all members: the
    velocity has a leading axis of 1, and so do the transition's mean and the distance to the reference.

    Args:
        step: the step as it was sampled.
        flow_velocity: the policy's velocity at `step.latents`; carries the gradient.
        reference_flow_velocity: the reference's velocity there; None if `kl_beta` is 0.
        advantages: one per member.
        sigmas: the schedule of the rollout.
        objective: what to learn with.
        free_frames: False on the latent frames that were given.
        step_noise: noise of the step, drawn again from the group's seed; only for grpo_guard.

    Raises:
        ValueError: if the objective needs the reference or the noise, and it is missing.
    """
    if reference_flow_velocity is None and objective.kl_beta > 0:
        raise ValueError(
            f"kl_beta is {objective.kl_beta} but there is no reference_flow_velocity: evaluate the network "
            f"with its adapter off, or set kl_beta to 0."
        )
    transition = _transition(step, flow_velocity, sigmas=sigmas, objective=objective)
    log_ratio = LOG_RATIOS[objective.loss](step, transition, step_noise=step_noise, free_frames=free_frames)
    clipped = clipped_ratio_loss(log_ratio, advantages, ratio_clip=objective.ratio_clip)

    sigma, sigma_next = sigmas[step.index], sigmas[step.index + 1]
    diffusion = transition.std / math.sqrt(sigma - sigma_next)
    weight = STEP_WEIGHTS[objective.step_weight](sigma, sigma_next, diffusion=diffusion)

    kl = torch.zeros_like(clipped.loss)
    if reference_flow_velocity is not None:
        reference_flow_velocity = reference_flow_velocity.detach()
        reference = _transition(step, reference_flow_velocity, sigmas=sigmas, objective=objective)
        kl = KL_FORMS[objective.kl_form](
            transition.mean - reference.mean,
            (flow_velocity - reference_flow_velocity).to(step.latents.dtype),
            std=transition.std,
            dt=sigma_next - sigma,
            free_frames=free_frames,
        ).mean()
    return ReplayLoss(
        loss=weight * clipped.loss + objective.kl_beta * kl,
        policy_loss=clipped.loss.detach(),
        kl=kl.detach(),
        clip_fraction=clipped.clip_fraction,
        max_abs_log_ratio=clipped.max_abs_log_ratio,
    )


def _transition(
    step: TrainedStep,
    flow_velocity: Float[Tensor, "members_or_1 channels frames height width"],
    *,
    sigmas: Sequence[float],
    objective: Objective,
) -> Transition:
    return step_transition(
        step.latents,
        flow_velocity,
        sigmas=sigmas,
        index=step.index,
        kernel=objective.kernel,
        noise_level=objective.noise_level,
    )
