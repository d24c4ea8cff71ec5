"""The demonstrations that a run's settings name, read and checked."""

from functools import partial
from pathlib import Path

from eva_rl.config.data import DataSettings
from eva_rl.config.video import RobotSettings
from eva_rl.data.episodes import EpisodeSurvey, survey_episodes
from eva_rl.data.listing import list_episodes
from eva_rl.data.ray_pipeline import find_in_parallel
from eva_rl.embodiments.table import EMBODIMENTS


def survey_demonstrations(
    directory: Path | str, *, data: DataSettings, robot: RobotSettings
) -> EpisodeSurvey:
    """Lists a directory's episodes of the robot's tasks, and reads each once, in parallel.

    Args:
        directory: `data.directory`, or where the run has recorded its own.
        data: which camera, and how much damage is tolerated.
        robot: whose tasks and dimensions.

    Raises:
        EpisodeDirectoryError: there are no episodes of a task, too many are damaged, or their rates differ.
    """
    refs = list_episodes(
        directory,
        tasks=robot.tasks or None,
        camera=data.camera,
        embodiment=robot.embodiment,
        frame_rate_hz=data.frame_rate_hz,
        max_per_task=data.max_episodes_per_task,
    )
    return survey_episodes(
        refs,
        num_dimensions=EMBODIMENTS[robot.embodiment].dimension,
        max_damaged_share=data.max_damaged_share,
        are_mixed_rates_allowed=data.are_mixed_rates_allowed,
        find=partial(find_in_parallel, decodes_all=data.is_every_picture_checked),
    )
