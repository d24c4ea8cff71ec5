"""Do imagined clips still look like the motion that is read from them? An adapter against the base policy.

Alignment must not pay with garbage frames that only the reader likes. Every clip's decoded motion is
rendered again in its scene and compared with the clip, inside the rendered robot
(`eva_rl.rewards.appearance`).

python -m benchmarks.rendered_again runs/mine/adapter --result benchmarks/results/rendered_again.json
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from benchmarks.aligned_policy import AlignedPolicy, open_aligned
from benchmarks.session import from_here
from eva_rl import pretrained
from eva_rl.actors.scene_view import SceneView
from eva_rl.driver.progress import RunProgress, StageProgress
from eva_rl.driver.provenance import describe_run
from eva_rl.evaluation.held_out import PreparedScene, planned_scenes
from eva_rl.evaluation.intervals import mean, paired_difference
from eva_rl.evaluation.models import EvaluationModels
from eva_rl.records.adapter import AdapterWeights

STAGES = ("base", "aligned")
MEASURED = ("cycle_error", "arm_visibility")


def main(arguments: Sequence[str]) -> None:
    """Looks at the clips of both policies and writes their difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter", type=Path, help="directory of an aligned policy's adapter")
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--num-conditions", type=int, default=400)
    parser.add_argument("--first-scene-seed", type=int, default=7_000_000)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # on a busy machine a second thread mostly waits
    policy = open_aligned(
        given.adapter, num_conditions=given.num_conditions, first_scene_seed=given.first_scene_seed
    )
    models = EvaluationModels(policy.settings, policy.models.world_model, idm_directory=policy.models.idm)
    with RunProgress(STAGES) as progress:
        with progress.stage(STAGES[0], total=given.num_conditions) as stage:
            before = looks(policy, models, None, stage)
        with progress.stage(STAGES[1], total=given.num_conditions) as stage:
            after = looks(policy, models, policy.adapter, stage)
        found = {
            name: {
                "before": asdict(mean(before[:, column])),
                "after": asdict(mean(after[:, column])),
                "difference": asdict(paired_difference(before[:, column], after[:, column])),
            }
            for column, name in enumerate(MEASURED)
        }
        facts = describe_run(
            seed=policy.settings.run.seed,
            model_directories={
                "world_model": from_here(pretrained.WORLD_MODEL),
                "idm": from_here(pretrained.IDM),
            },
        )
        given.result.write_text(json.dumps({"provenance": facts, **found}, indent=1) + "\n")
        for name, row in found.items():
            progress.console.print(f"{name}: " + ", ".join(f"{key} {_text(row[key])}" for key in row))


def looks(
    policy: AlignedPolicy, models: EvaluationModels, adapter: AdapterWeights | None, stage: StageProgress
) -> Float[np.ndarray, "scenes measured"]:
    """What MEASURED says of every scene's clip: means over frames, and the arm that is seen worse.

    Args:
        policy: says which scenes.
        models: that imagine and read.
        adapter: of the policy that imagines; None for the base policy.
        stage: shows what is done.
    """
    settings = policy.settings
    scenes, size = (
        planned_scenes(settings.robot.tasks, settings.evaluation, video=settings.video, robot=settings.robot),
        25,
    )
    rows: list[list[float]] = []
    for first in range(0, len(scenes), size):
        conditions = [
            PreparedScene(
                scene, video=settings.video, robot=settings.robot, instruction_split="seen"
            ).condition
            for scene in scenes[first : first + size]
        ]
        frames = models.decode(models.imagine(conditions, adapter))
        positions = models.read_positions(frames)
        for condition, shown, motion in zip(conditions, frames, positions, strict=True):
            view = SceneView.of(condition, settings)
            assert view is not None  # the embedded simulator's own scenes
            look = view.look(shown, motion)
            rows.append([float(look.cycle_error.mean()), float(look.arm_visibility.min())])
        stage.advance(len(conditions))
    return np.array(rows)


def _text(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:.4f} [{estimate['low']:.4f}, {estimate['high']:.4f}]"


if __name__ == "__main__":
    main(sys.argv[1:])
