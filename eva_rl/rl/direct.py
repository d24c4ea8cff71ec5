"""Direct reward backpropagation: the gradient of the reward itself, through the last denoising steps.

DRaFT-K samples without gradient up to the last K steps and walks these again with it. The reward, and all
that lies between it and the latents, must be differentiable.

Source: arXiv 2309.17400 (DRaFT); K = 1 with a random last step is ReFL, arXiv 2304.05977.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eva_rl.records.rollout import KeptLatents
from eva_rl.rl.group_loss import GroupLoss, check_reference
from eva_rl.rl.kernels import step_transition
from eva_rl.rl.sampler import FlowVelocityFn
from eva_rl.rl.schedule import check_sigmas


def denoise_from(
    flow_velocity_fn: FlowVelocityFn,
    kept: KeptLatents,
    *,
    sigmas: Sequence[float],
    free_frames: Bool[Tensor, "1 1 frames 1 1"],
) -> Float[Tensor, "members_or_1 channels frames height width"]:
    """Walks a rollout again from where its latents were kept, with gradient; every step is an Euler step.

    Under the policy that sampled the rollout the result is the sampler's `final_latents`.

    Args:
        flow_velocity_fn: the policy's network, conditions included; carries the gradient.
        kept: where to start; its latents are constants.
        sigmas: the schedule of the rollout.
        free_frames: False on the latent frames that are given.

    Returns:
        Clean latents.

    Raises:
        ValueError: if the schedule is not one, or does not hold the step.
    """
    check_sigmas(sigmas)
    num_steps = len(sigmas) - 1
    if not 0 <= kept.index < num_steps:
        raise ValueError(f"The latents were kept before step {kept.index}, but the schedule has {num_steps}.")
    latents = kept.latents.detach()
    for index in range(kept.index, num_steps):
        transition = step_transition(
            latents,
            flow_velocity_fn(latents, sigmas[index]),
            sigmas=sigmas,
            index=index,
            kernel="ode",
            noise_level=0.0,
        )
        latents = torch.where(free_frames, transition.mean, latents)
    return latents


def direct_loss(
    rewards: Float[Tensor, " members"],
    judged: Bool[Tensor, " members"],
    *,
    kl: Float[Tensor, ""] | None,
    kl_beta: float,
) -> GroupLoss:
    """Returns -mean R over the judged rollouts, plus the weighted distance to the reference.

    Args:
        rewards: higher is better; carry the gradient. Whatever made one that was not judged must still have
            finite derivatives.
        judged: False where the scorer abstained; with nobody judged the loss is 0.
        kl: distance to the reference over the steps with gradient, such as the mean of `velocity_kl`.
        kl_beta: its weight.

    Raises:
        ValueError: if `kl_beta` is positive and there is no distance to the reference.
    """
    check_reference(kl, kl_beta=kl_beta)
    loss = -rewards[judged].sum() / judged.sum().clamp(min=1)
    kl = torch.zeros_like(loss) if kl is None else kl
    return GroupLoss(loss=loss + kl_beta * kl, policy_loss=loss.detach(), kl=kl.detach())
