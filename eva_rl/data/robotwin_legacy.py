"""RoboTwin's legacy HDF5 layout (branch stable_2.0 of RoboTwin-Platform/RoboTwin).

<root>/<task>/<task_config>/data/episode{i}.hdf5            i from 0, no zero padding
<root>/<task>/<task_config>/instructions/episode{i}.json    {"seen": [...], "unseen": [...]}
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import h5py

from eva_rl.data.hdf5_files import array, has, numbers, whole_file
from eva_rl.data.pictures import check_whole, frames_of
from eva_rl.data.robot_names import embodiment_of
from eva_rl.data.robotwin_files import (
    EXTRAS,
    ROBOTWIN_EMBODIMENT,
    read_extras,
    read_instruction_file,
    split_arms,
    write_atomically,
    write_extras,
)
from eva_rl.data.robotwin_images import JPEG_QUALITY, check_images, decode_swapped, encode_frames
from eva_rl.data.storage import replace_end, stem
from eva_rl.data.stored_episode import StoredEpisode
from eva_rl.records.episode import Episode, EpisodeHeader, EpisodeRef

ROBOTWIN_FRAME_RATE_HZ = 250 / 15
"""Physics at 250 Hz, a frame every 15 steps; the 30 fps that its mp4 files state is not the rate."""

MARK = "joint_action/vector"
CONVERTED = "converted"
"""Task configuration of episodes that were converted from elsewhere."""


def episode_path(root: Path, task: str, *, task_config: str, index: int) -> Path:
    """Returns where RoboTwin keeps the HDF5 file of one episode."""
    return root / task / task_config / "data" / f"episode{index}.hdf5"


def instruction_path(path: Path) -> Path:
    """Returns the instruction file that belongs to an episode's HDF5 file."""
    return path.parent.parent / "instructions" / f"{path.stem}.json"


def is_legacy(file: object) -> bool:
    """Whether a file is in this layout."""
    return isinstance(file, h5py.File) and has(file, MARK)


def open_legacy(file: h5py.File, ref: EpisodeRef) -> StoredEpisode:
    """Opens an episode, written by us or by RoboTwin.

    Raises:
        DamagedEpisodeError: a part is missing or of the wrong kind.
    """
    seen, unseen = read_instruction_file(
        replace_end(ref.path, num_names=2, by=f"instructions/{stem(ref.path)}.json"), ref=ref
    )
    actions = numbers(file, MARK, ref.path)
    images = array(file, f"observation/{ref.camera}/rgb", ref.path)
    check_images(images, num_frames=len(actions), source=ref.path, camera=ref.camera)
    extras = read_extras(file, ref.path)
    header = EpisodeHeader(
        episode_id=ref.episode_id,
        task=ref.task,
        actions=actions,
        measured_positions=extras.measured_positions,
        seen_instructions=seen,
        unseen_instructions=unseen,
        frame_rate_hz=extras.frame_rate_hz or ref.frame_rate_hz or ROBOTWIN_FRAME_RATE_HZ,
        camera=ref.camera,
        embodiment=embodiment_of(ref, stated=extras.embodiment, usual=ROBOTWIN_EMBODIMENT),
        scene_seed=extras.scene_seed,
        source=ref.path,
        byte_ranges=whole_file(file, ref.path),
    )
    return StoredEpisode(
        header=header,
        decode=partial(frames_of, images, decode=decode_swapped, source=ref.path, camera=ref.camera),
        check_pictures=partial(check_whole, images, source=ref.path, camera=ref.camera),
    )


def write_episode(path: Path, episode: Episode, *, jpeg_quality: int = JPEG_QUALITY) -> None:
    """Writes an episode and its instructions; a crash leaves no half-written episode behind.

    Args:
        path: as `episode_path` gives it.
        episode: of a robot with two arms. Its camera's name is kept.
        jpeg_quality: 1..100.

    Raises:
        ValueError: the robot has not two arms, or other dimensions than the actions.
    """
    arms = split_arms(episode)

    def fill(file: h5py.File) -> None:
        joint_action = file.create_group("joint_action")
        joint_action["vector"] = episode.actions.astype("float32")
        for name, values in arms.items():
            joint_action[name] = values[:, 0] if name.endswith("gripper") else values
        file[f"observation/{episode.camera}/rgb"] = encode_frames(episode.frames, quality=jpeg_quality)
        write_extras(file.create_group(EXTRAS), episode)

    write_atomically(path, instruction_path(path), episode, fill)


@contextmanager
def legacy_writer(directory: Path) -> Iterator[Callable[[Episode], None]]:
    """Opens a directory for episodes; yields a function that writes one, numbered within its task."""
    counts: Counter[str] = Counter()

    def write(episode: Episode) -> None:
        index = counts[episode.task]
        write_episode(episode_path(directory, episode.task, task_config=CONVERTED, index=index), episode)
        counts[episode.task] += 1

    yield write
