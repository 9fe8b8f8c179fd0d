"""The table of metrics next to the fool rate, and the table of how they were made."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from evalkit.report.cells import Cell, Scalar, Table, make_table, text_cell
from evalkit.report.collect import Collected
from evalkit.report.numerals import NOTHING, digits, level, percent, percent_range
from evalkit.results import Score
from evalkit.scores import Column
from studies.records import REAL

RANDOM, NOTED = "†", "*"
"""Beside a number: made with random weights; has something to be said of it beneath."""
IN_MAIN = ("fid", "kid", "lpips", "fcn_", "input_sensitivity")
"""How the keys of those begin that stand in the main table too."""
_ABREAST = 5
"""Most quantities beside each other on a page."""
WRITTEN = {"ms": "MS", "iou": "IoU", "db": "dB", "lab": "Lab", "l": "L"} | {
    name: name.upper() for name in ("fid", "kid", "lpips", "fcn", "psnr", "ssim", "l1", "vgg")
}
"""Words of keys as people write them."""


def metrics_table(collected: Collected) -> Table:
    """One row per algorithm: fool rate, then every quantity; the reals themselves last, where they have a score."""
    return _with(collected, collected.scores.columns, _notes(collected))


def metrics_pieces(collected: Collected) -> list[Table]:
    """The same in pieces that fit a page, each with the fool rate; those with drawn weights stand by themselves, last."""
    columns = collected.scores.columns
    kinds = [[one for one in columns if bool(one.mark) == drawn] for drawn in (False, True)]
    parts = [part for kind in kinds for part in _parts(kind)]
    last = len(parts) - 1
    return [
        _with(collected, part, _notes(collected) if number == last else ())
        for number, part in enumerate(parts)
    ]


def _parts(columns: Sequence[Column]) -> Iterator[list[Column]]:
    """Few enough to stand abreast; the quantities of one metric stay together where they can."""
    part: list[Column] = []
    for _, group in groupby(columns, lambda column: column.first.provenance.analysis):
        own = list(group)
        if part and len(part) + len(own) > _ABREAST:
            yield part
            part = []
        part += own
        while len(part) > _ABREAST:
            yield part[:_ABREAST]
            part = part[_ABREAST:]
    if part:
        yield part


def _with(collected: Collected, columns: Sequence[Column], notes: tuple[str, ...]) -> Table:
    conditions = list(collected.conditions)

    def runs_of(condition: str) -> int:
        return 1 if condition == REAL else collected.study.runs

    if any(column.of(REAL) for column in columns):
        conditions.append(REAL)
    rows = [
        (
            Cell("real (ceiling)" if condition == REAL else condition, {"condition": condition}, words=True),
            *_fool_rate(collected, condition),
            *(_cell(column, column.of(condition), runs_of(condition)) for column in columns),
            _sizes([score for column in columns for score in column.of(condition)]),
        )
        for condition in conditions
    ]
    headings = (
        "algorithm",
        "labeled real %",
        f"{level(collected.study.analysis.confidence_level)} interval",
        *(metric_heading(column) for column in columns),
        "real / fake images",
    )
    return make_table(collected, "metrics", _title(columns), headings, rows, notes)


def main_columns(collected: Collected) -> list[Column]:
    """The quantities that papers report beside the fool rate."""
    return [column for column in collected.scores.columns if column.key.startswith(IN_MAIN)]


def main_metric_cell(collected: Collected, column: Column, condition: str) -> Cell:
    """One of them for one algorithm."""
    return _cell(column, column.of(condition), collected.study.runs)


def main_metric_notes(collected: Collected) -> tuple[str, ...]:
    """What must be said wherever they stand."""
    columns = main_columns(collected)
    if not columns:
        return ()
    return (
        "Metrics: ↑ higher is better, ↓ lower is better; more of them below.",
        *_marks(columns, collected),
    )


def _marks(columns: Sequence[Column], collected: Collected) -> list[str]:
    """Drawn weights, and what the scores note of themselves, such as too small an N."""
    mark = next((column.mark for column in columns if column.mark), "")
    drawn = (
        f"{RANDOM} {mark[0].upper()}{mark[1:]}: the network that this rests on has drawn weights in the "
        "place of the pretrained ones. Such numbers show that the chain works, and nothing else."
        if mark
        else ""
    )
    noted = [f"{NOTED} {about}: {note}" for note, about in _by_note(columns, collected)]
    return [*filter(None, (drawn,)), *noted]


def metrics_made_table(collected: Collected) -> Table:
    """One row per quantity: direction, method, source and everything that it depends on."""
    rows = [
        (
            Cell(
                f"{column_name(column)} {_arrow(column)}{RANDOM if column.mark else ''}",
                {"key": column.key, "better": "higher" if column.first.higher_is_better else "lower"},
                words=True,
            ),
            Cell(
                f"{column.first.method} ({column.first.unit})",
                {"unit": column.first.unit, "method": column.first.method},
                words=True,
            ),
            text_cell(column.first.source, "source"),
            Cell(_settings(column), {"settings": _settings(column), "mark": column.mark}, words=True),
        )
        for column in collected.scores.columns
    ]
    headings = ("quantity", "method (unit)", "source", "depends on")
    return make_table(collected, "metrics_made", "How the metrics were computed", headings, rows)


def _title(columns: Sequence[Column]) -> str:
    return f"Metrics on the same images{told_of(columns)}"


def told_of(columns: Sequence[Column]) -> str:
    """Sizes and drawn weights in brackets, so that no copy of a table goes without them."""
    sizes = {
        (score.n.get("reals"), score.n.get("fakes")) for column in columns for score in column.scores.values()
    }
    told = [f"N = {reals} real and {fakes} fake images" for reals, fakes in sizes if reals and fakes]
    drawn = [column for column in columns if column.mark]
    words = [told[0]] if len(told) == 1 else []
    if drawn:
        names = "" if len(drawn) == len(columns) else f"{', '.join(map(column_name, drawn))}: "
        words.append(names + drawn[0].mark)
    return f" ({'; '.join(words)})" if words else ""


def _fool_rate(collected: Collected, condition: str) -> tuple[Cell, Cell]:
    rate = None if condition == REAL else collected.records.get("fool_rate", condition)
    value, interval = (rate.value, rate.interval) if rate else (None, None)
    ends = {
        "fool_rate_low": interval.low if interval else None,
        "fool_rate_high": interval.high if interval else None,
    }
    return Cell(percent(value), {"fool_rate": value}), Cell(percent_range(interval), ends)


def _cell(column: Column, scores: Sequence[Score], runs: int) -> Cell:
    """Over several training runs mean and range; of one, the value and its interval. Runs are never pooled.

    Where some of the runs have no score, the cell says of how many it speaks.
    """
    values = [score.value for score in scores if score.value is not None]
    interval = scores[0].interval if len(scores) == 1 and runs == 1 else None
    mean = sum(values) / len(values) if values else None
    several = len(values) > 1
    raw: dict[str, Scalar] = {
        column.key: mean,
        f"{column.key}_low": interval.low if interval else None,
        f"{column.key}_high": interval.high if interval else None,
        f"{column.key}_of_runs_min": min(values) if several else None,
        f"{column.key}_of_runs_max": max(values) if several else None,
        f"{column.key}_runs": len(values),
        f"{column.key}_mark": column.mark if values else "",
        f"{column.key}_notes": "; ".join(dict.fromkeys(note for score in scores for note in score.notes)),
    }
    text = digits(mean)
    if several:
        text += f" ({digits(min(values))} to {digits(max(values))})"
    elif interval:
        text += f" [{digits(interval.low)} to {digits(interval.high)}]"
    if 0 < len(values) < runs:
        text += f" ({len(values)} of {runs} runs)"
    if values:
        text += (RANDOM if column.mark else "") + (NOTED if any(score.notes for score in scores) else "")
    return Cell(text, raw)


def _sizes(scores: Sequence[Score]) -> Cell:
    """Of one training run."""
    sizes = {(score.n.get("reals"), score.n.get("fakes")) for score in scores}
    reals, fakes = sizes.pop() if len(sizes) == 1 else (None, None)
    text = f"{reals} / {fakes}" if reals and fakes else NOTHING
    return Cell(text, {"n_reals": reals, "n_fakes": fakes})


def metric_heading(column: Column) -> str:
    """Name, direction, and whether its network has drawn weights."""
    mark = f", {column.mark} {RANDOM}" if column.mark else ""
    return f"{column_name(column)} {_arrow(column)}{mark}"


def _arrow(column: Column) -> str:
    return "↑" if column.first.higher_is_better else "↓"


def column_name(column: Column) -> str:
    """`fcn_pixel_accuracy` as `FCN pixel accuracy`."""
    return " ".join(WRITTEN.get(word, word) for word in column.key.split("_"))


def _settings(column: Column) -> str:
    return "; ".join(f"{name}: {value}" for name, value in column.first.settings.items()) or NOTHING


def _notes(collected: Collected) -> tuple[str, ...]:
    scores, bundle = collected.scores, collected.bundle
    several = collected.study.runs > 1
    notes = [
        (
            "↑ higher is better, ↓ lower is better. "
            + (
                "Each training run is scored by itself, never pooled with others: mean over the runs, and their range."
                if several
                else f"In brackets: the {_levels(scores.columns)}interval over images, where the metric has one. It covers neither other training runs nor people."
            )
        )
    ]
    if any(column.of(REAL) for column in scores.columns):
        notes.append(
            "real (ceiling): the real images in the place of the fakes, the best that can be hoped for."
        )
    notes += _marks(scores.columns, collected)
    if bundle is None:
        notes.append(
            "There is no stimulus bundle here, so it is not known whether these are the images that people saw."
        )
    elif scores.other_pixels:
        notes.append(
            f"Scored at the images' own size and cut; shown to people at {bundle.width_px} × {bundle.height_px} px."
        )
    return (*notes, *scores.left_out)


def _levels(columns: Sequence[Column]) -> str:
    """`95 % `: confidence levels of the intervals; empty without any."""
    found = {
        score.interval.confidence_level
        for column in columns
        for score in column.scores.values()
        if score.interval
    }
    return " and ".join(map(level, sorted(found))) + " " * bool(found)


def _by_note(columns: Sequence[Column], collected: Collected) -> Iterator[tuple[str, str]]:
    """Each note once, with the quantities that it is said of, and the algorithms if it is not said of all."""
    quantities: dict[str, dict[str, None]] = {}
    conditions: dict[str, dict[str, None]] = {}
    for column in columns:
        for (condition, _), score in column.scores.items():
            for note in score.notes:
                quantities.setdefault(note, {})[column_name(column)] = None
                conditions.setdefault(note, {})[condition] = None
    for note, names in quantities.items():
        of_all = set(collected.conditions) <= set(conditions[note])
        yield note, ", ".join(names) + ("" if of_all else f" of {', '.join(conditions[note])}")
