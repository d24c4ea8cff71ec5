"""RoboTwin's newer HDF5 layout, `data_format_version` v1.0 (main branch of RoboTwin-Platform/RoboTwin).

    <root>/<task>/<embodiment>/data/episode_{i:07d}.hdf5
    <root>/<task>/<embodiment>/instruction/episode_{i:07d}.json      {"seen": [...], "unseen": [...]}

Written by `envs/utils/pkl2hdf5.py` and `scripts/process_data_xpolicylab.py`. Of T recorded frames it keeps
T - 1 pairs: `state` holds the drive targets of frames 0..T-2, `action` those of frames 1..T-1, and `vision`
the images that belong to `state`. So the last image is lost; files of our own keep it in their extra group.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eva_rl.data.damage import DamagedEpisodeError, damage_named
from eva_rl.data.hdf5_files import array, has, numbers, text, whole_file
from eva_rl.data.pictures import check_whole, frames_of
from eva_rl.data.robot_names import embodiment_of
from eva_rl.data.robotwin_files import (
    EXTRAS,
    ROBOTWIN_EMBODIMENT,
    Extras,
    Instructions,
    read_extras,
    read_instruction_file,
    split_arms,
    write_atomically,
    write_extras,
)
from eva_rl.data.robotwin_images import JPEG_QUALITY, check_images, decode_swapped, encode_frames
from eva_rl.data.storage import kind_of, parents, replace_end, stem
from eva_rl.data.stored_episode import StoredEpisode
from eva_rl.records.episode import Episode, EpisodeHeader, EpisodeRef

PHYSICS_RATE_HZ = 250
MARK = "data_format_version"
VERSION = "v1.0"
LAST_IMAGE = f"{EXTRAS}/last_image"
CAMERAS = {
    "head_camera": "cam_head",
    "left_camera": "cam_left_wrist",
    "right_camera": "cam_right_wrist",
    "front_camera": "cam_third_view",
}
"""What the legacy layout's cameras are called here."""

JOINTS = {
    "left_arm": "left_arm_joint_states",
    "left_gripper": "left_ee_joint_states",
    "right_arm": "right_arm_joint_states",
    "right_gripper": "right_ee_joint_states",
}
"""What the legacy layout's joint groups are called here, in action order."""


def episode_path(root: Path, task: str, *, embodiment: str, index: int) -> Path:
    """Returns where RoboTwin keeps the HDF5 file of one episode."""
    return root / task / embodiment.replace("-", "_") / "data" / f"episode_{index:07d}.hdf5"


def is_v1(file: object) -> bool:
    """Whether a file is in this layout."""
    return isinstance(file, h5py.File) and has(file, MARK)


def open_v1(file: h5py.File, ref: EpisodeRef) -> StoredEpisode:
    """Opens an episode, written by us or by RoboTwin.

    Raises:
        DamagedEpisodeError: a part is missing or of the wrong kind, or the version is not v1.0.
    """
    version = text(file, MARK, ref.path)
    if version != VERSION:
        raise DamagedEpisodeError(ref.path, f"{MARK} is {version!r}; only {VERSION} is read")
    camera = CAMERAS.get(ref.camera, ref.camera)
    extras = read_extras(file, ref.path)
    images = array(file, f"vision/{camera}/colors", ref.path)
    actions = _joints(file, "state", ref.path)
    if has(file, LAST_IMAGE):
        last = array(file, LAST_IMAGE, ref.path)
        images = np.array([*images, *last])
        following = _joints(file, "action", ref.path)
        if following.shape[1] != actions.shape[1]:
            raise DamagedEpisodeError(
                ref.path, f"state holds {actions.shape[1]} joints, action {following.shape[1]}"
            )
        actions = np.concatenate([actions, following[-1:]])
    check_images(images, num_frames=len(actions), source=ref.path, camera=camera)
    seen, unseen = _instructions(file, ref)
    # .../<embodiment>/data/episode.hdf5; other trees have other names there, which are no robots.
    place = next(iter(parents(ref.path)[1:2]), None)
    header = EpisodeHeader(
        episode_id=ref.episode_id,
        task=ref.task,
        actions=actions,
        measured_positions=extras.measured_positions,
        seen_instructions=seen,
        unseen_instructions=unseen,
        frame_rate_hz=_frame_rate(file, ref, extras=extras),
        camera=ref.camera,
        embodiment=embodiment_of(ref, stated=extras.embodiment or place, usual=ROBOTWIN_EMBODIMENT),
        scene_seed=extras.scene_seed,
        source=ref.path,
        byte_ranges=whole_file(file, ref.path),
    )
    return StoredEpisode(
        header=header,
        decode=partial(frames_of, images, decode=decode_swapped, source=ref.path, camera=camera),
        check_pictures=partial(check_whole, images, source=ref.path, camera=camera),
    )


