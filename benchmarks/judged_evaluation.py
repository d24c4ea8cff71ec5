"""Adapters against the base policy on held-out scenes, each clip read by both inverse dynamics models.

python -m benchmarks.judged_evaluation runs/mine/adapter runs/other/adapter --result judged.json
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.aligned_policy import REWARD_PRESET, open_aligned
from benchmarks.arms import ArmResult
from benchmarks.held_out_pass import evaluate_policy
from benchmarks.reporting import arm_rows, base_row, show_and_write, success_table
from benchmarks.session import from_here
from eva_rl import pretrained
from eva_rl.actors.reward_setup import reward_of
from eva_rl.driver.progress import RunProgress
from eva_rl.driver.provenance import describe_run
from eva_rl.rewards.reward import REWARD_PRESETS

STAGES = ("base", "aligned")


def main(arguments: Sequence[str]) -> None:
    """Evaluates both and writes their difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapters", type=Path, nargs="+", help="directories of aligned policies' adapters")
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--num-conditions", type=int, default=400)
    parser.add_argument("--first-scene-seed", type=int, default=5_000_000)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # on a busy machine a second thread mostly waits
    policies = {
        directory: open_aligned(
            directory, num_conditions=given.num_conditions, first_scene_seed=given.first_scene_seed
        )
        for directory in given.adapters
    }
    first = policies[given.adapters[0]]
    run, readers = first.settings, first.models.readers(first.settings)
    reward = reward_of(run, penalty_scale=REWARD_PRESETS[REWARD_PRESET].p0)
    results = []
    with RunProgress(STAGES) as progress:
        with progress.stage(STAGES[0]):
            base, judged_base = evaluate_policy(run, readers, reward=reward)
        with progress.stage(STAGES[1], total=len(policies)) as stage:
            for directory, policy in policies.items():
                started = time.process_time()
                outcomes, judged = evaluate_policy(run, readers, reward=reward, adapter=policy.adapter)
                results.append(
                    ArmResult(
                        name=directory.name,
                        seed=run.run.seed,
                        steps=(),
                        outcomes=outcomes,
                        judged_outcomes=judged,
                        is_base=False,
                        total_cpu_s=time.process_time() - started,
                    )
                )
                stage.advance(note=directory.name)
        rows = arm_rows(results, base=base, judged_base=judged_base)
        facts = describe_run(
            seed=run.run.seed,
            model_directories={
                "world_model": from_here(pretrained.WORLD_MODEL),
                "idm": from_here(pretrained.IDM),
            },
        )
        found = {"provenance": facts, "first_scene_seed": given.first_scene_seed}
        found |= {"base": base_row(base, judged_base), "aligned": rows}
        given.result.write_text(json.dumps(found, indent=1) + "\n")
        show_and_write(success_table(rows), given.result.with_suffix(".md"), console=progress.console)


if __name__ == "__main__":
    main(sys.argv[1:])
