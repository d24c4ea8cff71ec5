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
QUANTITIES = {"success": "task success", "monitored_success": "executed success"}


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
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for row in rows:
        reward = _moving_average(np.array(row["reward_by_step"]))
        cpu_s = np.array(row["cpu_s_by_step"])[-len(reward) :]
        place = names.index(row["arm"])
        label = row["arm"] if row is _first_of(rows, row["arm"]) else None
        left.plot(cpu_s, reward, color=COLOURS[place % len(COLOURS)], linewidth=1.2, label=label)
    left.set_xlabel("CPU-seconds of training")
    left.set_ylabel(f"training reward, mean of {SMOOTHED_STEPS} steps")
    left.legend(fontsize=8)
    _draw_differences(right, rows)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def _draw_differences(axes, rows: Sequence[Mapping[str, Any]]) -> None:  # noqa: ANN001
    readers = {"differences": "", "judged_differences": ", judge"}
    labels = [f"{label}{suffix}" for label in QUANTITIES.values() for suffix in readers.values()]
    kinds = [(quantity, reader) for quantity in QUANTITIES for reader in readers]
    names = list(dict.fromkeys(row["arm"] for row in rows))
    for position, row in enumerate(rows):
        for place, (quantity, reader) in enumerate(kinds):
            difference = row[reader][quantity]["difference"]
            low, value, high = (100 * difference[name] for name in ("low", "value", "high"))
            axes.errorbar(
                value,
                len(kinds) - place - position * 0.8 / len(rows),
                xerr=[[max(value - low, 0)], [max(high - value, 0)]],
                fmt="o",
                markersize=4,
                color=COLOURS[names.index(row["arm"]) % len(COLOURS)],
            )
    axes.axvline(0, color="#888888", linewidth=1)
    axes.set_yticks([len(kinds) - place - 0.3 for place in range(len(kinds))], labels)
    axes.set_xlabel("points above the base on held-out scenes, 95 %")


def _moving_average(values: Float[np.ndarray, " steps"]) -> Float[np.ndarray, " averaged"]:
    width = min(SMOOTHED_STEPS, len(values))
    return np.convolve(values, np.full(width, 1 / width), mode="valid")


def _first_of(rows: Sequence[Mapping[str, Any]], arm: str) -> Mapping[str, Any]:
    return next(row for row in rows if row["arm"] == arm)


if __name__ == "__main__":
    results = Path(sys.argv[1])
    write_curves(results.with_suffix(".png"), json.loads(results.read_text())["arms"])
