"""The rows of somebody's table of answers, read by the keys of --map."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from studies.errors import UserError
from studies.importers import cells
from studies.importers.cells import is_missing
from studies.importers.found import Answer, Found, Shown
from studies.importers.source import Source
from studies.records import Asked, Phase, Question


@dataclass(frozen=True)
class Reading:
    """What is said about a table beside its columns."""

    unsure: tuple[str, ...] = ()
    """Cells that mean "not sure", worth one half."""
    question: Question = "fake"
    """Pairs: which image was asked for."""
    condition: str = "generated"
    """Name of the only algorithm, where no column names it."""
    order: tuple[str, ...] = ()
    """Algorithms in the order that study.toml shall have."""
    keep_repeated: bool = False
    """Whether rows that repeat another word for word are answers of their own."""


class Table:
    """A table with what its columns mean."""

    def __init__(self, source: Source, columns: Mapping[str, str], reading: Reading, found: Found) -> None:
        self.source, self.columns, self.reading, self.found = source, columns, reading, found
        self.places = {key: source.place(column) for key, column in columns.items()}
        self.unsure_words = {word.strip().casefold() for word in reading.unsure}

    def __iter__(self) -> "Iterator[Row]":
        """Row by row."""
        return (Row(self, number, row) for number, row in self.source.rows)

    def has(self, key: str) -> bool:
        """Whether a column is mapped to the key."""
        return key in self.places

    @property
    def condition_key(self) -> tuple[str, ...]:
        """`condition`, where a column names it."""
        return ("condition",) if self.has("condition") else ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row."""

    table: Table
    number: int
    cells: tuple[str, ...]

    def __getitem__(self, key: str) -> str:
        """The cell; empty where no column is mapped."""
        place = self.table.places.get(key)
        return "" if place is None else self.cells[place]

    def where(self, key: str) -> str:
        """The cell's place, as errors say it."""
        return f"{self.table.source.name}, row {self.number}, column {self.table.columns[key]!r}"

    def lacks(self, *keys: str) -> bool:
        """Whether a cell is empty without which nothing can be said; such a row is counted out."""
        for key in keys:
            if is_missing(self[key]):
                self.table.found.dropped[f"no {key}"] += 1
                return True
        return False

    def is_unsure(self, key: str) -> bool:
        """Whether the answer, which stands under `key`, is "not sure": by its word, or by a column of its own.

        Raises:
            UserError: That column says so, and there is an answer all the same.
        """
        cell = self[key]
        if not is_missing(self["unsure"]) and cells.truth(self["unsure"], self.where("unsure")):
            if not is_missing(cell) and not self._means_unsure(cell):
                raise UserError(
                    f"{self.where('unsure')}: says that nothing was decided, but {key} is {cell!r}."
                )
            return True
        return self._means_unsure(cell)

    def _means_unsure(self, cell: str) -> bool:
        return cell.strip().casefold() in self.table.unsure_words

    @property
    def condition(self) -> str:
        """The algorithm, as written."""
        return self["condition"].strip() if self.table.has("condition") else self.table.reading.condition

    def shown(self, key: str, condition: str, side: str = "centre") -> Shown:
        """The image that a key names. Where one column names image and input, the algorithm completes the image's id."""
        name, columns = self[key].strip(), self.table.columns
        source = self["input"].strip() or name
        if columns.get("input") == columns[key]:
            name = f"{condition}/{name}"
        return Shown(name, source, condition, side)  # type: ignore[arg-type]  # callers give sides

    def answer(
        self,
        shown: tuple[Shown, ...],
        given: tuple[str, float | None],
        *,
        condition: str,
        asked: Asked,
        session: str = "",
        target: int | None = None,
    ) -> Answer:
        """The answer of this row.

        Args:
            shown: The images.
            given: Choice and outcome.
            condition: The algorithm.
            asked: The question.
            session: Empty = the worker's only one.
            target: The slot that answers the question.
        """
        self._note_check()
        rt = None if is_missing(self["rt_ms"]) else cells.number(self["rt_ms"], self.where("rt_ms"), 0)
        index = (
            int(cells.number(self["trial"], self.where("trial"), 0, 1e9)) if self.table.has("trial") else None
        )
        return Answer(
            row=self.number,
            worker=self["worker"],
            session=session or self["worker"],
            condition=condition,
            shown=shown,
            question=asked,
            target=target,
            choice=given[0],
            outcome=given[1],
            phase=self._phase(),
            rt_ms=rt,
            trial_index=index,
        )

    def _phase(self) -> Phase:
        if is_missing(self["practice"]):
            return "scored"
        practice = cells.truth(self["practice"], self.where("practice"), ("practice",), ("scored",))
        return "practice" if practice else "scored"

    def _note_check(self) -> None:
        """A worker has failed as many checks as the highest of the rows says; words count as one."""
        if not self.table.has("failed_check"):
            return
        cell, failed = self["failed_check"].strip(), self.table.found.failed_checks
        if is_missing(cell):
            failed.setdefault(self["worker"], None)
        else:
            where = self.where("failed_check")
            words = ("failed", "fail"), ("passed", "pass")
            count = int(cell) if cell.isdecimal() else int(cells.truth(cell, where, *words))
            failed[self["worker"]] = max(failed.get(self["worker"]) or 0, count)
