"""The formats that episodes are read from and written to, told apart by what is in the files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eva_rl.data import robotwin_legacy, robotwin_v1
from eva_rl.data.containment import inside
from eva_rl.data.damage import DamagedEpisodeError, damage_named
from eva_rl.data.hdf5_files import open_hdf5
from eva_rl.data.lerobot_dataset import LeRobotDataset, load_dataset
from eva_rl.data.lerobot_reading import is_v21, is_v30, open_lerobot
from eva_rl.data.lerobot_writing import lerobot_writer
from eva_rl.data.robotwin_legacy import is_legacy, legacy_writer, open_legacy
from eva_rl.data.robotwin_v1 import is_v1, open_v1, v1_writer
from eva_rl.data.stored_episode import StoredEpisode
from eva_rl.records.episode import Episode, EpisodeRef

Container = h5py.File | LeRobotDataset
"""An open episode file, or the metadata of a dataset."""


@dataclass(frozen=True, kw_only=True)
class EpisodeFormat:
    """One format.

    Attributes:
        purpose: what it is, for people.
        mark: what a file or dataset in this format has and no other.
        recognises: whether an open container is in this format.
        open: opens an episode of such a container; raises DamagedEpisodeError.
        writer: opens a local directory and yields a function that writes one episode after the other;
            None where the format is only read.
    """

    purpose: str
    mark: str
    recognises: Callable[[Any], bool]
    open: Callable[[Any, EpisodeRef], StoredEpisode]
    writer: Callable[[Path], AbstractContextManager[Callable[[Episode], None]]] | None


def open_episode(ref: EpisodeRef) -> StoredEpisode:
    """Opens an episode in whatever format it is.

    Raises:
        DamagedEpisodeError: it is missing, damaged, or in no known format.
    """
    with open_container(ref) as container, damage_named(ref, "not readable"):
        return EPISODE_FORMATS[format_of(container, ref)].open(container, ref)


def read_episode(ref: EpisodeRef) -> Episode:
    """Reads an episode with all its pictures.

    Raises:
        DamagedEpisodeError: it is missing, damaged, or in no known format.
    """
    return open_episode(ref).load()


def read_actions(refs: Sequence[EpisodeRef]) -> NDArray[np.float32]:
    """Reads the drive targets of episodes without decoding a picture.

    Returns:
        [frames of all episodes, dimensions], rad; grippers 0..1.

    Raises:
        DamagedEpisodeError: an episode is missing, damaged, or in no known format.
    """
    return np.concatenate([open_episode(ref).header.actions for ref in refs])


def read_instructions(ref: EpisodeRef) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Reads the seen and the unseen instructions of an episode.

    Raises:
        DamagedEpisodeError: it is missing, damaged, or in no known format.
    """
    header = open_episode(ref).header
    return header.seen_instructions, header.unseen_instructions


def detect_format(ref: EpisodeRef) -> str:
    """Names the row of EPISODE_FORMATS that an episode is in.

    Raises:
        DamagedEpisodeError: it is missing, damaged, or in no known format.
    """
    with open_container(ref) as container:
        return format_of(container, ref)


@contextmanager
def open_container(ref: EpisodeRef) -> Iterator[Container]:
    """Opens what an episode lies in: its own file, or the metadata of its dataset.

    Raises:
        DamagedEpisodeError: it is missing or damaged.
    """
    inside(ref.path, ref.root)
    if ref.index is not None:
        yield load_dataset(ref.path)
        return
    with open_hdf5(ref.path) as file:
        yield file


def format_of(container: Container, ref: EpisodeRef) -> str:
    """Names the row of EPISODE_FORMATS that an open container is in.

    Raises:
        DamagedEpisodeError: it is in none.
    """
    for name, row in EPISODE_FORMATS.items():
        if row.recognises(container):
            return name
    marks = "; ".join(f"{name}: {row.mark}" for name, row in EPISODE_FORMATS.items())
    raise DamagedEpisodeError(ref, f"is in no known format ({marks})")


EPISODE_FORMATS: Mapping[str, EpisodeFormat] = {
    "robotwin-legacy": EpisodeFormat(
        purpose="RoboTwin's HDF5 files as of branch stable_2.0; this project's own recordings",
        mark=robotwin_legacy.MARK,
        recognises=is_legacy,
        open=open_legacy,
        writer=legacy_writer,
    ),
    "robotwin-v1": EpisodeFormat(
        purpose="RoboTwin's HDF5 files since data_format_version v1.0",
        mark=robotwin_v1.MARK,
        recognises=is_v1,
        open=open_v1,
        writer=v1_writer,
    ),
    "lerobot-v2": EpisodeFormat(
        purpose="LeRobot datasets with one file per episode",
        mark="codebase_version v2.1 in meta/info.json",
        recognises=is_v21,
        open=open_lerobot,
        writer=None,
    ),
    "lerobot-v3": EpisodeFormat(
        purpose="LeRobot datasets with many episodes per file",
        mark="codebase_version v3.0 in meta/info.json",
        recognises=is_v30,
        open=open_lerobot,
        writer=lerobot_writer,
    ),
}
"""Every format; a row with a writer can be the target of `eva-rl data convert`."""
