"""Draws of places and colours that the tasks share, and where arms wait."""

import numpy as np

from eva_rl.simulators.bimanual.scene_object import COLOURS
from eva_rl.simulators.bimanual.waypoint import ToolPose


def draw_point(
    generator: np.random.Generator, *, x: tuple[float, float], y: tuple[float, float]
) -> tuple[float, float]:
    """Draw a point of the table, m, uniformly from a rectangle."""
    return float(generator.uniform(*x)), float(generator.uniform(*y))


def draw_point_on_a_side(
    generator: np.random.Generator, *, from_middle: tuple[float, float], y: tuple[float, float]
) -> tuple[float, float]:
    """Draw a point, m, on either side of the table and never between the arms.

    Args:
        generator: decides on the side, then on the point.
        from_middle: range of the distance from the line between the arms.
        y: range across.
    """
    side = generator.choice([-1, 1])
    distance, depth = draw_point(generator, x=from_middle, y=y)
    return float(side * distance), depth


def draw_apart_points(
    generator: np.random.Generator,
    *,
    x: tuple[tuple[float, float], tuple[float, float]],
    y: tuple[float, float],
    distance_m: float,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Draw two points of the table, each with its own range of x, further apart than a distance, m."""
    while True:
        one, other = draw_point(generator, x=x[0], y=y), draw_point(generator, x=x[1], y=y)
        if np.hypot(one[0] - other[0], one[1] - other[1]) > distance_m:
            return one, other


def draw_colours(generator: np.random.Generator, count: int) -> tuple[str, ...]:
    """Draw different colours."""
    return tuple(str(name) for name in generator.choice(list(COLOURS), size=count, replace=False))


def nearer_arm(x: float) -> str:
    """Return the arm on whose side of the table a place lies."""
    return "left" if x < 0 else "right"


def resting_tool(arm: str) -> ToolPose:
    """Return a pose out of the way, near where the arm starts."""
    return ToolPose((-0.27 if arm == "left" else 0.27, -0.22, 0.16))
