"""`eva-rl doctor`: do the parts of a run do what the run takes for granted?"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eva_rl.config.align import AlignSettings

PURPOSE = "Check that a run's models, reward, learner and adapter pushes do what the run takes for granted."
TAKES_SETTINGS = True
"""Words that are no option of this command are settings of the run."""

EXAMPLE = """\
example:
  eva-rl doctor
  eva-rl doctor --config recipes/configs/embedded.yaml --learner.num_ranks 2 --learner.zero_stage 1
  eva-rl doctor --data.directory data/mine --idm.directory models/idm --json doctor.json

Settings are those of recipes/robotwin_align.py. One small training step is taken with them and thrown away;
no run directory is written. Exit code 0: every check passed or had nothing to look at; 1: a check failed;
2: wrong settings.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLE
    parser.add_argument("--config", type=Path, help="YAML file of settings (default: the library's defaults)")
    parser.add_argument("--json", type=Path, help="also write the results to this file")


def run(arguments: argparse.Namespace) -> int:
    """Prints the table of checks: 0 fine, 1 a check failed, 2 wrong settings."""
    from eva_rl.config.section import ConfigError

    try:
        settings = _settings(arguments)
    except ConfigError as error:
        sys.stderr.writelines(f"eva-rl doctor: {problem}\n" for problem in error.problems)
        return 2
    from eva_rl.driver.ray_session import prepare_environment, ray_session

    prepare_environment(settings.cluster)  # before the model libraries are imported
    with ray_session(settings.cluster):
        return _examine(settings, arguments.json)


def _settings(arguments: argparse.Namespace) -> "AlignSettings":
    from eva_rl.config.align import AlignSettings
    from eva_rl.config.loading import load_settings
    from eva_rl.config.rules import ALIGN_RULES
    from eva_rl.driver.preflight import PREFLIGHT_RULES
    from eva_rl.driver.run_directory import directory_is_free

    rules = [rule for rule in (*ALIGN_RULES, *PREFLIGHT_RULES) if rule is not directory_is_free]
    return load_settings(
        AlignSettings, file=arguments.config, overrides=arguments.settings, rules=lambda: rules
    )


def _examine(settings: "AlignSettings", json_file: Path | None) -> int:
    from rich.console import Console

    from eva_rl.driver.doctor.display import print_results, results_as_data
    from eva_rl.driver.doctor.examination import Examination
    from eva_rl.driver.planned_errors import PLANNED_ERRORS

    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    try:
        with console.status("loading models") as status:
            results = Examination(settings).results(status.update)
    except PLANNED_ERRORS as error:
        sys.stderr.write(f"eva-rl doctor: {error}\n")
        return 1
    print_results(results, console=console)
    if json_file is not None:
        json_file.write_text(json.dumps(results_as_data(results), indent=1) + "\n")
    return int(any(result.finding.passed is False for result in results))


LOG_WIDTH = 130
"""Columns where there is no terminal."""
