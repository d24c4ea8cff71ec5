"""What both training recipes do around their training: Ray, progress, the episodes to learn from."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from eva_rl.config.pretraining import IdmSettings, SftSettings

if TYPE_CHECKING:
    from eva_rl.driver.progress import RunProgress, StageProgress
    from eva_rl.records.episode import EpisodeRef

READ, TRAIN = STAGES = ("read episodes", "train")
S = TypeVar("S", SftSettings, IdmSettings)


def run_training(
    settings: S,
    train: Callable[..., dict[str, Any]],
    *,
    program: str,
    needs_episodes: Callable[[S, Path], bool] = lambda settings, job_directory: True,
) -> None:
    """Trains, showing progress; begins a job or continues the one of `run.directory`.

    Args:
        settings: of the recipe.
        train: `train_idm` or `train_world_model`.
        program: how the recipe is called, for messages.
        needs_episodes: whether a job of these settings, in this directory, reads recorded episodes.

    Raises:
        SystemExit: 1, after a sentence, when settings or data cannot be used.
    """
    # Imported here: `--help` need not wait for Ray and torch, and Ray reads its environment when imported.
    from eva_rl.data.encoded import EncodedClipsError
    from eva_rl.driver.planned_errors import PLANNED_ERRORS
    from eva_rl.pretraining.collection import CollectionError

    try:
        _run(settings, train, needs_episodes=needs_episodes)
    except (*PLANNED_ERRORS, CollectionError, EncodedClipsError) as error:
        sys.stderr.write(f"{program}: {error}\n")
        raise SystemExit(1) from None


def _run(
    settings: S, train: Callable[..., dict[str, Any]], *, needs_episodes: Callable[[S, Path], bool]
) -> None:
    from eva_rl.driver.progress import RunProgress
    from eva_rl.driver.provenance import describe_run
    from eva_rl.driver.ray_session import ray_session
    from eva_rl.pretraining.job_directory import open_job_directory

    job_directory = open_job_directory(settings.run)
    with RunProgress(STAGES) as progress, ray_session(settings.cluster):
        files = ()
        with progress.stage(READ) as stage:
            if needs_episodes(settings, job_directory):
                files = _episodes(settings, job_directory, progress, stage)
            else:
                stage.note("not needed: the clips are encoded already")
        with progress.stage(TRAIN, total=settings.training.num_steps) as stage:
            train(
                settings,
                files=files,
                job_directory=job_directory,
                provenance=describe_run(seed=settings.run.seed, model_directories={}),
                on_steps=lambda num_steps, note: stage.advance(num_steps, note=note),
            )
    progress.console.print(f"Model: {settings.training.directory.resolve()}", soft_wrap=True)


def _episodes(
    settings: SftSettings | IdmSettings,
    job_directory: Path,
    progress: "RunProgress",
    stage: "StageProgress",
) -> "Sequence[EpisodeRef]":
    from eva_rl.pretraining.training_data import usable_episodes

    survey = usable_episodes(
        settings, job_directory=job_directory, on_episode=lambda note: stage.advance(note=note)
    )
    progress.console.print(str(survey), soft_wrap=True, highlight=False)
    return survey.usable
