"""Disturbs training frames so that the model reads imagined ones as well."""

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.embodiments.mirroring import Mirror

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


def mirrored_actions(actions: Float[Tensor, "*batch D"], mirror: Mirror) -> Float[Tensor, "*batch D"]:
    """The actions that mirrored frames show.

    Args:
        actions: [..., dimensions].
        mirror: of the robot.
    """
    return actions[..., list(mirror.sources)] * torch.tensor(mirror.signs).to(actions)


def with_mirrored_clips(
    frames: Float[Tensor, "B T 3 H W"],
    actions: Float[Tensor, "B T D"],
    *,
    mirror: Mirror,
    probability: float,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "B T 3 H W"], Float[Tensor, "B T D"]]:
    """Mirrors random clips of a batch left to right, and their actions with them.

    Args:
        frames: [batch, frames, 3, height, width].
        actions: [batch, frames, dimensions].
        mirror: of the robot.
        probability: share of clips to mirror.
        generator: chooses the clips.
    """
    chosen = (torch.rand(len(frames), generator=generator) < probability).to(frames.device)
    pictures = torch.where(chosen[:, None, None, None, None], frames.flip(-1), frames)
    return pictures, torch.where(chosen[:, None, None], mirrored_actions(actions, mirror), actions)


def with_latent_noise(
    latents: Float[Tensor, "B C F h w"], *, share: float, max_std: float, generator: torch.Generator
) -> Float[Tensor, "B C F h w"]:
    """Adds Gaussian noise to the latents of random clips, its strength drawn per clip, uniform in 0..max_std.

    Args:
        latents: [batch, channels, latent frames, height, width], normalised.
        share: of clips that get noise.
        max_std: largest standard deviation.
        generator: draws clips, strengths and noise.
    """
    per_clip = (len(latents), 1, 1, 1, 1)
    is_noisy = torch.rand(per_clip, generator=generator) < share
    strength = max_std * torch.rand(per_clip, generator=generator) * is_noisy
    noise = torch.randn(latents.shape, generator=generator)
    return latents + (strength * noise).to(latents)
