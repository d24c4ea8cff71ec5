"""Where a pretraining job keeps its state, and the card it leaves with the model."""

import json
from datetime import datetime
from pathlib import Path

from eva_rl.config.run import RunSettings

CARD_FILE = "card.json"


def open_job_directory(run: RunSettings) -> Path:
    """The directory of a new job, or of the one to be resumed.

    Raises:
        ValueError: the directory holds another job, or there is none to resume.
    """
    if run.directory is None:
        if run.resume:
            raise ValueError("run.resume needs run.directory: name the directory of the job to continue")
        stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        return Path("runs") / f"{run.name}-{stamp}"
    is_occupied = run.directory.is_dir() and any(run.directory.iterdir())
    if is_occupied and not run.resume:
        raise ValueError(
            f"run.directory {run.directory} is not empty; choose another, remove it, "
            "or continue that job with --run.resume true"
        )
    if run.resume is True and not is_occupied:
        raise ValueError(f"run.resume: {run.directory} holds no job; leave out --run.resume")
    return run.directory


def write_card(directory: Path, **facts: object) -> None:
    """Writes `card.json`: how a model came about, for whoever finds its directory."""
    (directory / CARD_FILE).write_text(json.dumps(facts, indent=1, default=str) + "\n")
