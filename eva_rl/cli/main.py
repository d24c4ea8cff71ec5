"""The console command `eva-rl`: small tools around runs; whole runs are started by `recipes/`."""

import argparse
import sys
from collections.abc import Sequence

from eva_rl.cli import (
    cluster,
    data,
    decode,
    diff,
    import_models,
    limits,
    merge,
    replay,
    report,
    rollout,
    score,
    verify,
)

COMMANDS = {
    "cluster": cluster,
    "data": data,
    "decode": decode,
    "diff": diff,
    "import": import_models,
    "limits": limits,
    "merge": merge,
    "replay": replay,
    "report": report,
    "rollout": rollout,
    "score": score,
    "verify": verify,
}
"""Each module has PURPOSE, add_arguments(parser) and run(arguments) -> exit code."""


def main(words: Sequence[str] | None = None) -> None:
    """Runs one command and ends the process with its exit code: 0 fine, 1 a finding, 2 wrong input."""
    parser = argparse.ArgumentParser(
        prog="eva-rl",
        description="Tools around eva_rl runs. `python recipes/robotwin_align.py` starts one.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=module.PURPOSE, description=module.PURPOSE))
    arguments = parser.parse_args(words)
    sys.exit(COMMANDS[arguments.command].run(arguments))


if __name__ == "__main__":
    main()
