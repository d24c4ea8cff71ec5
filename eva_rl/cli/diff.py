"""`eva-rl diff RUN_A RUN_B`: what exactly is not the same."""

import argparse
import sys
from pathlib import Path

PURPOSE = (
    "Print what differs between two runs: settings, code, data, versions, hardware, and the first training "
    "step whose metrics or rollouts differ. Times are passed over."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("first", metavar="RUN_A", type=Path, help="run directory")
    parser.add_argument("second", metavar="RUN_B", type=Path, help="run directory")


def run(arguments: argparse.Namespace) -> int:
    """Prints one line per difference, `A | B`: 0 none, 1 some, 2 not a run."""
    from eva_rl.driver.run_difference import run_differences
    from eva_rl.driver.run_directory import RunDirectory

    runs = [RunDirectory(arguments.first), RunDirectory(arguments.second)]
    for directory in runs:
        if not directory.settings.is_file():
            sys.stderr.write(f"eva-rl diff: {directory.path} is no run directory: it has no settings.yaml\n")
            return 2
    lines = list(run_differences(*runs))
    sys.stdout.writelines(f"{line}\n" for line in lines)
    if not lines:
        sys.stdout.write("no difference\n")
    return 1 if lines else 0
