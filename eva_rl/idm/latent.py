"""An inverse dynamics model of codec latents: joint positions without a decoded pixel."""

from pathlib import Path
from typing import Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eva_rl.idm import store
from eva_rl.idm.latent_architecture import LatentIdmArchitecture
from eva_rl.idm.latent_backbone import LatentBackbone
from eva_rl.idm.losses import idm_loss
from eva_rl.idm.readout import decided, positions_and_logits, window_layers, with_window

LATENT_KIND = "latent"


class LatentIdm(nn.Module):
    """Reads joint positions from every frame of a clip that is still encoded.

    A causal video codec packs a first frame alone and then `frames_per_latent` frames into each latent
    frame. The backbone runs once per latent frame and gives features of all its frames; from there on the
    network is the small model's: window, then head.

    Args:
        architecture: sizes, codec, frame period and window.
    """

    reads: Literal["frames", "latents"] = "latents"

    def __init__(self, architecture: LatentIdmArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        frame_features, window_features = architecture.frame_features, architecture.window_features
        self.backbone = LatentBackbone(architecture)
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
        return store.open_model(cls, directory, LatentIdmArchitecture, kind=LATENT_KIND)

    def save(self, directory: str | Path) -> None:
        """Writes `model.safetensors` and `config.json`."""
        store.write(directory, kind=LATENT_KIND, architecture=self.architecture, weights=self.state_dict())

    def set_normalization(self, *, mean: Float[Tensor, " D"], std: Float[Tensor, " D"]) -> None:
        """Sets the units in which joints are regressed; see `eva_rl.idm.normalization`."""
        self.get_buffer("position_mean").copy_(mean)
        self.get_buffer("position_std").copy_(std)

    def forward(self, latents: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B T D"]:
        """Predicts joint positions and gripper logits; differentiable in the latents.

        Args:
            latents: [batch, channels, latent frames, height, width], normalised.

        Returns:
            [batch, frames, dimensions]: rad for joints, logits of "open" for grippers.

        Raises:
            ValueError: if the latents have another size than in training.
        """
        self.architecture.check_latent_size(latents.shape[1], *latents.shape[-2:])
        features = self.backbone(latents.float())
        return positions_and_logits(
            self.head(with_window(features, self.window)),
            mean=self.get_buffer("position_mean"),
            std=self.get_buffer("position_std"),
            gripper_dimensions=self.architecture.gripper_dimensions,
        )

    def decode_positions(self, latents: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B T D"]:
        """Reads executable positions: joints in rad, grippers 0 (closed) or 1 (open).

        Args:
            latents: [batch, channels, latent frames, height, width], normalised.
        """
        return decided(self(latents), gripper_dimensions=self.architecture.gripper_dimensions)

    def loss(
        self,
        latents: Float[Tensor, "B C F h w"],
        actions: Float[Tensor, "B T D"],
        *,
        acceleration_weight: float = 0.0,
    ) -> Float[Tensor, ""]:
        """Training loss; see `eva_rl.idm.losses.idm_loss`."""
        return idm_loss(
            self(latents),
            actions,
            gripper_dimensions=self.architecture.gripper_dimensions,
            acceleration_weight=acceleration_weight,
        )
