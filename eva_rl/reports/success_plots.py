"""Success with its intervals: the ladder, and task by task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eva_rl.evaluation.comparison import ComparisonRow
from eva_rl.evaluation.quantities import QUANTITIES
from eva_rl.evaluation.rungs import RUNGS
from eva_rl.records.evaluation import Estimate, Outcome
from eva_rl.reports.svg import AFTER, BEFORE, GRID, INK, MUTED, REAL, new_figure, style_axes, to_svg

WIDTH = 1040
LABEL_WIDTH = 210
ROW_HEIGHT = 46


@dataclass(frozen=True, kw_only=True)
class LadderStep:
    """One bar of the ladder.

    Attributes:
        label: what was executed.
        monitored: executed success: with the safety monitor.
        success: success without it.
        colour: of the bar.
    """

    label: str
    monitored: Estimate
    success: Estimate
    colour: str


def ladder_steps(
    ladder: Mapping[str, Mapping[str, Estimate]],
    *,
    before: Sequence[Outcome] | None,
    after: Sequence[Outcome] | None,
) -> list[LadderStep]:
    """Lists the rungs that were measured, from the expert up to the aligned policy."""
    steps = [
        LadderStep(
            label=RUNGS[name].label,
            monitored=ladder[name]["monitored_success"],
            success=ladder[name]["success"],
            colour=REAL,
        )
        for name in RUNGS
        if name in ladder and name != "world_model" and "success" in ladder[name]
    ]
    for side, outcomes, colour in (("before", before, BEFORE), ("after", after, AFTER)):
        if outcomes and all(outcome.success is not None for outcome in outcomes):
            step = LadderStep(
                label=f"imagined, {side}",
                monitored=QUANTITIES["monitored_success"].estimate(outcomes),
                success=QUANTITIES["success"].estimate(outcomes),
                colour=colour,
            )
            steps.append(step)
    return steps


def ladder_chart(steps: Sequence[LadderStep]) -> Markup:
    """Draws one row per rung: a bar for executed success, a tick for task success."""
    figure, axes = _rows_chart(len(steps))
    for row, step in enumerate(steps):
        value = 100 * step.monitored.value
        axes.barh(row, value, height=0.44, color=step.colour, alpha=0.85, linewidth=0)
        _whisker(axes, row, step.monitored, INK)
        axes.plot([100 * step.success.value] * 2, [row - 0.32, row + 0.32], color=INK, linewidth=2)
        text = f"{value:.0f} % of {step.monitored.n}"
        axes.text(102, row, text, va="center", color=INK, fontsize=10, clip_on=False)
    _label_rows(axes, [step.label for step in steps])
    description = ", ".join(f"{step.label} {100 * step.monitored.value:.0f} %" for step in steps)
    return to_svg(figure, description=f"Success by rung: {description}")


def task_chart(rows: Sequence[ComparisonRow]) -> Markup:
    """Draws executed success per task, before and after, with intervals."""
    rows = [row for row in rows if row.quantity.name == "monitored_success"]
    figure, axes = _rows_chart(len(rows))
    for index, row in enumerate(rows):
        for offset, estimate, colour in ((-0.16, row.before, BEFORE), (0.16, row.after, AFTER)):
            _whisker(axes, index + offset, estimate, colour)
            axes.plot(100 * estimate.value, index + offset, "o", color=colour, markersize=8)
        change = f"{100 * row.before.value:.0f} → {100 * row.after.value:.0f} %"
        axes.text(102, index, change, va="center", color=INK, fontsize=10, clip_on=False)
    _label_rows(axes, [row.task or "" for row in rows])
    return to_svg(figure, description="Executed success by task, before and after")


def _rows_chart(num_rows: int) -> tuple[Figure, Axes]:
    """Makes axes for horizontal rows on a percent scale, first row on top."""
    height = 30 + ROW_HEIGHT * num_rows
    figure = new_figure(WIDTH, height)
    plot_width = WIDTH - LABEL_WIDTH - 130
    axes = figure.add_axes((LABEL_WIDTH / WIDTH, 26 / height, plot_width / WIDTH, (height - 30) / height))
    style_axes(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_xlim(0, 100)
    axes.set_ylim(num_rows - 0.5, -0.5)
    axes.set_xticks(range(0, 101, 20), [f"{share} %" for share in range(0, 101, 20)])
    return figure, axes


def _label_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    for label in axes.get_yticklabels():
        label.set_color(INK)
        label.set_fontsize(10.5)
    axes.tick_params(axis="x", labelcolor=MUTED)


def _whisker(axes: Axes, row: float, estimate: Estimate, colour: str) -> None:
    axes.plot([100 * estimate.low, 100 * estimate.high], [row, row], color=colour, linewidth=1.6)
    for end in (estimate.low, estimate.high):
        axes.plot([100 * end] * 2, [row - 0.08, row + 0.08], color=colour, linewidth=1.6)
