"""Files of records as frames: what `studies.records.read_csv` reads and refuses, a million rows in seconds."""

import csv
import dataclasses
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from studies.records import Arrival, Response, Session, columns, read_csv

Row = TypeVar("Row", Response, Session, Arrival)
_ROWS_AT_ONCE = 200_000
"""Rows that are held with all their numbers before the wanted ones are kept."""
_BYTES_AT_ONCE = 1 << 24


def read_frame(path: Path, kind: type[Row], names: Sequence[str] | None = None) -> pd.DataFrame:
    """Read the records of one CSV file into a frame.

    Every number of every column is looked at, as `read_csv` does. Where pandas cannot make sense of a cell, the
    records are read one by one: they name row and column, or know better.

    Args:
        path: The file.
        kind: What a row is.
        names: The columns to keep; all if None.

    Returns:
        One row per record, in order; text as str, whole numbers that are always there as int64, other numbers as float64
        (NaN where the cell is empty).

    Raises:
        UserError: As `studies.records.read_csv`.
    """
    names = columns(kind) if names is None else names
    found = _parsed(path, kind, names)
    return frame_of(read_csv(path, kind), kind, names) if found is None else found


def frame_of(rows: Iterable[Row], kind: type[Row], names: Sequence[str]) -> pd.DataFrame:
    """Records that are already here, as `read_frame` gives them."""
    rows = list(rows)
    dtypes = _dtypes(kind)
    return pd.DataFrame(
        {name: pd.Series([getattr(row, name) for row in rows], dtype=dtypes[name]) for name in names}
    )


def _parsed(path: Path, kind: type[Row], names: Sequence[str]) -> pd.DataFrame | None:
    """The frame, or None where a cell, a row or the header is not as it should be."""
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as stream:
        header = next(csv.reader(stream), [])
    if set(columns(kind)) - set(header) or len(set(header)) < len(header):
        return None
    numbers = _numbers(kind)
    text = {name: "str" for name in names if name not in numbers}
    floats = dict.fromkeys(numbers, "float64")
    dtypes: Any = {**text, **floats}
    try:
        parts = pd.read_csv(
            path,
            usecols=list(dtypes),
            dtype=dtypes,
            keep_default_na=False,
            na_values={name: [""] for name in floats},
            index_col=False,
            encoding="utf-8",
            chunksize=_ROWS_AT_ONCE,
            skip_blank_lines=False,
        )
        kept = [_checked(part, kind, names) for part in parts]
    except (ValueError, OverflowError):  # ParserError and UnicodeDecodeError too
        return None
    whole = [part for part in kept if part is not None]
    rows = sum(map(len, whole))
    if len(whole) < len(kept) or _separators(path) != (rows + 1) * (len(header) - 1):
        return None  # pandas fills up a row that was cut off, and cuts off one that is too long
    return pd.concat(whole, ignore_index=True) if whole else frame_of([], kind, names)


def _separators(path: Path) -> int:
    """Commas that part two cells; those inside of quotes do not."""
    count, inside = 0, 0
    with path.open("rb") as stream:
        while block := stream.read(_BYTES_AT_ONCE):
            if b'"' in block or inside:
                text = np.frombuffer(block, dtype=np.uint8)
                quoted = (np.cumsum(text == ord('"')) + inside) % 2  # a doubled quote opens and closes
                count += int(((text == ord(",")) & (quoted == 0)).sum())
                inside = int(quoted[-1])
            else:
                count += block.count(b",")
    return count


def _checked(part: pd.DataFrame, kind: type[Any], names: Sequence[str]) -> pd.DataFrame | None:
    """The wanted columns of some rows; None where a number is not of its kind."""
    dtypes = _dtypes(kind)
    for name, (whole, optional) in _numbers(kind).items():
        values = part[name].to_numpy()
        missing = np.isnan(values)
        if not optional and missing.any():
            return None
        if whole and not np.all(missing | (values == np.floor(values))):
            return None
    return part[list(names)].astype({name: dtype for name, dtype in dtypes.items() if name in names})


def _numbers(kind: type[Any]) -> dict[str, tuple[bool, bool]]:
    """Columns that hold numbers -> whether whole ones, whether the cell may be empty."""
    hints = typing.get_type_hints(kind)
    found = {}
    for field in dataclasses.fields(kind):
        types = set(typing.get_args(hints[field.name])) or {hints[field.name]}
        if types & {int, float}:
            found[field.name] = (int in types, type(None) in types)
    return found


def _dtypes(kind: type[Any]) -> dict[str, str]:
    numbers = _numbers(kind)
    return {
        name: "str" if name not in numbers else "int64" if numbers[name] == (True, False) else "float64"
        for name in columns(kind)
    }
