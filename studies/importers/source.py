"""A table as it lies in somebody's file: header, rows and digest; and its columns, found by name or pattern."""

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.errors import UserError, did_you_mean

QUESTION = "question"
"""The column that tells questions apart, once columns have been turned into rows; and the key file's first column."""


@dataclass(frozen=True)
class Source:
    """A table of text cells."""

    name: str
    """The file's name, as errors say it."""
    sha256: str
    """Of the file's bytes."""
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """Number of the row in the file (the header is 1), and its cells, as many as the header has."""
    size: int
    """Rows in the file, whatever has been done to them since."""

    def place(self, column: str) -> int:
        """Where a column stands.

        Raises:
            UserError: There is none, or there are two.
        """
        places = [place for place, name in enumerate(self.header) if name == column]
        if not places:
            raise UserError(f"{self.name}: there is no column {column!r}.{did_you_mean(column, self.header)}")
        if len(places) > 1:
            raise UserError(f"{self.name}: two columns are called {column!r}. Rename one of them.")
        return places[0]

    def in_rows(self, pattern: str) -> "Source":
        """Columns named like `pattern` (`*` = what tells them apart) as rows.

        The new table has the column `question`, which holds what `*` stood for, and the column `pattern`, which holds
        the cell; all other columns are repeated.

        Raises:
            UserError: No column is named like that.
        """
        before, _, after = pattern.partition("*")
        shape = re.compile(f"{re.escape(before)}(.+){re.escape(after)}")
        found = {
            place: match[1] for place, name in enumerate(self.header) if (match := shape.fullmatch(name))
        }
        if not found:
            raise UserError(
                f"{self.name}: no column is named like {pattern!r}.{did_you_mean(pattern, self.header)}"
            )
        kept = [place for place in range(len(self.header)) if place not in found]
        rows = tuple(
            (number, (*(cells[place] for place in kept), question, cells[place]))
            for number, cells in self.rows
            for place, question in found.items()
        )
        header = (*(self.header[place] for place in kept), QUESTION, pattern)
        return Source(self.name, self.sha256, header, rows, self.size)

    def joined(self, key: "Source", column: str) -> "Source":
        """The table with what `key` says of each value of `column`; the key's own column is called `question`.

        Raises:
            UserError: The key has a question twice, or lacks one; or both tables have a column of the same name.
        """
        told, own = _by_question(key), self.place(column)
        extra = [name for name in key.header if name != QUESTION]
        twice = [name for name in extra if name in self.header]
        if twice:
            raise UserError(
                f"{key.name}: the column {twice[0]!r} is also in {self.name}. Rename it in {key.name}."
            )
        unknown = next(((number, cells[own]) for number, cells in self.rows if cells[own] not in told), None)
        if unknown:
            raise UserError(
                f"{key.name}: says nothing of the question {unknown[1]!r} ({self.name}, row {unknown[0]})."
                f"{did_you_mean(unknown[1], told)}"
            )
        rows = tuple((number, (*cells, *told[cells[own]])) for number, cells in self.rows)
        return Source(self.name, self.sha256, (*self.header, *extra), rows, self.size)


def _by_question(key: Source) -> Mapping[str, tuple[str, ...]]:
    own = key.place(QUESTION)
    told: dict[str, tuple[str, ...]] = {}
    for number, cells in key.rows:
        if cells[own] in told:
            raise UserError(f"{key.name}, row {number}: the question {cells[own]!r} stands there twice.")
        told[cells[own]] = tuple(cell for place, cell in enumerate(cells) if place != own)
    return told


def read_source(path: Path) -> Source:
    """Read a CSV file; cells may be separated by comma, semicolon or tab.

    Raises:
        UserError: There is no such file, it is empty or not UTF-8, or a row has more cells than the header.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text: {error}. Save it as CSV in UTF-8.") from error
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    header = tuple(cell.strip() for cell in next(lines, []))
    if not any(header):
        raise UserError(f"{path}: empty; the first line must name the columns.")
    rows = tuple((number, _cells(path, number, row, header)) for number, row in enumerate(lines, 2))
    if not rows:
        raise UserError(f"{path}: has a header and no rows.")
    return Source(path.name, hashlib.sha256(content).hexdigest(), header, rows, len(rows))


def _delimiter(text: str) -> str:
    """What separates the cells of the first line: whichever of the three stands there most often."""
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _cells(path: Path, number: int, row: Sequence[str], header: Sequence[str]) -> tuple[str, ...]:
    if any(row[len(header) :]):
        raise UserError(
            f"{path}, row {number}: {len(row)} cells, but the header names {len(header)} columns. A cell that holds a "
            "comma must stand in quotes."
        )
    return (*row[: len(header)], *([""] * (len(header) - len(row))))
