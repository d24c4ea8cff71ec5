"""Small clips as H.264 video that any browser plays."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8

SCALE = 4
GAP_PIXELS = 8
GAP_GREY = 128
SLOWDOWN = 2.0
X264 = "-c:v libx264 -pix_fmt yuv420p -crf 18 -preset medium -tune animation -movflags +faststart -threads 1"


def side_by_side(
    clips: Sequence[UInt8[np.ndarray, "frames height width 3"]],
) -> UInt8[np.ndarray, "frames rows columns 3"]:
    """Enlarges clips of one size by whole pixels and puts them next to each other; sides come out even.

    Args:
        clips: RGB frames; shorter clips hold their last frame.
    """
    num_frames = max(len(clip) for clip in clips)
    panels = []
    for clip in clips:
        held = clip[np.minimum(np.arange(num_frames), len(clip) - 1)]
        panels += [held.repeat(SCALE, axis=1).repeat(SCALE, axis=2), _gap(num_frames, SCALE * clip.shape[1])]
    return np.concatenate(panels[:-1], axis=2)


def encode_mp4(frames: UInt8[np.ndarray, "frames rows columns 3"], *, frames_per_second: float) -> bytes:
    """Encodes RGB frames as H.264 in yuv420p, the one format that every browser plays.

    Args:
        frames: even numbers of rows and columns.
        frames_per_second: playback rate.

    Raises:
        ValueError: an odd number of rows or columns, which yuv420p cannot hold.
    """
    _, rows, columns, _ = frames.shape
    if rows % 2 or columns % 2:
        raise ValueError(f"H.264 in yuv420p needs even rows and columns, got {rows}x{columns}")
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "clip.mp4"  # a file, because the index is moved to the front at the end
        source = f"-f rawvideo -pix_fmt rgb24 -s {columns}x{rows} -framerate {frames_per_second} -i pipe:0"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source.split(), *X264.split(), str(file)]
        subprocess.run(command, input=np.ascontiguousarray(frames).tobytes(), check=True, capture_output=True)
        return file.read_bytes()


def _gap(num_frames: int, rows: int) -> UInt8[np.ndarray, "frames rows columns 3"]:
    return np.full((num_frames, rows, GAP_PIXELS, 3), GAP_GREY, dtype=np.uint8)
