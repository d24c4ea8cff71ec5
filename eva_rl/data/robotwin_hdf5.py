"""Episodes in RoboTwin's HDF5 layout ("legacy", branch stable_2.0 of RoboTwin-Platform/RoboTwin).

    <root>/<task>/<task_config>/data/episode{i}.hdf5            i from 0, no zero padding
    <root>/<task>/<task_config>/instructions/episode{i}.json    {"seen": [...], "unseen": [...]}

What only our simulator knows (frame rate, scene seed, embodiment, measured positions) lies in an extra group
`eva_rl` that RoboTwin's readers ignore.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eva_rl.data.robotwin_images import JPEG_QUALITY, decode_frames, encode_frames
from eva_rl.records.episode import Episode

ROBOTWIN_FRAME_RATE_HZ = 250 / 15
"""Physics at 250 Hz, a frame every 15 steps; the 30 fps that its mp4 files state is not the rate."""

ROBOTWIN_EMBODIMENT = "aloha-agilex"
HEAD_CAMERA = "head_camera"
EXTRAS = "eva_rl"
MEASURED_POSITIONS = f"{EXTRAS}/measured_positions"


class DamagedEpisodeError(ValueError):
    """An episode file that cannot be used; names the file and the reason."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(str(path), reason)
        self.path = str(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def episode_path(root: Path, task: str, *, task_config: str, index: int) -> Path:
    """Returns where RoboTwin keeps the HDF5 file of one episode."""
    return root / task / task_config / "data" / f"episode{index}.hdf5"


def instruction_path(path: Path) -> Path:
    """Returns the instruction file that belongs to an episode's HDF5 file."""
    return path.parent.parent / "instructions" / f"{path.stem}.json"


def write_episode(path: Path, episode: Episode, *, jpeg_quality: int = JPEG_QUALITY) -> None:
    """Writes an episode and its instructions; a crash leaves no half-written episode behind.

    Args:
        path: as `episode_path` gives it.
        episode: two arms with equally many joints (`actions`: [frames, even number]).
        jpeg_quality: 1..100.

    Raises:
        ValueError: the two arms cannot be told apart because the number of dimensions is odd.
    """
    num_dimensions = episode.actions.shape[1]
    if num_dimensions % 2:
        raise ValueError(
            f"{episode.episode_id}: actions have {num_dimensions} dimensions, "
            "two equal arms need an even number"
        )
    instructions = instruction_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    instructions.parent.mkdir(parents=True, exist_ok=True)
    texts = {"seen": list(episode.seen_instructions), "unseen": list(episode.unseen_instructions)}
    instructions.write_text(json.dumps(texts, indent=1))
    unfinished = path.with_suffix(f".partial{os.getpid()}")
    with h5py.File(unfinished, "w") as file:
        _write_robotwin_part(file, episode, jpeg_quality=jpeg_quality)
        _write_extras(file.create_group(EXTRAS), episode)
    unfinished.replace(path)


def read_episode(
    path: Path,
    *,
    camera: str = HEAD_CAMERA,
    default_frame_rate_hz: float = ROBOTWIN_FRAME_RATE_HZ,
    default_embodiment: str = ROBOTWIN_EMBODIMENT,
) -> Episode:
    """Reads one episode, written by us or by RoboTwin.

    Args:
        path: the HDF5 file; task and episode name come from its place in the tree.
        camera: group below `observation`.
        default_frame_rate_hz: rate of files that do not state it, as RoboTwin's own.
        default_embodiment: robot of files that do not state it.

    Returns:
        The episode; `scene_seed` and `measured_positions` are None where the file has none.

    Raises:
        DamagedEpisodeError: the file is truncated, in another layout, or lacks a part.
    """
    seen, unseen = read_instructions(path)
    try:
        with h5py.File(path, "r") as file:
            _check_layout(file, path)
            actions = _array(file, "joint_action/vector", path).astype(np.float32)
            images = _array(file, f"observation/{camera}/rgb", path)
            extras: dict[str, Any] = dict(file[EXTRAS].attrs) if EXTRAS in file else {}
            measured = _array(file, MEASURED_POSITIONS, path) if MEASURED_POSITIONS in file else None
    except OSError as error:
        raise DamagedEpisodeError(path, f"not readable ({error})") from error
    try:
        frames = decode_frames(images)
    except (OSError, ValueError) as error:
        raise DamagedEpisodeError(path, f"images of {camera} not readable ({error})") from error
    task = path.parents[2].name
    return Episode(
        episode_id=f"{task}/{path.stem}",
        task=task,
        frames=frames,
        actions=actions,
        measured_positions=measured,
        seen_instructions=seen,
        unseen_instructions=unseen,
        frame_rate_hz=float(extras.get("frame_rate_hz", default_frame_rate_hz)),
        camera=camera,
        embodiment=str(extras.get("embodiment", default_embodiment)),
        scene_seed=int(extras["scene_seed"]) if "scene_seed" in extras else None,
        source=str(path),
    )


def read_instructions(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Reads the seen and the unseen instructions of an episode.

    Args:
        path: the episode's HDF5 file.

    Raises:
        DamagedEpisodeError: the instruction file is missing or not one.
    """
    file = instruction_path(path)
    try:
        texts = json.loads(file.read_text())
        return tuple(texts["seen"]), tuple(texts["unseen"])
    except FileNotFoundError as error:
        raise DamagedEpisodeError(path, f"its instruction file {file} is missing") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DamagedEpisodeError(
            path, f"its instruction file {file} is not {{'seen': [...], 'unseen': [...]}}"
        ) from error


def read_actions(paths: Sequence[Path]) -> NDArray[np.float32]:
    """Reads the drive targets of episodes without decoding a picture.

    Returns:
        [frames of all episodes, dimensions], rad; grippers 0..1.

    Raises:
        DamagedEpisodeError: a file is truncated or in another layout.
    """
    parts = []
    for path in paths:
        try:
            with h5py.File(path, "r") as file:
                _check_layout(file, path)
                parts.append(_array(file, "joint_action/vector", path))
        except OSError as error:
            raise DamagedEpisodeError(path, f"not readable ({error})") from error
    return np.concatenate(parts).astype(np.float32)


def _write_robotwin_part(file: h5py.File, episode: Episode, *, jpeg_quality: int) -> None:
    actions = episode.actions.astype(np.float32)
    middle = actions.shape[1] // 2
    joint_action = file.create_group("joint_action")
    joint_action["vector"] = actions
    joint_action["left_arm"] = actions[:, : middle - 1]
    joint_action["left_gripper"] = actions[:, middle - 1]
    joint_action["right_arm"] = actions[:, middle:-1]
    joint_action["right_gripper"] = actions[:, -1]
    file[f"observation/{episode.camera}/rgb"] = encode_frames(episode.frames, quality=jpeg_quality)


def _write_extras(extras: h5py.Group, episode: Episode) -> None:
    extras.attrs["frame_rate_hz"] = episode.frame_rate_hz
    extras.attrs["embodiment"] = episode.embodiment
    if episode.scene_seed is not None:
        extras.attrs["scene_seed"] = episode.scene_seed
    if episode.measured_positions is not None:
        extras["measured_positions"] = episode.measured_positions.astype(np.float32)


def _check_layout(file: h5py.File, path: Path) -> None:
    if "joint_action/vector" in file:
        return
    found = "data_format_version (its newer layout)" if "data_format_version" in file else "neither"
    raise DamagedEpisodeError(
        path,
        "expected joint_action/vector (RoboTwin's legacy layout) or data_format_version, "
        f"found {found}; only the legacy layout is read",
    )


def _array(file: h5py.File, name: str, path: Path) -> NDArray[Any]:
    dataset = file.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise DamagedEpisodeError(path, f"has no dataset {name}")
    return np.asarray(dataset)
