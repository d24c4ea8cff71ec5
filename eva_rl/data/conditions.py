"""Conditions to generate videos from, taken from the starts of recorded windows."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eva_rl.data.windows import EpisodeWindow
from eva_rl.records.condition import Condition


def conditions_from_windows(
    windows: Sequence[EpisodeWindow],
    *,
    seed: int,
    unseen_instruction_share: float = 0.0,
    num_history_frames: int = 1,
) -> list[Condition]:
    """Turns windows into conditions, one each.

    Which of an episode's instructions is used depends only on `seed` and the window's id: the same condition
    comes out whatever other windows are in the set, and in whatever order.

    Args:
        windows: recorded clips.
        seed: chooses between seen and unseen instructions, and one among them.
        unseen_instruction_share: 0..1, probability of a wording that training never shows.

        num_history_frames: video frames that the world model is given (EVA's history); above 1, conditions
            hold all of them.

    Raises:
        ValueError: an episode has no instruction of the chosen kind, or the history fills the whole clip.
    """
    conditions = [
        _condition(window, seed=seed, unseen_instruction_share=unseen_instruction_share) for window in windows
    ]
    if num_history_frames == 1:
        return conditions
    return [
        with_history(item, window.frames, num_history_frames)
        for item, window in zip(conditions, windows, strict=True)
    ]


def with_history(condition: Condition, frames: NDArray[np.uint8], num_history_frames: int) -> Condition:
    """Gives a condition the frames that its recorded clip begins with.

    Args:
        condition: of the start of the clip.
        frames: the clip, [frames, height, width, 3], RGB, 0..255.
        num_history_frames: how many of them the world model is given.

    Raises:
        ValueError: nothing of the clip is left to imagine.
    """
    if num_history_frames >= len(frames):
        raise ValueError(
            f"the world model is given {num_history_frames} video frames, {condition.condition_id} has "
            f"{len(frames)} in all: raise video.num_frames, or lower world_model.history_latent_frames"
        )
    return replace(condition, history=frames[:num_history_frames])


def _condition(window: EpisodeWindow, *, seed: int, unseen_instruction_share: float) -> Condition:
    random = _random_of(window.window_id, seed=seed)
    split = "unseen" if random.random() < unseen_instruction_share else "seen"
    texts = window.unseen_instructions if split == "unseen" else window.seen_instructions
    if not texts:
        raise ValueError(
            f"{window.window_id} has no {split} instruction, but data.unseen_instruction_share is "
            f"{unseen_instruction_share:g}; change it or record such instructions"
        )
    return Condition(
        condition_id=f"{window.window_id}/{split}",
        task=window.task,
        scene_seed=window.scene_seed,
        instruction=texts[random.integers(len(texts))],
        first_frame=window.frames[0],
        start_joints=window.actions[0],
        num_frames=len(window.frames),
        frame_rate_hz=window.frame_rate_hz,
        embodiment=window.embodiment,
        demonstrated_actions=window.actions,
    )


def _random_of(window_id: str, *, seed: int) -> np.random.Generator:
    # Not hash(): Python salts it per process.
    digest = hashlib.sha256(window_id.encode()).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(digest)])
