"""What a CPU-second buys: rollouts trained per CPU-second, stage by stage, and the reward they bring.

python benchmarks/throughput.py
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eva_rl.config.command_line import settings_from_command_line
from eva_rl.config.comparison import ComparisonRunSettings

if TYPE_CHECKING:
    from benchmarks.arms import Arm, ArmResult

ROOT = Path(__file__).resolve().parents[1]
# `benchmarks` is a package of the repository, not of the installed library: for this process and Ray's
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))

PROGRAM = "python benchmarks/throughput.py"
PURPOSE = (
    "Measures rollouts trained per CPU-second for Flow-GRPO's plain structure (every denoising step but the "
    "last stochastic and trained), a window, a window behind a shared prefix, and methods that learn from "
    "finished clips, with the network evaluations that each structure asks for; then compares the held-out "
    "reward after equal CPU-seconds. One arm at a time, so that none slows another."
)
STAGES = ("evaluate base", "train arms")
PLAIN = "every step stochastic"


def arms_table() -> Mapping[str, "Arm"]:
    """Every arm by name; the first is what the others are compared with."""
    from benchmarks.arms import Arm

    return {
        PLAIN: Arm(preset="embedded_classic", question="Flow-GRPO's structure, batched, nothing shared"),
        "window": Arm(preset="embedded_windowed", question="one stochastic step, nothing shared"),
        "window, shared prefix": Arm(preset="paper", question="one network call per fork"),
        "late fork, shared prefix": Arm(preset="embedded_late_fork", question="a longer shared prefix"),
        "NFT": Arm(preset="embedded_nft", question="forward process"),
        "AWM": Arm(preset="embedded_awm", question="forward process"),
        "RAFT with anchor": Arm(preset="embedded_raft", question="forward process, best of each group"),
    }


def main(arguments: Sequence[str]) -> None:
    """Reads the settings, runs all arms and writes the table."""
    settings = settings_from_command_line(
        ComparisonRunSettings,
        arguments,
        program=PROGRAM,
        purpose=PURPOSE,
        default_config=ROOT / "benchmarks" / "configs" / "throughput.yaml",
    )
    from eva_rl.driver.ray_session import prepare_environment

    prepare_environment(settings.cluster)
    run(settings)


def run(settings: ComparisonRunSettings) -> Path:
    """Runs the whole benchmark; returns the file of results."""
    from benchmarks.reporting import DIFFERENCES, arm_rows, show_and_write, table_of
    from benchmarks.session import chosen_arms, open_comparison
    from benchmarks.throughput_table import cost_rows, cost_table

    arms = arms_table()
    names = chosen_arms(arms, settings.comparison.arms)
    with open_comparison(settings, STAGES) as comparison:
        progress, settings = comparison.progress, comparison.settings
        yardstick = comparison.yardstick(_penalty_scale(settings))
        with progress.stage(STAGES[0]) as stage:
            base, judged_base = comparison.evaluate_base(stage, reward=yardstick)
        with progress.stage(STAGES[1], total=len(names) * len(settings.comparison.seeds)) as stage:
            results: list[ArmResult] = comparison.run_arms(arms, stage, reward=yardstick)
        rows = arm_rows(results, base=base, judged_base=judged_base)
        costs = cost_rows(results, arms, settings, plain=PLAIN)
        content: dict[str, Any] = {
            "settings": comparison.settings_as_data(),
            "costs": costs,
            "arms": rows,
            "questions": {name: arms[name].question for name in names},
        }
        file = comparison.write(content)
        tables = {
            "Cost per rollout, and the reward after equal CPU-seconds": cost_table(costs, plain=PLAIN),
            DIFFERENCES: table_of(rows),
        }
        show_and_write(tables, file.with_suffix(".md"), console=progress.console)
        progress.console.print(f"Results: {file.resolve()}", soft_wrap=True)
    return file


def _penalty_scale(settings: ComparisonRunSettings) -> float:
    scale = settings.reward.penalty_scale
    return YARDSTICK_PENALTY if scale == "calibrated" else scale


YARDSTICK_PENALTY = 40.0
"""P0 of the held-out reward: about the base policy's median penalty, the same for every arm and every run."""


if __name__ == "__main__":
    main(sys.argv[1:])
