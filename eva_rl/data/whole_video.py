"""A whole video, or its frames in a NumPy file, as one array."""

from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

CONTAINERS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg"}
"""No playlists: they make ffmpeg open whatever they name."""


class UnreadableVideoError(ValueError):
    """A file that holds no frames; the message names it."""


def read_frames(path: str | Path) -> tuple[UInt8[np.ndarray, "frames height width 3"], float | None]:
    """Reads every frame.

    Args:
        path: video file of any container, or `.npy` with [frames, height, width, 3] uint8.

    Returns:
        The frames, RGB 0..255, and the rate that the container names, Hz; None for NumPy files. The rate of a
        container need not be the true one: RoboTwin's own videos say 30 Hz and hold 16.67.

    Raises:
        UnreadableVideoError: missing, damaged, of another shape or without frames.
    """
    path = Path(path)
    if not path.is_file():
        raise UnreadableVideoError(f"{path} is missing: name a video file, or a .npy of frames")
    return (_read_array(path), None) if path.suffix == ".npy" else _read_video(path)


def _read_array(path: Path) -> UInt8[np.ndarray, "frames height width 3"]:
    try:
        frames = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UnreadableVideoError(f"{path} is damaged or no NumPy file: {error}") from error
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise UnreadableVideoError(
            f"{path} must hold uint8 of shape [frames, height, width, 3], got {frames.dtype} of "
            f"{list(frames.shape)}"
        )
    return frames


def _read_video(path: Path) -> tuple[UInt8[np.ndarray, "frames height width 3"], float | None]:
    try:
        with av.open(str(path), options=CONTAINERS) as container:
            if not container.streams.video:
                raise UnreadableVideoError(f"{path} holds no video")
            stream = container.streams.video[0]
            rate = float(stream.average_rate) if stream.average_rate else None
            promised = stream.frames
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    except av.FFmpegError as error:
        raise UnreadableVideoError(f"{path} is damaged or no video: {error}") from error
    if not frames or len(frames) < promised:
        raise UnreadableVideoError(
            f"{path} is cut: {len(frames)} frames could be decoded, its header promises {promised}"
        )
    return np.stack(frames), rate
