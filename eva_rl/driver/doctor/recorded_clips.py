"""A few clips of real recorded video with their joint positions."""

from collections.abc import Sequence

import numpy as np

from eva_rl.config.align import AlignSettings
from eva_rl.config.video import EMBEDDED
from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.formats import open_episode
from eva_rl.data.listing import EpisodeDirectoryError, list_episodes
from eva_rl.data.windows import EpisodeWindow, WindowShape, windows_of
from eva_rl.records.episode import EpisodeRef

FIRST_SCENE_SEED = 5_000_000
"""Of scenes that no model, run or benchmark of this project uses."""


def recorded_clips(settings: AlignSettings, *, number: int) -> list[EpisodeWindow]:
    """Takes the first clips of `data.directory`, or lets the embedded robot's experts make some.

    Args:
        settings: of the run.
        number: of clips that are wanted; fewer where there are fewer.

    Raises:
        EpisodeDirectoryError: no episode can be read.
    """
    if settings.data.directory is None:
        return _simulated(settings, number=number)
    episodes = list_episodes(
        settings.data.directory,
        tasks=settings.robot.tasks or None,
        camera=settings.data.camera,
        embodiment=settings.robot.embodiment,
        frame_rate_hz=settings.data.frame_rate_hz,
    )
    return clips_of(episodes, settings, number=number)


def clips_of(episodes: Sequence[EpisodeRef], settings: AlignSettings, *, number: int) -> list[EpisodeWindow]:
    """Takes the first clip of each of some episodes, spread over all of them; damaged ones are passed over.

    Raises:
        EpisodeDirectoryError: none can be read.
    """
    video = settings.video
    shape = WindowShape(
        num_frames=video.num_frames,
        frame_rate_hz=video.frame_rate_hz,
        height=video.height,
        width=video.width,
        stride_s=video.num_frames * video.frame_period_s,
    )
    clips: list[EpisodeWindow] = []
    for position in np.linspace(0, len(episodes) - 1, min(number, len(episodes))).astype(int):
        try:
            clips += windows_of(open_episode(episodes[position]), shape=shape)[:1]
        except DamagedEpisodeError:
            continue
    if not clips:
        raise EpisodeDirectoryError(
            f"none of the {len(episodes)} episodes of data.directory = {settings.data.directory} gives a "
            f"clip of {video.num_frames} frames at {video.frame_rate_hz:g} Hz"
        )
    return clips


def _simulated(settings: AlignSettings, *, number: int) -> list[EpisodeWindow]:
    """Demonstrations of the embedded robot, one task after the other, in scenes of its own.

    A scene that its expert cannot plan is left out, as when demonstrations are recorded.
    """
    from eva_rl.simulators.bimanual.expert import PlanTooLongError, UnreachablePoseError

    tasks, clips, problems = settings.robot.tasks, [], []
    for position in range(number):
        try:
            clips.append(_demonstration(tasks[position % len(tasks)], FIRST_SCENE_SEED + position, settings))
        except (UnreachablePoseError, PlanTooLongError) as error:
            problems.append(str(error))
    if not clips:
        raise EpisodeDirectoryError(
            f"no expert of robot.tasks = {', '.join(tasks)} could plan a clip of {settings.video.num_frames} "
            f"frames at {settings.video.frame_rate_hz:g} Hz ({problems[0]}); set data.directory to recordings"
        )
    return clips


def _demonstration(task: str, seed: int, settings: AlignSettings) -> EpisodeWindow:
    from eva_rl.simulators.bimanual import BimanualScene

    video = settings.video
    scene = BimanualScene(
        task,
        seed,
        frame_rate_hz=video.frame_rate_hz,
        num_frames=video.num_frames,
        height=video.height,
        width=video.width,
    )
    actions = scene.expert().actions
    frames = scene.execute(actions, render=True).frames
    assert frames is not None, "rendered as asked"
    return EpisodeWindow(
        window_id=f"{task}/scene{seed}",
        task=task,
        start_s=0.0,
        frames=frames,
        actions=actions.astype(np.float32),
        seen_instructions=(scene.instruction("seen"),),
        unseen_instructions=(scene.instruction("unseen"),),
        frame_rate_hz=video.frame_rate_hz,
        embodiment=EMBEDDED,
        scene_seed=seed,
    )
