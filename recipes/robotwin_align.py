"""Align a video world model with executable motion: the main job of the project.

python recipes/robotwin_align.py                                   # embedded robot, shipped weights
python recipes/robotwin_align.py --config recipes/configs/smoke.yaml
ray job submit --working-dir . -- python recipes/robotwin_align.py --config recipes/configs/smoke.yaml
"""

import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from eva_rl.config.align import AlignSettings
from eva_rl.config.command_line import settings_from_command_line

if TYPE_CHECKING:
    from eva_rl.driver.progress import RunProgress
    from eva_rl.driver.run_directory import RunDirectory

PROGRAM = "python recipes/robotwin_align.py"
PURPOSE = (
    "Aligns a video world model by reinforcement learning: an inverse dynamics model reads joint motion from "
    "each imagined video, smooth motion within the robot's limits is rewarded, and a row of ALGORITHMS, such "
    "as Flow-GRPO, updates a LoRA adapter. Ends with a run directory that holds metrics, checkpoints, "
    "evaluations, videos and report.html."
)
DEFAULT_CONFIG = Path(__file__).parent / "configs" / "embedded.yaml"


def main(arguments: Sequence[str]) -> None:
    """Reads the settings, runs every stage and shows the before/after table."""
    settings = settings_from_command_line(
        AlignSettings,
        arguments,
        program=PROGRAM,
        purpose=PURPOSE,
        default_config=DEFAULT_CONFIG,
        rules=_rules,
    )
    from eva_rl.driver.ray_session import prepare_environment

    prepare_environment(settings.cluster)
    # Imported here: Ray, torch and diffusers take seconds that `--help` and wrong settings need not wait for.
    from eva_rl.driver.notices import StopNoticeError
    from eva_rl.driver.planned_errors import PLANNED_ERRORS
    from eva_rl.pretraining.collection import CollectionError

    try:
        run(settings)
    except StopNoticeError as notice:
        sys.stderr.write(f"{PROGRAM}: {notice}\n")
        raise SystemExit(128 + signal.SIGTERM) from None
    except (*PLANNED_ERRORS, CollectionError) as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        raise SystemExit(1) from None


def run(settings: AlignSettings) -> Path:
    """Runs every stage in a prepared environment; returns the report's path."""
    from eva_rl.driver.progress import RunProgress
    from eva_rl.driver.ray_session import ray_session
    from eva_rl.driver.run_directory import open_run_directory
    from eva_rl.driver.stages import STAGES

    directory = open_run_directory(settings)
    with RunProgress(STAGES) as progress:
        if directory.is_finished:
            progress.console.print(f"The run in {directory.path} is finished: nothing is left to do")
            return _report(directory, progress)
        with ray_session(settings.cluster), ThreadPoolExecutor(max_workers=1) as background:
            demonstrations = background.submit(_demonstrations, settings, directory, progress)
            from eva_rl.driver.run import run_alignment  # the model libraries: loaded while the robot records

            run_alignment(settings, directory, demonstrations, progress)
        return _report(directory, progress)


def _report(directory: "RunDirectory", progress: "RunProgress") -> Path:
    """Writes the report unless the finished run has one; returns its path."""
    from eva_rl.driver.stages import REPORT
    from eva_rl.reports.report import REPORT_FILE, write_report

    report = directory.path / REPORT_FILE
    if not report.is_file() or report.stat().st_mtime < directory.provenance.stat().st_mtime:
        with progress.stage(REPORT):
            report = write_report(directory.path)
    progress.console.print(f"Report: {report.resolve()}", soft_wrap=True)
    return report


def _demonstrations(
    settings: AlignSettings, directory: "RunDirectory", progress: "RunProgress"
) -> "Path | str":
    """Records demonstrations in Ray tasks, unless some are given."""
    from eva_rl.driver.stages import RECORD
    from eva_rl.pretraining.collection import collect_demonstrations

    num_episodes = len(settings.robot.tasks) * settings.data.num_episodes_per_task
    given = settings.data.directory
    with progress.stage(RECORD, total=None if given else num_episodes) as stage:
        if given is not None:
            stage.note(f"given: {given}")
            return given
        collect_demonstrations(
            directory.demonstrations,
            tasks=settings.robot.tasks,
            num_episodes_per_task=settings.data.num_episodes_per_task,
            first_scene_seed=settings.data.first_scene_seed,
            video=settings.video,
            on_episode=lambda note: stage.advance(note=note),
        )
    return directory.demonstrations


def _rules() -> Sequence:
    from eva_rl.config.rules import ALIGN_RULES
    from eva_rl.driver.preflight import PREFLIGHT_RULES

    return (*ALIGN_RULES, *PREFLIGHT_RULES)


if __name__ == "__main__":
    main(sys.argv[1:])
