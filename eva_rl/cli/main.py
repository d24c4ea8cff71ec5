"""The console command `eva-rl`: small tools around runs; whole runs are started by `recipes/`."""

import argparse
import sys
from collections.abc import Sequence

from eva_rl.cli import (
    cluster,
    data,
    decode,
    diff,
    doctor,
    import_models,
    limits,
    merge,
    plan,
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
    "doctor": doctor,
    "import": import_models,
    "limits": limits,
    "merge": merge,
    "plan": plan,
    "replay": replay,
    "report": report,
    "rollout": rollout,
    "score": score,
    "verify": verify,
}
"""Each module has PURPOSE, add_arguments(parser) and run(arguments) -> exit code.

A module with TAKES_SETTINGS gets words such as `--learner.num_ranks 4` as `arguments.settings`.
"""


def main(words: Sequence[str] | None = None) -> None:
    """Runs one command and ends the process with its exit code: 0 fine, 1 a finding, 2 wrong input."""
    parser = argparse.ArgumentParser(
        prog="eva-rl",
        description="Tools around eva_rl runs. `python recipes/robotwin_align.py` starts one.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=module.PURPOSE, description=module.PURPOSE))
    arguments, arguments.settings = parser.parse_known_args(words)
    if arguments.settings and not hasattr(COMMANDS[arguments.command], "TAKES_SETTINGS"):
        parser.error(f"unrecognized arguments: {' '.join(arguments.settings)}")
    sys.exit(COMMANDS[arguments.command].run(arguments))


if __name__ == "__main__":
    main()
