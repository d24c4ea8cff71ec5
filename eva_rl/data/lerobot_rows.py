"""The rows of one LeRobot episode out of a Parquet file that may hold hundreds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eva_rl.data.damage import DamagedEpisodeError, damage_named
from eva_rl.data.plain_tables import refuse_extension_types
from eva_rl.data.storage import open_file
from eva_rl.records.episode import ByteRange

EPISODE = "episode_index"
KEYS = ("timestamp", EPISODE, "task_index")


@dataclass(frozen=True, kw_only=True)
class EpisodeRows:
    """An episode's rows, and the file that they were read from.

    Example:
        EpisodeRows(table=<400 rows of timestamp, episode_index, task_index, action>,
                    byte_range=ByteRange(path="…/file-000.parquet", first=0, end=51200))
    """

    table: pa.Table
    byte_range: ByteRange


def read_rows(
    location: str, index: int, *, first_row: int, num_rows: int, columns: Sequence[str], source: str
) -> EpisodeRows:
    """Reads an episode's rows, and of the file no more than the row groups that hold them.

    Args:
        location: Parquet file.
        index: the episode's number.
        first_row: of the episode, in the file.
        num_rows: of the episode.
        columns: wanted besides KEYS, as far as the file has them.
        source: what to name in a message.

    Raises:
        DamagedEpisodeError: the file is missing or damaged.
    """
    with damage_named(source, f"{location} not readable"), open_file(location) as opened:
        file = pq.ParquetFile(opened, page_checksum_verification=True)
        refuse_extension_types(file.schema_arrow, location)
        wanted = [*(name for name in columns if name in file.schema_arrow.names), *KEYS]
        # Not by the statistics of the columns: over a damaged footer, asking for them ends the whole process.
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        ends = np.cumsum(sizes)
        holds = (ends > first_row) & (ends - sizes < first_row + num_rows)
        table = file.read_row_groups(np.flatnonzero(holds).tolist(), columns=wanted, use_threads=False)
        table = table.filter(pa.array(table[EPISODE].to_numpy() == index))
        size = opened.seek(0, os.SEEK_END)
    return EpisodeRows(table=table, byte_range=ByteRange(path=location, first=0, end=size))


def check_timestamps(table: pa.Table, *, frame_rate_hz: float, num_frames: int, source: str) -> None:
    """Refuses rows whose number or timestamps are not what the dataset says.

    Raises:
        DamagedEpisodeError: names the first difference.
    """
    if len(table) != num_frames or num_frames == 0:
        raise DamagedEpisodeError(source, f"has {len(table)} rows, its description says {num_frames}")
    with damage_named(source, "timestamps not readable"):
        times_s = np.asarray(table["timestamp"].to_numpy(), dtype=np.float64)
        is_late = ~(np.abs(times_s - np.arange(num_frames) / frame_rate_hz) <= 0.5 / frame_rate_hz)
    if is_late.any():
        frame = int(is_late.argmax())
        raise DamagedEpisodeError(
            source,
            f"timestamps do not fit fps {frame_rate_hz:g}: frame {frame} is at {times_s[frame]:.3f} s, "
            "more than half a frame off",
        )
