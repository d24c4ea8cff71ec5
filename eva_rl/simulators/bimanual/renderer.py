"""Chooses how pictures are made."""

from typing import Literal, Protocol

import numpy as np
from jaxtyping import UInt8

from eva_rl.simulators.bimanual.gl_renderer import GlRenderer, RendererUnavailableError
from eva_rl.simulators.bimanual.mujoco_engine import MjData, MjModel
from eva_rl.simulators.bimanual.ray_renderer import RayRenderer

RendererKind = Literal["ray", "gl", "auto"]
# Above this size OpenGL is several times faster than casting rays.
LARGEST_RAY_PICTURE = 128 * 128


class Renderer(Protocol):
    """Anything that turns MuJoCo's state into pictures."""

    def render(self, data: MjData, camera: str) -> UInt8[np.ndarray, "height width 3"]:
        """Return the RGB picture that a named camera sees."""
        ...


def open_renderer(kind: RendererKind, model: MjModel, *, height: int, width: int) -> Renderer:
    """Open a renderer for a model.

    Args:
        kind: "ray" needs nothing but mujoco and is what data and tests use; "gl" needs OpenGL; "auto" takes
            rays up to 128x128 pixels, and above that OpenGL where it works. Pictures of the two kinds differ:
            never mix them in one dataset.
        model: the scene.
        height: picture height, pixels.
        width: picture width, pixels.

    Raises:
        RendererUnavailableError: "gl" without a working OpenGL; the message says what to install.
        ValueError: unknown kind.
    """
    if kind == "ray":
        return RayRenderer(model, height=height, width=width)
    if kind == "gl":
        return GlRenderer(model, height=height, width=width)
    if kind == "auto":
        if height * width <= LARGEST_RAY_PICTURE:
            return RayRenderer(model, height=height, width=width)
        try:
            return GlRenderer(model, height=height, width=width)
        except RendererUnavailableError:
            return RayRenderer(model, height=height, width=width)
    raise ValueError(f"renderer must be 'ray', 'gl' or 'auto', got {kind!r}")
