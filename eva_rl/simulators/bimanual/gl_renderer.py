"""Pictures through OpenGL: faster and smoother for large frames, but needs a GL library."""

import numpy as np
from jaxtyping import UInt8

from eva_rl.simulators.bimanual.mujoco_engine import FatalError, MjData, MjModel, Renderer


class RendererUnavailableError(RuntimeError):
    """OpenGL cannot be used on this machine as it is set up."""


class GlRenderer:
    """MuJoCo's own OpenGL renderer behind the ray renderer's interface.

    Args:
        model: the scene.
        height: picture height, pixels.
        width: picture width, pixels.

    Raises:
        RendererUnavailableError: no OpenGL context can be made.
    """

    def __init__(self, model: MjModel, *, height: int, width: int) -> None:
        try:
            self._renderer = Renderer(model, height, width)
        # What is raised depends on what is missing: FatalError without a platform library, AttributeError on
        # an absent function, ImportError or OSError on an absent file.
        except (FatalError, AttributeError, ImportError, OSError, RuntimeError) as error:
            raise RendererUnavailableError(
                f"OpenGL rendering is not available here ({type(error).__name__}: {error}). Use "
                "renderer='ray', which needs no OpenGL; or install libegl1 (without a GPU libegl-mesa0 and "
                "libgl1-mesa-dri too) and set MUJOCO_GL=egl before Python starts; or install libosmesa6 and "
                "set MUJOCO_GL=osmesa PYOPENGL_PLATFORM=osmesa"
            ) from error

    def render(self, data: MjData, camera: str) -> UInt8[np.ndarray, "height width 3"]:
        """Return the RGB picture that a named camera sees."""
        self._renderer.update_scene(data, camera)
        return self._renderer.render()

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()
