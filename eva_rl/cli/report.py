"""`eva-rl report RUN`: write a run's report.html again."""

import argparse
import sys
from pathlib import Path

PURPOSE = "Write report.html of a run directory again, finished or not."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run", type=Path, help="run directory, e.g. runs/embedded-20260101-120000")


def run(arguments: argparse.Namespace) -> int:
    """Writes the page and prints where it is."""
    if not (arguments.run / "settings.yaml").is_file():
        sys.stderr.write(f"eva-rl report: {arguments.run} is no run directory (it has no settings.yaml)\n")
        return 2
    from eva_rl.reports.report import write_report

    sys.stdout.write(f"{write_report(arguments.run).resolve()}\n")
    return 0
