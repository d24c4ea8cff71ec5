"""Several evaluations of `recipes/robotwin_evaluate.py` as one file of results.

python benchmarks/ladder_results.py shipped=runs/ladder judge=runs/ladder-judge \
    --result benchmarks/results/embedded_ladder.json
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PARTS = ("provenance", "ladder", "correlation", "best_of")
SHOWN = (
    "success",
    "monitored_success",
    "violations/limits",
    "relative_path_length",
    "reward",
    "arm_rmse_rad",
)


def main(arguments: Sequence[str]) -> None:
    """Reads the directories and writes one JSON file with a Markdown table beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", nargs="+", metavar="NAME=DIRECTORY")
    parser.add_argument("--result", type=Path, required=True)
    given = parser.parse_args(arguments)
    named = dict(word.split("=", 1) for word in given.evaluations)
    found = {name: read_evaluation(Path(directory)) for name, directory in named.items()}
    given.result.write_text(json.dumps(found, indent=1) + "\n")
    given.result.with_suffix(".md").write_text("\n".join(_lines(found)) + "\n")


def read_evaluation(directory: Path) -> dict[str, Any]:
    """What an evaluation left in its directory; of the ladder the quantities in SHOWN.

    Raises:
        FileNotFoundError: it holds no ladder.
    """
    found = {
        part: json.loads(file.read_text())
        for part in PARTS
        if (file := directory / f"{part}.json").is_file() or part == "ladder"
    }
    found["ladder"] = {
        label: {name: report["summary"][name] for name in SHOWN if name in report["summary"]}
        for label, report in found["ladder"].items()
    }
    return found


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [
        "| evaluation | executed motion | scenes | task success % | executed success % | violations | path |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, evaluation in found.items():
        for label, summary in evaluation["ladder"].items():
            cells = [_share(summary["success"]), _share(summary["monitored_success"])]
            cells += [f"{summary['violations/limits']['value']:.2f}"]
            cells += [f"{summary['relative_path_length']['value']:.3f}"]
            lines.append(f"| {name} | {label} | {summary['success']['n']} | {' | '.join(cells)} |")
    return lines


def _share(estimate: dict[str, float]) -> str:
    value, low, high = (100 * estimate[name] for name in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    main(sys.argv[1:])
