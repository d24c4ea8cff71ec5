"""`eva-rl verify CHECKPOINT`: is every byte what was saved?"""

import argparse
import sys
from pathlib import Path

from eva_rl.checkpoints.folder import Folder
from eva_rl.checkpoints.manifest import CheckpointError, read_manifest

PURPOSE = "Check every file of a checkpoint against its hash; name the first that is missing or altered."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("checkpoint", type=Path, help="e.g. runs/NAME/checkpoints/step_000020")


def run(arguments: argparse.Namespace) -> int:
    """Prints what was verified, or the first difference."""
    try:
        state = read_manifest(Folder.local(arguments.checkpoint))
    except CheckpointError as error:
        sys.stderr.write(f"eva-rl verify: {error}\n")
        return 1
    sys.stdout.write(f"{arguments.checkpoint} is whole: training step {state['training_step']}\n")
    return 0
