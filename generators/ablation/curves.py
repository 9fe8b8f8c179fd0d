"""Loss curves of all runs as one SVG that follows the reader's light or dark."""

import io
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from generators.ablation.record import AblationRecord, RunKey
from generators.training_loop.log import read_stats

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Images shown and the term's mean since the line before."""

COLOURS = ("#3b82c4", "#d9822b", "#3f9b62", "#c2557e", "#8a6fc9", "#8c7a3d", "#3d9aa1")
"""One per loss; legible on light and on dark paper."""
_INK, _MUTED, _RULE = "#0a0b01", "#0a0b02", "#0a0b04"
_STYLE = (
    "<style>svg{--ink:#1b1c1e;--muted:#5c6066;--rule:#d9d9d4}"
    "@media (prefers-color-scheme:dark){svg{--ink:#e8e6e1;--muted:#a3a7ad;--rule:#3a3e44}}</style>"
)
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "evalkit",
    "font.family": "sans-serif",
    "font.size": 9,
}
_ONE_AT_A_TIME = threading.Lock()
"""matplotlib's settings are one dictionary for all threads."""
_COLUMNS, _WIDTH_IN, _ROW_IN = 2, 8.4, 2.3
_MOST_POINTS = 120
"""A curve with more is averaged in groups, so that noise does not hide its course."""


def draw_curves(record: AblationRecord) -> str:
    """An `<svg>`: one panel per loss term, one colour per loss, one line per seed; empty if nothing was logged."""
    curves = {run: read_curves(record.run_folder(run)) for run in record.runs}
    terms = sorted({term for own in curves.values() for term in own}, key=_player_first)
    if not terms:
        return ""
    rows = -(-len(terms) // _COLUMNS)
    with _ONE_AT_A_TIME, mpl.rc_context(_SETTINGS):
        height = _ROW_IN * rows + 0.4
        figure = Figure(figsize=(_WIDTH_IN, height))
        for place, term in enumerate(terms):
            axes = figure.add_subplot(rows, _COLUMNS, place + 1)
            _panel(axes, term, {run: own[term] for run, own in curves.items() if term in own}, record.losses)
            if place >= len(terms) - _COLUMNS:
                axes.set_xlabel("images shown", color=_MUTED)
        _legend(figure, record.losses)
        # Fixed margins: measuring them takes longer than drawing.
        figure.subplots_adjust(
            left=0.08, right=0.99, top=1 - 0.7 / height, bottom=0.45 / height, wspace=0.2, hspace=0.45
        )
        return _svg(figure)


def read_curves(run: Path) -> dict[str, Curve]:
    """`player.term` -> curve, from a run's stats.jsonl."""
    lines = read_stats(run)
    terms = {key for line in lines for key in line if "." in key}
    curves = {}
    for term in terms:
        points = [(line["images"], line[term]) for line in lines if term in line]
        shown, values = np.asarray(points, float).T
        curves[term] = _thinned(shown), _thinned(values)
    return curves


def _thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of as many equal groups as may be drawn."""
    groups = min(len(values), _MOST_POINTS)
    return np.asarray([group.mean() for group in np.array_split(values, groups)])


def _player_first(term: str) -> tuple[bool, str]:
    """Generators before discriminators."""
    return term.startswith("discriminator"), term


def _panel(axes: Axes, term: str, curves: Mapping[RunKey, Curve], losses: Sequence[str]) -> None:
    for run, (shown, values) in curves.items():
        place = losses.index(run.loss)
        axes.plot(
            shown,
            values,
            color=COLOURS[place % len(COLOURS)],
            lw=1.2 + 0.4 * (len(losses) - 1 - place),  # later losses lie on earlier ones: both stay visible
            alpha=0.9 if run.seed == 0 else 0.45,
            solid_joinstyle="round",
            marker="o" if len(shown) == 1 else "",  # a line of one point cannot be seen
            clip_on=len(shown) > 1,
        )
    axes.set_title(term.replace(".", ": "), loc="left", color=_INK, fontsize=9.5, fontweight="bold")
    axes.set_ylim(bottom=0)
    axes.tick_params(color=_RULE, labelcolor=_MUTED, length=3)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
    axes.yaxis.grid(visible=True, color=_RULE, lw=0.6)
    axes.set_axisbelow(True)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_RULE)
    axes.patch.set_visible(False)


def _legend(figure: Figure, losses: Sequence[str]) -> None:
    lines = [mpl.lines.Line2D([], [], color=COLOURS[at % len(COLOURS)], lw=2) for at in range(len(losses))]
    figure.legend(
        lines,
        list(losses),
        loc="upper left",
        ncols=len(losses),
        frameon=False,
        labelcolor=_INK,
        handlelength=1.4,
        columnspacing=1.6,
        bbox_to_anchor=(0.03, 1.0),
    )
    figure.patch.set_visible(False)


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(
        stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    svg = stream.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for colour, variable in ((_INK, "ink"), (_MUTED, "muted"), (_RULE, "rule")):
        svg = svg.replace(colour, f"var(--{variable})")
    opened = svg.index(">") + 1
    return f"{svg[:opened]}{_STYLE}{svg[opened:]}".rstrip() + "\n"
