"""Stage times on this machine: two training steps through the real models, in this process."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eva_rl import pretrained
from eva_rl.actors.encoder import encode_conditions
from eva_rl.config.align import AlignSettings
from eva_rl.driver.solo import SoloRun
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.records.condition import Condition, EncodedCondition

INSTRUCTION = "move the arm"


@dataclass(frozen=True, kw_only=True)
class StageSeconds:
    """Wall seconds per group: of one generator, one scorer and one learner rank."""

    generate_s: float
    score_s: float
    learn_s: float


def measure_stages(settings: AlignSettings) -> StageSeconds:
    """Takes two training steps on random first frames and returns what the second one took.

    Generator, scorer and one learner rank share this process, so nothing overlaps, and all models must fit
    beside each other; the reward means nothing. Wall time: a busy machine shows.
    """
    world_model = str(Path(settings.world_model.directory or pretrained.WORLD_MODEL).resolve())
    idm = str(Path(settings.idm.directory or pretrained.IDM).resolve())
    learner = settings.learner.model_copy(update={"num_ranks": 1})
    alone = settings.model_copy(update={"learner": learner})
    run = SoloRun(alone, _random_conditions(alone, world_model), world_model, idm)
    run.train(math.inf, max_steps=1)
    started = time.perf_counter()
    groups = run.generate(1)
    generated = time.perf_counter()
    run.score(groups)
    scored = time.perf_counter()
    run.train(math.inf, max_steps=2)
    stepped = time.perf_counter()
    generate_s, score_s = generated - started, scored - generated
    count = len(groups)
    return StageSeconds(
        generate_s=generate_s / count,
        score_s=score_s / count,
        learn_s=max(0.0, stepped - scored - generate_s - score_s) / count,
    )


def _random_conditions(settings: AlignSettings, world_model: str) -> Sequence[EncodedCondition]:
    """Conditions of the right shape, encoded by the model's own encoders."""
    video, robot = settings.video, settings.robot
    frames = np.random.default_rng(0).integers(
        0, 256, (settings.algorithm.groups_per_step, video.height, video.width, 3), np.uint8
    )
    conditions = [
        Condition(
            condition_id=f"timing/{index}",
            task="timing",
            scene_seed=None,
            instruction=INSTRUCTION,
            first_frame=frame,
            start_joints=np.zeros(EMBODIMENTS[robot.embodiment].dimension, np.float32),
            num_frames=video.num_frames,
            frame_rate_hz=video.frame_rate_hz,
            embodiment=robot.embodiment,
        )
        for index, frame in enumerate(frames)
    ]
    clips = [np.repeat(frame[None], video.num_frames, axis=0) for frame in frames]
    return encode_conditions(
        world_model,
        conditions,
        demonstrations=clips if settings.algorithm.anchor_weight > 0 else None,
        with_empty_text=settings.sampling.guidance > 1,
        with_history_noise=settings.sampling.history_guidance > 0,
        settings=settings.world_model,
    )
