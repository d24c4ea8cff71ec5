"""One recorded demonstration: where it lies, what is known of it, and its pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class EpisodeRef:
    """Where one episode lies and how it is to be read; small enough to send anywhere by the thousand.

    Example:
        EpisodeRef(path="demos/click_bell/embedded/data/episode0.hdf5", index=None,
                   episode_id="click_bell/episode0", task="click_bell", camera="head_camera")
        EpisodeRef(path="s3://bucket/aloha_sim", index=3, episode_id="aloha_sim/episode3", task="aloha_sim")

    Attributes:
        path: episode file, or directory of a LeRobot dataset; a local path or a URI such as s3://bucket/key.
        index: number of the episode inside its dataset; None where the file holds one episode.
        episode_id: unique among the episodes that were listed together.
        task: what the robot does, one word; groups episodes.
        camera: whose pictures are read.
        embodiment: row of EMBODIMENTS, for recordings that name no robot.
        frame_rate_hz: true rate, for recordings that state none.
        root: directory that was listed: nothing outside of it is opened. None where a file itself was named.
    """

    path: str
    index: int | None
    episode_id: str
    task: str
    camera: str = "head_camera"
    embodiment: str | None = None
    frame_rate_hz: float | None = None
    root: str | None = None

    def __str__(self) -> str:
        return self.path if self.index is None else f"{self.path}, episode {self.index}"


@dataclass(frozen=True, kw_only=True)
class ByteRange:
    """Bytes `first` to `end` (exclusive) of a file.

    Example:
        ByteRange(path="aloha_sim/videos/observation.images.top/chunk-000/file-000.mp4", first=48, end=91240)
    """

    path: str
    first: int
    end: int


@dataclass(frozen=True, kw_only=True)
class EpisodeHeader:
    """Everything about an episode but its pictures.

    Example:
        EpisodeHeader(episode_id="click_bell/episode0", task="click_bell", actions=float32[17, 14],
                      measured_positions=float32[17, 14],
                      seen_instructions=("ring the red bell with the left arm",), unseen_instructions=("…",),
                      frame_rate_hz=5.0, camera="head_camera", embodiment="bimanual", scene_seed=3,
                      source="demos/click_bell/embedded/data/episode0.hdf5",
                      byte_ranges=(ByteRange(path="demos/…/episode0.hdf5", first=0, end=98304),))

    Attributes:
        actions: [frames, dimensions], joint **drive targets** (rad; grippers 0 closed .. 1 open).
        measured_positions: [frames, dimensions], measured joints where the recording has them.
        frame_rate_hz: true rate of the frames, never a container's label.
        camera: whose pictures these are, as the recording calls it.
        scene_seed: seed that rebuilds the scene in its simulator, None for real recordings.
        source: what to name in a message about this episode: its file, or its dataset and number.
        byte_ranges: where the episode's bytes lie; empty for what never was in a file.
    """

    episode_id: str
    task: str
    actions: NDArray[np.float32]
    measured_positions: NDArray[np.float32] | None
    seen_instructions: tuple[str, ...]
    unseen_instructions: tuple[str, ...]
    frame_rate_hz: float
    camera: str
    embodiment: str
    scene_seed: int | None
    source: str
    byte_ranges: tuple[ByteRange, ...] = ()

    @property
    def num_frames(self) -> int:
        """Number of frames, each with its drive targets."""
        return len(self.actions)


@dataclass(frozen=True, kw_only=True)
class Episode(EpisodeHeader):
    """One recorded demonstration, real or simulated, with its pictures.

    Example:
        Episode(frames=uint8[17, 48, 64, 3], ...)  # and the fields of EpisodeHeader

    Attributes:
        frames: [frames, height, width, 3], RGB, 0..255.
    """

    frames: NDArray[np.uint8]
