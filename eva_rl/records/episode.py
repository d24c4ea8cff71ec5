"""One recorded demonstration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One recorded demonstration, real or simulated.

    Example:
        Episode(episode_id="click_bell/episode0", task="click_bell",
                frames=uint8[17, 48, 64, 3], actions=float32[17, 14], measured_positions=float32[17, 14],
                seen_instructions=("ring the red bell with the left arm",), unseen_instructions=("…",),
                frame_rate_hz=5.0, camera="head_camera", embodiment="bimanual", scene_seed=3,
                source="data/click_bell/embedded/data/episode0.hdf5")

    Attributes:
        frames: [frames, height, width, 3], RGB, 0..255.
        actions: [frames, dimensions], joint **drive targets** (rad; grippers 0 closed .. 1 open).
        measured_positions: [frames, dimensions], measured joints where the recording has them.
        frame_rate_hz: true rate of the frames, never a container's label.
        scene_seed: seed that rebuilds the scene in its simulator, None for real recordings.
        source: file the episode was read from.
    """

    episode_id: str
    task: str
    frames: NDArray[np.uint8]
    actions: NDArray[np.float32]
    measured_positions: NDArray[np.float32] | None
    seen_instructions: tuple[str, ...]
    unseen_instructions: tuple[str, ...]
    frame_rate_hz: float
    camera: str
    embodiment: str
    scene_seed: int | None
    source: str
