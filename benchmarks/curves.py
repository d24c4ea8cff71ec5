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

SMOOTHED_STEPS = 15
COLOURS = ("#1f5fa8", "#c8641e", "#3a7d44", "#7a3e9d", "#8a6d1d", "#b00020", "#555555")
QUANTITIES = {"monitored_success": "executed success", "success": "task success"}
READERS = {"differences": "full", "judged_differences": "none"}  # the judge's points are hollow
ROW_INCHES = 0.45


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
    for row in rows:
        if not row["num_rollouts"]:
            continue  # nothing was rewarded
        reward = _moving_average(np.array(row["reward_by_step"]))
        cpu_s = np.array(row["cpu_s_by_step"])[-len(reward) :]
        left.plot(cpu_s, reward, color=_colour(names, row), linewidth=1.0)
    left.set_xlabel("CPU-seconds of training")
    left.set_ylabel(f"training reward, each arm's own\n(mean of {SMOOTHED_STEPS} steps)")
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
            axes.errorbar(
                value,
                name + 0.8 * ((index + 0.5) / len(points) - 0.5),
                xerr=[[max(value - low, 0)], [max(high - value, 0)]],
                fmt="o",
                markersize=3.5,
                elinewidth=0.8,
                fillstyle=READERS[reader],
                color=_colour(names, row),
            )
    axes.set_ylim(len(names) - 0.5, -0.5)


def _colour(names: Sequence[str], row: Mapping[str, Any]) -> str:
    return COLOURS[names.index(row["arm"]) % len(COLOURS)]


def _moving_average(values: Float[np.ndarray, " steps"]) -> Float[np.ndarray, " averaged"]:
    width = min(SMOOTHED_STEPS, len(values))
    return np.convolve(values, np.full(width, 1 / width), mode="valid")


if __name__ == "__main__":
    results = Path(sys.argv[1])
    write_curves(results.with_suffix(".png"), json.loads(results.read_text())["arms"])
