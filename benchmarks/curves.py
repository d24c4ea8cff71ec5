"""Curves of an alignment comparison, from its file of results alone.

python benchmarks/curves.py benchmarks/results/embedded_alignment.json
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

SMOOTHED_SHARE = 0.2
"""Of the run, around every point: single batches are mostly noise."""
NUM_POINTS = 100
COLOURS = (
    *("#1f5fa8", "#c8641e", "#3a7d44", "#7a3e9d", "#8a6d1d", "#b00020"),
    *("#555555", "#0e9aa7", "#d6409f", "#84a80a", "#5b4bff", "#a0522d"),
)
QUANTITIES = {"monitored_success": "executed success", "success": "task success"}
READERS = {"differences": ("full", ""), "judged_differences": ("none", " (judge)")}
"""How each reader's points are filled, and what is said behind its figures."""
ENDS = ("low", "value", "high")
ROW_INCHES = 0.45
LOWEST_SHOWN = -18.0
"""Points; what lost more is written at the edge, so that the rest can be told apart."""


def write_curves(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draws the training reward over CPU-seconds, and what each arm and seed changed on held-out scenes.

    Args:
        file: PNG.
        rows: of all arms and seeds, as the file of results holds them.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(row["arm"] for row in rows))
    height = max(3.6, ROW_INCHES * len(names) + 1)
    figure, (left, *others) = pyplot.subplots(1, 3, figsize=(13, height), layout="constrained")
    for name in names:
        rewarded = [row for row in rows if row["arm"] == name and row["num_rollouts"]]
        if rewarded:
            left.plot(*mean_curve(rewarded), color=_colour(names, rewarded[0]), linewidth=1.4)
    left.set_xlabel("CPU-seconds of training")
    left.set_ylabel("training reward, each arm's own\n(mean of seeds and of a fifth of the run)")
    for axes, (quantity, label) in zip(others, QUANTITIES.items(), strict=True):
        _draw_differences(axes, rows, names, quantity=quantity)
        axes.set_xlabel(f"{label}: points above the base, 95 %\n(hollow: read by the judge)")
    others[0].set_yticks(range(len(names)), names)
    for label, name in zip(others[0].get_yticklabels(), names, strict=True):
        label.set_color(COLOURS[names.index(name) % len(COLOURS)])
    others[1].set_yticks([])
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def _draw_differences(
    axes,  # noqa: ANN001
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    *,
    quantity: str,
) -> None:
    """One line per arm from the top down; in it one point per seed and reader."""
    axes.axvline(0, color="#888888", linewidth=1)
    for name, arm in enumerate(names):
        seeds = [row for row in rows if row["arm"] == arm]
        colour = _colour(names, seeds[0])
        points = [
            (reader, {end: 100 * row[reader][quantity]["difference"][end] for end in ENDS})
            for row in seeds
            for reader in READERS
            if quantity in row[reader]  # there may have been no judge
        ]
        if any(point["low"] < LOWEST_SHOWN for _, point in points):
            _write_losses(axes, name, points, colour=colour)
            continue
        for index, (reader, point) in enumerate(points):
            axes.errorbar(
                point["value"],
                name + 0.8 * ((index + 0.5) / len(points) - 0.5),
                xerr=[
                    [max(point["value"] - point["low"], 0)],
                    [max(point["high"] - point["value"], 0)],
                ],
                fmt="o",
                markersize=3.5,
                elinewidth=0.8,
                fillstyle=READERS[reader][0],
                color=colour,
            )
    axes.set_ylim(len(names) - 0.5, -0.5)


def _write_losses(
    axes,  # noqa: ANN001
    line: int,
    points: Sequence[tuple[str, Mapping[str, float]]],
    *,
    colour: str,
) -> None:
    """Writes what an arm lost at the panel's edge, a line per reader, one figure per seed."""
    for index, (reader, (_, words)) in enumerate(READERS.items()):
        losses = ", ".join(f"{point['value']:.0f}" for name, point in points if name == reader)
        if losses:
            axes.text(
                0.01,
                line + 0.4 * (index - 0.5),
                f"← {losses}{words}",
                transform=axes.get_yaxis_transform(),  # x as a share of the panel, y as the arms
                va="center",
                fontsize=8,
                color=colour,
            )


def _colour(names: Sequence[str], row: Mapping[str, Any]) -> str:
    return COLOURS[names.index(row["arm"]) % len(COLOURS)]


def mean_curve(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """CPU-seconds and the reward around them, averaged over the seeds of one arm."""
    spent = [np.array(row["cpu_s_by_step"]) for row in rows]
    rewards = [np.array(row["reward_by_step"]) for row in rows]
    end = min(cpu_s[-1] for cpu_s in spent)
    reach = SMOOTHED_SHARE * end / 2
    points = np.linspace(reach, max(end - reach, reach), NUM_POINTS)
    curves = [_around(points, cpu_s, reward, reach) for cpu_s, reward in zip(spent, rewards, strict=True)]
    return points, np.mean(curves, axis=0)


def _around(
    points: Float[np.ndarray, " points"],
    cpu_s: Float[np.ndarray, " steps"],
    rewards: Float[np.ndarray, " steps"],
    reach: float,
) -> Float[np.ndarray, " points"]:
    """Mean reward of the steps near each point; of the nearest alone where none is within reach."""
    distances = np.abs(points[:, None] - cpu_s)
    is_near = distances <= np.maximum(reach, distances.min(axis=1, keepdims=True))
    return (is_near * rewards).sum(axis=1) / is_near.sum(axis=1)


if __name__ == "__main__":
    results = Path(sys.argv[1])
    write_curves(results.with_suffix(".png"), json.loads(results.read_text())["arms"])
