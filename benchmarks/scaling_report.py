"""Tables, plot and findings of the scaling benchmark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.reporting import Cells

GOAL = 0.9


def tables_of(results: Mapping[str, Any]) -> Mapping[str, Cells]:
    """Headings and cells of all tables, by title."""
    real = [
        [
            str(row["num_generators"]),
            str(row["rollouts_ahead"]),
            f"{row['measured_s']:.2f}",
            f"{row['predicted_s']:.2f}",
            f"{row['error']:+.1%}",
            f"{row['efficiency']:.1%}",
        ]
        for row in results["real"]
    ]
    overlap = [
        [
            str(row["rollouts_ahead"]),
            f"{row['measured_s']:.2f}",
            f"{row['predicted_s']:.2f}",
            f"{row['speed_against_synchronous']:.2f}x",
        ]
        for row in results["overlap"]
    ]
    simulated = [
        [
            row["batch"],
            str(row["rollouts_ahead"]),
            str(row["num_generators"]),
            f"{row['efficiency']:.1%}",
            f"{row['step_s']:.0f}",
            row["bottleneck"],
            f"{row['utilisation']['generators']:.0%}",
        ]
        for row in results["simulated"]
    ]
    return {
        "Real actors that sleep; the batch grows with the generators": (
            ["generators", "rollouts ahead", "measured s", "predicted s", "error", "efficiency"],
            real,
        ),
        "Overlap, real actors that sleep: generation and learning equally long": (
            ["rollouts ahead", "measured s", "predicted s", "against synchronous"],
            overlap,
        ),
        "Simulated, published seconds, chunks that spread by 10 %": (
            [
                "batch",
                "rollouts ahead",
                "generators",
                "efficiency",
                "step s",
                "bottleneck",
                "generators busy",
            ],
            simulated,
        ),
    }


def breaking_points(results: Mapping[str, Any]) -> list[str]:
    """One sentence per simulated series: up to how many generators it stays at 90 %, and what then binds."""
    worst = max(abs(row["error"]) for row in results["real"])
    lines = [f"Largest error of the simulation against the {len(results['real'])} real runs: {worst:.1%}."]
    series: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in results["simulated"]:
        series.setdefault((row["batch"], row["rollouts_ahead"]), []).append(row)
    for (batch, ahead), rows in series.items():
        held = [row["num_generators"] for row in rows if row["efficiency"] >= GOAL]
        broken = next((row for row in rows if row["efficiency"] < GOAL), None)
        name = f"{batch}, {ahead} ahead (simulated)"
        if broken is None:
            lines.append(
                f"{name}: at least {GOAL:.0%} efficient up to {max(held)} generators, the most simulated."
            )
        else:
            lines.append(
                f"{name}: below {GOAL:.0%} from {broken['num_generators']} generators on "
                f"({broken['efficiency']:.1%}); busiest role: {broken['bottleneck']}."
            )
    return lines


def write_scaling_plot(file: Path, results: Mapping[str, Any]) -> None:
    """Draws efficiency over generators: real runs as dots, simulations as lines."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    series: dict[str, list[Mapping[str, Any]]] = {}
    for row in results["simulated"]:
        series.setdefault(f"simulated, {row['batch']}, {row['rollouts_ahead']} ahead", []).append(row)
    for label, rows in series.items():
        counts, values = [row["num_generators"] for row in rows], [100 * row["efficiency"] for row in rows]
        axes.plot(counts, values, marker=".", label=label)
    for ahead, mark in ((0, "o"), (1, "^")):
        rows = [row for row in results["real"] if row["rollouts_ahead"] == ahead]
        axes.scatter(
            [row["num_generators"] for row in rows],
            [100 * row["efficiency"] for row in rows],
            marker=mark,
            color="black",
            label=f"real sleeping actors, batch grows, {ahead} ahead",
            zorder=3,
        )
    axes.axhline(100 * GOAL, color="#888888", linewidth=1, linestyle="--")
    axes.set_xscale("log", base=2)
    axes.set_xlabel("generators")
    axes.set_ylabel("efficiency, % of one generator's rate")
    axes.set_ylim(0, 110)
    axes.legend(fontsize=7)
    axes.set_title("Scheduler result: stages sleep or are simulated, no model runs", fontsize=9)
    figure.savefig(file, dpi=150)
    pyplot.close(figure)
