"""Conditions to generate videos from, taken from the starts of recorded windows."""

import hashlib
from collections.abc import Iterable

import numpy as np

from eva_rl.data.windows import EpisodeWindow
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.records.condition import Condition


def conditions_from_windows(
    windows: Iterable[EpisodeWindow], *, seed: int, unseen_instruction_share: float = 0.0
) -> list[Condition]:
    """Turns windows into conditions, one each.

    Which of an episode's instructions is used depends only on `seed` and the window's id: the same condition
    comes out whatever other windows are in the set, and in whatever order.

    Args:
        windows: recorded clips.
        seed: chooses between seen and unseen instructions, and one among them.
        unseen_instruction_share: 0..1, probability of a wording that training never shows.

    Raises:
        ValueError: an episode has no instruction of the chosen kind.
    """
    return [
        _condition(window, seed=seed, unseen_instruction_share=unseen_instruction_share) for window in windows
    ]


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
        demonstrated_path_rad=_path_rad(window),
    )


def _path_rad(window: EpisodeWindow) -> float:
    arms = list(EMBODIMENTS[window.embodiment].arm_indices)
    return float(np.abs(np.diff(window.actions[:, arms], axis=0)).sum())


def _random_of(window_id: str, *, seed: int) -> np.random.Generator:
    # Not hash(): Python salts it per process.
    digest = hashlib.sha256(window_id.encode()).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(digest)])
