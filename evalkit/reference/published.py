"""The published tables, read from the TOML files beside this module."""

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from studies.errors import UserError, did_you_mean

PAPERS = ("pix2pix2017", "cyclegan2017", "zhang2016")
"""The files, in the order in which tables are listed."""

_PRINTED = re.compile(r"(\d+(?:\.\d+)?)(?: ± (\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class Paper:
    """A publication, in the version that was read."""

    key: str
    short: str
    """Authors and year, for headings."""
    authors: str
    title: str
    venue: str
    version: str
    """Numbers may differ between versions of one paper."""
    numbering: str
    """How tables of this version are numbered elsewhere; empty where nothing is to be said."""


@dataclass(frozen=True)
class Quantity:
    """What a published number measures."""

    key: str
    """As evalkit's own keys, where evalkit computes it too."""
    label: str
    """Heading of a column."""
    about: str
    unit: Literal["percent", "proportion"]
    higher_is_better: bool


@dataclass(frozen=True)
class PublishedNumber:
    """One printed number, with all that is needed to cite it."""

    paper: Paper
    where: str
    """Table, figure or section."""
    dataset: str
    task: str
    """`from→to`."""
    method: str
    """The row, as the paper calls it."""
    condition: str
    """The loss of evalkit's pix2pix that it is (`l1_cgan` ...), `real` for real images; empty for anything else."""
    quantity: Quantity
    printed: str
    """As printed, such as `18.9 ± 2.5`."""
    value: float
    """In the quantity's unit."""
    error: float | None
    """What stands behind the ±, in the same unit; None where nothing does, or where it is not verified."""
    uncertainty: str
    """What the ± means; empty where the table has none."""
    verified: str
    """How it is known."""

    @property
    def proportion(self) -> float:
        """The value between 0 and 1, as evalkit's estimates are."""
        return self.value / 100 if self.quantity.unit == "percent" else self.value

    @property
    def source(self) -> str:
        """Paper, version and place in one line."""
        return f"{self.paper.short} ({self.paper.version}), {self.where}"


@dataclass(frozen=True)
class PublishedTable:
    """One table of a paper."""

    key: str
    paper: Paper
    where: str
    title: str
    dataset: str
    columns: tuple[tuple[Quantity, str], ...]
    """Quantity and task."""
    rows: tuple[tuple[str, tuple[PublishedNumber | None, ...]], ...]
    """Method and its numbers by column; None where none is printed or verified."""
    preset: str
    """Study preset with the protocol of a study with people; empty for computed scores."""
    participants: str
    """How many people, as the paper says it; empty for computed scores."""
    uncertainty: str
    """What the ± means; empty where there is none."""
    notes: tuple[str, ...]
    left_out: str
    """What the published table has besides, not verified and therefore not here."""

    @property
    def numbers(self) -> tuple[PublishedNumber, ...]:
        """All numbers, row by row."""
        return tuple(number for _, cells in self.rows for number in cells if number is not None)

    def number(self, method: str, quantity: str, task: str = "") -> PublishedNumber:
        """One number.

        Args:
            method: A row by its method or its condition (`L1+cGAN`, `l1_cgan`).
            quantity: Key of a column's quantity.
            task: Which column, where several have that quantity; else the first.

        Raises:
            UserError: There is no such number.
        """
        for number in self.numbers:
            if (
                method in (number.method, number.condition or None)
                and number.quantity.key == quantity
                and task in ("", number.task)
            ):
                return number
        methods = [name for name, _ in self.rows]
        quantities = [found.key for found, _ in self.columns]
        unknown, known = (quantity, quantities) if method in methods else (method, methods)
        hint = "" if unknown in known else did_you_mean(unknown, known)
        wanted = f"{quantity} of {method!r}{f' for {task}' if task else ''}"
        raise UserError(f"{self.key}: no verified number for {wanted}.{hint}")


@functools.cache
def _all() -> dict[str, PublishedTable]:
    quantities = {key: Quantity(key=key, **about) for key, about in read("quantities").items()}
    found: dict[str, PublishedTable] = {}
    for name in PAPERS:
        data = read(name)
        paper = Paper(**data["paper"])
        for entry in data["tables"]:
            found[entry["key"]] = _table(entry, paper, quantities)
    return found


def tables() -> list[PublishedTable]:
    """All published tables, paper by paper."""
    return list(_all().values())


def table(key: str) -> PublishedTable:
    """One published table.

    >>> table("pix2pix2017_maps").number("l1_cgan", "fool_rate", "map→photo").printed
    '18.9 ± 2.5'

    Raises:
        UserError: There is none of that key.
    """
    known = _all()
    if key not in known:
        raise UserError(f"{key}: no published table of that key.{did_you_mean(key, known)}")
    return known[key]


def read(name: str) -> dict[str, Any]:
    """A TOML file of this package."""
    return tomllib.loads((files("evalkit.reference") / f"{name}.toml").read_text(encoding="utf-8"))


def _table(entry: Mapping[str, Any], paper: Paper, quantities: Mapping[str, Quantity]) -> PublishedTable:
    columns = tuple((quantities[one["quantity"]], str(one["task"])) for one in entry["columns"])
    shared = {
        "paper": paper,
        "where": entry["where"],
        "dataset": entry["dataset"],
        "uncertainty": entry.get("uncertainty", ""),
        "verified": entry["verified"],
    }

    def cell(row: Mapping[str, Any], printed: str, column: tuple[Quantity, str]) -> PublishedNumber | None:
        if not printed:
            return None
        value, error = parse_printed(printed)
        quantity, task = column
        return PublishedNumber(
            **shared,
            method=row["method"],
            condition=row.get("condition", ""),
            quantity=quantity,
            task=task,
            printed=printed,
            value=value,
            error=error,
        )

    return PublishedTable(
        key=entry["key"],
        paper=paper,
        where=entry["where"],
        title=entry["title"],
        dataset=entry["dataset"],
        columns=columns,
        rows=tuple(
            (
                row["method"],
                tuple(
                    cell(row, printed, column) for printed, column in zip(row["cells"], columns, strict=True)
                ),
            )
            for row in entry["rows"]
        ),
        preset=entry.get("preset", ""),
        participants=entry.get("participants", ""),
        uncertainty=entry.get("uncertainty", ""),
        notes=tuple(entry.get("notes", ())),
        left_out=entry.get("left_out", ""),
    )


def parse_printed(printed: str) -> tuple[float, float | None]:
    """Value and error of a printed number.

    >>> parse_printed("18.9 ± 2.5")
    (18.9, 2.5)
    >>> parse_printed("0.10")
    (0.1, None)

    Raises:
        ValueError: It is not written like that.
    """
    match = _PRINTED.fullmatch(printed)
    if match is None:
        raise ValueError(f"{printed!r} is no printed number")
    value, error = match.groups()
    return float(value), None if error is None else float(error)
