"""Flow-matching loss of the world model on recorded clips."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.world_model.conditioning import free_frames
from eva_rl.world_model.schedule import shifted

# (latents, sigma [batch], first latents, text) -> flow velocity, e.g. `WorldModel.flow_velocity`
FlowVelocityFunction: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

LOUD_SIGMA = 0.25  # below it the weight falls with sigma^2: errors there hardly move a sample


def flow_matching_loss(
    flow_velocity: FlowVelocityFunction,
    latents: Float[Tensor, "B C F h w"],
    text: Float[Tensor, "B tokens dim"],
    *,
    generator: torch.Generator,
    shift: float = 3.0,
    sigma_floor: float = 0.02,
) -> Float[Tensor, ""]:
    """Weighted squared error of the flow velocity on the free frames, at random noise levels.

    sigma = clamp(shifted(u), sigma_floor, 1) with u uniform in 0..1; x = (1 - sigma) x0 + sigma noise; the
    target is noise - x0 (flow matching, arXiv 2210.02747). The weight sigma^2 / max(sigma, 0.25)^2 makes it
    the error of the clean latent, (x - sigma v) - x0, counted more at low noise, whichever of the two a
    network predicts.

    Args:
        flow_velocity: the model; `partial(world_model.flow_velocity, network=...)` for a wrapped one.
        latents: [batch, channels, latent frames, height, width], clean.
        text: [batch, tokens, dim].
        generator: draws noise levels and noise.
        shift: moves the noise levels towards noise.
        sigma_floor: smallest noise level.
    """
    levels = torch.rand(len(latents), generator=generator, device=generator.device).to(latents.device)
    sigma = shifted(levels, shift=shift).clamp(sigma_floor, 1.0)
    error = clean_latent_error(flow_velocity, latents, text, sigma=sigma, generator=generator)
    return (error / sigma.clamp_min(LOUD_SIGMA) ** 2).mean()


def clean_latent_error(
    flow_velocity: FlowVelocityFunction,
    latents: Float[Tensor, "B C F h w"],
    text: Float[Tensor, "B tokens dim"],
    *,
    sigma: Float[Tensor, " B"],
    generator: torch.Generator,
) -> Float[Tensor, " B"]:
    """Mean squared error of the predicted clean latents per clip, on the free frames, at given noise levels.

    Args:
        flow_velocity: the model.
        latents: [batch, channels, latent frames, height, width], clean.
        text: [batch, tokens, dim].
        sigma: [batch], noise levels.
        generator: draws the noise.
    """
    noise = torch.randn(latents.shape, generator=generator, device=generator.device).to(latents)
    level = sigma.view(-1, 1, 1, 1, 1)
    noisy = (1.0 - level) * latents + level * noise
    predicted = flow_velocity(noisy, sigma, latents[:, :, :1], text)
    free = free_frames(latents.shape[2], device=latents.device).flatten()
    difference = (level * (predicted - (noise - latents)))[:, :, free]
    return difference.float().square().mean(dim=(1, 2, 3, 4))