def write_episode(path: Path, episode: Episode, *, jpeg_quality: int = JPEG_QUALITY) -> None:
    """Writes an episode and its instructions; a crash leaves no half-written episode behind.

    Args:
        path: as `episode_path` gives it.
        episode: of a robot with two arms, at least two frames.
        jpeg_quality: 1..100.

    Raises:
        ValueError: fewer than two frames, not two arms, or other dimensions than the actions.
    """
    if episode.num_frames < 2:
        raise ValueError(f"{episode.episode_id}: {VERSION} holds pairs of frames, got {episode.num_frames}")
    arms = split_arms(episode)

    def fill(file: h5py.File) -> None:
        strings = h5py.string_dtype("utf-8")
        file.attrs["source_format"] = "RoboTwin"
        file.attrs["source_path"] = episode.source
        file.create_dataset(MARK, data=VERSION, dtype=strings)
        texts = json.dumps(list(episode.seen_instructions) or [""], ensure_ascii=False)
        file.create_dataset("instructions", data=texts, dtype=strings)
        file["additional_info/frequency"] = np.int32(round(PHYSICS_RATE_HZ / episode.frame_rate_hz))
        for name, values in arms.items():
            file[f"state/{JOINTS[name]}"] = values[:-1]
            file[f"action/{JOINTS[name]}"] = values[1:]
        images = encode_frames(episode.frames, quality=jpeg_quality)
        vision = file.create_group(f"vision/{CAMERAS.get(episode.camera, episode.camera)}")
        vision["colors"] = images[:-1]
        vision["shape"] = np.array(episode.frames.shape[1:], dtype=np.int32)
        write_extras(file.create_group(EXTRAS), episode)
        file[LAST_IMAGE] = images[-1:]

    write_atomically(path, path.parent.parent / "instruction" / f"{path.stem}.json", episode, fill)


@contextmanager
def v1_writer(directory: Path) -> Iterator[Callable[[Episode], None]]:
    """Opens a directory for episodes; yields a function that writes one, numbered within its task."""
    counts: Counter[tuple[str, str]] = Counter()

    def write(episode: Episode) -> None:
        place = episode.task, episode.embodiment
        write_episode(episode_path(directory, place[0], embodiment=place[1], index=counts[place]), episode)
        counts[place] += 1

    yield write


def _joints(file: h5py.File, group: str, location: str) -> NDArray[np.float32]:
    parts = {name: numbers(file, f"{group}/{name}", location) for name in JOINTS.values()}
    if len({len(part) for part in parts.values()}) != 1:
        lengths = ", ".join(f"{name} {len(part)}" for name, part in parts.items())
        raise DamagedEpisodeError(location, f"{group} holds different numbers of frames: {lengths}")
    return np.concatenate(list(parts.values()), axis=1)


def _instructions(file: h5py.File, ref: EpisodeRef) -> Instructions:
    beside = replace_end(ref.path, num_names=2, by=f"instruction/{stem(ref.path)}.json")
    if kind_of(beside) == "file":
        return read_instruction_file(beside, ref=ref)
    name = "instructions" if has(file, "instructions") else "instruction"
    with damage_named(ref.path, f"its {name} are not text"):
        stored: Any = array(file, name, ref.path)
        texts = [item.decode() if isinstance(item, bytes) else str(item) for item in np.ravel(stored)]
        if len(texts) == 1 and texts[0].startswith("["):
            texts = [str(item) for item in json.loads(texts[0])]
    return tuple(texts), ()


def _frame_rate(file: h5py.File, ref: EpisodeRef, *, extras: Extras) -> float:
    """RoboTwin's `frequency` counts physics steps between frames; what others mean by it, they do not say."""
    stated = extras.frame_rate_hz or ref.frame_rate_hz
    if stated:
        return stated
    name = "additional_info/frequency"
    frequency = array(file, name, ref.path).item()
    source = str(file.attrs.get("source_format", "nothing"))
    if source == "RoboTwin" and frequency > 0:
        return PHYSICS_RATE_HZ / frequency
    raise DamagedEpisodeError(
        ref.path,
        f"{name} is {frequency} and source_format {source}: only RoboTwin's figure (physics steps per frame, "
        "above 0) is known; give the true rate (data.frame_rate_hz, --fps)",
    )
