"""One held-out scene as a picture: the expert, imagined before and after, and the motion read from each.

python -m benchmarks.strip runs/ea/adapters/direct-backprop-0 docs/strip.png \
    --task click_bell --scene-seed 8000000
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.aligned_policy import open_aligned
from eva_rl.actors.reward_setup import reward_of
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.evaluation.evaluator import Evaluator
from eva_rl.records.evaluation import Clip, HeldOutScene

ROWS = {"expert": "#555555", "before": "#c8641e", "after": "#1f5fa8"}
NUM_COLUMNS = 6
EMBODIMENT = EMBODIMENTS["bimanual"]


def main(arguments: Sequence[str]) -> None:
    """Imagines the scene with and without the adapter and draws both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter", type=Path, help="directory of an aligned policy's adapter")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("--task", default="click_bell")
    parser.add_argument("--scene-seed", type=int, default=8_000_000)
    given = parser.parse_args(arguments)
    policy = open_aligned(given.adapter, num_conditions=1, first_scene_seed=given.scene_seed)
    evaluator = Evaluator(
        policy.settings,
        policy.models.world_model,
        idm_directory=policy.models.idm,
        reward=reward_of(policy.settings, penalty_scale=1.0),
    )
    scenes = [HeldOutScene(task=given.task, scene_seed=given.scene_seed)]
    (before,) = evaluator.clips_for_report(scenes)
    (after,) = evaluator.clips_for_report(scenes, adapter=policy.adapter)
    draw(before, after, given.picture, frame_rate_hz=policy.settings.video.frame_rate_hz)


def draw(before: Clip, after: Clip, file: Path, *, frame_rate_hz: float) -> None:
    """Draws six moments of each video above the positions and accelerations that were read from it.

    Args:
        before: of the base policy.
        after: of the aligned policy, same scene.
        file: PNG.
        frame_rate_hz: of the clips.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    videos = {
        "expert": before.real_frames,
        "before": before.generated_frames,
        "after": after.generated_frames,
    }
    positions = {
        "expert": before.real_positions,
        "before": before.generated_positions,
        "after": after.generated_positions,
    }
    accelerations = {
        name: np.diff(motion, n=2, axis=0) * frame_rate_hz**2 for name, motion in positions.items()
    }
    figure, axes = pyplot.subplots(len(ROWS) + 2, NUM_COLUMNS, figsize=(10, 7.2), layout="constrained")
    for row, (name, colour) in enumerate(ROWS.items()):
        _draw_frames(axes[row], videos[name], frame_rate_hz=frame_rate_hz, has_titles=row == 0)
        axes[row, 0].set_ylabel(name, color=colour)
    limits = np.array(EMBODIMENT.acceleration)
    for column, dimension in enumerate(_hardest(accelerations)):
        above, below = axes[len(ROWS) :, column]
        _draw_lines(above, positions, dimension, first=0, frame_rate_hz=frame_rate_hz)
        _draw_lines(below, accelerations, dimension, first=1, frame_rate_hz=frame_rate_hz)
        above.set_title(_part(dimension), fontsize=8)
        for side in (-limits[dimension], limits[dimension]):
            below.axhline(side, color="#b00020", linewidth=0.8, linestyle=":")
        below.set_ylim(-2 * limits[dimension], 2 * limits[dimension])
        below.set_xlabel("s", fontsize=7, labelpad=0)
    axes[len(ROWS), 0].set_ylabel("rad\n(gripper: share)", fontsize=8)
    axes[len(ROWS) + 1, 0].set_ylabel("rad/s²\n(gripper: 1/s²)", fontsize=8)
    results = f"before: {_result(before)}, after: {_result(after)}"
    figure.suptitle(f'"{before.instruction}"  {results}', fontsize=10)
    figure.savefig(file, dpi=100)
    pyplot.close(figure)


def _draw_frames(row: Sequence[Any], video: np.ndarray, *, frame_rate_hz: float, has_titles: bool) -> None:
    moments = np.linspace(0, len(video) - 1, NUM_COLUMNS).round().astype(int)
    for place, moment in zip(row, moments, strict=True):
        place.imshow(video[moment])
        place.set_xticks([])
        place.set_yticks([])
        if has_titles:
            place.set_title(f"{moment / frame_rate_hz:.1f} s", fontsize=9)


def _draw_lines(
    place: Any, values: Mapping[str, np.ndarray], dimension: int, *, first: int, frame_rate_hz: float
) -> None:
    """One line per video; the first value belongs to frame `first`."""
    for name, motion in values.items():
        times = (np.arange(len(motion)) + first) / frame_rate_hz
        style = "--" if name == "expert" else "-"
        place.plot(times, motion[:, dimension], color=ROWS[name], linewidth=1.2, linestyle=style)
    place.tick_params(labelsize=7)


def _hardest(accelerations: Mapping[str, Float[np.ndarray, "frames-2 D"]]) -> list[int]:
    """Joints and grippers whose accelerations come nearest to their limits, or pass them, in any video."""
    shares = np.concatenate(list(accelerations.values())) / np.array(EMBODIMENT.acceleration)
    return sorted(np.argsort(-np.abs(shares).max(axis=0))[:NUM_COLUMNS].tolist())


def _part(dimension: int) -> str:
    arm, number = divmod(dimension, len(EMBODIMENT.acceleration) // 2)
    part = f"joint {number + 1}" if dimension in EMBODIMENT.arm_indices else "gripper"
    return f"{('left', 'right')[arm]} {part}"


def _result(clip: Clip) -> str:
    if clip.monitored_success:
        return "executed"
    return "reaches the goal, breaks a limit" if clip.success else "fails"


if __name__ == "__main__":
    main(sys.argv[1:])
