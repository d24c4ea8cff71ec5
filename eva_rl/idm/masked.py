"""An inverse dynamics model that first masks what is no robot (Vidar, arXiv 2507.12898)."""

from pathlib import Path
from typing import Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from eva_rl.idm import store
from eva_rl.idm.backbone import convolution
from eva_rl.idm.masked_architecture import MaskedIdmArchitecture
from eva_rl.idm.network import InverseDynamicsModel

MASKED_KIND = "masked"
FIRST_LOGIT = 2.0  # training begins with nearly everything to be seen: a closed mask passes no gradient


class MaskNetwork(nn.Module):
    """One visibility per pixel, 0 .. 1, from a small U-Net at half and quarter resolution.

    Args:
        num_channels: width at half resolution; twice as many at a quarter.
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        wide = 2 * num_channels
        self.fine = nn.Sequential(*convolution(12, num_channels))
        self.coarse = nn.Sequential(*convolution(num_channels, wide, stride=2), *convolution(wide, wide))
        self.merged = nn.Sequential(*convolution(num_channels + wide, num_channels))
        self.logits = nn.Conv2d(num_channels, 4, 1)
        nn.init.constant_(self.get_parameter("logits.bias"), FIRST_LOGIT)

    def forward(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 1 H W"]:
        """Predicts the mask of each frame by itself."""
        fine = self.fine(functional.pixel_unshuffle(frames, 2))
        coarse = functional.interpolate(self.coarse(fine), scale_factor=2, mode="nearest")
        logits = self.logits(self.merged(torch.cat([fine, coarse], dim=1)))
        return functional.pixel_shuffle(logits, 2).sigmoid()


class MaskedIdm(nn.Module):
    """Reads joint positions from frames of which it has masked what does not matter.

    The mask is learned from actions alone: what it hides cannot help the reading, and what it shows costs
    `mask_penalty` per share of the picture. Hidden pixels become mid grey. Departure from the paper: the
    mask is not rounded, so that the reward's gradient passes through it unchanged.

    Args:
        architecture: sizes of mask and reader.
    """

    reads: Literal["frames", "latents"] = "frames"

    def __init__(self, architecture: MaskedIdmArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.mask = MaskNetwork(architecture.mask_channels)
        self.reader = InverseDynamicsModel(architecture)

    @classmethod
    def from_directory(cls, directory: str | Path) -> Self:
        """Opens a trained model, in eval mode.

        Raises:
            FileNotFoundError: if weights or config.json are missing.
        """
        return store.open_model(cls, directory, MaskedIdmArchitecture, kind=MASKED_KIND)

    def save(self, directory: str | Path) -> None:
        """Writes `model.safetensors` and `config.json`."""
        store.write(directory, kind=MASKED_KIND, architecture=self.architecture, weights=self.state_dict())

    def set_normalization(self, *, mean: Float[Tensor, " D"], std: Float[Tensor, " D"]) -> None:
        """Sets the units in which joints are regressed."""
        self.reader.set_normalization(mean=mean, std=std)

    def masks(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T 1 H W"]:
        """What is to be seen of every frame, 0 .. 1 per pixel.

        Raises:
            ValueError: if the frames have another size than in training.
        """
        self.architecture.check_frame_size(*frames.shape[-2:])
        return self.mask(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])

    def forward(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T D"]:
        """Predicts joint positions and gripper logits; differentiable in the frames.

        Args:
            frames: [batch, frames, 3, height, width], in [-1, 1].
        """
        return self.reader(frames * self.masks(frames))

    def decode_positions(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T D"]:
        """Reads executable positions: joints in rad, grippers 0 (closed) or 1 (open).

        Args:
            frames: [batch, frames, 3, height, width], in [-1, 1].
        """
        return self.reader.decode_positions(frames * self.masks(frames))

    def soft_positions(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T D"]:
        """Reads joints in rad and how probably each gripper is open; differentiable in both.

        Args:
            frames: [batch, frames, 3, height, width], in [-1, 1].
        """
        return self.reader.soft_positions(frames * self.masks(frames))

    def loss(
        self,
        frames: Float[Tensor, "B T 3 H W"],
        actions: Float[Tensor, "B T D"],
        *,
        acceleration_weight: float = 0.0,
    ) -> Float[Tensor, ""]:
        """Loss of the reading, and the L1 norm of the mask per pixel."""
        masks = self.masks(frames)
        reading = self.reader.loss(frames * masks, actions, acceleration_weight=acceleration_weight)
        return reading + self.architecture.mask_penalty * masks.mean()
