"""A linear video codec that diffusers' Wan pipelines take in place of `AutoencoderKLWan`."""

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from jaxtyping import Float, Num
from torch import Tensor, nn

NUM_COLOURS = 3


class LinearPatchCodec(ModelMixin, ConfigMixin):
    """Maps space-time blocks of pixels to latent channels by one matrix each way.

    It has the timing of Wan's causal autoencoder: latent frame 0 holds video frame 0 alone, every later
    latent frame holds the next `scale_factor_temporal` video frames. Both kinds of block have their own
    basis, fitted by `eva_rl.world_model.codec_fit`. A linear codec trains in a second, is exactly invertible
    on its subspace and keeps a world model of a few million parameters trainable on a laptop, where a small
    convolutional autoencoder is still blurrier after minutes of training.

    Args:
        z_dim: latent channels.
        scale_factor_temporal: video frames per latent frame after the first.
        scale_factor_spatial: pixels per latent site along each side.
        latents_mean: per channel, subtracted by the pipelines before denoising; zeros by default.
        latents_std: per channel, divided by after that; ones by default.
    """

    @register_to_config
    def __init__(
        self,
        z_dim: int = 48,
        scale_factor_temporal: int = 4,
        scale_factor_spatial: int = 8,
        latents_mean: list[float] | None = None,
        latents_std: list[float] | None = None,
    ) -> None:
        super().__init__()
        # the pipelines read both lists from the config, so the defaults must be written there
        self.register_to_config(
            latents_mean=latents_mean or [0.0] * z_dim, latents_std=latents_std or [1.0] * z_dim
        )
        pixels = NUM_COLOURS * scale_factor_spatial**2
        self.first = BlockBasis(pixels, z_dim)
        self.later = BlockBasis(scale_factor_temporal * pixels, z_dim)

    def encode(
        self, x: Float[Tensor, "B 3 T H W"], return_dict: bool = True
    ) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        """Encodes video in [-1, 1] to a (deterministic) latent distribution, like `AutoencoderKLWan.encode`.

        Raises:
            ValueError: if the number of frames or the frame size does not fit the blocks.
        """
        group, side = self.config["scale_factor_temporal"], self.config["scale_factor_spatial"]
        num_frames, height, width = x.shape[2:]
        if num_frames % group != 1 or height % side or width % side:
            raise ValueError(
                f"LinearPatchCodec takes {group}k+1 frames whose height and width are multiples of {side}, "
                f"got {num_frames} frames of {height}x{width}"
            )
        latents = [self.first.encode(to_blocks(x[:, :, :1], num_frames=1, side=side))]
        if num_frames > 1:
            latents.append(self.later.encode(to_blocks(x[:, :, 1:], num_frames=group, side=side)))
        mean = torch.cat(latents, dim=1).permute(0, 4, 1, 2, 3)
        distribution = DiagonalGaussianDistribution(
            torch.cat([mean, torch.zeros_like(mean)], dim=1), deterministic=True
        )
        return AutoencoderKLOutput(latent_dist=distribution) if return_dict else (distribution,)

    def decode(
        self, z: Float[Tensor, "B C F h w"], return_dict: bool = True
    ) -> DecoderOutput | tuple[Float[Tensor, "B 3 T H W"]]:
        """Decodes latents to video in [-1, 1], like `AutoencoderKLWan.decode`."""
        group, side = self.config["scale_factor_temporal"], self.config["scale_factor_spatial"]
        sites = z.permute(0, 2, 3, 4, 1)
        video = from_blocks(self.first.decode(sites[:, :1]), num_frames=1, side=side)
        if sites.shape[1] > 1:
            later = from_blocks(self.later.decode(sites[:, 1:]), num_frames=group, side=side)
            video = torch.cat([video, later], dim=2)
        video = video.clamp(-1.0, 1.0)
        return DecoderOutput(sample=video) if return_dict else (video,)


class BlockBasis(nn.Module):
    """The basis of one kind of block: latent = basis^T (block - mean) / scale."""

    def __init__(self, num_values: int, num_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_values))
        self.register_buffer("basis", torch.zeros(num_values, num_channels))
        self.register_buffer("scale", torch.ones(num_channels))

    def set_values(self, *, mean: Tensor, basis: Tensor, scale: Tensor) -> None:
        """Copies a fitted basis in.

        Args:
            mean: [block values].
            basis: [block values, channels], orthonormal columns.
            scale: [channels], divides the coordinates.
        """
        for name, value in {"mean": mean, "basis": basis, "scale": scale}.items():
            self.get_buffer(name).copy_(value)

    def encode(self, blocks: Float[Tensor, "... values"]) -> Float[Tensor, "... channels"]:
        """Coordinates of blocks in the scaled basis."""
        return (blocks - self.get_buffer("mean")) @ self.get_buffer("basis") / self.get_buffer("scale")

    def decode(self, latents: Float[Tensor, "... channels"]) -> Float[Tensor, "... values"]:
        """Blocks at the given coordinates."""
        return (latents * self.get_buffer("scale")) @ self.get_buffer("basis").T + self.get_buffer("mean")


def to_blocks(video: Num[Tensor, "B 3 T H W"], *, num_frames: int, side: int) -> Tensor:
    """Cuts video into blocks: [batch, T / num_frames, H / side, W / side, num_frames * 3 * side * side]."""
    batch, colours, frames, height, width = video.shape
    cut = video.reshape(
        batch, colours, frames // num_frames, num_frames, height // side, side, width // side, side
    )
    return cut.permute(0, 2, 4, 6, 3, 1, 5, 7).flatten(4)


def from_blocks(blocks: Num[Tensor, "B t h w values"], *, num_frames: int, side: int) -> Tensor:
    """Inverse of `to_blocks`: [batch, 3, t * num_frames, h * side, w * side]."""
    batch, frames, rows, columns, _ = blocks.shape
    cut = blocks.reshape(batch, frames, rows, columns, num_frames, NUM_COLOURS, side, side)
    return cut.permute(0, 5, 1, 4, 2, 6, 3, 7).reshape(
        batch, NUM_COLOURS, frames * num_frames, rows * side, columns * side
    )
