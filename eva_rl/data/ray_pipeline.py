"""Recorded episodes as a Ray Data stream: references -> episodes -> windows -> rows."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import ray.data

from eva_rl.data.checking import EpisodeFinding, check_header, find_out
from eva_rl.data.cursor import EPISODE_COLUMN, WINDOW_COLUMN, WindowCursor
from eva_rl.data.formats import open_episode
from eva_rl.data.stored_episode import StoredEpisode
from eva_rl.data.windows import EpisodeWindow, WindowShape, windows_of
from eva_rl.embodiments.table import EMBODIMENTS
from eva_rl.records.episode import EpisodeRef

NO_SCENE_SEED = -1
"""Arrow has no integer that is None beside a tensor column; seeds are never negative."""

CPUS_PER_READER = 0.5
"""Less than one, so that a training worker and a reader fit on a single core."""

LARGEST_BLOCK = 64
"""Scheduling a task costs as much as reading about six small episodes: at 1 per task Ray is six times slower
than a plain loop; from 64 on, readers spend as much time per clip as a plain loop does."""

SMALLEST_BYTES, LARGEST_BYTES = 2**20, 2**26
"""Bounds of what a reader collects before it hands it over: a sixteenth of its share of the object store, as
every reader holds two such blocks ready. With Ray's own 128 MB, a small store spills to disk."""

STORE_SHARE = 0.3
"""Of the object store, for one stream; others, and rollouts, need room as well."""


def stream_windows(
    refs: Sequence[EpisodeRef],
    *,
    shape: WindowShape,
    shuffle_seed: int | None = None,
    start: WindowCursor | None = None,
    episodes_per_block: int | None = None,
    with_provenance: bool = False,
) -> ray.data.Dataset:
    """Reads episodes in parallel and streams the windows of one epoch, in the same order every time.

    Only the list of episodes is in memory; they are read as rows are consumed. Read the rows with
    `dataset.iter_rows()`, `iter_batches(batch_size=...)` or Ray Train's `get_dataset_shard`, and turn them
    back into records with `windows_from_rows` where a record is wanted. `WindowCursor.after` of the last
    consumed row is the place to go on from.

    Args:
        refs: usable episodes, see `survey_episodes`.
        shape: of the windows.
        shuffle_seed: order of the episodes; None keeps the given order. Windows of an episode stay together.
        start: place to go on from, instead of `shuffle_seed`.
        episodes_per_block: episodes per Ray task; default: two tasks per reader, at most LARGEST_BLOCK each.
            It changes the speed, never the order.
        with_provenance: whether rows get a column `provenance`: JSON with the source of the episode and the
            byte ranges of its data and pictures.

    Raises:
        ValueError: `start` belongs to other episodes, or is given together with another `shuffle_seed`.
        DamagedEpisodeError: while streaming, if an episode has been damaged since the survey.
    """
    if start is not None and shuffle_seed not in (None, start.seed):
        raise ValueError(
            f"shuffle_seed is {shuffle_seed}, but the cursor's seed is {start.seed}; give one of them"
        )
    cursor = start or WindowCursor.at_start(refs, seed=shuffle_seed)
    items = [
        {"episode": json.dumps([place, asdict(ref), first])} for place, ref, first in cursor.remaining(refs)
    ]
    per_block = episodes_per_block or _block_size(len(items))
    return in_blocks(items, per_block=per_block).map_batches(
        partial(rows_of_block, shape=shape, block_bytes=_block_bytes(), with_provenance=with_provenance),
        batch_size=None,
        num_cpus=CPUS_PER_READER,
    )


def find_in_parallel(
    refs: Sequence[EpisodeRef], num_dimensions: int, *, decodes_all: bool = True
) -> Iterator[EpisodeFinding]:
    """Reads episodes in Ray tasks and yields what was found, in order; see `find_out`."""
    items = episode_items(refs)
    findings = in_blocks(items, per_block=_block_size(len(items))).map_batches(
        partial(_findings_of, num_dimensions=num_dimensions, decodes_all=decodes_all),
        batch_size=None,
        num_cpus=CPUS_PER_READER,
    )
    for row, ref in zip(findings.iter_rows(), refs, strict=True):
        yield EpisodeFinding(**{**json.loads(row["finding"]), "ref": ref})


def episode_items(refs: Sequence[EpisodeRef]) -> list[dict[str, str]]:
    """Episodes as rows that a task can be given: place in the list, reference, first wanted window."""
    return [{"episode": json.dumps([place, asdict(ref), 0])} for place, ref in enumerate(refs)]


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


def in_blocks(items: list[dict[str, str]], *, per_block: int) -> ray.data.Dataset:
    """A dataset of `items`, `per_block` of them for every task; keeps to a share of the object store."""
    silence_ray_data()
    context = ray.data.DataContext.get_current()
    context.target_max_block_size = _block_bytes()
    context.execution_options.resource_limits = ray.data.ExecutionResources.for_limits(
        object_store_memory=STORE_SHARE * _total("object_store_memory")
    )
    return ray.data.from_items(items, override_num_blocks=max(1, -(-len(items) // per_block)))


def _block_size(num_episodes: int) -> int:
    return min(LARGEST_BLOCK, max(1, -(-num_episodes // (2 * _num_readers()))))


def _block_bytes() -> int:
    return min(LARGEST_BYTES, max(SMALLEST_BYTES, int(_total("object_store_memory") / 16 / _num_readers())))


def _num_readers() -> int:
    return max(1, int(_total("CPU") / CPUS_PER_READER))


def _total(resource: str) -> float:
    """What all machines have together."""
    if not ray.is_initialized():
        ray.init()  # as the first use of Ray Data would do
    return ray.cluster_resources().get(resource, 0.0)


def rows_of_block(
    block: Any, shape: WindowShape, block_bytes: int, with_provenance: bool
) -> Iterator[dict[str, Any]]:
    """Reads a block of `episode_items` into stacked rows: a row of its own costs Ray more than reading it.

    Raises:
        DamagedEpisodeError: an episode is damaged; its file and the reason are named.
    """
    rows: list[dict[str, Any]] = []
    for item in block["episode"]:
        place, known, first = json.loads(item)
        stored = open_episode(EpisodeRef(**known))
        # Streams need no survey, and a file may have changed since one.
        check_header(stored.header, num_dimensions=EMBODIMENTS[stored.header.embodiment].dimension)
        extra = {"provenance": _provenance(stored)} if with_provenance else {}
        for number, window in enumerate(windows_of(stored, shape=shape, first=first), start=first):
            rows.append({**row_of_window(window), **extra, EPISODE_COLUMN: place, WINDOW_COLUMN: number})
            if len(rows) * window.frames.nbytes >= block_bytes:
                yield _stack(rows)
                rows = []
    if rows:
        yield _stack(rows)


def _provenance(stored: StoredEpisode) -> str:
    places = stored.header.byte_ranges + stored.locate_pictures()
    return json.dumps({"source": stored.header.source, "byte_ranges": [asdict(place) for place in places]})


def _stack(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}


def _findings_of(block: Any, num_dimensions: int, decodes_all: bool) -> dict[str, Any]:
    findings = [
        find_out(EpisodeRef(**json.loads(item)[1]), num_dimensions=num_dimensions, decodes_all=decodes_all)
        for item in block["episode"]
    ]
    return {"finding": np.array([json.dumps({**asdict(finding), "ref": None}) for finding in findings])}


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
