"""`eva-rl cluster`: files that get machines for a run, from one settings file."""

import argparse
import sys
from pathlib import Path

PURPOSE = (
    "Render KubeRay, ray up and Slurm files from one settings file; print a job's command, the dashboard."
)
DEFAULT_SETTINGS = Path("cluster/settings/wan_ti2v_5b.yaml")
RENDERED = Path("cluster/rendered")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    render = actions.add_parser("render", help="write the files, and check them on the way")
    command = actions.add_parser("command", help="print the command that the job runs")
    actions.add_parser("dashboard", help="print the Grafana dashboard, for cluster/grafana/eva_rl.json")
    for action in (render, command):
        action.add_argument(
            "deployment",
            metavar="SETTINGS",
            nargs="?",
            type=Path,
            default=DEFAULT_SETTINGS,
            help=f"deployment file (default: {DEFAULT_SETTINGS}); call it in the repository",
        )
    render.add_argument("--out", type=Path, help=f"directory (default: {RENDERED}/NAME, after the settings)")
    render.add_argument("--check", action="store_true", help="write nothing; 1 if a file is out of date")


def run(arguments: argparse.Namespace) -> int:
    """Writes, compares or prints: 0 fine, 1 files are out of date, 2 wrong settings."""
    if arguments.action == "dashboard":
        from eva_rl.deployment.dashboard import dashboard

        sys.stdout.write(dashboard())
        return 0
    return _use(arguments)


def _use(arguments: argparse.Namespace) -> int:
    from eva_rl.config.section import ConfigError
    from eva_rl.deployment.command import run_command
    from eva_rl.deployment.loading import load_deployment
    from eva_rl.deployment.rendering import outdated_files, render, write_files

    try:
        deployment = load_deployment(arguments.deployment)
    except ConfigError as error:
        sys.stderr.write(f"eva-rl cluster: {arguments.deployment} cannot be used\n")
        sys.stderr.writelines(f"  - {problem}\n" for problem in error.problems)
        return 2
    if arguments.action == "command":
        sys.stdout.write(run_command(deployment) + "\n")
        return 0
    directory = arguments.out or RENDERED / arguments.deployment.stem
    files = render(deployment)
    if arguments.check:
        outdated = outdated_files(files, directory)
        sys.stdout.writelines(f"{directory / name} is out of date; render it again\n" for name in outdated)
        return int(bool(outdated))
    write_files(files, directory)
    sys.stdout.writelines(f"{directory / name}\n" for name in files)
    return 0
