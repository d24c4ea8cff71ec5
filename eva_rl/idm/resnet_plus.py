"""ResNet-50 "plus": EVA's inverse dynamics model, able to hold its released weights."""

from pathlib import Path
from typing import Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from eva_rl.idm import store
from eva_rl.idm.bottlenecks import ResNet50Maps
from eva_rl.idm.grippers import with_hysteresis
from eva_rl.idm.resnet_plus_architecture import ResNetPlusArchitecture

RESNET_PLUS_KIND = "resnet_plus"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HEAD_WIDTHS = (1024, 512)
DROPOUT = 0.1
WINDOWS_PER_PASS = 16  # bounds memory: the first layers see 512x512 pictures


class SpatialSoftmax(nn.Module):
    """Expected row and column of every map, with one learned temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(1))

    def forward(self, maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C2"]:
        """Rows of all maps, then columns of all maps, each on -1 .. 1."""
        height, width = maps.shape[-2:]
        shares = (maps.flatten(2) / self.temperature).softmax(dim=-1).unflatten(-1, (height, width))
        rows = torch.linspace(-1, 1, height).to(maps)
        columns = torch.linspace(-1, 1, width).to(maps)
        return torch.cat([shares.sum(dim=3) @ rows, shares.sum(dim=2) @ columns], dim=1)


class WindowNetwork(nn.Module):
    """From the stacked frames of a window to one normalised action.

    Args:
        architecture: sizes.
    """

    def __init__(self, architecture: ResNetPlusArchitecture) -> None:
        super().__init__()
        self.backbone = ResNet50Maps(3 * architecture.window_frames, width=architecture.width)
        self.spatial_softmax = SpatialSoftmax()
        wide, narrow = HEAD_WIDTHS
        self.mlp_head = nn.Sequential(
            nn.Linear(2 * self.backbone.num_outputs, wide),
            nn.LayerNorm(wide),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(wide, narrow),
            nn.GELU(),
            nn.Linear(narrow, architecture.num_dimensions),
        )

    def forward(self, windows: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """One action per window, in units of its spread."""
        return self.mlp_head(self.spatial_softmax(self.backbone(windows)))


class ResNetPlusModel(nn.Module):
    """Reads joint positions from every frame of a video and a neighbour on either side.

    Architecture and names follow `resnet_plus` of the public source ReshineWang/vidar. Departures: clips are
    resized and normalised inside, and windows are cut here, their reach given in seconds.

    Args:
        architecture: sizes, frame period and window.
    """

    reads: Literal["frames", "latents"] = "frames"

    def __init__(self, architecture: ResNetPlusArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.model = WindowNetwork(architecture)
        self.register_buffer("train_mean", torch.zeros(architecture.num_dimensions))
        self.register_buffer("train_std", torch.ones(architecture.num_dimensions))

    @classmethod
    def from_directory(cls, directory: str | Path) -> Self:
        """Opens a trained model, in eval mode.

        Raises:
            FileNotFoundError: if weights or config.json are missing.
        """
        return store.open_model(cls, directory, ResNetPlusArchitecture, kind=RESNET_PLUS_KIND)

    def save(self, directory: str | Path) -> None:
        """Writes `model.safetensors` and `config.json`."""
        store.write(
            directory, kind=RESNET_PLUS_KIND, architecture=self.architecture, weights=self.state_dict()
        )

    def set_normalization(self, *, mean: Float[Tensor, " D"], std: Float[Tensor, " D"]) -> None:
        """Sets the units in which actions are regressed."""
        self.get_buffer("train_mean").copy_(mean)
        self.get_buffer("train_std").copy_(std)

    def forward(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T D"]:
        """Predicts positions, grippers as continuous openings; differentiable in the frames.

        Args:
            frames: [batch, frames, 3, height, width], RGB in [-1, 1], of any size.
        """
        pictures = self._pictures(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        offset, last = self.architecture.offset_frames, frames.shape[1] - 1
        centres = torch.arange(frames.shape[1], device=frames.device)
        neighbours = [(centres + shift).clamp(0, last) for shift in (-offset, 0, offset)]
        windows = torch.cat([pictures[:, places] for places in neighbours], dim=2).flatten(0, 1)
        actions = torch.cat([self.model(part) for part in windows.split(WINDOWS_PER_PASS)])
        positions = actions.float() * self.get_buffer("train_std") + self.get_buffer("train_mean")
        return positions.unflatten(0, frames.shape[:2])

    def decode_positions(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T D"]:
        """Reads executable positions: joints in rad, grippers within 0 (closed) .. 1 (open).

        Args:
            frames: [batch, frames, 3, height, width], RGB in [-1, 1].
        """
        positions = self(frames).clone()
        grippers = list(self.architecture.gripper_dimensions)
        openings = positions[..., grippers]
        if self.architecture.gripper_readout == "hysteresis":
            openings = with_hysteresis(openings.transpose(1, 2)).transpose(1, 2)
        positions[..., grippers] = openings.clamp(0, 1)
        return positions

    def soft_positions(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T D"]:
        """Reads joints in rad and grippers as they are regressed, without hysteresis: differentiable in both.

        Args:
            frames: [batch, frames, 3, height, width], RGB in [-1, 1].
        """
        positions = self(frames).clone()
        grippers = list(self.architecture.gripper_dimensions)
        positions[..., grippers] = positions[..., grippers].clamp(0, 1)
        return positions

    def loss(
        self,
        frames: Float[Tensor, "B T 3 H W"],
        actions: Float[Tensor, "B T D"],
        *,
        acceleration_weight: float = 0.0,
    ) -> Float[Tensor, ""]:
        """Smooth L1 (beta 1) on actions in units of their spread, grippers included, as in the source.

        Args:
            frames: [batch, frames, 3, height, width], in [-1, 1].
            actions: [batch, frames, dimensions], recorded drive targets: rad, grippers 0..1.
            acceleration_weight: of the same loss on the error's second differences; 0 leaves them out.
        """
        errors = (self(frames) - actions) / self.get_buffer("train_std")
        loss = functional.smooth_l1_loss(errors, torch.zeros_like(errors))
        if acceleration_weight > 0:
            bends = errors.diff(n=2, dim=-2)
            loss = loss + acceleration_weight * functional.smooth_l1_loss(bends, torch.zeros_like(bends))
        return loss

    def _pictures(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 3 S S"]:
        """Resizes frames and normalises them like ImageNet's."""
        size = (self.architecture.input_size, self.architecture.input_size)
        pictures = (frames / 2 + 0.5).clamp(0, 1)
        if pictures.shape[-2:] != size:
            pictures = functional.interpolate(pictures, size, mode="bilinear", antialias=True)
        if self.architecture.channel_order == "bgr":
            pictures = pictures.flip(1)
        mean, std = (
            torch.tensor(values).to(pictures)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD)
        )
        return (pictures - mean) / std
