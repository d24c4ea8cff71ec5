"""The clips of a rollout group: latents, and frames for whoever asks for them."""

from collections.abc import Callable
from functools import cached_property

from jaxtyping import Float
from torch import Tensor


class RolloutClips:
    """Clips that are decoded once, and only if somebody looks at their frames.

    Args:
        latents: [members, channels, latent frames, height, width], normalised.
        decode: latents -> frames in [-1, 1].
    """

    def __init__(self, latents: Tensor, *, decode: Callable[[Tensor], Tensor]) -> None:
        self.latents = latents
        self._decode = decode
        self._is_decoded = False

    @cached_property
    def frames(self) -> Float[Tensor, "members frames 3 height width"]:
        """Frames in [-1, 1]."""
        self._is_decoded = True
        return self._decode(self.latents)

    @property
    def is_decoded(self) -> bool:
        """Whether somebody has looked at the frames, so that looking again is free."""
        return self._is_decoded
