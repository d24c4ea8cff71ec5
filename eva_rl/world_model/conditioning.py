"""First-frame forcing: the given frame enters clean, with timestep 0, as in Wan2.2-TI2V-5B.

The rule is the one of diffusers' `WanImageToVideoPipeline` with `expand_timesteps=True`: no extra input
channels; the first latent frame of the network input is the clean latent of the given image, its tokens carry
timestep 0, and it is imposed once more after the last denoising step.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

TIMESTEP_SCALE = 1000.0  # Wan's networks are trained on 1000 * sigma
NUM_GIVEN_LATENT_FRAMES = 1


def free_frames(num_latent_frames: int, *, device: torch.device | None = None) -> Bool[Tensor, "1 1 F 1 1"]:
    """Marks the latent frames that the policy chooses: all but the given first one."""
    free = torch.ones(1, 1, num_latent_frames, 1, 1, dtype=torch.bool, device=device)
    free[:, :, :NUM_GIVEN_LATENT_FRAMES] = False
    return free


def impose_first_frame(
    latents: Float[Tensor, "B C F h w"], first_latents: Float[Tensor, "b C 1 h w"]
) -> Float[Tensor, "B C F h w"]:
    """Replaces the first latent frame by the given clean one.

    Args:
        latents: [batch, channels, latent frames, height, width], any noise level.
        first_latents: [batch or 1, channels, 1, height, width], clean.
    """
    given = first_latents.to(latents.dtype).expand(latents.shape[0], -1, -1, -1, -1)
    return torch.cat([given, latents[:, :, NUM_GIVEN_LATENT_FRAMES:]], dim=2)


def token_timesteps(
    sigma: Float[Tensor, " B"], latent_shape: Sequence[int], *, patch_size: Sequence[int]
) -> Float[Tensor, "B tokens"]:
    """Timestep of every token: 0 on the given frame, 1000 * sigma elsewhere.

    Args:
        sigma: [batch], noise level of the free frames, 0 (clean) .. 1 (noise).
        latent_shape: latent frames, height, width.
        patch_size: latent frames, rows and columns that make one token of the network.
    """
    num_frames, height, width = (size // patch for size, patch in zip(latent_shape, patch_size, strict=True))
    per_frame = TIMESTEP_SCALE * sigma.float()[:, None].repeat(1, num_frames)
    per_frame[:, :NUM_GIVEN_LATENT_FRAMES] = 0.0
    return per_frame.repeat_interleave(height * width, dim=1)
