"""Tables as the report knows them: one description each, from which HTML, CSV and Markdown are made."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evalkit.report.collect import Collected

OF_LOSSES = ("main", "differences", "ablation", "equivalence", "people_and_metrics")
"""Tables that compare algorithms, and say so where each was trained once."""
Scalar = str | float | int | None


@dataclass(frozen=True)
class Cell:
    """One value as people read it and as programs do."""

    text: str
    raw: Mapping[str, Scalar]
    """Column name -> value; an interval has two."""
    words: bool = False
    """Text that reads from the left, unlike numbers."""


@dataclass(frozen=True)
class Table:
    """Headings and rows."""

    name: str
    """File stem under tables/."""
    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    mark: str = ""
    """SIMULATED and the like; repeated in every row of every format."""
    about: Mapping[str, str] = field(default_factory=dict)
    """study, data, observer: the first columns of the CSV file."""

    def as_csv(self) -> str:
        """Raw values, full precision; empty where nothing could be estimated."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        names = [name for cell in self.rows[0] for name in cell.raw] if self.rows else []
        writer.writerow([*self.about, *names])
        for row in self.rows:
            values = [value for cell in row for value in cell.raw.values()]
            writer.writerow([*self.about.values(), *("" if value is None else value for value in values)])
        return stream.getvalue()

    def as_markdown(self) -> str:
        """The table as the report shows it."""
        headings = [*self.headings, "data"] if self.mark else [*self.headings]
        lines = [f"# {self.mark + ': ' if self.mark else ''}{self.title}", ""]
        lines += [_row(headings), _row(["---", *["---:"] * (len(headings) - 1)])]
        for row in self.rows:
            lines.append(_row([cell.text for cell in row] + ([self.mark] if self.mark else [])))
        lines += ["", *(f"{note}\n" for note in self.notes)]
        return "\n".join(lines).rstrip() + "\n"


def make_table(
    collected: Collected,
    name: str,
    title: str,
    headings: Sequence[str],
    rows: Sequence[tuple[Cell, ...]],
    notes: tuple[str, ...] = (),
) -> Table:
    """A table of this report: with its mark, and with what it is about."""
    source = collected.provenance
    title += f" – {collected.one_run}" if name in OF_LOSSES and collected.one_run else ""
    about = {"study": source.study, "data": source.data, "observer": source.observer, "target": source.target}
    return Table(name, title, tuple(headings), tuple(rows), notes, collected.mark, about)


def text_cell(text: str, name: str) -> Cell:
    """Words that are the raw value too."""
    return Cell(text, {name: text}, words=True)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
