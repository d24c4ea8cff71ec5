"""The episodes that a pretraining job learns from: given ones, or freshly recorded ones."""

from collections.abc import Callable
from pathlib import Path

from eva_rl.config.pretraining import IdmSettings, SftSettings
from eva_rl.data.episodes import EpisodeSurvey, list_episode_files, survey_episodes
from eva_rl.embodiments.table import EMBODIMENTS
from eva_rl.pretraining.collection import collect_demonstrations


def usable_episodes(
    settings: SftSettings | IdmSettings, *, job_directory: Path, on_episode: Callable[[str], None]
) -> EpisodeSurvey:
    """Checks the episodes of `data.directory`; without one, records some into the job's directory first.

    Args:
        settings: of the recipe.
        job_directory: where recorded episodes go.
        on_episode: called with a short note whenever an episode has been recorded.

    Raises:
        EpisodeDirectoryError: there are no episodes, or too many are damaged.
    """
    directory = settings.data.directory
    if directory is None:
        directory = job_directory / "demonstrations"
        collect_demonstrations(
            directory,
            tasks=settings.robot.tasks,
            num_episodes_per_task=settings.data.num_episodes_per_task,
            first_scene_seed=settings.data.first_scene_seed,
            video=settings.video,
            on_episode=on_episode,
        )
    return survey_episodes(
        list_episode_files(directory, tasks=settings.robot.tasks),
        num_dimensions=EMBODIMENTS[settings.robot.embodiment].dimension,
        max_damaged_share=settings.data.max_damaged_share,
    )
