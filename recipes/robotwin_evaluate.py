"""Evaluate a world model, and a run's policy, by execution in a simulator.

python recipes/robotwin_evaluate.py                                        # embedded robot, shipped weights
python recipes/robotwin_evaluate.py --policy.run_directory runs/embedded   # with the adapter of a run
python recipes/robotwin_evaluate.py --adapter.directory my_lora            # with a LoRA from elsewhere
python recipes/robotwin_evaluate.py --evaluation.best_of 8                 # best of 1, 2, 4, 8 by reward
python recipes/robotwin_evaluate.py --evaluation.instruction_split both    # seen and unseen wordings
python recipes/robotwin_evaluate.py --evaluation.execute_frames 8 --evaluation.episode_frames 33
python recipes/robotwin_evaluate.py --robot.simulator robotwin --robot.robotwin_root ~/RoboTwin \
    --robot.embodiment aloha-agilex --evaluation.protocol robotwin-2.0
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from eva_rl.config.command_line import settings_from_command_line
from eva_rl.config.evaluate import EvaluateSettings

PROGRAM = "python recipes/robotwin_evaluate.py"
PURPOSE = (
    "Executes what a world model imagines in a simulator and prints the ladder: the expert's targets, what "
    "the inverse dynamics model reads from real video and after the codec, the imagined video, and a trained "
    "policy. Success is given without and with a safety monitor (task success, executed success), each with "
    "its 95 % interval, over all tasks and per task, and so is the rank correlation of the reward with what "
    "executing showed. Results go to a directory as Parquet and JSON."
)
DEFAULT_CONFIG = Path(__file__).parent / "configs" / "evaluate.yaml"


def main(arguments: Sequence[str]) -> None:
    """Reads the settings, evaluates and shows the ladder."""
    settings = settings_from_command_line(
        EvaluateSettings,
        arguments,
        program=PROGRAM,
        purpose=PURPOSE,
        default_config=DEFAULT_CONFIG,
        rules=_rules,
    )
    from eva_rl.driver.ray_session import prepare_environment

    prepare_environment(settings.cluster)
    # Imported here: Ray, torch and diffusers take seconds that `--help` and wrong settings need not wait for.
    from eva_rl.driver.planned_errors import PLANNED_ERRORS

    try:
        run(settings)
    except PLANNED_ERRORS as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        raise SystemExit(1) from None


def run(settings: EvaluateSettings) -> Path:
    """Evaluates in a prepared environment; returns the directory of the results."""
    from eva_rl.driver.evaluate import EVALUATE_STAGES, run_evaluation
    from eva_rl.driver.progress import RunProgress
    from eva_rl.driver.ray_session import ray_session
    from eva_rl.driver.run_directory import open_run_directory

    directory = open_run_directory(settings.as_run()).path
    with RunProgress(EVALUATE_STAGES) as progress, ray_session(settings.cluster):
        run_evaluation(settings, directory, progress)
        progress.console.print(f"Results: {directory.resolve()}", soft_wrap=True)
    return directory


def _rules() -> Sequence:
    from eva_rl.driver.preflight import EVALUATE_RULES

    return EVALUATE_RULES


if __name__ == "__main__":
    main(sys.argv[1:])
