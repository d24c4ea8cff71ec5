"""Recorded episodes -> encoded conditions, streamed by Ray Data."""

from pathlib import Path
from typing import Any

import ray

from eva_rl.actors.encoder import encode_conditions
from eva_rl.config.align import AlignSettings
from eva_rl.data.conditions import conditions_from_windows
from eva_rl.data.demonstrations import survey_demonstrations
from eva_rl.data.episodes import EpisodeSurvey
from eva_rl.data.ray_pipeline import stream_windows, windows_from_rows
from eva_rl.data.windows import WindowShape
from eva_rl.evaluation.held_out import split_recorded
from eva_rl.records.condition import EncodedCondition
from eva_rl.world_model.conditionings import given_video_frames
from eva_rl.world_model.layout import read_layout


def load_conditions(
    settings: AlignSettings, demonstrations: Path | str, *, world_model: str
) -> tuple[list[EncodedCondition], EpisodeSurvey]:
    """Reads, checks, windows and encodes the demonstrations.

    Args:
        settings: which tasks, which clip shape, how much damage is tolerated.
        demonstrations: directory or URI of recorded episodes, in any row of EPISODE_FORMATS.
        world_model: pipeline directory whose codec and text encoder are used.

    Raises:
        EpisodeDirectoryError: when there are no episodes, or too many are damaged.
    """
    video, data = settings.video, settings.data
    survey = survey_demonstrations(demonstrations, data=data, robot=settings.robot)
    shape = WindowShape(
        num_frames=video.num_frames,
        frame_rate_hz=video.frame_rate_hz,
        height=video.height,
        width=video.width,
        stride_s=video.num_frames * video.frame_period_s,
    )
    learned, _ = split_recorded(survey.usable, settings)
    rows = stream_windows(learned, shape=shape, shuffle_seed=settings.run.seed).iter_rows()
    windows = windows_from_rows(rows)
    conditions = conditions_from_windows(
        windows,
        seed=settings.run.seed,
        unseen_instruction_share=data.unseen_instruction_share,
        num_history_frames=given_video_frames(read_layout(world_model, settings.world_model)),
    )
    is_anchored = settings.algorithm.anchor_weight > 0
    encode: Any = ray.remote(num_cpus=0.25)(encode_conditions)
    encoded = encode.remote(
        world_model,
        conditions,
        demonstrations=[window.frames for window in windows] if is_anchored else None,
        with_empty_text=settings.sampling.guidance > 1,
        with_history_noise=settings.sampling.history_guidance > 0,
        settings=settings.world_model,
    )
    return ray.get(encoded), survey
