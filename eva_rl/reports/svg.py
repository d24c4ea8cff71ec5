"""Matplotlib figures as inline SVG that takes its colours and fonts from the page."""

import io
import re
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colours that stand for the page's CSS variables: one picture serves the light and the dark page.
PAGE_COLOURS = {
    "ink": "#010101",
    "muted": "#020202",
    "grid": "#030303",
    "before": "#040404",
    "after": "#050505",
    "real": "#060606",
}
INK, MUTED, GRID = PAGE_COLOURS["ink"], PAGE_COLOURS["muted"], PAGE_COLOURS["grid"]
BEFORE, AFTER, REAL = PAGE_COLOURS["before"], PAGE_COLOURS["after"], PAGE_COLOURS["real"]

POINTS_PER_INCH = 72
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "eva_rl",
    "font.size": 9,
    "axes.unicode_minus": True,
}
_NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
_PARTS = re.compile(r' id="(?:figure|axes|patch|line2d|text|matplotlib\.axis|xtick|ytick|legend|\w+)_\d+"')


def new_figure(width: float, height: float) -> Figure:
    """Makes an empty, transparent figure.

    Args:
        width: in CSS pixels at full size.
        height: in CSS pixels at full size.
    """
    figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH), dpi=POINTS_PER_INCH)
    figure.patch.set_alpha(0.0)
    return figure


def style_axes(axes: Axes) -> None:
    """Makes axes quiet: no frame, faint horizontal lines, muted labels."""
    axes.patch.set_alpha(0.0)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=MUTED, length=0, labelsize=9)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.xaxis.label.set_color(MUTED)
    axes.yaxis.label.set_color(MUTED)


def to_svg(figure: Figure, *, description: str) -> Markup:
    """Draws a figure as an `<svg>` element that scales with the page.

    Args:
        figure: from `new_figure`.
        description: read aloud in place of the picture.
    """
    stream = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(stream, format="svg", metadata=_NO_METADATA)
    text = stream.getvalue()
    element = text[text.index("<svg") :]
    for name, colour in PAGE_COLOURS.items():
        element = element.replace(colour, f"var(--{name})")
    element = _PARTS.sub("", element)
    element = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", element, count=1)
    element = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", element, count=1)
    label = Markup('<svg role="img" aria-label="{}" ').format(description)
    return Markup(element.replace("<svg ", label, 1))  # drawn here, and the label is escaped
