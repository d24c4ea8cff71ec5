"""Which episodes lie below a directory: HDF5 files, and the episodes inside LeRobot datasets."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path

from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.file_lists import list_files
from eva_rl.data.lerobot_dataset import INFO, OWN_COLUMNS, LeRobotDataset, load_dataset
from eva_rl.data.robotwin_files import HEAD_CAMERA
from eva_rl.data.storage import kind_of, name_of, parents, replace_end, stem
from eva_rl.data.task_names import is_plain_name, task_name
from eva_rl.records.episode import EpisodeRef

HDF5_ENDINGS = (".hdf5", ".h5")


class EpisodeDirectoryError(ValueError):
    """A directory of episodes that cannot be used as a whole."""


def list_episodes(
    directory: Path | str,
    *,
    tasks: Sequence[str] | None = None,
    camera: str = HEAD_CAMERA,
    embodiment: str | None = None,
    frame_rate_hz: float | None = None,
    max_per_task: int | None = None,
) -> list[EpisodeRef]:
    """Lists the episodes below a directory, in the order of their tasks, then of their numbers.

    HDF5 files are listed, not opened: a damaged one is listed too, and named by whoever reads it.

    Args:
        directory: local path or URI of a directory of HDF5 files (RoboTwin's is
            <task>/<task_config>/data/episode<i>.hdf5), of a LeRobot dataset, or of several; or one file.
        tasks: only these, by name or by LeRobot's sentence; None for all.
        camera: whose pictures are to be read.
        embodiment: row of EMBODIMENTS, for recordings that name no robot.
        frame_rate_hz: true rate, for recordings that state none.
        max_per_task: only the first ones of each task; None for all.

    Raises:
        EpisodeDirectoryError: there are none, a task has none, or a LeRobot dataset cannot be described.
    """
    root = str(directory)
    try:
        found = _find(root)
    except (OSError, DamagedEpisodeError) as error:
        raise EpisodeDirectoryError(f"episodes below {root} cannot be listed: {error}") from error
    known = {ref.task for ref in found}
    tasks = None if tasks is None else [task if task in known else task_name(task) for task in tasks]
    missing = sorted(set(tasks or ()) - known)
    if missing or not found:
        raise EpisodeDirectoryError(
            f"{root} has no episodes of {', '.join(missing) or 'any task'} (looked for HDF5 files such as "
            "<task>/<task_config>/data/episode<i>.hdf5 and for LeRobot datasets with meta/info.json; "
            f"tasks found: {', '.join(sorted(known)) or 'none'})"
        )
    wanted = [ref for ref in found if tasks is None or ref.task in tasks]
    return [
        replace(ref, camera=camera, embodiment=embodiment, frame_rate_hz=frame_rate_hz)
        for ref in _with_unique_ids(_first_of_each_task(sorted(wanted, key=_order), max_per_task))
    ]


def _first_of_each_task(refs: list[EpisodeRef], number: int | None) -> list[EpisodeRef]:
    by_task = groupby(refs, key=lambda ref: ref.task)
    return [ref for _, refs_of_task in by_task for ref in islice(refs_of_task, number)]


def _find(root: str) -> list[EpisodeRef]:
    kind = kind_of(root)
    if kind == "missing":
        raise FileNotFoundError(f"{root} does not exist")
    if kind == "file":
        return [ref_of_file(root)]
    found = list_files(root, endings=(*HDF5_ENDINGS, f"/{INFO}"))
    files = [path for path in found if name_of(path).endswith(HDF5_ENDINGS)]
    infos = [path for path in found if not name_of(path).endswith(HDF5_ENDINGS)]
    refs = [replace(ref_of_file(path), root=root) for path in files]
    for info in infos:
        refs += _of_dataset(load_dataset(replace_end(info, num_names=2, by="")), root=root)
    return refs


def ref_of_file(file: Path | str) -> EpisodeRef:
    """Refers to the episode of an HDF5 file.

    RoboTwin keeps <task>/<anything>/data/<episode>; elsewhere the directory counts as the task.
    """
    path = str(file)
    above = parents(path)
    place = 2 if above[:1] == ["data"] and len(above) > 2 else 0
    task = above[place] if above else "unknown"
    return EpisodeRef(path=path, index=None, episode_id=f"{task}/{stem(path)}", task=task)


def _of_dataset(dataset: LeRobotDataset, *, root: str) -> list[EpisodeRef]:
    """The episodes of a LeRobot dataset; named by this project's own columns where it wrote them."""
    name, refs = name_of(dataset.root), []
    for index, row in dataset.episodes.items():
        stated, own_id = row.get(f"{OWN_COLUMNS}task"), row.get(f"{OWN_COLUMNS}episode_id")
        # Both may become names of directories.
        is_own = is_plain_name(stated) and all(map(is_plain_name, str(own_id).split("/")))
        refs.append(
            EpisodeRef(
                path=dataset.root,
                index=index,
                episode_id=str(own_id) if is_own else f"{name}/episode{index}",
                task=str(stated) if is_own else dataset.task_name(index),
                root=root,
            )
        )
    return refs


def _with_unique_ids(refs: list[EpisodeRef]) -> list[EpisodeRef]:
    """Two recordings of one task (clean and randomised, say) number their episodes alike."""
    for widen in (_with_place, str):
        counts = Counter(ref.episode_id for ref in refs)
        refs = [ref if counts[ref.episode_id] == 1 else replace(ref, episode_id=widen(ref)) for ref in refs]
    return refs


def _with_place(ref: EpisodeRef) -> str:
    """The episode's id with the directory that tells its recording from another one of the same task."""
    above = parents(ref.path)
    place = above[1:2] if ref.index is None and above[:1] == ["data"] else above[:1]
    return "/".join([ref.task, *place, ref.episode_id.rsplit("/", 1)[-1]])


def _order(ref: EpisodeRef) -> tuple:
    numbers = [int(part) if part.isdigit() else -1 for part in re.split(r"(\d+)", stem(ref.path))]
    place = ref.path if ref.index is not None else "/".join(reversed(parents(ref.path)))
    return ref.task, place, numbers, ref.path, ref.index or 0
