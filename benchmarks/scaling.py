"""How a run scales with its generators: real processes whose stages sleep, and a simulation for hundreds.

python benchmarks/scaling.py
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# `benchmarks` is a package of the repository, not of the installed library: for this process and Ray's
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))

PURPOSE = (
    "A scheduler result, not a model's speed: generators, scorers and learner are real Ray actors that sleep "
    "for as long as a published system's stages take, scaled down; the same workload is simulated, and the "
    "simulation alone goes on to 512 generators."
)


def main(arguments: Sequence[str]) -> None:
    """Reads the arguments, runs the benchmark and writes its results."""
    parser = argparse.ArgumentParser(prog="python benchmarks/scaling.py", description=PURPOSE)
    parser.add_argument(
        "--second", type=float, default=0.006, help="real seconds that stand for a published one"
    )
    parser.add_argument("--steps", type=int, default=5, help="training steps of a real run")
    parser.add_argument("--generators", type=int, nargs="+", default=[1, 2, 4, 8], help="of the real runs")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation's spread")
    parser.add_argument(
        "--result", type=Path, default=ROOT / "benchmarks" / "results" / "scaling.json", help="JSON file"
    )
    chosen = parser.parse_args(arguments)

    from eva_rl.config.run import ClusterSettings
    from eva_rl.driver.provenance import describe_run
    from eva_rl.driver.ray_session import ray_session

    with ray_session(ClusterSettings(address="local")):
        results = run(chosen)
    facts = describe_run(seed=chosen.seed, model_directories={})
    chosen.result.write_text(json.dumps({"provenance": facts, **results}, indent=1) + "\n")
    show(results, chosen.result)


def run(chosen: argparse.Namespace) -> dict[str, Any]:
    """All real runs and simulations."""
    from benchmarks.scaling_cases import SCENARIO, overlap_rows, real_rows, simulated_rows

    return {
        "kind": "scheduler result: stages sleep, no model runs",
        "scenario": SCENARIO.as_data(),
        "real_second_per_published_second": chosen.second,
        "real": real_rows(chosen.generators, num_steps=chosen.steps, second=chosen.second),
        "overlap": overlap_rows(num_steps=4 * chosen.steps, second=chosen.second),
        "simulated": simulated_rows(seed=chosen.seed),
    }


def show(results: dict[str, Any], file: Path) -> None:
    """Prints the tables, and writes Markdown and a plot beside the JSON file."""
    from rich.console import Console

    from benchmarks.reporting import show_and_write
    from benchmarks.scaling_report import breaking_points, tables_of, write_scaling_plot

    console = Console(width=130)
    markdown = file.with_suffix(".md")
    show_and_write(tables_of(results), markdown, console=console)
    lines = breaking_points(results)
    markdown.write_text(f"{PURPOSE}\n\n{markdown.read_text()}\n" + "".join(f"{line}\n\n" for line in lines))
    for line in lines:
        console.print(line)
    write_scaling_plot(file.with_suffix(".png"), results)
    console.print(f"Results: {file.resolve()}", soft_wrap=True)


if __name__ == "__main__":
    main(sys.argv[1:])
