"""The command that a job runs: the same for every way to get machines, and for every attempt."""

import shlex
from pathlib import PurePosixPath

from eva_rl.deployment.loading import Deployment

RECIPE = PurePosixPath("recipes/robotwin_align.py")


def run_command(deployment: Deployment, *, root: str = "") -> str:
    """The recipe with its settings, as one shell line.

    The run directory is named after the job and `run.resume` is auto: the first attempt starts the run, and
    a later one, after a lost cluster, continues it.

    Args:
        deployment: names the run.
        root: the repository where the command runs; empty when that is the working directory.
    """
    settings = deployment.settings
    words = [
        "python",
        str(PurePosixPath(root) / RECIPE),
        "--config",
        str(PurePosixPath(root) / PurePosixPath(settings.job.config)),
        *deployment.overrides,
        "--run.directory",
        f"{settings.volumes.runs.mount}/{settings.job.name}",
        "--run.resume",
        "auto",
    ]
    return shlex.join(words)
