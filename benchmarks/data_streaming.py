"""How fast recorded episodes become training batches: one plain process, and Ray Data, doing the same work.

python recipes/robotwin_collect.py --collection.num_episodes_per_task 20
python benchmarks/data_streaming.py data/embedded --result benchmarks/results/data_streaming.json

The second case are the same episodes with pictures of 240 x 320, the size of RoboTwin's head camera.

Both readers give batches of 64 clips as stacked arrays, with every column of `stream_windows`. They take
turns, `--num_rounds` times: whatever else the machine does slows a measurement by a third. A core's worth is
what counts, clips per second of processor time: of the plain reader's own process, and of all of Ray's
together, idle ones included. What starts Ray and its readers is measured by itself; so is the memory of a
long stream.
"""

import argparse
import json
import logging
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eva_rl.driver.ray_session import LOCAL_ENVIRONMENT, QUIET_ENVIRONMENT

os.environ.update(
    LOCAL_ENVIRONMENT
    | QUIET_ENVIRONMENT
    # Ray ends workers that were idle for a second; here they wait while the plain reader has its turn.
    | {"RAY_idle_worker_killing_time_threshold_ms": "3600000"}
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `benchmarks` is no part of the library

import numpy as np
import psutil
import ray
from PIL import Image
from ray._private.internal_api import memory_summary

from benchmarks.processor_time import ProcessorTime
from eva_rl.data.formats import EPISODE_FORMATS, open_episode, read_episode
from eva_rl.data.listing import list_episodes
from eva_rl.data.ray_pipeline import row_of_window, silence_ray_data, stream_windows
from eva_rl.data.windows import WindowShape, windows_of
from eva_rl.driver.provenance import describe_run
from eva_rl.records.episode import EpisodeRef

SHAPE = WindowShape(num_frames=17, frame_rate_hz=5.0, height=48, width=64, stride_s=3.4)
LARGE = WindowShape(num_frames=17, frame_rate_hz=5.0, height=240, width=320, stride_s=3.4)
BATCH = 64
OBJECT_STORE_BYTES = 256 * 2**20


def main(words: Sequence[str]) -> None:
    """Measures, prints a table and writes the figures as JSON where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", help="recorded episodes, of any format")
    parser.add_argument("--num_clips", type=int, default=2000, help="per round")
    parser.add_argument("--num_large_clips", type=int, default=800, help="per round, of large pictures")
    parser.add_argument("--num_rounds", type=int, default=5, help="turns that both readers take")
    parser.add_argument("--num_cpus", type=int, default=os.cpu_count(), help="cores that Ray may use")
    parser.add_argument("--result", type=Path, help="JSON file to write")
    arguments = parser.parse_args(words)
    start_cpu_s = _measure(partial(_start_ray, arguments.num_cpus))[1]
    with TemporaryDirectory() as directory:
        large = _enlarge(arguments.directory, Path(directory) / "large")
        facts = {
            "provenance": describe_run(seed=0, model_directories={}),
            "num_ray_cpus": arguments.num_cpus,
            "load_average": os.getloadavg()[0],
            "ray_start_cpu_s": round(start_cpu_s, 2),
            "cases": [
                _compare(arguments.directory, num_clips=arguments.num_clips, num_rounds=arguments.num_rounds),
                _compare(large, num_clips=arguments.num_large_clips, num_rounds=arguments.num_rounds),
            ],
            "memory": _memory(large),
        }
    sys.stdout.write(json.dumps(facts, indent=1) + "\n")
    if arguments.result:
        arguments.result.write_text(json.dumps(facts, indent=1) + "\n")


def _enlarge(directory: str, target: Path) -> str:
    """Every fourth of the episodes with large pictures, as RoboTwin's legacy files."""
    writer = EPISODE_FORMATS["robotwin-legacy"].writer
    assert writer is not None
    with writer(target) as write:
        for ref in list_episodes(directory)[::4]:
            episode = read_episode(ref)
            pictures = [np.asarray(Image.fromarray(frame).resize((320, 240))) for frame in episode.frames]
            write(replace(episode, frames=np.stack(pictures)))
    return str(target)


def _start_ray(num_cpus: int) -> int:
    """Until Ray is there and the first task has been run: once per run."""
    ray.init(
        address="local",
        num_cpus=num_cpus,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        logging_level=logging.WARNING,
    )
    silence_ray_data()
    return ray.data.range(1).map_batches(lambda batch: batch).count()


def _compare(directory: str, *, num_clips: int, num_rounds: int) -> dict[str, Any]:
    found = list_episodes(directory)
    refs = (found * -(-num_clips // len(found)))[:num_clips]
    first_cpu_s = _measure(partial(_drain, _read_with_ray(refs[:64], episodes_per_block=4)))[1]
    rounds = [_take_turns(refs) for _ in range(num_rounds)]
    header = open_episode(refs[0]).header
    return {
        "directory": Path(directory).name,
        "num_files": len(found),
        "frames_per_file": header.num_frames,
        "episodes_per_round": len(refs),
        "num_rounds": num_rounds,
        "first_stream_of_64_episodes_cpu_s": round(first_cpu_s, 2),
        **{name: _spread([row[name] for row in rounds]) for name in rounds[0]},
    }


def _take_turns(refs: Sequence[EpisodeRef]) -> dict[str, float]:
    plain, plain_cpu_s, plain_wall_s = _measure(lambda: _drain(_read_plainly(refs)), with_ray=False)
    streamed, ray_cpu_s, ray_wall_s = _measure(lambda: _drain(_read_with_ray(refs)))
    if plain != streamed:
        raise RuntimeError(f"the plain reader gave {plain} clips, Ray Data {streamed}")
    return {
        "plain_clips_per_cpu_s": plain / plain_cpu_s,
        "ray_clips_per_cpu_s": streamed / ray_cpu_s,
        "ratio_per_cpu_s": plain_cpu_s / ray_cpu_s,
        "plain_clips_per_s": plain / plain_wall_s,
        "ray_clips_per_s": streamed / ray_wall_s,
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def _read_plainly(refs: Sequence[EpisodeRef]) -> Iterator[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for ref in refs:
        rows += [row_of_window(window) for window in windows_of(open_episode(ref), shape=SHAPE)]
        while len(rows) >= BATCH:
            yield _stack(rows[:BATCH])
            rows = rows[BATCH:]
    if rows:
        yield _stack(rows)


def _stack(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}


def _read_with_ray(refs: Sequence[EpisodeRef], **options: Any) -> Iterator[Any]:
    stream = stream_windows(refs, shape=SHAPE, **options)
    yield from stream.iter_batches(batch_size=BATCH, batch_format="numpy")


def _drain(batches: Iterator[Any]) -> int:
    return sum(len(batch["frames"]) for batch in batches)


def _measure(read: Callable[[], int], *, with_ray: bool = True) -> tuple[int, float, float]:
    """What it returns, seconds of processor time, and of the clock."""
    with ProcessorTime(with_children=with_ray) as processor:
        start = time.perf_counter()
        number = read()
        wall_s = time.perf_counter() - start
    return number, processor.used_s, wall_s


def _memory(directory: str) -> dict[str, Any]:
    """Streams several times the object store through it, and looks at it while that lasts."""
    found = list_episodes(directory)
    bytes_per_clip = LARGE.num_frames * LARGE.height * LARGE.width * 3
    refs = found * -(-4 * OBJECT_STORE_BYTES // (bytes_per_clip * len(found)))
    address = ray.get_runtime_context().gcs_address
    num_bytes, peak_mb, rss_mb, has_spilled = 0, 0.0, 0.0, False
    for batch in stream_windows(refs, shape=LARGE).iter_batches(batch_size=8, batch_format="numpy"):
        num_bytes += batch["frames"].nbytes
        summary = memory_summary(address, stats_only=True)
        used = re.search(r"Plasma memory usage (\d+) MiB", summary)
        peak_mb = max(peak_mb, float(used[1]) if used else 0.0)
        rss_mb = max(rss_mb, psutil.Process().memory_info().rss / 2**20)
        has_spilled = has_spilled or "Spilled" in summary
    return {
        "streamed_mb": round(num_bytes / 2**20),
        "object_store_mb": OBJECT_STORE_BYTES // 2**20,
        "peak_object_store_mb": peak_mb,
        "peak_consumer_rss_mb": round(rss_mb),
        "has_spilled": has_spilled,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
