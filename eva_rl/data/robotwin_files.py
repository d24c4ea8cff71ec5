"""What RoboTwin's two HDF5 layouts have in common: instruction files, and our extra group.

What only our simulator knows (frame rate, scene seed, embodiment, measured positions) lies in an extra group
`eva_rl` that RoboTwin's readers ignore.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eva_rl.data.containment import inside
from eva_rl.data.damage import DamagedEpisodeError, damage_named
from eva_rl.data.hdf5_files import has, numbers
from eva_rl.data.storage import read_bytes, replace_end
from eva_rl.embodiments.table import EMBODIMENTS
from eva_rl.records.episode import Episode, EpisodeRef

ROBOTWIN_EMBODIMENT = "aloha-agilex"
HEAD_CAMERA = "head_camera"
EXTRAS = "eva_rl"
MEASURED_POSITIONS = f"{EXTRAS}/measured_positions"

Instructions = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What our extra group says; everything None in RoboTwin's own files.

    Example:
        Extras(frame_rate_hz=5.0, embodiment="bimanual", scene_seed=3, measured_positions=float32[17, 14])
    """

    frame_rate_hz: float | None
    embodiment: str | None
    scene_seed: int | None
    measured_positions: NDArray[np.float32] | None


def read_extras(file: h5py.File, location: str) -> Extras:
    """Reads the extra group, if there is one."""
    stated: dict[str, Any] = dict(file[EXTRAS].attrs) if has(file, EXTRAS) else {}
    return Extras(
        frame_rate_hz=float(stated["frame_rate_hz"]) if "frame_rate_hz" in stated else None,
        embodiment=str(stated["embodiment"]) if "embodiment" in stated else None,
        scene_seed=int(stated["scene_seed"]) if "scene_seed" in stated else None,
        measured_positions=numbers(file, MEASURED_POSITIONS, location)
        if has(file, MEASURED_POSITIONS)
        else None,
    )


def write_extras(extras: h5py.Group, episode: Episode) -> None:
    """Writes what RoboTwin's layouts have no place for."""
    extras.attrs["frame_rate_hz"] = episode.frame_rate_hz
    extras.attrs["embodiment"] = episode.embodiment
    if episode.scene_seed is not None:
        extras.attrs["scene_seed"] = episode.scene_seed
    if episode.measured_positions is not None:
        extras["measured_positions"] = episode.measured_positions.astype(np.float32)


def read_instruction_file(location: str, *, ref: EpisodeRef) -> Instructions:
    """Reads the seen and the unseen instructions from an episode's instruction file.

    Args:
        location: {"seen": [...], "unseen": [...]}.
        ref: the episode, to be named in a message.

    Raises:
        DamagedEpisodeError: the file is missing or not one, or leads out of the dataset.
    """
    root = ref.root or replace_end(ref.path, num_names=2, by="")
    try:
        content = read_bytes(inside(location, root, source=ref.path))
    except FileNotFoundError as error:
        raise DamagedEpisodeError(ref.path, f"its instruction file {location} is missing") from error
    with damage_named(ref.path, f"its instruction file {location} is not {{'seen': [...], 'unseen': [...]}}"):
        texts = json.loads(content)
        seen, unseen = texts["seen"], texts["unseen"]
        if not isinstance(seen, list) or not isinstance(unseen, list):
            raise TypeError("no lists")
        return tuple(seen), tuple(unseen)


def write_atomically(
    path: Path, instructions: Path, episode: Episode, write: Callable[[h5py.File], None]
) -> None:
    """Writes an instruction file, then an HDF5 file that appears only when it is complete.

    Args:
        path: of the HDF5 file.
        instructions: of the instruction file.
        episode: whose instructions are written.
        write: fills the HDF5 file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    instructions.parent.mkdir(parents=True, exist_ok=True)
    texts = {"seen": list(episode.seen_instructions), "unseen": list(episode.unseen_instructions)}
    instructions.write_text(json.dumps(texts, indent=1, ensure_ascii=False), encoding="utf-8")
    unfinished = path.with_suffix(f".partial{os.getpid()}")
    try:
        # The file format of 2008 is the first one with checksums on everything but the data themselves.
        with h5py.File(unfinished, "w", libver=("v108", "v108")) as file:
            write(file)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def split_arms(episode: Episode) -> dict[str, NDArray[np.float32]]:
    """Splits drive targets into left_arm, left_gripper, right_arm and right_gripper, [frames, joints] each.

    Raises:
        ValueError: the embodiment has not two arms, or another number of dimensions.
    """
    embodiment, actions = EMBODIMENTS[episode.embodiment], episode.actions.astype(np.float32)
    if len(embodiment.arms) != 2 or actions.shape[1] != embodiment.dimension:
        raise ValueError(
            f"{episode.episode_id}: RoboTwin's layouts hold two arms, {embodiment.name} has "
            f"{len(embodiment.arms)} arms and {embodiment.dimension} dimensions, "
            f"the actions have {actions.shape[1]}"
        )
    (left, left_end), (right, right_end) = zip(
        map(embodiment.joints_of, embodiment.arm_names), embodiment.gripper_indices, strict=True
    )
    return {
        "left_arm": actions[:, left],
        "left_gripper": actions[:, left_end : left_end + 1],
        "right_arm": actions[:, right],
        "right_gripper": actions[:, right_end : right_end + 1],
    }
