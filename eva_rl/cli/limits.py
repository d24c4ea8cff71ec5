"""`eva-rl limits`: a robot's joint limits from its description file, or from what it was seen to do."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

PURPOSE = "Print joint limits as a row for robot.limits_from: from URDF, MJCF or recorded episodes."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("source", help="URDF or MJCF file, or a directory of recorded episodes")
    parser.add_argument(
        "--embodiment",
        default="bimanual",
        help="row of EMBODIMENTS: arms, and figures that the source does not hold (default: bimanual)",
    )
    parser.add_argument(
        "--joints", default="", help="names or patterns in action order, e.g. 'fl_joint[1-6],fr_joint[1-6]'"
    )
    parser.add_argument(
        "--velocity", default="", help="speeds in rad/s in place of the file's: one, or a list"
    )
    parser.add_argument("--episodes", help="recorded episodes whose quantiles replace a file's placeholders")
    parser.add_argument("--fps", type=float, help="true frame rate of episodes that state none")
    parser.add_argument("--quantile", type=float, default=0.001, help="share of frames beyond a data limit")
    parser.add_argument("--margin", type=float, default=0.1, help="share that is added to data limits")
    parser.add_argument("--json", action="store_true", help="print JSON instead of YAML")


def run(arguments: argparse.Namespace) -> int:
    """Prints the row, and warnings on stderr: 0 fine, 1 the limits would mislead, 2 wrong input."""
    from eva_rl.embodiments import load_embodiment
    from eva_rl.embodiments.row_file import as_data, as_yaml

    try:
        row = load_embodiment(arguments.embodiment)
        if Path(arguments.source).is_file():
            limits, is_misleading = _from_file(arguments, row)
        else:
            limits, is_misleading = _seen(arguments.source, arguments, row), False
    except (OSError, ValueError) as error:
        sys.stderr.write(f"eva-rl limits: {error}\n")
        return 2
    sys.stdout.write(json.dumps(as_data(limits)) + "\n" if arguments.json else as_yaml(limits))
    return int(is_misleading)


def _from_file(arguments: argparse.Namespace, row: Any) -> tuple[Any, bool]:
    from eva_rl.embodiments.importing import import_limits

    seen = _seen(arguments.episodes, arguments, row) if arguments.episodes else None
    imported = import_limits(
        Path(arguments.source),
        row,
        patterns=_words(arguments.joints),
        velocity=[float(word) for word in _words(arguments.velocity)],
        seen=seen,
    )
    for found in imported.placeholders:
        remedy = "; replaced by data" if seen is not None else "; use --episodes" if found.matters else ""
        sys.stderr.write(f"warning: {found}{remedy}\n")
    return imported.embodiment, seen is None and any(found.matters for found in imported.placeholders)


def _seen(source: str, arguments: argparse.Namespace, row: Any) -> Any:
    """Limits that recorded episodes keep; damaged episodes are left out with a warning."""
    from eva_rl.data.checking import check_header
    from eva_rl.data.damage import DamagedEpisodeError
    from eva_rl.data.formats import open_episode
    from eva_rl.data.listing import list_episodes
    from eva_rl.embodiments.quantiles import limits_from_actions

    clips, rates = [], []
    for ref in list_episodes(source, embodiment=row.name, frame_rate_hz=arguments.fps):
        try:
            header = open_episode(ref).header
            check_header(header, num_dimensions=row.dimension)
        except DamagedEpisodeError as error:
            sys.stderr.write(f"warning: left out {error}\n")
            continue
        clips.append(header.actions)
        rates.append(header.frame_rate_hz)
    seen = limits_from_actions(clips, rates, row=row, quantile=arguments.quantile, margin=arguments.margin)
    if seen.still_dimensions:
        places = ", ".join(map(str, seen.still_dimensions))
        sys.stderr.write(f"warning: dimensions {places} never moved and keep the figures of {row.name}\n")
    return seen.embodiment


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
