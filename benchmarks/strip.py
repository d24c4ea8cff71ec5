"""One held-out scene as a picture: the expert, imagined before and after, and the accelerations read from it.

python -m benchmarks.strip runs/ea/adapters/direct-backprop-0 docs/strip.png \
    --task click_bell --scene-seed 4000003
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks.aligned_policy import open_aligned
from eva_rl.actors.reward_setup import reward_of
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.evaluation.evaluator import Evaluator
from eva_rl.records.evaluation import Clip, HeldOutScene

ROWS = {"expert": "#555555", "before": "#c8641e", "after": "#1f5fa8"}
NUM_COLUMNS = 6


def main(arguments: Sequence[str]) -> None:
    """Imagines the scene with and without the adapter and draws both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter", type=Path, help="directory of an aligned policy's adapter")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("--task", default="click_bell")
    parser.add_argument("--scene-seed", type=int, default=4_000_000)
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
    """Draws six moments of each video above the accelerations that were read from it.

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
    motions = {
        "expert": before.real_positions,
        "before": before.generated_positions,
        "after": after.generated_positions,
    }
    moments = np.linspace(0, len(before.generated_frames) - 1, NUM_COLUMNS).round().astype(int)
    figure, axes = pyplot.subplots(4, NUM_COLUMNS, figsize=(10, 6), layout="constrained")
    for row, (name, colour) in enumerate(ROWS.items()):
        for column, moment in enumerate(moments):
            place = axes[row, column]
            place.imshow(videos[name][moment])
            place.set_xticks([])
            place.set_yticks([])
            if row == 0:
                place.set_title(f"{moment / frame_rate_hz:.1f} s", fontsize=9)
        axes[row, 0].set_ylabel(name, color=colour)
    for place, joint in zip(axes[3], _hardest_joints(motions, frame_rate_hz), strict=True):
        _draw_joint(place, motions, joint, frame_rate_hz=frame_rate_hz)
    axes[3, 0].set_ylabel("rad/s²", fontsize=8)
    results = f"before: {_result(before)}, after: {_result(after)}"
    figure.suptitle(f'"{before.instruction}"  {results}', fontsize=10)
    figure.savefig(file, dpi=100)
    pyplot.close(figure)


def _hardest_joints(motions: Mapping[str, np.ndarray], frame_rate_hz: float) -> list[int]:
    """The arm joints whose accelerations come nearest to their limits, in any of the videos."""
    embodiment = EMBODIMENTS["bimanual"]
    arms = np.array(embodiment.arm_indices)
    limits = np.array(embodiment.acceleration)[arms]
    shares = [np.abs(_acceleration(motion, frame_rate_hz)[:, arms]) / limits for motion in motions.values()]
    hardest = np.argsort(-np.concatenate(shares).max(axis=0))[:NUM_COLUMNS]
    return sorted(arms[hardest].tolist())


def _draw_joint(place, motions: Mapping[str, np.ndarray], joint: int, *, frame_rate_hz: float) -> None:  # noqa: ANN001
    embodiment = EMBODIMENTS["bimanual"]
    limit = embodiment.acceleration[joint]
    for name, motion in motions.items():
        values = _acceleration(motion, frame_rate_hz)[:, joint]
        times = (np.arange(len(values)) + 1) / frame_rate_hz
        place.plot(
            times, values, color=ROWS[name], linewidth=1.2, linestyle="--" if name == "expert" else "-"
        )
    for side in (-limit, limit):
        place.axhline(side, color="#b00020", linewidth=0.8, linestyle=":")
    arm, number = divmod(joint, len(embodiment.acceleration) // 2)
    place.set_title(f"{('left', 'right')[arm]} joint {number + 1}", fontsize=8)
    place.set_ylim(-2 * limit, 2 * limit)
    place.tick_params(labelsize=7)


def _acceleration(positions: np.ndarray, frame_rate_hz: float) -> Float[np.ndarray, "frames-2 D"]:
    return np.diff(positions, n=2, axis=0) * frame_rate_hz**2


def _result(clip: Clip) -> str:
    if clip.monitored_success:
        return "executed"
    return "reaches the goal, breaks a limit" if clip.success else "fails"


if __name__ == "__main__":
    main(sys.argv[1:])
