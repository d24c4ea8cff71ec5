"""`eva-rl verify CHECKPOINT_OR_RUN`: is it what was written?"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from eva_rl.checkpoints.manifest import CheckpointError

if TYPE_CHECKING:  # the driver brings the model libraries: `--help` need not wait for them
    from eva_rl.driver.run_directory import RunDirectory

PURPOSE = (
    "Check a checkpoint, or all of a run and its ledger; name the first thing that is missing or altered."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "place",
        metavar="CHECKPOINT_OR_RUN",
        help="runs/NAME/checkpoints/step_000020, or runs/NAME; a directory or a URI (s3://, gs://)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints what was verified, or the first difference."""
    from eva_rl.driver.run_directory import RunDirectory

    directory = RunDirectory(Path(arguments.place))
    try:
        sentence = _verify_run(directory) if directory.settings.is_file() else _verify_one(arguments.place)
    except (CheckpointError, OSError, ValueError) as error:
        sys.stderr.write(f"eva-rl verify: {error}\n")
        return 1
    sys.stdout.write(f"{arguments.place} is whole: {sentence}\n")
    return 0


def _verify_run(directory: "RunDirectory") -> str:
    from eva_rl.driver.saving import store_of_run
    from eva_rl.driver.verification import verify_run

    steps = verify_run(directory.path, store_of_run(directory))
    return f"checkpoints of training steps {', '.join(map(str, steps))}"


def _verify_one(location: str) -> str:
    from eva_rl.checkpoints.folder import Folder
    from eva_rl.data.storage import filesystem_of
    from eva_rl.driver.verification import verify_checkpoint

    return f"training step {verify_checkpoint(Folder(*filesystem_of(location)))['training_step']}"
