"""Scores on a terminal: one row per image set, one column per quantity, and beneath what must be known of them."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evalkit.cli.score_files import SCORES
from evalkit.metrics import METRICS
from evalkit.metrics.base import Quantity
from evalkit.results import Score
from studies.records import REAL

RANDOM, NOTED = "†", "*"
"""Beside a number: made with random weights; has something to be said of it beneath."""
_HEAD_N = "N real/fake"
_FILE_WIDTH = 110
"""Columns where the table does not go to a terminal."""
_GAP = 3
"""Columns of the terminal between two of the table."""
_NAME_WIDTH = 30
"""Most columns for the name of a set; longer names go on in the next line."""


def show_scores(scores: Sequence[Score]) -> None:
    """Print the main numbers to stdout, in as many tables as the width asks for, and their notes once."""
    main = [score for score in scores if not score.detail]
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    for quantities in _blocks(main, console.width):
        console.print(_table(main, quantities))
    for line in _lines(main):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _blocks(scores: Sequence[Score], width: int) -> Iterator[list[Quantity]]:
    """Quantities that fit beside each other."""
    there = {score.key for score in scores}
    names = max(len("images"), *(len(_name(score)) for score in scores))
    sizes = max(len(_HEAD_N), *(len(_size(score)) for score in scores))
    room = width - min(names, _NAME_WIDTH) - sizes - 2 * _GAP
    block: list[Quantity] = []
    free = room
    for metric in METRICS.values():
        for quantity in metric.quantities:
            if quantity.key not in there:
                continue
            cells = [_cell(score, quantity) for score in scores if score.key == quantity.key]
            needed = _GAP + max(map(len, [_heading(quantity), *cells]))
            if block and needed > free:
                yield block
                block, free = [], room
            block.append(quantity)
            free -= needed
    if block:
        yield block


def _table(scores: Sequence[Score], quantities: Sequence[Quantity]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("images", overflow="fold", max_width=_NAME_WIDTH)
    table.add_column(_HEAD_N, justify="right", no_wrap=True)
    for quantity in quantities:
        table.add_column(_heading(quantity), justify="right", no_wrap=True)
    wanted = {quantity.key for quantity in quantities}
    sets = dict.fromkeys((score.condition, score.run) for score in scores if score.key in wanted)
    for condition, run in sorted(sets, key=lambda one: one[0] == REAL):  # the ceiling stands last
        own = {score.key: score for score in scores if (score.condition, score.run) == (condition, run)}
        some = next(score for key, score in own.items() if key in wanted)
        cells = [_cell(own[one.key], one) if one.key in own else "" for one in quantities]
        table.add_row(escape(_name(some)), _size(some), *cells)
    return table


def _name(score: Score) -> str:
    """Of the set that it is about."""
    if score.condition == REAL:
        return "real (ceiling)"
    return score.condition if score.run is None else f"{score.condition}, run {score.run}"


def _size(score: Score) -> str:
    return f"{score.n.get('reals', '?')}/{score.n.get('fakes', '?')}"


def _heading(quantity: Quantity) -> str:
    return f"{quantity.title} {'↑' if quantity.higher_is_better else '↓'}"


def _cell(score: Score, quantity: Quantity) -> str:
    """`39.02 ±2.10†*`."""
    if score.value is None:
        return f"–{NOTED if score.notes else ''}"
    text = f"{score.value:.{quantity.decimals}f}"
    if score.interval:
        half = (score.interval.high - score.interval.low) / 2
        text += f" ±{half:.{quantity.decimals}f}"
    return text + (RANDOM if score.mark else "") + (NOTED if score.notes else "")


def _lines(scores: Sequence[Score]) -> Iterator[str]:
    """What the signs stand for; each note once, with what it is said of."""
    titles = {one.key: one.title for metric in METRICS.values() for one in metric.quantities}
    levels = {score.interval.confidence_level for score in scores if score.interval}
    if levels:
        told = ", ".join(f"{100 * one:g} %" for one in sorted(levels))
        yield f"±: half the width of the {told} interval over images; {SCORES} has its ends."
    drawn = {score.mark: None for score in scores if score.mark}
    for mark in drawn:
        keys = dict.fromkeys(
            titles[score.key] for score in scores if score.mark == mark and score.value is not None
        )
        yield f"{RANDOM} {', '.join(keys)}: {mark}. Such numbers show that the chain works, and nothing else."
    notes: dict[str, list[Score]] = {}
    for score in scores:
        for note in score.notes:
            notes.setdefault(note, []).append(score)
    sets = {(score.condition, score.run) for score in scores if score.condition != REAL}
    for note, own in notes.items():
        about = ", ".join(dict.fromkeys(titles[score.key] for score in own))
        named = {(score.condition, score.run) for score in own}
        if not sets <= named:
            about += f" of {', '.join(dict.fromkeys(score.condition for score in own))}"
        yield f"{NOTED} {about}: {note}"
