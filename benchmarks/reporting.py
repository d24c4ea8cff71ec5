"""The results of a comparison as rows, a terminal table, Markdown and a plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.arms import ArmResult
from eva_rl.evaluation.comparison import compare, comparison_as_data
from eva_rl.evaluation.quantities import QUANTITIES
from eva_rl.records.evaluation import Outcome

SHOWN = {
    "reward": "reward",
    "rms_jerk": "rms jerk",
    "monitored_success": "executed %",
    "success": "success %",
}
"""Quantities of the table with their headings; the JSON file holds all."""
CORRELATIONS = "Spearman rank correlation of the reward with what the simulator says [95 % bootstrap]"
DIFFERENCES = "Difference to the base policy on the same held-out scenes, paired [95 %]"
SUCCESSES = (
    "Difference to the base policy on the same held-out scenes, paired [95 %]; path and jerk as ratios"
)
COUNTED = ("success", "monitored_success")
Cells: TypeAlias = tuple[list[str], list[list[str]]]


def arm_rows(
    results: Sequence[ArmResult], *, base: Sequence[Outcome], judged_base: Sequence[Outcome]
) -> list[dict[str, Any]]:
    """One row per arm and seed, each compared with the base on the same scenes.

    Args:
        results: of all arms.
        base: outcomes of the base policy.
        judged_base: the same read by the judge; empty without one.
    """
    rows = []
    for result in results:
        differences = comparison_as_data(compare(base, result.outcomes))
        judged = comparison_as_data(compare(judged_base, result.judged_outcomes)) if judged_base else []
        rows.append(
            {
                "arm": result.name,
                "seed": result.seed,
                "num_training_steps": len(result.steps),
                "num_rollouts": result.num_rollouts,
                "training_cpu_s": result.training_cpu_s,
                "total_cpu_s": result.total_cpu_s,
                "cpu_s_by_stage": {
                    stage: sum(getattr(step, stage) for step in result.steps)
                    for stage in ("generate_s", "score_s", "learn_s")
                },
                "rollouts_per_cpu_s": result.num_rollouts / max(result.training_cpu_s, 1e-9),
                "reward_by_step": [step.reward for step in result.steps],
                "cpu_s_by_step": np.cumsum([step.cpu_s for step in result.steps]).tolist(),
                "is_base": result.is_base,
                "by_task": _counts_by_task(result.outcomes),
                "judged_by_task": _counts_by_task(result.judged_outcomes),
                "differences": {row["quantity"]: row for row in differences},
                "judged_differences": {row["quantity"]: row for row in judged},
            }
        )
    return rows


def base_row(base: Sequence[Outcome], judged_base: Sequence[Outcome]) -> dict[str, Any]:
    """What the base policy does on the held-out scenes, and what a judge reads from the same clips."""
    return {"by_task": _counts_by_task(base), "judged_by_task": _counts_by_task(judged_base)}


def success_table(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Cells]:
    """Headings and cells of what execution says of every arm and seed."""
    headings = [
        "arm",
        "seed",
        "rollouts",
        "executed success %",
        "the judge's",
        "task success %",
        "violations",
    ]
    headings += ["path", "jerk", "reward"]
    cells = []
    for row in rows:
        differences, judged = row["differences"], row["judged_differences"]
        cells.append(
            [
                row["arm"],
                str(row["seed"]),
                str(row["num_rollouts"]),
                _difference(differences["monitored_success"]),
                _difference(judged.get("monitored_success")),
                _difference(differences["success"]),
                _difference(differences["violations/limits"]),
                _ratio(differences["relative_path_length"]),
                _ratio(differences["rms_jerk"]),
                _difference(differences["reward"]),
            ]
        )
    return {SUCCESSES: (headings, cells)}


def table_of(rows: Sequence[Mapping[str, Any]]) -> Cells:
    """Headings and cells of the arms' table; differences to the base with 95 % intervals."""
    headings = ["arm", "seed", "rollouts", "per CPU-s", *SHOWN.values(), "judge's reward"]
    cells = [
        [
            row["arm"],
            str(row["seed"]),
            str(row["num_rollouts"]),
            f"{row['rollouts_per_cpu_s']:.1f}",
            *(_difference(row["differences"].get(quantity)) for quantity in SHOWN),
            _difference(row["judged_differences"].get("reward")),
        ]
        for row in rows
    ]
    return headings, cells


def rescoring_table(rescored: Sequence[Mapping[str, Any]]) -> Cells:
    """Headings and cells of the reward variants' rank correlations."""
    headings = ["reward variant", "with execution", "with tracking", "within a scene"]
    names = ("with_execution", "with_tracking", "within_scene")
    return headings, [[row["variant"], *(_interval(row[name]) for name in names)] for row in rescored]


def show_and_write(tables: Mapping[str, Cells], file: Path, *, console: Console) -> None:
    """Shows tables in the terminal and writes them as Markdown.

    Args:
        tables: headings and cells by title.
        file: Markdown file.
        console: the terminal.
    """
    for title, (headings, cells) in tables.items():
        table = Table(title=title)
        for position, heading in enumerate(headings):
            table.add_column(heading, justify="left" if position == 0 else "right")
        for row in cells:
            table.add_row(*row)
        console.print(table)
    write_tables(tables, file)


def write_tables(tables: Mapping[str, Cells], file: Path) -> None:
    """Writes tables as Markdown.

    Args:
        tables: headings and cells by title.
        file: Markdown file.
    """
    lines: list[str] = []
    for title, (headings, cells) in tables.items():
        lines += [f"{title}:", "", *_markdown_lines(headings, cells), ""]
    file.write_text("\n".join(lines))


def write_plot(file: Path, rows: Sequence[Mapping[str, Any]], *, quantity: str = "reward") -> None:
    """Draws every arm's difference to the base with its interval, one dot per seed.

    Args:
        file: PNG file.
        rows: of all arms.
        quantity: key of QUANTITIES.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(row["arm"] for row in rows))
    figure, axes = pyplot.subplots(figsize=(8, 0.35 * len(names) + 1.2), layout="constrained")
    for row in rows:
        difference = row["differences"][quantity]["difference"]
        height = len(names) - names.index(row["arm"]) - 0.1 * row["seed"]
        error = [[difference["value"] - difference["low"]], [difference["high"] - difference["value"]]]
        axes.errorbar(difference["value"], height, xerr=np.maximum(error, 0), fmt="o", color="#1f5fa8")
    axes.axvline(0, color="#888888", linewidth=1)
    axes.set_yticks([len(names) - position for position in range(len(names))], names)
    axes.set_xlabel(f"held-out {QUANTITIES[quantity].label} minus the base policy's, paired, 95 % interval")
    figure.savefig(file, dpi=150)
    pyplot.close(figure)


def _counts_by_task(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for outcome in outcomes:
        row = counts.setdefault(str(outcome.task), {"scenes": 0, **dict.fromkeys(COUNTED, 0)})
        row["scenes"] += 1
        for name in COUNTED:
            row[name] += bool(getattr(outcome, name))
    return counts


def _ratio(row: Mapping[str, Any]) -> str:
    return f"{row['after']['value'] / row['before']['value']:.3f}"


def _difference(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "-"
    estimate = row["difference"]
    scale = 100 if row["unit"] == "%" else 1
    digits = 1 if row["unit"] == "%" else 3
    low, value, high = (scale * estimate[name] for name in ("low", "value", "high"))
    return f"{value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def _interval(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:+.2f} [{estimate['low']:+.2f}, {estimate['high']:+.2f}]"


def _markdown_lines(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in cells)]
