"""One part of the page about one analysis: what it says, its figure, its tables, its notes and how it was computed."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from evalkit.report.cells import Cell, Scalar, Table
from evalkit.report.collect import Collected
from evalkit.report.numerals import NOTHING
from evalkit.results import Estimate, Result

MOST_NAMED = 6
"""More algorithms or contrasts than these are counted."""
Write = Callable[[float | None], str]
"""How a number of one unit is written."""


@dataclass(frozen=True)
class Draft:
    """What one analysis is told by."""

    title: str
    lead: tuple[str, ...]
    """How to read it, before the tables."""
    tables: tuple[Table, ...]
    figure: str = ""
    """An `<svg>` element whose data the tables have; empty for none."""
    caption: str = ""
    files: tuple[Table, ...] = ()
    """Too long for the page; written beside it."""


@dataclass(frozen=True)
class Panel:
    """A draft with what its records said of themselves."""

    name: str
    """Distinct on the page."""
    draft: Draft
    unplanned: bool
    """Added after the study was planned."""
    notes: tuple[str, ...]
    """Of its records, each once."""
    how: tuple[str, ...]
    """Their methods, each once."""

    @property
    def title(self) -> str:
        """Says so where nobody planned it."""
        return f"{self.draft.title} (unplanned)" if self.unplanned else self.draft.title


def panel(collected: Collected, name: str, build: Callable[[Collected], Draft | None]) -> Panel | None:
    """What `build` makes of the records that it asks for, with their notes and methods; None where there are none."""
    before = len(collected.records.asked)
    draft = build(collected)
    used = list({id(record): record for record in collected.records.asked[before:]}.values())
    if draft is None:
        return None
    unplanned = any(record.provenance.status == "unplanned" for record in used)
    said = {note for record in collected.records.all if record.key == "fool_rate" for note in record.notes}
    notes = tuple(note for note in notes_of(used) if note not in said)  # those stand under Limits
    return Panel(name, draft, unplanned, notes, _methods(used))


def notes_of(records: Iterable[Result]) -> tuple[str, ...]:
    """Each note once; one that does not hold for all records of its keys says of which it does."""
    found = list(records)
    having: dict[str, list[Result]] = {}
    for record in found:
        for note in dict.fromkeys(record.notes):
            having.setdefault(note, []).append(record)
    return tuple(_attributed(note, own, found) for note, own in having.items())


def _attributed(note: str, own: Sequence[Result], found: Sequence[Result]) -> str:
    keys = {record.key for record in own}
    names = list(dict.fromkeys(filter(None, map(about, own))))
    of = sum(record.key in keys for record in found)
    if not names or of == len(own) or all(note.startswith(f"{name.partition(',')[0]}:") for name in names):
        return note
    return (
        f"{', '.join(names)}: {note}" if len(names) <= MOST_NAMED else f"{len(own)} of {of} records: {note}"
    )


def about(record: Result) -> str:
    """The algorithm, the contrast or the part of the study that a record is about."""
    named = f"{record.condition} − {record.versus}" if record.versus else record.condition
    run = "" if record.run is None else f"run {record.run}"
    return ", ".join(filter(None, (named or record.detail, run)))


def _methods(records: Iterable[Result]) -> tuple[str, ...]:
    """Each method once, with its keys."""
    keys: dict[str, dict[str, None]] = {}
    found = list(records)
    for record in found:
        keys.setdefault(_wording(record.method), {})[record.key.replace("_", " ")] = None
    told = alike(record.method for record in found)
    return tuple(f"{', '.join(names)}: {one}." for names, one in zip(keys.values(), told, strict=True))


def alike(methods: Iterable[str]) -> list[str]:
    """Methods, each once; those that differ in numbers alone, such as degrees of freedom, by the first."""
    groups: dict[str, dict[str, None]] = {}
    for method in methods:
        groups.setdefault(_wording(method), {})[method] = None
    return [
        next(iter(own)) + (" (these numbers differ between records)" if len(own) > 1 else "")
        for own in groups.values()
    ]


def _wording(method: str) -> str:
    """Without its numbers."""
    return re.sub(r"\d[\d.,]*", "#", method)


def cell(found: Estimate | None, name: str, write: Write) -> Cell:
    """`0.62 [0.30 to 0.94]`, and as raw values the number and both ends."""
    interval = found.interval if found else None
    raw: Mapping[str, Scalar] = {
        name: found.value if found else None,
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
    }
    text = write(found.value) if found else NOTHING
    return Cell(f"{text} [{write(interval.low)} to {write(interval.high)}]" if interval else text, raw)


def by_condition(found: Iterable[Estimate]) -> dict[str, Estimate]:
    """The records of one key by their algorithm; the study's own under the empty name."""
    return {record.condition: record for record in found}
