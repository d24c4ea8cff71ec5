"""Recorded episodes as a Ray Data stream: files -> episodes -> windows -> rows."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray.data

from eva_rl.data.robotwin_hdf5 import read_episode
from eva_rl.data.windows import EpisodeWindow, WindowShape, windows_of

NO_SCENE_SEED = -1
"""Arrow has no integer that is None beside a tensor column; seeds are never negative."""


CPUS_PER_READER = 0.5
"""Less than one, so that a training worker and a reader fit on a single core."""


def stream_windows(
    files: Sequence[Path], *, shape: WindowShape, shuffle_seed: int | None = None, files_per_block: int = 32
) -> ray.data.Dataset:
    """Reads episodes in parallel and streams their windows, in the same order every time.

    Only the list of files is in memory; episodes are read as rows are consumed. Read the rows with
    `dataset.iter_rows()`, `iter_batches(batch_size=...)` or Ray Train's `get_dataset_shard`, and turn them
    back into records with `windows_from_rows` where a record is wanted.

    Args:
        files: usable episodes, see `survey_episodes`.
        shape: of the windows.
        shuffle_seed: order of the episodes; None keeps the given order. Windows of an episode stay together.
        files_per_block: episodes per Ray task; scheduling one costs as much as reading about six episodes.

    Raises:
        DamagedEpisodeError: while streaming, if a file has been damaged since the survey.
    """
    silence_ray_data()
    ordered = list(files)
    if shuffle_seed is not None:
        ordered = [files[i] for i in np.random.default_rng(shuffle_seed).permutation(len(files))]
    num_blocks = max(1, -(-len(ordered) // files_per_block))
    items = [{"path": str(path)} for path in ordered]
    return ray.data.from_items(items, override_num_blocks=num_blocks).flat_map(
        partial(_rows_of_file, shape=shape), num_cpus=CPUS_PER_READER
    )


def silence_ray_data() -> None:
    """Keeps the order of rows, and Ray Data's progress bars and execution plans off the terminal."""
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # It warns that progress bars are off, which is what we asked for.
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)


def windows_from_rows(rows: Iterable[Mapping[str, Any]]) -> list[EpisodeWindow]:
    """Turns rows of `stream_windows` back into records."""
    return [_window_of_row(row) for row in rows]


def row_of_window(window: EpisodeWindow) -> dict[str, Any]:
    """Turns a window into a row: arrays stay arrays, instruction lists travel as JSON."""
    return {
        "window_id": window.window_id,
        "task": window.task,
        "start_s": window.start_s,
        "frames": window.frames,
        "actions": window.actions,
        "instructions": json.dumps([window.seen_instructions, window.unseen_instructions]),
        "frame_rate_hz": window.frame_rate_hz,
        "embodiment": window.embodiment,
        "scene_seed": NO_SCENE_SEED if window.scene_seed is None else window.scene_seed,
    }


def _rows_of_file(item: dict[str, Any], shape: WindowShape) -> list[dict[str, Any]]:
    return [row_of_window(window) for window in windows_of(read_episode(Path(item["path"])), shape=shape)]


def _window_of_row(row: Mapping[str, Any]) -> EpisodeWindow:
    seen, unseen = json.loads(row["instructions"])
    scene_seed = int(row["scene_seed"])
    return EpisodeWindow(
        window_id=str(row["window_id"]),
        task=str(row["task"]),
        start_s=float(row["start_s"]),
        frames=np.asarray(row["frames"]),
        actions=np.asarray(row["actions"]),
        seen_instructions=tuple(seen),
        unseen_instructions=tuple(unseen),
        frame_rate_hz=float(row["frame_rate_hz"]),
        embodiment=str(row["embodiment"]),
        scene_seed=None if scene_seed == NO_SCENE_SEED else scene_seed,
    )
