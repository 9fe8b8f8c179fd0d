"""Records as people read them, whatever they are about: for the report's last tables and for the terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evalkit.report.cells import Cell, Table, make_table, text_cell
from evalkit.report.collect import Collected
from evalkit.report.numerals import NOTHING, count, digits, milliseconds, p_value, percent, points
from evalkit.results import Estimate, HypothesisTest, Interval, Result

_SHARES_OVER = ("preference_share", "inputs_won")
"""Records of two algorithms that are shares, not differences."""
MOST_OF_A_KEY = 60
"""More records of one key in one analysis (one per session or image) are counted, not listed."""
TITLES = {
    "fool_rate": "Fool rate",
    "pairwise_differences": "Differences between algorithms",
    "signal_detection": "Sensitivity and bias",
    "people_and_metrics": "People and metrics",
    "image_rates": "Single images",
    "flow": "From arrival to analysis",
    "exposure": "Time on screen",
}
"""Of analyses whose name alone does not say it."""


@dataclass(frozen=True)
class Line:
    """One record in words."""

    about: str
    """Algorithm, or contrast, or training run; empty for the whole study."""
    what: str
    value: str
    interval: str
    p: str
    n: str
    notes: tuple[int, ...]
    """Numbers of its notes, from 1."""


@dataclass(frozen=True)
class Section:
    """The records of one analysis."""

    analysis: str
    status: str
    """planned | at import | unplanned | descriptive."""
    records: tuple[Result, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    """Each once, in order."""

    @property
    def title(self) -> str:
        """The analysis in words; says so where nobody planned it."""
        name = TITLES.get(self.analysis, self.analysis.replace("_", " ").capitalize())
        return f"{name} (unplanned)" if self.status == "unplanned" else name


def sections(records: Iterable[Result]) -> list[Section]:
    """Records by analysis, in their order."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for record in records:
        groups.setdefault((record.provenance.analysis, record.provenance.status), []).append(record)
    return [_section(analysis, status, own) for (analysis, status), own in groups.items()]


def others(collected: Collected, shown: Iterable[Result]) -> list[Table]:
    """A table for each analysis that has records which no other table asked for; so that none is ever dropped."""
    seen = set(map(id, shown))
    left = [record for record in collected.records.all if id(record) not in seen]
    return [_table(collected, section) for section in sections(left)]


def _section(analysis: str, status: str, own: Sequence[Result]) -> Section:
    keys: dict[str, list[Result]] = {}
    for record in own:
        keys.setdefault(record.key, []).append(record)
    kept = [record for record in own if len(keys[record.key]) <= MOST_OF_A_KEY]
    numbers: dict[str, int] = {}
    for record in kept:
        for note in record.notes:
            numbers.setdefault(note, len(numbers) + 1)
    lines = [_line(record, numbers) for record in kept]
    many = tuple(
        f"{words(key)}: {len(found)} records, one by one in estimates.jsonl."
        for key, found in keys.items()
        if len(found) > MOST_OF_A_KEY
    )
    return Section(analysis, status, tuple(kept), tuple(lines), (*numbers, *many))


def _line(record: Result, numbers: dict[str, int]) -> Line:
    interval = record.interval if isinstance(record, Estimate) else None
    return Line(
        about=_about(record),
        what=f"{words(record.key)}, {record.detail}" if record.detail else words(record.key),
        value=number(record, record.value),
        interval=NOTHING if interval is None else _range(record, interval),
        p=_p(record) if isinstance(record, HypothesisTest) else "",
        n=", ".join(f"{count(size)} {words(name)}" for name, size in record.n.items()),
        notes=tuple(numbers[note] for note in dict.fromkeys(record.notes)),
    )


def _range(record: Result, interval: Interval) -> str:
    """Both ends, the unit once."""
    low, high = number(record, interval.low), number(record, interval.high)
    unit = next((unit for unit in (" points", " %", " ms") if high.endswith(unit)), "")
    return f"{low.removesuffix(unit)} to {high}" if unit else f"{low} to {high}"


def words(name: str) -> str:
    """A key or a size in running text.

    >>> words("rt_ms_median"), words("source_images")
    ('rt ms median', 'source images')
    """
    return name.replace("_", " ")


def number(record: Result, value: float | None) -> str:
    """A value in the record's unit: proportions in percent, differences of them in points with their sign."""
    if value is None:
        return NOTHING
    if record.unit.startswith("proportion"):
        signed = any(word in record.key for word in ("difference", "slope", "minus", "as_good_as"))
        if "per" in record.unit:
            return f"{100 * value:+.3f} points".replace("-", "−")
        return f"{points(value)} points" if signed else f"{percent(value)} %"
    if record.unit == "count":
        return count(value) if value == round(value) else f"{value:.1f}"
    if record.unit == "ms":
        return f"{milliseconds(value)} ms"
    text = f"{value:.3f}" if abs(value) < 1000 else digits(value)
    return text.replace("-", "−")


def _about(record: Result) -> str:
    sign = "over" if record.key in _SHARES_OVER else "−"
    about = f"{record.condition} {sign} {record.versus}" if record.versus else record.condition
    parts = (about, "" if record.run is None else f"run {record.run}", record.image)
    return ", ".join(filter(None, parts))


def _p(test: HypothesisTest) -> str:
    adjusted = "" if test.p_adjusted is None else f" (adjusted {p_value(test.p_adjusted)})"
    return p_value(test.p_value) + adjusted


def _table(collected: Collected, section: Section) -> Table:
    rows = [
        (
            Cell(line.about or "whole study", {"condition": record.condition, "versus": record.versus}),
            Cell(
                line.what,
                {"key": record.key, "detail": record.detail, "run": record.run, "image": record.image},
                words=True,
            ),
            Cell(line.value, {"value": record.value, "unit": record.unit}),
            _interval_cell(record, line),
            _p_cell(record, line),
            Cell(
                line.n or NOTHING,
                {f"n_{name}": size for name, size in _sizes(section, record).items()},
                words=True,
            ),
            text_cell(record.method, "method"),
            Cell(", ".join(map(str, line.notes)) or "", {"notes": " ".join(record.notes)}),
        )
        for record, line in zip(section.records, section.lines, strict=True)
    ]
    headings = ("about", "what", "value", "interval", "p", "n", "how", "note")
    notes = tuple(f"{place}: {note}" for place, note in enumerate(section.notes, 1))
    return make_table(collected, f"records_{section.analysis}", section.title, headings, rows, notes)


def _sizes(section: Section, record: Result) -> dict[str, int | None]:
    names = dict.fromkeys(name for other in section.records for name in other.n)
    return {name: record.n.get(name) for name in names}


def _interval_cell(record: Result, line: Line) -> Cell:
    found = record.interval if isinstance(record, Estimate) else None
    error = record.standard_error if isinstance(record, Estimate) else None
    return Cell(
        line.interval,
        {
            "low": found.low if found else None,
            "high": found.high if found else None,
            "confidence_level": found.confidence_level if found else None,
            "standard_error": error,
        },
    )


def _p_cell(record: Result, line: Line) -> Cell:
    test = record if isinstance(record, HypothesisTest) else None
    raw = (
        {"p_value": test.p_value, "p_adjusted": test.p_adjusted}
        if test
        else {"p_value": None, "p_adjusted": None}
    )
    return Cell(line.p, raw)
