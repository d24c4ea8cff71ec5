"""The codec alone: frames to normalised latents and back, without the network that imagines."""

from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from eva_rl.world_model.directory import open_pipeline


class LatentCodec:
    """A Wan codec with its latent normalisation; all that a scorer needs of a world model.

    Args:
        vae: diffusers' codec, frozen here, in float32.
    """

    def __init__(self, vae: Any) -> None:
        self.vae = vae.requires_grad_(False).eval()
        self._mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
        self._std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)

    @classmethod
    def from_directory(cls, directory: str | Path, *, device: str | torch.device = "cpu") -> Self:
        """Opens the codec of a pipeline directory and nothing else of it.

        Raises:
            FileNotFoundError: if the directory is no pipeline directory.
        """
        pipeline = open_pipeline(
            Path(directory), dtype=torch.float32, with_text_encoder=False, with_transformer=False
        )
        return cls(pipeline.vae.to(device))

    @torch.no_grad()
    def encode_frames(self, frames: UInt8[Tensor, "B T H W 3"]) -> Float[Tensor, "B C F h w"]:
        """Encodes frames to normalised latents; one frame gives the latents of a given first frame.

        Args:
            frames: [batch, frames, height, width, 3], RGB, 0..255.
        """
        video = frames.to(self.vae.device).permute(0, 4, 1, 2, 3).float() / 127.5 - 1.0
        latents = self.vae.encode(video).latent_dist.mode()
        return (latents - self._mean.to(latents.device)) / self._std.to(latents.device)

    def decode(self, latents: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B T 3 H W"]:
        """Decodes normalised latents to frames in [-1, 1]; differentiable in the latents."""
        latents = latents.float()
        scaled = latents * self._std.to(latents.device) + self._mean.to(latents.device)
        return self.vae.decode(scaled).sample.transpose(1, 2)
