"""Episodes out of LeRobot datasets, v2.1 and v3.0.

Assumed, and refused where it shows to be otherwise: `action` holds absolute joint targets in rad, grippers
0 closed .. 1 open, one arm after the other with its gripper last; `observation.state` the measured joints in
the same order; `fps` the true rate.
"""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eva_rl.data.damage import DamagedEpisodeError, damage_named
from eva_rl.data.lerobot_actions import ACTION, STATE, check_layout, refuse_differences
from eva_rl.data.lerobot_dataset import OWN_COLUMNS, V21_VERSIONS, V30_VERSION, LeRobotDataset
from eva_rl.data.lerobot_rows import check_timestamps, read_rows
from eva_rl.data.pictures import check_whole, decode_rgb, frames_of
from eva_rl.data.robot_names import embodiment_of
from eva_rl.data.stored_episode import StoredEpisode
from eva_rl.data.video_decoding import bytes_at, check_times, frames_at
from eva_rl.embodiments.table import EMBODIMENTS
from eva_rl.records.episode import ByteRange, EpisodeHeader, EpisodeRef

CAMERA_PREFIX = "observation.images."
HEAD_CAMERA = "head_camera"
HEAD_CAMERA_NAMES = (HEAD_CAMERA, "cam_head", "cam_high", "top")
"""What datasets call the camera that sees the whole scene; the first of them that exists is meant."""


def is_v21(dataset: object) -> bool:
    """Whether this is a dataset of version 2.1 (or 2.0, which has the same files)."""
    return isinstance(dataset, LeRobotDataset) and dataset.version in V21_VERSIONS


def is_v30(dataset: object) -> bool:
    """Whether this is a dataset of version 3.0."""
    return isinstance(dataset, LeRobotDataset) and dataset.version == V30_VERSION


def open_lerobot(dataset: LeRobotDataset, ref: EpisodeRef) -> StoredEpisode:
    """Opens one episode of a dataset.

    Raises:
        DamagedEpisodeError: a file or a row is missing or damaged, `action` is not what is assumed, or the
            dataset has no such camera.
    """
    source, index = str(ref), ref.index
    if index is None or index not in dataset.episodes:
        raise DamagedEpisodeError(source, f"the dataset describes {len(dataset.episodes)} other episodes")
    row = dataset.episodes[index]
    camera = _camera_key(dataset, ref)
    embodiment = embodiment_of(ref, stated=dataset.robot_type)
    check_layout(dataset.features, embodiment=EMBODIMENTS[embodiment], source=source)
    with damage_named(source, "its place is not described"):
        data_file, first_row = dataset.data_file(index)
        num_frames = int(row["length"])
    rows = read_rows(
        data_file,
        index,
        first_row=first_row,
        num_rows=num_frames,
        columns=[ACTION, STATE, camera],
        source=source,
    )
    check_timestamps(rows.table, frame_rate_hz=dataset.frame_rate_hz, num_frames=num_frames, source=source)
    actions = _vectors(rows.table, ACTION, source=source)
    states = _vectors(rows.table, STATE, source=source) if STATE in rows.table.column_names else None
    refuse_differences(actions, states, embodiment=EMBODIMENTS[embodiment], source=source)
    seen, unseen = _instructions(dataset, rows.table, row, source=source)
    own = {name.removeprefix(OWN_COLUMNS): row[name] for name in row if name.startswith(OWN_COLUMNS)}
    header = EpisodeHeader(
        episode_id=ref.episode_id,
        task=ref.task,
        actions=actions,
        measured_positions=states if own.get("is_state_measured", True) else None,
        seen_instructions=seen,
        unseen_instructions=unseen,
        frame_rate_hz=dataset.frame_rate_hz,
        camera=camera.removeprefix(CAMERA_PREFIX),
        embodiment=embodiment,
        scene_seed=own.get("scene_seed"),
        source=source,
        byte_ranges=(rows.byte_range,),
    )
    return _with_pictures(header, dataset, rows.table, index=index, camera=camera)


def _with_pictures(
    header: EpisodeHeader, dataset: LeRobotDataset, table: pa.Table, *, index: int, camera: str
) -> StoredEpisode:
    if dataset.features[camera]["dtype"] == "image":
        with damage_named(header.source, f"{camera} holds no pictures"):
            images = [cell["bytes"] for cell in table[camera].to_pylist()]
        decode = partial(frames_of, images, decode=decode_rgb, source=header.source, camera=header.camera)
        check = partial(check_whole, images, source=header.source, camera=header.camera)
        return StoredEpisode(header=header, decode=decode, check_pictures=check)
    with damage_named(header.source, f"the place of {camera} is not described"):
        video, start_s = dataset.video_file(index, camera)
    times_s = start_s + np.arange(header.num_frames) / dataset.frame_rate_hz

    def decode_video(indices: Sequence[int]) -> Any:
        return frames_at(video, times_s[list(indices)].tolist(), tolerance_s=0.5 / dataset.frame_rate_hz)

    def locate() -> tuple[ByteRange, ...]:
        return (bytes_at(video, first_s=times_s[0], last_s=times_s[-1]),)

    def check() -> None:
        check_times(video, times_s.tolist(), tolerance_s=0.5 / dataset.frame_rate_hz)

    return StoredEpisode(header=header, decode=decode_video, check_pictures=check, locate_pictures=locate)


def _camera_key(dataset: LeRobotDataset, ref: EpisodeRef) -> str:
    for name in HEAD_CAMERA_NAMES if ref.camera == HEAD_CAMERA else (ref.camera,):
        for key in (name, CAMERA_PREFIX + name):
            if key in dataset.cameras:
                return key
    raise DamagedEpisodeError(
        ref,
        f"has no camera {ref.camera} (data.camera, --camera); it has {', '.join(dataset.cameras) or 'none'}",
    )


def _vectors(table: pa.Table, name: str, *, source: str) -> NDArray[np.float32]:
    with damage_named(source, f"{name} is not one vector per row"):
        return np.stack(table[name].to_numpy(zero_copy_only=False)).astype(np.float32)


def _instructions(
    dataset: LeRobotDataset, table: pa.Table, row: Any, *, source: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    with damage_named(source, "its instructions are not described"):
        own = row.get(OWN_COLUMNS + "instructions")
        if own:
            seen, unseen = json.loads(own)
            return tuple(seen), tuple(unseen)
        numbers = dict.fromkeys(table["task_index"].to_pylist())
        missing = [number for number in numbers if number not in dataset.tasks]
        if missing:
            raise DamagedEpisodeError(source, f"task_index {missing[0]} is not among the dataset's tasks")
        return tuple(dataset.tasks[number] for number in numbers), ()
