"""The inverse dynamics model: which action does each frame of a video show?"""

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from eva_rl.idm.architecture import IdmArchitecture
from eva_rl.idm.backbone import FrameBackbone
from eva_rl.idm.reader import FeatureReader

CONV_KIND = "conv"


class InverseDynamicsModel(FeatureReader[IdmArchitecture]):
    """Reads joint positions from every frame of a video and its two neighbours.

    The paper's shape: convolutional backbone, spatial softmax, head over a window of frames. The
    backbone runs once per frame; the window is joined at the features, so a clip costs one pass per frame,
    not three.

    Args:
        architecture: sizes, frame period and window.
    """

    kind: ClassVar[str] = CONV_KIND
    sizes = IdmArchitecture
    reads: Literal["frames", "latents"] = "frames"

    def __init__(self, architecture: IdmArchitecture) -> None:
        super().__init__(architecture, FrameBackbone(architecture))

    def features(self, inputs: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T features"]:
        """Features of every frame.

        Args:
            inputs: [batch, frames, 3, height, width], in [-1, 1].
        """
        self.architecture.check_frame_size(*inputs.shape[-2:])
        return self.backbone(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])
