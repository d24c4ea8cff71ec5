"""An inverse dynamics model of codec latents: joint positions without a decoded pixel."""

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from eva_rl.idm.latent_architecture import LatentIdmArchitecture
from eva_rl.idm.latent_backbone import LatentBackbone
from eva_rl.idm.reader import FeatureReader

LATENT_KIND = "latent"


class LatentIdm(FeatureReader[LatentIdmArchitecture]):
    """Reads joint positions from every frame of a clip that is still encoded.

    A causal video codec packs a first frame alone and then `frames_per_latent` frames into each latent
    frame. The backbone runs once per latent frame and gives features of all its frames.

    Args:
        architecture: sizes, codec, frame period and window.
    """

    kind: ClassVar[str] = LATENT_KIND
    sizes = LatentIdmArchitecture
    reads: Literal["frames", "latents"] = "latents"

    def __init__(self, architecture: LatentIdmArchitecture) -> None:
        super().__init__(architecture, LatentBackbone(architecture))

    def features(self, inputs: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B T features"]:
        """Features of every frame.

        Args:
            inputs: [batch, channels, latent frames, height, width], normalised.
        """
        self.architecture.check_latent_size(inputs.shape[1], *inputs.shape[-2:])
        return self.backbone(inputs.float())
