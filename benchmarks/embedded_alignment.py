"""Does alignment make the embedded world model's motion executable, and which algorithm does it best?

python benchmarks/embedded_alignment.py                              # every arm, three seeds: hours
python benchmarks/embedded_alignment.py --comparison.seeds '[0]' --comparison.cpu_seconds 60
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
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

PROGRAM = "python benchmarks/embedded_alignment.py"
PURPOSE = (
    "Trains one arm per algorithm, reward and seed with equal CPU-seconds, and evaluates each on the same "
    "held-out scenes, paired with the base policy and read by a judge too. Results are written after "
    "every arm; with comparison.result naming a file that exists, arms that it holds under equal settings "
    "are not trained again."
)
STAGES = ("evaluate base", "train arms")
# better than their presets' 16 groups on the tuning scenes, for the arms that have it (docs/alignment.md)
SMALL_BATCHES = {"algorithm": {"groups_per_step": 4}}
# the base's clips cost 37 in EVA's terms (median), nearly all of it jerk; path_ratio of weight 1 costs .018
PATH_IN_EVA_UNITS = {"motion_floor": 1000.0, "path_ratio": 1000.0}
PATH = {"motion_floor": 4.0, "path_ratio": 4.0}  # where P0 is .2


def arms_table() -> Mapping[str, "Arm"]:
    """Every arm by name; the first is what `make align` runs."""
    from benchmarks.arms import COMMON_ARMS, Arm
    from benchmarks.supervised_run import SupervisedRun

    def default_with(question: str, **reward: Any) -> Arm:
        return Arm(preset="embedded_direct", question=question, overrides={"reward": reward})

    limits = {"preset": "limits-only", "penalty_scale": 0.2}
    paper = {"preset": "eva-paper", "penalty_scale": "calibrated"}
    return {
        "direct backprop": Arm(preset="embedded_direct", question="the reward's own gradient: the default"),
        "Flow-GRPO": Arm(
            preset="embedded_classic",
            question="Flow-GRPO's structure, as published",
            overrides=SMALL_BATCHES,
        ),
        "Flow-GRPO, shared prefix": Arm(
            preset="paper",
            question="one early stochastic step, forked from a shared prefix",
            overrides=SMALL_BATCHES,
        ),
        **COMMON_ARMS,
        **{name: replace(COMMON_ARMS[name], overrides=SMALL_BATCHES) for name in ("CPS", "RAFT with anchor")},
        "fine-tuning": Arm(
            preset="embedded_direct",
            question="the same recordings without any reward: flow matching on them",
            trainer=SupervisedRun,
        ),
        "limits": default_with("the default on kinematics alone", **limits),
        "limits and path": default_with(
            "what a floor and a length of the path bring to that", **limits, term_weights=PATH
        ),
        "paper's reward": default_with("the default on EVA's reward alone: mostly jerk", **paper),
        "paper's reward and path": default_with(
            "what a floor and a length of the path bring to it", **paper, term_weights=PATH_IN_EVA_UNITS
        ),
    }


def main(arguments: Sequence[str]) -> None:
    """Reads the settings, runs all arms and writes results after each."""
    settings = settings_from_command_line(
        ComparisonRunSettings,
        arguments,
        program=PROGRAM,
        purpose=PURPOSE,
        default_config=ROOT / "benchmarks" / "configs" / "embedded_alignment.yaml",
    )
    from eva_rl.driver.ray_session import prepare_environment

    prepare_environment(settings.cluster)
    run(settings)


def run(settings: ComparisonRunSettings) -> Path:
    """Runs what the file of results does not hold yet; returns the file."""
    from benchmarks.curves import write_curves
    from benchmarks.reporting import base_row, show_and_write, success_table, write_tables
    from benchmarks.resumption import key_of, rows_that_hold, stored_rows
    from benchmarks.session import chosen_arms, open_comparison

    arms = arms_table()
    names = chosen_arms(arms, settings.comparison.arms)
    with open_comparison(settings, STAGES) as comparison:
        progress, settings = comparison.progress, comparison.settings
        stored = stored_rows(comparison.file)
        wanted = comparison.fingerprints(arms, seeds={row["seed"] for row in stored})
        held = rows_that_hold(stored, wanted)
        finished = {key_of(row) for row in held}
        waiting = {(name, seed) for name in names for seed in settings.comparison.seeds} - finished
        yardstick = comparison.yardstick(_yardstick_scale(settings))
        with progress.stage(STAGES[0]) as stage:
            base, judged_base = comparison.evaluate_base(stage, reward=yardstick)

        def keep(results: Sequence["ArmResult"]) -> list[dict[str, Any]]:
            rows = comparison.rows_of(results, wanted, held=held, base=base, judged_base=judged_base)
            found = {"settings": comparison.settings_as_data(), "base": base_row(base, judged_base)}
            found["questions"] = {name: arms[name].question for name in {row["arm"]: None for row in rows}}
            file = comparison.write(found | {"arms": rows})
            write_tables(success_table(rows), file.with_suffix(".md"))
            write_curves(file.with_suffix(".png"), rows)
            return rows

        with progress.stage(STAGES[1], total=len(waiting)) as stage:
            results = comparison.run_arms(arms, stage, reward=yardstick, on_result=keep, finished=finished)
        rows, file = keep(results), comparison.file
        show_and_write(success_table(rows), file.with_suffix(".md"), console=progress.console)
        progress.console.print(f"Results: {file.resolve()}", soft_wrap=True)
    return file


def _yardstick_scale(settings: ComparisonRunSettings) -> float:
    """One P0 for all arms and runs."""
    from eva_rl.rewards.reward import REWARD_PRESETS

    scale = settings.reward.penalty_scale
    return REWARD_PRESETS[settings.reward.preset].p0 if scale == "calibrated" else scale


if __name__ == "__main__":
    main(sys.argv[1:])
