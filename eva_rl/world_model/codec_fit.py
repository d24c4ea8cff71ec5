"""Fits the linear patch codec to recorded frames by principal components."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from eva_rl.world_model.codec import BlockBasis, LinearPatchCodec, to_blocks

MAX_BLOCKS = 60_000  # covariance of 768-value blocks is settled well before this many
WHITENING = 0.5  # exponent: 0 keeps the pixels' variances, 1 makes all channels equally loud
EIGENVALUE_FLOOR = 1e-7  # relative to the largest: keeps empty directions from amplifying rounding errors


def fit_linear_patch_codec(
    frames: UInt8[Tensor, "N T H W 3"], *, channels: int = 48, seed: int = 0
) -> LinearPatchCodec:
    """Fits a codec to clips: half-whitened principal components of the blocks, unit mean variance.

    Half-whitening sits between the two plain choices: with none, noise of one level drowns the fine channels
    and leaves the coarse ones untouched at every sigma; with full whitening, the network spends its capacity
    on channels that hardly show.

    Args:
        frames: [clips, frames, height, width, 3], RGB, 0..255; 4k+1 frames, sides that are multiples of 8.
        channels: latent channels to keep.
        seed: chooses the blocks where there are more than are needed.

    Raises:
        ValueError: if there are fewer blocks than channels.
    """
    codec = LinearPatchCodec(z_dim=channels)
    group, side = codec.config["scale_factor_temporal"], codec.config["scale_factor_spatial"]
    video = frames.permute(0, 4, 1, 2, 3)
    generator = torch.Generator().manual_seed(seed)
    _fit_basis(codec.first, to_blocks(video[:, :, :1], num_frames=1, side=side), generator)
    _fit_basis(codec.later, to_blocks(video[:, :, 1:], num_frames=group, side=side), generator)
    return codec.eval()


def _fit_basis(
    basis: BlockBasis, blocks: UInt8[Tensor, "N t h w values"], generator: torch.Generator
) -> None:
    """Sets one basis from uint8 blocks."""
    rows = blocks.flatten(0, 3)
    num_channels = basis.get_buffer("scale").shape[0]
    if len(rows) <= num_channels:
        raise ValueError(
            f"fitting {num_channels} channels takes more than {num_channels} blocks, got {len(rows)}"
        )
    chosen = torch.randperm(len(rows), generator=generator)[:MAX_BLOCKS]
    values = rows[chosen].double() / 127.5 - 1.0
    mean = values.mean(dim=0)
    eigenvalues, eigenvectors = torch.linalg.eigh(torch.cov((values - mean).T))  # ascending
    variance = eigenvalues.flip(0)[:num_channels]
    variance = variance.clamp_min(EIGENVALUE_FLOOR * variance[0])
    scale = variance ** (WHITENING / 2)
    loudness = (variance / scale**2).mean().sqrt()
    directions = _with_fixed_signs(eigenvectors.flip(1)[:, :num_channels])
    basis.set_values(mean=mean, basis=directions, scale=scale * loudness)


def _with_fixed_signs(directions: Float[Tensor, "values channels"]) -> Float[Tensor, "values channels"]:
    """Makes each column's largest entry positive: eigenvectors come with a sign that differs by library."""
    largest = directions.abs().argmax(dim=0, keepdim=True)
    return directions * directions.gather(0, largest).sign()
