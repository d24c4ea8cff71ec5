"""The inverse dynamics model: which action does each frame of a video show?"""

from pathlib import Path
from typing import Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eva_rl.idm import store
from eva_rl.idm.architecture import IdmArchitecture
from eva_rl.idm.backbone import FrameBackbone
from eva_rl.idm.losses import idm_loss
from eva_rl.idm.readout import decided, positions_and_logits, window_layers, with_window

CONV_KIND = "conv"


class InverseDynamicsModel(nn.Module):
    """Reads joint positions from every frame of a video and its two neighbours.

    The paper's shape: convolutional backbone, spatial softmax, head over a window of frames. The
    backbone runs once per frame; the window is joined at the features, so a clip costs one pass per frame,
    not three. Joints are regressed in units of their own spread; grippers are classified, because commands
    are open or shut.

    Args:
        architecture: sizes, frame period and window.
    """

    reads: Literal["frames", "latents"] = "frames"

    def __init__(self, architecture: IdmArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        frame_features, window_features = architecture.frame_features, architecture.window_features
        self.backbone = FrameBackbone(architecture)
        self.window = window_layers(frame_features, window_features, num_frames=architecture.window_frames)
        self.head = nn.Linear(frame_features + window_features, architecture.num_dimensions)
        self.register_buffer("position_mean", torch.zeros(architecture.num_dimensions))
        self.register_buffer("position_std", torch.ones(architecture.num_dimensions))

    @classmethod
    def from_directory(cls, directory: str | Path) -> Self:
        """Opens a trained model, in eval mode.

        Raises:
            FileNotFoundError: if weights or config.json are missing.
        """
        return store.open_model(cls, directory, IdmArchitecture, kind=CONV_KIND)

    def save(self, directory: str | Path) -> None:
        """Writes `model.safetensors` and `config.json`."""
        store.write(directory, kind=CONV_KIND, architecture=self.architecture, weights=self.state_dict())

    def set_normalization(self, *, mean: Float[Tensor, " D"], std: Float[Tensor, " D"]) -> None:
        """Sets the units in which joints are regressed; see `eva_rl.idm.normalization`."""
        self.get_buffer("position_mean").copy_(mean)
        self.get_buffer("position_std").copy_(std)

    def forward(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T D"]:
        """Predicts joint positions and gripper logits; differentiable in the frames.

        Args:
            frames: [batch, frames, 3, height, width], in [-1, 1].

        Returns:
            [batch, frames, dimensions]: rad for joints, logits of "open" for grippers.

        Raises:
            ValueError: if the frames have another size than in training.
        """
        self.architecture.check_frame_size(*frames.shape[-2:])
        features = self.backbone(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return positions_and_logits(
            self.head(with_window(features, self.window)),
            mean=self.get_buffer("position_mean"),
            std=self.get_buffer("position_std"),
            gripper_dimensions=self.architecture.gripper_dimensions,
        )

    def decode_positions(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T D"]:
        """Reads executable positions: joints in rad, grippers 0 (closed) or 1 (open).

        Args:
            frames: [batch, frames, 3, height, width], in [-1, 1].
        """
        return decided(self(frames), gripper_dimensions=self.architecture.gripper_dimensions)

    def loss(
        self,
        frames: Float[Tensor, "B T 3 H W"],
        actions: Float[Tensor, "B T D"],
        *,
        acceleration_weight: float = 0.0,
    ) -> Float[Tensor, ""]:
        """Training loss; see `eva_rl.idm.losses.idm_loss`."""
        return idm_loss(
            self(frames),
            actions,
            gripper_dimensions=self.architecture.gripper_dimensions,
            acceleration_weight=acceleration_weight,
        )
