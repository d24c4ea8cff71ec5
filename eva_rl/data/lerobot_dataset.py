"""The metadata of a LeRobot dataset, v2.1 or v3.0: which episodes it holds and where their parts lie.

    v2.1    meta/info.json  meta/tasks.jsonl  meta/episodes.jsonl
            data/chunk-000/episode_000000.parquet  videos/chunk-000/<camera>/episode_000000.mp4
    v3.0    meta/info.json  meta/tasks.parquet  meta/episodes/chunk-000/file-000.parquet
            data/chunk-000/file-000.parquet  videos/<camera>/chunk-000/file-000.mp4       many episodes each

Layout as written by huggingface/lerobot, `src/lerobot/datasets`.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eva_rl.data.containment import inside
from eva_rl.data.damage import DamagedEpisodeError, damage_named
from eva_rl.data.file_lists import fingerprint, list_files
from eva_rl.data.lerobot_paths import fill_template
from eva_rl.data.plain_tables import refuse_extension_types
from eva_rl.data.storage import join, name_of, read_bytes
from eva_rl.data.task_names import task_name

INFO = "meta/info.json"
V21_VERSIONS = ("v2.0", "v2.1")
"""v2.0 differs only in where statistics lie."""

V30_VERSION = "v3.0"
OWN_COLUMNS = "eva_rl/"
"""Prefix of the episode columns that only this project writes."""


@dataclass(frozen=True, kw_only=True)
class LeRobotDataset:
    """What the files below meta/ say.

    Example:
        LeRobotDataset(root="aloha_sim", version="v3.0", frame_rate_hz=50.0, robot_type="aloha",
                       features={"action": {"dtype": "float32", "shape": [14], "names": [...]}, ...},
                       tasks={0: "Insert the peg into the socket."}, info={...},
                       episodes={0: {"episode_index": 0, "length": 400, "data/file_index": 0, ...}})

    Attributes:
        features: dtype, shape and names per column.
        tasks: instruction per task_index.
        episodes: metadata per episode_index.
        info: the whole of info.json.
    """

    root: str
    version: str
    frame_rate_hz: float
    robot_type: str | None
    features: Mapping[str, Mapping[str, Any]]
    tasks: Mapping[int, str]
    episodes: Mapping[int, Mapping[str, Any]]
    info: Mapping[str, Any]

    @property
    def cameras(self) -> list[str]:
        """Feature keys of all cameras."""
        return [key for key, feature in self.features.items() if feature.get("dtype") in ("video", "image")]

    def task_name(self, index: int) -> str:
        """Name of an episode's task, after its first sentence; the dataset's own where there is none."""
        sentences = self.episodes[index].get("tasks")
        first = sentences[0] if isinstance(sentences, list) and sentences else sentences
        return task_name(first if isinstance(first, str) and first.strip() else name_of(self.root))

    def data_file(self, index: int) -> tuple[str, int]:
        """Location of the Parquet file that holds an episode's rows, and the first of them in it."""
        location = self._location("data_path", self._places(index, prefix="data/"))
        if self.version in V21_VERSIONS:
            return location, 0
        row = self.episodes[index]
        return location, int(row["dataset_from_index"]) - self._first_indices[_data_place(row)]

    @cached_property
    def _first_indices(self) -> dict[tuple[int, int], int]:
        """Index, among all frames of the dataset, of the first row of every data file."""
        firsts: dict[tuple[int, int], int] = {}
        for row in self.episodes.values():
            place = _data_place(row)
            firsts[place] = min(firsts.get(place, row["dataset_from_index"]), row["dataset_from_index"])
        return firsts

    def video_file(self, index: int, camera: str) -> tuple[str, float]:
        """Location of an episode's video, and the time in it at which the episode starts, seconds."""
        prefix = f"videos/{camera}/"
        places = {"video_key": camera, **self._places(index, prefix=prefix)}
        start_s = 0.0 if self.version in V21_VERSIONS else self.episodes[index][f"{prefix}from_timestamp"]
        return self._location("video_path", places), float(start_s)

    def _location(self, template: str, places: Mapping[str, object]) -> str:
        return fill_template(self.info[template], places, root=self.root, source=join(self.root, INFO))

    def _places(self, index: int, *, prefix: str) -> dict[str, int]:
        if self.version in V21_VERSIONS:
            return {"episode_chunk": index // int(self.info["chunks_size"]), "episode_index": index}
        row = self.episodes[index]
        return {part: int(row[prefix + part]) for part in ("chunk_index", "file_index")}


def _data_place(row: Mapping[str, Any]) -> tuple[int, int]:
    return int(row["data/chunk_index"]), int(row["data/file_index"])


def load_dataset(root: str) -> LeRobotDataset:
    """Reads a dataset's metadata; a process does so once, until a file changes.

    Raises:
        DamagedEpisodeError: a metadata file is missing or damaged, or the version is another one.
    """
    with damage_named(join(root, INFO), "not readable"):
        changes = fingerprint(join(root, "meta"))
    return _load(root, changes)


@lru_cache(maxsize=4)
def _load(root: str, changes: object) -> LeRobotDataset:
    del changes  # part of the cache's key
    file = join(root, INFO)
    with damage_named(file, "is no description of a LeRobot dataset"):
        info = json.loads(read_bytes(inside(file, root)))
        version, rate_hz = str(info["codebase_version"]), float(info["fps"])
        features = {str(key): dict(feature) for key, feature in info["features"].items()}
        robot_type = info.get("robot_type")
    if version not in (*V21_VERSIONS, V30_VERSION):
        known = ", ".join((*V21_VERSIONS, V30_VERSION))
        raise DamagedEpisodeError(file, f"codebase_version is {version!r}; those that are read: {known}")
    if not 0 < rate_hz < float("inf"):
        raise DamagedEpisodeError(file, f"fps is {rate_hz}")
    read_parts = _read_v21 if version in V21_VERSIONS else _read_v30
    tasks, rows = read_parts(root)
    with damage_named(join(root, "meta"), "episodes have no episode_index"):
        episodes = {int(row["episode_index"]): row for row in rows}
        num_episodes = int(info.get("total_episodes", len(rows)))
    if not len(rows) == len(episodes) == num_episodes:
        raise DamagedEpisodeError(
            file,
            f"total_episodes is {num_episodes}, but {len(rows)} episodes are described, "
            f"with {len(episodes)} different numbers",
        )
    return LeRobotDataset(
        root=root,
        version=version,
        frame_rate_hz=rate_hz,
        robot_type=None if robot_type is None else str(robot_type),
        features=features,
        tasks=tasks,
        episodes=dict(sorted(episodes.items())),
        info=info,
    )


def _read_v21(root: str) -> tuple[dict[int, str], list[dict[str, Any]]]:
    file = join(root, "meta/tasks.jsonl")
    with damage_named(file, "holds no tasks"):
        tasks = {int(row["task_index"]): str(row["task"]) for row in _json_lines(inside(file, root))}
    return tasks, _json_lines(inside(join(root, "meta/episodes.jsonl"), root))


def _read_v30(root: str) -> tuple[dict[int, str], list[dict[str, Any]]]:
    file = join(root, "meta/tasks.parquet")
    table = read_table(inside(file, root))
    with damage_named(file, "holds no tasks"):
        # pandas wrote it: the text is the frame's index, so its column is called task or __index_level_0__.
        (words,) = [
            name
            for name in table.column_names
            if pa.types.is_string(table.schema.field(name).type)
            or pa.types.is_large_string(table.schema.field(name).type)
        ]
        numbers = table["task_index"].to_pylist()
        tasks = {
            int(number): str(text) for number, text in zip(numbers, table[words].to_pylist(), strict=True)
        }
    rows: list[dict[str, Any]] = []
    for part in list_files(join(root, "meta/episodes"), endings=(".parquet",)):
        with damage_named(part, "not readable"):
            table = read_table(inside(part, root))
            wanted = [name for name in table.column_names if not name.startswith("stats/")]
            rows += table.select(wanted).to_pylist()
    return tasks, rows


def read_table(location: str) -> pa.Table:
    """Reads a whole Parquet file.

    Raises:
        DamagedEpisodeError: it is missing or damaged.
    """
    with damage_named(location, "not readable"):
        table = pq.read_table(io.BytesIO(read_bytes(location)), page_checksum_verification=True)
    refuse_extension_types(table.schema, location)
    return table


def _json_lines(location: str) -> list[dict[str, Any]]:
    with damage_named(location, "not readable"):
        rows = [json.loads(line) for line in read_bytes(location).splitlines() if line.strip()]
        if not all(isinstance(row, dict) for row in rows):
            raise TypeError("a line is no object")
        return rows
