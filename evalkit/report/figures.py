"""Figures as SVG text that takes its colours from the page, so that they follow light and dark."""

import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evalkit.results import Interval

# Colours that nothing else in a figure has; each becomes a variable of the page's style sheet.
INK, MUTED, ACCENT, RULE, MARK = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05"
_VARIABLES = {INK: "ink", MUTED: "muted", ACCENT: "accent", RULE: "rule", MARK: "mark"}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "evalkit",
    "font.family": "sans-serif",
    "font.size": 9.0,
}
_ONE_AT_A_TIME = threading.Lock()
"""matplotlib's settings are one dictionary for all threads."""
WIDTH_IN = 7.4
_ROW_IN = 0.36
_LONGEST_NAME = 24


@dataclass(frozen=True)
class Row:
    """One line of an interval plot."""

    label: str
    value: float | None
    """In the units of the axis; None draws an empty line."""
    interval: Interval | None
    text: str
    """The numbers, printed at the right."""


@dataclass(frozen=True)
class Axis:
    """What the horizontal axis of an interval plot means."""

    label: str
    reference: float
    """A value worth a dashed line: 50 % or no difference."""
    reference_label: str
    shows: tuple[float, float]
    """The range that is shown whatever the values."""
    bounds: tuple[float, float]
    """The range of possible values."""


FOOL_RATE = Axis(
    "labeled real, %", 50.0, "50 %: real and fake cannot be told apart", (0.0, 55.0), (0.0, 100.0)
)
DIFFERENCE = Axis(
    "difference in labeled real, percentage points", 0.0, "no difference", (-5.0, 5.0), (-100.0, 100.0)
)


def interval_plot(rows: Sequence[Row], axis: Axis, mark: str, name: str) -> str:
    """A dot with its interval for each row, a dashed reference line, the numbers at the right.

    Args:
        rows: From top to bottom.
        axis: The meaning of the values, which are in its units.
        mark: SIMULATED and the like; drawn on the figure itself, so that a copy of it carries it too.
        name: Prefix of ids, distinct among the figures of a page.

    Returns:
        An `<svg>` element; the same arguments give the same text.
    """
    with drawing():
        height = _ROW_IN * len(rows) + 0.8 + (0.25 if mark else 0.0)
        figure = Figure(figsize=(WIDTH_IN, height))
        axes = _axes(figure, rows, height)
        for place, row in enumerate(rows):
            _draw(axes, row, place)
        _dress(axes, rows, axis)
        if mark:
            figure.text(
                0.995, 1 - 0.06 / height, mark, color=MARK, ha="right", va="top", weight="bold", size=9
            )
        return page_svg(figure, name)


@contextmanager
def drawing() -> Iterator[None]:
    """The settings of all figures, for one figure at a time."""
    with _ONE_AT_A_TIME, mpl.rc_context(_SETTINGS):
        yield


def short(name: str) -> str:
    """A name cut to what fits beside a plot; tables have it whole."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _axes(figure: Figure, rows: Sequence[Row], height: float) -> Axes:
    longest = max((len(row.label) for row in rows), default=0)
    numbers = max((len(row.text) for row in rows), default=0)
    left, right = (0.25 + 0.07 * longest) / WIDTH_IN, (0.2 + 0.066 * numbers) / WIDTH_IN
    bottom = 0.5 / height
    return figure.add_axes((left, bottom, 1 - left - right, _ROW_IN * len(rows) / height))


def _draw(axes: Axes, row: Row, place: int) -> None:
    if row.interval is not None:
        axes.plot(
            [row.interval.low, row.interval.high],
            [place, place],
            color=ACCENT,
            lw=1.8,
            solid_capstyle="butt",
        )
        for end in (row.interval.low, row.interval.high):
            axes.plot([end, end], [place - 0.13, place + 0.13], color=ACCENT, lw=1.8)
    if row.value is not None:
        axes.plot([row.value], [place], "o", color=ACCENT, ms=6)
    axes.annotate(
        row.text,
        (1.02, place),
        xycoords=("axes fraction", "data"),
        va="center",
        ha="left",
        color=INK,
        annotation_clip=False,
    )


def _dress(axes: Axes, rows: Sequence[Row], axis: Axis) -> None:
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [row.label for row in rows], color=INK)
    low, high = _limits(rows, axis)
    axes.set_xlim(low, high)
    axes.axvline(axis.reference, color=MUTED, lw=1.0, ls=(0, (4, 3)), zorder=0)
    at_right = axis.reference > (low + high) / 2
    axes.annotate(
        axis.reference_label,
        (axis.reference, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if at_right else 4, 3),
        textcoords="offset points",
        ha="right" if at_right else "left",
        va="bottom",
        color=MUTED,
        size=8,
        annotation_clip=False,
    )
    axes.set_xlabel(axis.label, color=MUTED)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.tick_params(axis="x", color=RULE, labelcolor=MUTED)
    axes.xaxis.grid(visible=True, color=RULE, lw=0.6)
    axes.set_axisbelow(True)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.patch.set_visible(False)
    axes.figure.patch.set_visible(False)


def _limits(rows: Sequence[Row], axis: Axis) -> tuple[float, float]:
    values = [*axis.shows]
    for row in rows:
        values += [] if row.value is None else [row.value]
        values += [] if row.interval is None else [row.interval.low, row.interval.high]
    margin = 0.04 * (max(values) - min(values))
    low, high = min(values) - margin, max(values) + margin
    return max(low, axis.bounds[0] - 1), min(high, axis.bounds[1] + 1)


def page_svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element in the page's colours and type, its ids beginning with `name`."""
    stream = io.StringIO()
    figure.savefig(
        stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", svg)  # matplotlib 3.10 and later
    svg = re.sub(r"font: ([^;\"]*?px) [^;\"]*", r"font: \1 var(--sans)", svg)  # and before
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"
