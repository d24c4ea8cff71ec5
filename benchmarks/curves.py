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
READERS = {"differences": "full", "judged_differences": "none"}  # the judge's points are hollow
ROW_INCHES = 0.45
LOWEST_SHOWN = -20.0
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
        points = [(row, reader) for row in rows if row["arm"] == arm for reader in READERS]
        for index, (row, reader) in enumerate(points):
            if quantity not in row[reader]:
                continue  # there was no judge
            difference = row[reader][quantity]["difference"]
            low, value, high = (100 * difference[end] for end in ("low", "value", "high"))
            height = name + 0.8 * ((index + 0.5) / len(points) - 0.5)
            if low < LOWEST_SHOWN:
                words = f"← {value:.0f} [{low:.0f}, {high:.0f}]" + ", judge" * (
                    reader == "judged_differences"
                )
                edge = axes.get_yaxis_transform()  # x as a share of the panel, y as the arms
                axes.text(
                    0.01, height, words, transform=edge, va="center", fontsize=7, color=_colour(names, row)
                )
                continue
            axes.errorbar(
                value,
                height,
                xerr=[[max(value - low, 0)], [max(high - value, 0)]],
                fmt="o",
                markersize=3.5,
                elinewidth=0.8,
                fillstyle=READERS[reader],
                color=_colour(names, row),
            )
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(left=max(axes.get_xlim()[0], LOWEST_SHOWN - 0.5))


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
