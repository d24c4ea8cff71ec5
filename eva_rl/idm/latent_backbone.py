"""Features of every frame of an encoded clip: convolutions over a latent frame, read out at keypoints."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eva_rl.idm.backbone import NUM_COORDINATES, SUMMARY_CHANNELS, convolution, coordinates, keypoint_readout
from eva_rl.idm.latent_architecture import LatentIdmArchitecture


class LatentBackbone(nn.Module):
    """Three convolutions at the latents' own resolution; then keypoints, their values and a summary.

    A latent grid is coarse: it is not reduced any further. One projection gives the features of all frames
    of a latent frame at once. The codec's first latent frame holds one frame, which takes the place of the
    last of the others'.

    Args:
        architecture: sizes.
    """

    def __init__(self, architecture: LatentIdmArchitecture) -> None:
        super().__init__()
        height, width = architecture.latent_height, architecture.latent_width
        widths = (architecture.latent_channels + NUM_COORDINATES, *architecture.channels)
        self.convolutions = nn.Sequential(
            *(layer for pair in pairwise(widths) for layer in convolution(*pair))
        )
        self.keypoint_maps = nn.Conv2d(widths[-1], architecture.num_keypoints, 1)
        self.value_maps = nn.Conv2d(widths[-1], architecture.num_keypoints, 1)
        self.summary = nn.Sequential(nn.Conv2d(widths[-1], SUMMARY_CHANNELS, 1), nn.SiLU())
        num_values = 3 * architecture.num_keypoints + SUMMARY_CHANNELS * height * width
        num_features = architecture.frames_per_latent * architecture.frame_features
        self.projection = nn.Sequential(nn.Linear(num_values, num_features), nn.SiLU())
        self.frames_per_latent = architecture.frames_per_latent
        self.register_buffer("coordinates", coordinates(height, width), persistent=False)

    def forward(self, latents: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B T features"]:
        """Features of each frame.

        Args:
            latents: [batch, channels, latent frames, height, width], normalised.
        """
        grids = latents.transpose(1, 2).flatten(0, 1)
        places = self.get_buffer("coordinates")
        maps = self.convolutions(torch.cat([grids, places.expand(len(grids), -1, -1, -1)], dim=1))
        keypoints = keypoint_readout(
            self.keypoint_maps(maps), self.value_maps(maps), places=places.flatten(1)
        )
        features = self.projection(torch.cat([keypoints, self.summary(maps).flatten(1)], dim=1))
        of_frames = features.unflatten(0, (len(latents), -1)).unflatten(2, (self.frames_per_latent, -1))
        return of_frames.flatten(1, 2)[:, self.frames_per_latent - 1 :]
