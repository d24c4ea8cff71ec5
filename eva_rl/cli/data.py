"""`eva-rl data inspect|convert|stats|encode`: look into recorded episodes, convert, measure, encode them."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eva_rl.config.video import VideoSettings

PURPOSE = (
    "Inspect, convert, measure or encode recorded episodes: RoboTwin HDF5 (both layouts), LeRobot v2.1, v3.0."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the sub-commands and their arguments."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    inspect = verbs.add_parser("inspect", help="what is there, what is damaged, which limits are broken")
    convert = verbs.add_parser("convert", help="write the episodes in another format")
    stats = verbs.add_parser("stats", help="per-joint quantiles: suggested limits and IDM normalisation")
    encode = verbs.add_parser(
        "encode", help="latents and text embeddings, once, for world-model training (data.encoded)"
    )
    for verb in (inspect, convert, stats, encode):
        verb.add_argument("source", metavar="PATH", help="directory, URI (s3://, gs://) or HDF5 file")
        if verb is convert:
            verb.add_argument("destination", type=Path, help="new local directory")
            verb.add_argument("--to", required=True, help="robotwin-legacy, robotwin-v1 or lerobot-v3")
        if verb is encode:
            _add_encoding(encode)
        verb.add_argument("--tasks", nargs="+", help="only these tasks")
        verb.add_argument("--camera", default="head_camera", help="whose pictures (default: head_camera)")
        verb.add_argument("--embodiment", help="robot of episodes that name none: row of EMBODIMENTS")
        verb.add_argument("--fps", type=float, help="true frame rate of episodes that state none")
    inspect.add_argument(
        "--headers", action="store_true", help="do not decode pictures: faster, misses those damaged inside"
    )
    for verb in (inspect, stats):
        verb.add_argument("--json", action="store_true", help="print JSON only")
    stats.add_argument(
        "--quantile", type=float, default=0.001, help="share of frames beyond a suggested limit, each side"
    )


def _add_encoding(encode: argparse.ArgumentParser) -> None:
    encode.add_argument("destination", help="new directory or URI (s3://, gs://) of Parquet shards")
    encode.add_argument("--world-model", type=Path, required=True, help="pipeline directory that encodes")
    video, default = VideoSettings(), "(default: %(default)s)"
    encode.add_argument("--height", type=int, default=video.height, help=f"rows of a frame {default}")
    encode.add_argument("--width", type=int, default=video.width, help=f"columns of a frame {default}")
    encode.add_argument("--num-frames", type=int, default=video.num_frames, help=f"frames per clip {default}")
    encode.add_argument(
        "--frame-rate", type=float, default=video.frame_rate_hz, help=f"of the clips, Hz {default}"
    )
    encode.add_argument("--seed", type=int, default=0, help="as run.seed of the training (default: 0)")
    encode.add_argument(
        "--held-out-share", type=float, default=0.05, help="as training.validation_share (default: 0.05)"
    )
    encode.add_argument("--workers", type=int, default=1, help="encoders that run at once (default: 1)")
    encode.add_argument("--gpus-per-worker", type=float, default=0.0, help="of each encoder (default: 0)")
    encode.add_argument("--address", help="Ray address; default: RAY_ADDRESS, or a local Ray")


def run(arguments: argparse.Namespace) -> int:
    """Runs a sub-command: 0 fine, 1 damaged episodes were found, 2 wrong input."""
    from eva_rl.data.listing import EpisodeDirectoryError, list_episodes
    from eva_rl.embodiments.table import EMBODIMENTS

    try:
        if arguments.embodiment not in (None, *EMBODIMENTS):
            raise ValueError(f"--embodiment must be one of {', '.join(EMBODIMENTS)}")
        refs = list_episodes(
            arguments.source,
            tasks=arguments.tasks,
            camera=arguments.camera,
            embodiment=arguments.embodiment,
            frame_rate_hz=arguments.fps,
        )
        return VERBS[arguments.verb](arguments, refs)
    except (EpisodeDirectoryError, ValueError, OSError) as error:
        sys.stderr.write(f"eva-rl data {arguments.verb}: {error}\n")
        return 2


def _inspect(arguments: argparse.Namespace, refs: list) -> int:
    from eva_rl.data.inspection import as_text, inspect_episodes

    with _counting(len(refs)) as count:
        inspection = inspect_episodes(refs, decodes_all=not arguments.headers, on_episode=count)
    _print(inspection, arguments, as_text=as_text)
    return 1 if inspection["damaged"] else 0


def _convert(arguments: argparse.Namespace, refs: list) -> int:
    from eva_rl.data.conversion import convert_episodes

    num_written, num_damaged = 0, 0
    with _counting(len(refs)) as count:
        outcomes = convert_episodes(refs, arguments.destination, to=arguments.to)
        for number, (_, problem) in enumerate(outcomes, start=1):
            if problem is None:
                num_written += 1
            else:
                num_damaged += 1
                sys.stderr.write(f"eva-rl data convert: left out {problem}\n")
            count(number)
    sys.stdout.write(f"{arguments.destination}: {num_written} episodes written, {num_damaged} left out\n")
    return 1 if num_damaged else 0


def _stats(arguments: argparse.Namespace, refs: list) -> int:
    from eva_rl.data.suggested_limits import as_text, suggest_limits

    if not 0 <= arguments.quantile < 0.5:
        raise ValueError(f"--quantile must lie in 0..0.5, got {arguments.quantile}")
    suggestion = suggest_limits(refs, quantile=arguments.quantile)
    _print(suggestion, arguments, as_text=as_text)
    return 1 if suggestion["damaged"] else 0


def _encode(arguments: argparse.Namespace, refs: list) -> int:
    from eva_rl.config.run import ClusterSettings
    from eva_rl.config.video import VideoSettings
    from eva_rl.driver.ray_session import ray_session

    if not 0 < arguments.held_out_share < 1:
        raise ValueError(f"--held-out-share must lie between 0 and 1, got {arguments.held_out_share}")
    video = VideoSettings(
        height=arguments.height,
        width=arguments.width,
        num_frames=arguments.num_frames,
        frame_rate_hz=arguments.frame_rate,
    )
    with ray_session(ClusterSettings(address=arguments.address)):
        from eva_rl.pretraining.clips import window_shape
        from eva_rl.pretraining.encoding import EncoderWorkers, encode_episodes
        from eva_rl.pretraining.encoding_plan import plan_of

        clips = encode_episodes(
            refs,
            arguments.destination,
            plan=plan_of(
                arguments.world_model,
                shape=window_shape(video),
                seed=arguments.seed,
                held_out_share=arguments.held_out_share,
                source=arguments.source,
            ),
            world_model=arguments.world_model,
            workers=EncoderWorkers(count=arguments.workers, num_gpus=arguments.gpus_per_worker),
        )
    counts = ", ".join(f"{clips.num_clips(split)} {split}" for split in clips.shards)
    sys.stdout.write(f"{arguments.destination}: {counts} clips; train with --data.encoded\n")
    return 0


@contextmanager
def _counting(total: int) -> Iterator[Callable[[int], None]]:
    """Shows on a terminal how many episodes are done; elsewhere nothing."""
    is_shown = sys.stderr.isatty()
    width = len(f"{total} of {total} episodes")

    def count(number: int) -> None:
        if is_shown:
            sys.stderr.write(f"\r{number} of {total} episodes".ljust(width + 1) + "\r")

    try:
        yield count
    finally:
        if is_shown:
            sys.stderr.write("\r" + " " * width + "\r")


def _print(
    result: Mapping[str, Any], arguments: argparse.Namespace, *, as_text: Callable[[Mapping[str, Any]], str]
) -> None:
    sys.stdout.write((json.dumps(result) if arguments.json else as_text(result)) + "\n")


VERBS: Mapping[str, Callable[[argparse.Namespace, list], int]] = {
    "inspect": _inspect,
    "convert": _convert,
    "stats": _stats,
    "encode": _encode,
}
