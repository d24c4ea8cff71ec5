"""Which part of the reward and which algorithm does what: stored rollouts scored again, and trained arms.

python benchmarks/reward_ablation.py                                  # 60 CPU-seconds per arm
python benchmarks/reward_ablation.py --comparison.is_full true        # three seeds, ten times the training
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eva_rl.config.command_line import settings_from_command_line
from eva_rl.config.comparison import ComparisonRunSettings

if TYPE_CHECKING:
    from benchmarks.arms import Arm

ROOT = Path(__file__).resolve().parents[1]
# `benchmarks` is a package of the repository, not of the installed library: for this process and Ray's
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))

PROGRAM = "python benchmarks/reward_ablation.py"
PURPOSE = (
    "Compares reward variants and algorithms. First one stored set of rollouts is executed in the simulator "
    "and scored again under every reward variant; then one arm per variant and algorithm is trained with "
    "equal CPU-seconds on the same conditions and evaluated on the same held-out scenes. Ends with "
    "results.json, results.md and results.png."
)
STAGES = ("score again", "evaluate base", "train arms")


def arms_table() -> Mapping[str, "Arm"]:
    """Every arm by name; the first is what all others differ from."""
    from benchmarks.arms import COMMON_ARMS, Arm

    paper = "paper"
    none = {"jerk": 0.0, "acceleration": 0.0, "velocity_limit": 0.0, "acceleration_limit": 0.0}

    def reward(question: str, **weights: float) -> Arm:
        return Arm(preset=paper, question=question, overrides={"reward": {"term_weights": weights}})

    def algorithm(preset: str, question: str) -> Arm:
        return Arm(preset=preset, question=question)

    return {
        "paper reward, shared prefix": algorithm(paper, "the paper: Flow-GRPO and its reward"),
        "zero reward": Arm(
            preset=paper,
            question="is everything else at rest? It must reproduce the base",
            overrides={"reward": {"term_weights": none, "penalty_scale": 1.0}},
        ),
        "without jerk": reward("what the jerk term brings", jerk=0.0),
        "without acceleration": reward("what the acceleration term brings", acceleration=0.0),
        "without limits": reward("what both limit terms bring", velocity_limit=0.0, acceleration_limit=0.0),
        "with honest terms": reward(
            "what start pose and path length bring", start_pose=1000.0, path_ratio=20.0
        ),
        "every step stochastic": algorithm("embedded_classic", "Flow-GRPO's structure"),
        "window, no sharing": algorithm("embedded_windowed", "the window without the shared prefix"),
        "structured credit": algorithm("embedded_credit", "one advantage per latent frame and arm"),
        **COMMON_ARMS,
        "direct backprop": algorithm("embedded_direct", "the reward's own gradient"),
        "limits first": Arm(
            preset=paper,
            question="what weighting the limits, with a margin, brings",
            overrides={"reward": {"preset": "limits-first"}},
        ),
        "direct backprop, limits first": Arm(
            preset="embedded_direct",
            question="the same by the reward's own gradient",
            overrides={"reward": {"preset": "limits-first"}},
        ),
    }


def main(arguments: Sequence[str]) -> None:
    """Reads the settings, runs all arms and writes table, plot and Markdown."""
    settings = settings_from_command_line(
        ComparisonRunSettings,
        arguments,
        program=PROGRAM,
        purpose=PURPOSE,
        default_config=ROOT / "benchmarks" / "configs" / "ablation.yaml",
    )
    from eva_rl.driver.ray_session import prepare_environment

    prepare_environment(settings.cluster)
    run(settings)


def run(settings: ComparisonRunSettings) -> Path:
    """Runs the whole benchmark; returns the file of results."""
    import ray

    from benchmarks.reporting import (
        CORRELATIONS,
        DIFFERENCES,
        arm_rows,
        rescoring_table,
        show_and_write,
        table_of,
        write_plot,
    )
    from benchmarks.rescoring import StoredRollouts, score_again, store_rollouts
    from benchmarks.session import chosen_arms, open_comparison
    from eva_rl.rewards.reward import calibrate_p0

    on_one_cpu: Any = ray.remote(num_cpus=1)
    arms = arms_table()
    names = chosen_arms(arms, settings.comparison.arms)
    with open_comparison(settings, STAGES) as comparison:
        progress, settings = comparison.progress, comparison.settings
        with progress.stage(STAGES[0]) as stage:
            stored: StoredRollouts = ray.get(
                on_one_cpu(store_rollouts).remote(
                    settings, comparison.models, num_rollouts=settings.comparison.num_rescored_rollouts
                )
            )
            rescored = score_again(settings, stored, seed=settings.run.seed)
            stage.advance(
                note=f"{len(stored.positions)} rollouts, {stored.is_executable.mean():.0%} executable"
            )
        penalty_scale = calibrate_p0(comparison.yardstick(1.0)(stored.positions).penalties)
        yardstick = comparison.yardstick(penalty_scale)
        with progress.stage(STAGES[1]) as stage:
            base, judged_base = comparison.evaluate_base(stage, reward=yardstick)
        with progress.stage(STAGES[2], total=len(names) * len(settings.comparison.seeds)) as stage:
            results = comparison.run_arms(arms, stage, reward=yardstick)
        rows = arm_rows(results, base=base, judged_base=judged_base)
        file = comparison.write(
            {
                "settings": comparison.settings_as_data(),
                "penalty_scale": penalty_scale,
                "rescored": rescored,
                "num_executable": int(stored.is_executable.sum()),
                "num_rescored": len(stored.positions),
                "arms": rows,
                "questions": {name: arms[name].question for name in names},
            }
        )
        tables = {CORRELATIONS: rescoring_table(rescored), DIFFERENCES: table_of(rows)}
        show_and_write(tables, file.with_suffix(".md"), console=progress.console)
        write_plot(file.with_suffix(".png"), rows)
        progress.console.print(f"Results: {file.resolve()}", soft_wrap=True)
    return file


if __name__ == "__main__":
    main(sys.argv[1:])
