"""Several small plots of one kind beside each other, as SVG that takes its colours from the page."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evalkit.report.figures import ACCENT, INK, MARK, MUTED, RULE, WIDTH_IN, drawing, page_svg, short

MOST_ABREAST = 3
_HEIGHT_IN = 1.95


@dataclass(frozen=True)
class Point:
    """One dot with the intervals of both its coordinates."""

    x: float
    y: float
    x_ends: tuple[float, float] | None = None
    y_ends: tuple[float, float] | None = None
    label: str = ""
    """Beside the dot."""


@dataclass(frozen=True)
class SmallPlot:
    """One of them."""

    title: str
    points: Sequence[Point]
    x_label: str
    x_ticks: Sequence[float] = field(default=())
    """Empty: wherever they fall."""
    joined: bool = False
    """Whether a line runs through the dots."""


@dataclass(frozen=True)
class Vertical:
    """The axis that all of them share."""

    label: str
    reference: float | None = None
    """A value worth a dashed line."""
    shows: tuple[float, float] = (0.0, 55.0)
    """The range that is shown whatever the values."""


def small_plots(plots: Sequence[SmallPlot], vertical: Vertical, mark: str, name: str) -> str:
    """All plots in rows of two or three, with the same vertical axis.

    Args:
        plots: At least one.
        vertical: Its meaning.
        mark: SIMULATED and the like; drawn on the figure itself.
        name: Prefix of ids, distinct among the figures of a page.

    Returns:
        An `<svg>` element; the same arguments give the same text.
    """
    with drawing():
        abreast = min(MOST_ABREAST, max(2, len(plots)))
        rows = -(-len(plots) // abreast)
        extra = 0.25 if mark else 0.0
        height = rows * _HEIGHT_IN + extra
        figure = Figure(figsize=(WIDTH_IN, height))
        low, high = _range(plots, vertical)
        for place, plot in enumerate(plots):
            row, column = divmod(place, abreast)
            box = (
                (0.5 + column * (WIDTH_IN - 0.1) / abreast) / WIDTH_IN,
                (height - extra - (row + 1) * _HEIGHT_IN + 0.52) / height,
                ((WIDTH_IN - 0.1) / abreast - 0.66) / WIDTH_IN,
                (_HEIGHT_IN - 0.82) / height,
            )
            axes = figure.add_axes(box)
            axes.set_ylim(low, high)
            _draw(axes, plot, vertical)
            if column == 0:
                axes.set_ylabel(vertical.label, color=MUTED, size=8)
        if mark:
            figure.text(
                0.995, 1 - 0.04 / height, mark, color=MARK, ha="right", va="top", weight="bold", size=9
            )
        figure.patch.set_visible(False)
        return page_svg(figure, name)


def _draw(axes: Axes, plot: SmallPlot, vertical: Vertical) -> None:
    if vertical.reference is not None:
        axes.axhline(vertical.reference, color=MUTED, lw=1.0, ls=(0, (4, 3)), zorder=0)
    if plot.joined:
        axes.plot([point.x for point in plot.points], [point.y for point in plot.points], color=ACCENT, lw=1)
    for point in plot.points:
        if point.x_ends:
            axes.plot(point.x_ends, (point.y, point.y), color=ACCENT, lw=1.2, solid_capstyle="butt")
        if point.y_ends:
            axes.plot((point.x, point.x), point.y_ends, color=ACCENT, lw=1.2, solid_capstyle="butt")
        axes.plot([point.x], [point.y], "o", color=ACCENT, ms=4)
        if point.label:
            axes.annotate(
                short(point.label),
                (point.x, point.y),
                xytext=(4, 3),
                textcoords="offset points",
                color=INK,
                size=7,
                annotation_clip=False,
            )
    axes.set_title(plot.title, color=INK, size=9, loc="left", pad=6)
    axes.set_xlabel(plot.x_label, color=MUTED, size=8)
    if plot.x_ticks:
        axes.set_xticks(list(plot.x_ticks))
    axes.margins(x=0.14)
    axes.tick_params(color=RULE, labelcolor=MUTED, labelsize=8)
    axes.grid(visible=True, color=RULE, lw=0.5)
    axes.set_axisbelow(True)
    for side in ("right", "top", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.patch.set_visible(False)


def _range(plots: Sequence[SmallPlot], vertical: Vertical) -> tuple[float, float]:
    values = [*vertical.shows]
    for plot in plots:
        for point in plot.points:
            values += [point.y, *(point.y_ends or ())]
    margin = 0.04 * (max(values) - min(values))
    return min(values) - margin, max(values) + margin
