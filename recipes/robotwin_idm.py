"""Train the inverse dynamics model: from the frames of a clip to the joint positions that they show.

python recipes/robotwin_idm.py --data.directory data/embedded --idm.world_model models/world_model
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eva_rl.config.command_line import settings_from_command_line
from eva_rl.config.pretraining import IdmSettings

if TYPE_CHECKING:
    from eva_rl.driver.progress import RunProgress

PROGRAM = "python recipes/robotwin_idm.py"
PURPOSE = (
    "Trains the inverse dynamics model that reads joint positions from video frames, on recorded clips and "
    "on their reconstructions by a world model's codec, so that it also reads imagined clips. Ends with a "
    "directory of weights, config.json and card.json."
)
STAGES = ("read episodes", "train")
DEFAULT_CONFIG = Path(__file__).parent / "configs" / "idm.yaml"


def main(arguments: Sequence[str]) -> None:
    """Reads the settings and trains."""
    settings = settings_from_command_line(
        IdmSettings, arguments, program=PROGRAM, purpose=PURPOSE, default_config=DEFAULT_CONFIG
    )
    run(settings)


def run(settings: IdmSettings) -> None:
    """Trains, showing progress."""
    from eva_rl.driver.progress import RunProgress
    from eva_rl.driver.ray_session import ray_session
    from eva_rl.pretraining.job_directory import open_job_directory

    job_directory = open_job_directory(settings.run)
    with RunProgress(STAGES) as progress, ray_session(settings.cluster):
        _train(settings, job_directory, progress)
    progress.console.print(f"Model: {settings.training.directory.resolve()}", soft_wrap=True)


def _train(settings: IdmSettings, job_directory: Path, progress: "RunProgress") -> None:
    # Imported here: `--help` need not wait for Ray and torch, and Ray reads its environment when imported.
    from eva_rl.driver.provenance import describe_run
    from eva_rl.pretraining.idm_training import train_idm
    from eva_rl.pretraining.training_data import usable_episodes

    with progress.stage(STAGES[0]) as stage:
        survey = usable_episodes(
            settings, job_directory=job_directory, on_episode=lambda note: stage.advance(note=note)
        )
    progress.console.print(str(survey), soft_wrap=True, highlight=False)
    with progress.stage(STAGES[1], total=settings.training.num_steps) as stage:
        train_idm(
            settings,
            files=survey.usable,
            job_directory=job_directory,
            provenance=describe_run(seed=settings.run.seed, model_directories={}),
            on_steps=lambda num_steps, note: stage.advance(num_steps, note=note),
        )


if __name__ == "__main__":
    main(sys.argv[1:])
