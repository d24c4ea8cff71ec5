"""Disturbs training frames so that the model reads imagined ones as well."""

import torch
from jaxtyping import Float
from torch import Tensor

MAX_NOISE_STD = 0.06  # of the range -1..1


def with_pixel_noise(
    frames: Float[Tensor, "B T 3 H W"], *, generator: torch.Generator, max_std: float = MAX_NOISE_STD
) -> Float[Tensor, "B T 3 H W"]:
    """Adds Gaussian pixel noise whose strength is drawn per clip, uniform in 0..max_std.

    Args:
        frames: [batch, frames, 3, height, width], in [-1, 1].
        generator: draws strengths and noise.
        max_std: largest standard deviation.
    """
    strength = max_std * torch.rand(len(frames), 1, 1, 1, 1, generator=generator)
    noise = torch.randn(frames.shape, generator=generator)
    return frames + (strength * noise).to(frames)


def with_replaced_clips(
    frames: Float[Tensor, "B T 3 H W"],
    replacements: Float[Tensor, "B T 3 H W"],
    *,
    probability: float,
    generator: torch.Generator,
) -> Float[Tensor, "B T 3 H W"]:
    """Exchanges random clips of a batch, e.g. for their reconstruction by the world model's codec.

    Args:
        frames: [batch, frames, 3, height, width].
        replacements: same shape, showing the same motions.
        probability: share of clips to exchange.
        generator: chooses the clips.
    """
    chosen = torch.rand(len(frames), 1, 1, 1, 1, generator=generator) < probability
    return torch.where(chosen.to(frames.device), replacements, frames)
