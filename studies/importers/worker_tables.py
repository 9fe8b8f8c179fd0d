"""Tables with one row per worker: only what a worker's answers came to is known, and no single answer."""

from collections.abc import Sequence

from studies.errors import UserError
from studies.importers import cells
from studies.importers.answer_rows import Reading
from studies.importers.cells import condition_name, is_missing
from studies.importers.found import Found, WorkerNumbers, named_conditions, note_spellings, usable
from studies.importers.mapping import parse_map, require
from studies.importers.source import Source

QUANTITIES = ("error_rate", "fool_rate", "error_rate_on_reals", "trials")
"""What may be known of a worker: the share of mistaken answers over all images, over fakes (a fake called real), over real
images; and on how many trials it rests."""
KEYS = ("worker", "condition", *QUANTITIES)


def read_workers(source: Source, mapping: Sequence[str], reading: Reading) -> Found:
    """Read a table of workers.

    Raises:
        UserError: A column, cell or key is not as it must be (names file, row and column).
    """
    columns = parse_map(mapping, KEYS)
    require(
        columns, ("worker",), "a table of workers (worker, and error_rate, fool_rate or error_rate_on_reals)"
    )
    quantities = [key for key in QUANTITIES if key in columns]
    if not set(quantities) - {"trials"}:
        raise UserError(
            "--map: says nothing of what workers did. Give error_rate, fool_rate or error_rate_on_reals."
        )
    found = Found(source, "workers", "yes_no", dict(columns))
    rows = usable(source, columns["worker"], found.dropped, keep_repeated=reading.keep_repeated).rows
    places = {key: source.place(column) for key, column in columns.items()}

    def condition(row: tuple[str, ...]) -> str:
        return row[places["condition"]].strip() if "condition" in places else reading.condition

    used = [(number, row) for number, row in rows if not is_missing(condition(row))]
    if len(used) < len(rows):
        found.dropped["no condition"] += len(rows) - len(used)
    found.conditions = named_conditions((condition(row) for _, row in used), reading.order, source.name)
    for number, row in used:
        values = {
            key: _value(row[places[key]], key, f"{source.name}, row {number}, column {columns[key]!r}")
            for key in quantities
        }
        found.numbers.append(WorkerNumbers(row[places["worker"]], condition_name(condition(row)), values))
    _check(found, set(quantities) - {"trials"})
    return found


def _value(cell: str, key: str, where: str) -> float | None:
    if is_missing(cell):
        return None
    return cells.number(cell, where, 0, 1e9 if key == "trials" else 1)


def _check(found: Found, quantities: set[str]) -> None:
    """One row per worker and algorithm, and something in it."""
    seen: set[tuple[str, str]] = set()
    for entry in found.numbers:
        if (entry.worker, entry.condition) in seen:
            raise UserError(
                f"{found.source.name}: worker {entry.worker!r} stands there twice under {entry.condition!r}. If the table "
                "has one row per answer, import it with `evalkit study import csv`."
            )
        seen.add((entry.worker, entry.condition))
    if all(entry.values[key] is None for entry in found.numbers for key in quantities):
        raise UserError(f"{found.source.name}: all values are missing. Are they in another column?")
    note_spellings(found)
