"""Features of a single frame: convolutions, then spatial-softmax keypoints."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from eva_rl.idm.architecture import IdmArchitecture

NUM_COORDINATES = 2
SUMMARY_CHANNELS = 16
KEYPOINT_SCALE = 3.0  # expected coordinates stay near the centre; this gives them about unit spread
GROUPS = 8


class FrameBackbone(nn.Module):
    """Convolutions at half and quarter resolution, read out at learned keypoints.

    Every keypoint map gives its expected coordinates (spatial softmax) and the value of a second map there; a
    coarse summary of the whole picture is appended. Coordinate channels let filters tell the arms apart.

    Args:
        architecture: sizes.
    """

    def __init__(self, architecture: IdmArchitecture) -> None:
        super().__init__()
        narrow, middle, wide = architecture.channels
        height, width = architecture.height // 4, architecture.width // 4
        num_inputs = 3 * 2 * 2 + NUM_COORDINATES  # pixel-unshuffled RGB and coordinates
        self.convolutions = nn.Sequential(
            *convolution(num_inputs, narrow),
            *convolution(narrow, middle, stride=2),
            *convolution(middle, wide),
            *convolution(wide, wide),
        )
        self.keypoint_maps = nn.Conv2d(wide, architecture.num_keypoints, 1)
        self.value_maps = nn.Conv2d(wide, architecture.num_keypoints, 1)
        self.summary = nn.Sequential(nn.Conv2d(wide, SUMMARY_CHANNELS, 3, 2, 1), nn.SiLU())
        num_values = 3 * architecture.num_keypoints + SUMMARY_CHANNELS * (height // 2) * (width // 2)
        self.projection = nn.Sequential(nn.Linear(num_values, architecture.frame_features), nn.SiLU())
        half_resolution = coordinates(architecture.height // 2, architecture.width // 2)
        self.register_buffer("input_coordinates", half_resolution[None], persistent=False)
        self.register_buffer("map_coordinates", coordinates(height, width).flatten(1), persistent=False)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  a third faster on CPU

    def forward(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N features"]:
        """Features of each frame.

        Args:
            frames: [frames, 3, height, width], in [-1, 1].
        """
        pixels = functional.pixel_unshuffle(frames, 2)
        coordinates = self.get_buffer("input_coordinates").to(pixels.dtype).expand(len(pixels), -1, -1, -1)
        pixels = torch.cat([pixels, coordinates], dim=1).contiguous(memory_format=torch.channels_last)
        maps = self.convolutions(pixels)
        keypoints = keypoint_readout(
            self.keypoint_maps(maps), self.value_maps(maps), places=self.get_buffer("map_coordinates")
        )
        return self.projection(torch.cat([keypoints, self.summary(maps).flatten(1)], dim=1))


def keypoint_readout(
    logits: Float[Tensor, "N K H W"], values: Float[Tensor, "N K H W"], *, places: Float[Tensor, "2 sites"]
) -> Float[Tensor, "N K3"]:
    """Expected coordinates of every keypoint (spatial softmax), and the expected value there.

    Args:
        logits: where each keypoint is.
        values: what to read there.
        places: coordinates of the sites, row by row.
    """
    attention = logits.flatten(2).float().softmax(dim=-1)  # [N, keypoints, sites]
    positions = attention @ places.T  # [N, keypoints, 2]
    found = (values.flatten(2) * attention).sum(dim=-1)
    return torch.cat([KEYPOINT_SCALE * positions.flatten(1), found], dim=1)


def convolution(num_inputs: int, num_outputs: int, *, stride: int = 1) -> tuple[nn.Module, ...]:
    """A 3x3 convolution with group normalisation (so in eights) and activation."""
    return (
        nn.Conv2d(num_inputs, num_outputs, 3, stride, 1),
        nn.GroupNorm(GROUPS, num_outputs),
        nn.SiLU(),
    )


def coordinates(height: int, width: int) -> Float[Tensor, "2 height width"]:
    """Row and column of every site, -1 .. 1."""
    rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
