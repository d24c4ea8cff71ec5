"""Decoded joints of one clip, a small chart per joint, one row per arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from markupsafe import Markup
from matplotlib.axes import Axes

from eva_rl.embodiments import EMBODIMENTS
from eva_rl.reports.svg import AFTER, BEFORE, INK, REAL, new_figure, style_axes, to_svg

COLOURS = {"real": REAL, "before": BEFORE, "after": AFTER}
MAX_COLUMNS = 7
CELL_WIDTH, CELL_HEIGHT = 148, 96
LEAST_SPAN_RAD = 0.2  # a joint that hardly moves must not look as if it did
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 30, 6, 18, 16


@dataclass(frozen=True, kw_only=True)
class JointChart:
    """The charts of all joints in one picture.

    Attributes:
        svg: the picture.
        plots: per chart left, right, top, bottom in the picture's units: where a time cursor moves.
    """

    svg: Markup
    plots: tuple[tuple[float, float, float, float], ...]


def joint_chart(
    positions: Mapping[str, Float[np.ndarray, "frames D"]], *, frame_rate_hz: float, embodiment: str | None
) -> JointChart:
    """Draws every dimension over time.

    Args:
        positions: rad (grippers 0..1) by "real", "before", "after"; those that are there.
        frame_rate_hz: of the frames.
        embodiment: key of EMBODIMENTS for the joints' names; dimensions are numbered otherwise.
    """
    dimension = next(iter(positions.values())).shape[1]
    grid = joint_grid(embodiment, dimension)
    width, height = CELL_WIDTH * max(map(len, grid)), CELL_HEIGHT * len(grid)
    figure = new_figure(width, height)
    plots = []
    for row, names in enumerate(grid):
        for column, (index, name) in enumerate(names):
            left, right = column * CELL_WIDTH + MARGIN_LEFT, (column + 1) * CELL_WIDTH - MARGIN_RIGHT
            top, bottom = row * CELL_HEIGHT + MARGIN_TOP, (row + 1) * CELL_HEIGHT - MARGIN_BOTTOM
            plots.append((left, right, top, bottom))
            axes = figure.add_axes(
                (left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height)
            )
            _draw(axes, positions, index=index, frame_rate_hz=frame_rate_hz)
            axes.set_title(name, fontsize=8.5, color=INK, loc="left", pad=3)
            if name.endswith("gripper"):
                axes.set_ylim(-0.1, 1.1)
    return JointChart(svg=to_svg(figure, description="joint positions over time"), plots=tuple(plots))


def _draw(
    axes: Axes,
    positions: Mapping[str, Float[np.ndarray, "frames D"]],
    *,
    index: int,
    frame_rate_hz: float,
) -> None:
    """Draws one dimension of every source over time."""
    style_axes(axes)
    axes.tick_params(labelsize=7.5)
    for source, values in positions.items():
        times = np.arange(len(values)) / frame_rate_hz
        line_style = (0, (3, 2)) if source == "real" else "solid"
        axes.plot(times, values[:, index], color=COLOURS[source], linewidth=1.5, linestyle=line_style)
        axes.set_xlim(0, times[-1])
    axes.margins(y=0.08)
    low, high = axes.get_ylim()
    slack = max(0.0, LEAST_SPAN_RAD - (high - low)) / 2
    axes.set_ylim(low - slack, high + slack)
    axes.locator_params(axis="y", nbins=3)
    axes.locator_params(axis="x", nbins=4)


def joint_grid(embodiment: str | None, dimension: int) -> Sequence[Sequence[tuple[int, str]]]:
    """Names every dimension, one row per arm; by number if the embodiment is unknown or has another size."""
    robot = EMBODIMENTS.get(embodiment or "")
    if robot is None or robot.dimension != dimension:
        numbered = [(index, f"dimension {index}") for index in range(dimension)]
        return [numbered[first : first + MAX_COLUMNS] for first in range(0, dimension, MAX_COLUMNS)]
    grid = []
    for arm in robot.arm_names:
        joints = range(*robot.joints_of(arm).indices(dimension))
        row = [(index, f"{arm} joint {number}") for number, index in enumerate(joints, start=1)]
        grid.append([*row, (joints.stop, f"{arm} gripper")])
    return grid
