"""What the small models share: from features of every frame to joint positions."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eva_rl.idm import store
from eva_rl.idm.architecture import IdmArchitecture
from eva_rl.idm.latent_architecture import LatentIdmArchitecture
from eva_rl.idm.losses import idm_loss
from eva_rl.idm.readout import decided, positions_and_logits, softened, window_layers, with_window

Sizes = TypeVar("Sizes", IdmArchitecture, LatentIdmArchitecture)


class FeatureReader(nn.Module, ABC, Generic[Sizes]):
    """A window over the features of frames, then a head. Subclasses say where the features come from.

    Joints are regressed in units of their own spread; grippers are classified, because commands are open or
    shut.

    Args:
        architecture: sizes, frame period and window.
        backbone: what gives the features.
    """

    kind: ClassVar[str]
    sizes: ClassVar[type[Any]]
    reads: Literal["frames", "latents"]

    def __init__(self, architecture: Sizes, backbone: nn.Module) -> None:
        super().__init__()
        self.architecture = architecture
        frame_features, window_features = architecture.frame_features, architecture.window_features
        self.backbone = backbone
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
        return store.open_model(cls, directory, cls.sizes, kind=cls.kind)

    def save(self, directory: str | Path) -> None:
        """Writes `model.safetensors` and `config.json`."""
        store.write(directory, kind=self.kind, architecture=self.architecture, weights=self.state_dict())

    def set_normalization(self, *, mean: Float[Tensor, " D"], std: Float[Tensor, " D"]) -> None:
        """Sets the units in which joints are regressed; see `eva_rl.idm.normalization`."""
        self.get_buffer("position_mean").copy_(mean)
        self.get_buffer("position_std").copy_(std)

    @abstractmethod
    def features(self, inputs: Tensor) -> Float[Tensor, "B T features"]:
        """Features of every frame.

        Args:
            inputs: frames or latents, as `reads` says.
        """

    def forward(self, inputs: Tensor) -> Float[Tensor, "B T D"]:
        """Predicts joint positions and gripper logits; differentiable in the inputs.

        Args:
            inputs: frames [batch, frames, 3, height, width] in [-1, 1], or normalised latents
                [batch, channels, latent frames, height, width].

        Returns:
            [batch, frames, dimensions]: rad for joints, logits of "open" for grippers.

        Raises:
            ValueError: if the inputs have another size than in training.
        """
        return positions_and_logits(
            self.head(with_window(self.features(inputs), self.window)),
            mean=self.get_buffer("position_mean"),
            std=self.get_buffer("position_std"),
            gripper_dimensions=self.architecture.gripper_dimensions,
        )

    def decode_positions(self, inputs: Tensor) -> Float[Tensor, "B T D"]:
        """Reads executable positions: joints in rad, grippers 0 (closed) or 1 (open).

        Args:
            inputs: as for `forward`.
        """
        return decided(self(inputs), gripper_dimensions=self.architecture.gripper_dimensions)

    def soft_positions(self, inputs: Tensor) -> Float[Tensor, "B T D"]:
        """Reads joints in rad and how probably each gripper is open; differentiable in both.

        Args:
            inputs: as for `forward`.
        """
        return softened(self(inputs), gripper_dimensions=self.architecture.gripper_dimensions)

    def loss(
        self, inputs: Tensor, actions: Float[Tensor, "B T D"], *, acceleration_weight: float = 0.0
    ) -> Float[Tensor, ""]:
        """Training loss; see `eva_rl.idm.losses.idm_loss`."""
        return idm_loss(
            self(inputs),
            actions,
            gripper_dimensions=self.architecture.gripper_dimensions,
            acceleration_weight=acceleration_weight,
        )
