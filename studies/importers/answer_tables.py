"""Anyone's table of answers: single images judged real or fake, pairs of real and fake, or pairs of two algorithms."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from studies.errors import UserError
from studies.importers import cells
from studies.importers.answer_rows import Reading, Row, Table
from studies.importers.cells import condition_name, is_missing
from studies.importers.found import Found, Shown, check, named_conditions, usable
from studies.importers.mapping import parse_map, require
from studies.importers.source import QUESTION, Source
from studies.records import REAL

Kind = Literal["yes_no", "two_afc", "preference"]
KINDS: Mapping[Kind, tuple[str, ...]] = {
    "yes_no": ("image", "is_fake", "said_real"),
    "two_afc": ("fake", "real", "fake_side", "choice"),
    "preference": ("input", "left", "right", "choice"),
}
"""Protocol -> the keys that it needs beside `worker`."""
WORDS: Mapping[Kind, str] = {
    "yes_no": "single images (worker, image, is_fake, said_real)",
    "two_afc": "pairs of real and fake (worker, fake, real, fake_side, choice)",
    "preference": "pairs of two algorithms (worker, input, left, right, choice)",
}
OPTIONAL = ("condition", "input", "trial", "practice", "rt_ms", "failed_check", "unsure", QUESTION)
KEYS = tuple(dict.fromkeys(("worker", *(key for keys in KINDS.values() for key in keys), *OPTIONAL)))
"""Every key of --map."""


def read_answers(
    source: Source, mapping: Sequence[str], reading: Reading, key: Source | None = None
) -> Found:
    """Read a table of answers.

    Args:
        source: The table.
        mapping: `--map`, KEY=COLUMN pairs; a column with `*` stands for all columns named like it, one per question.
        reading: What else was said.
        key: What is known of each question, by its column `question`.

    Raises:
        UserError: A column, cell or key is not as it must be (names file, row and column).
    """
    columns = parse_map(mapping, KEYS)
    kind = _kind(columns)
    found = Found(source, "csv", kind, _mapped(columns, reading, kind, key), reading.question)
    rows = usable(source, columns["worker"], found.dropped, keep_repeated=reading.keep_repeated)
    _READERS[kind](Table(_laid_out(rows, columns, key), columns, reading, found))
    check(found)
    return found


def _kind(columns: Mapping[str, str]) -> Kind:
    """By the keys that were given: the kind that shares most of its keys with them, if it is complete."""
    shared = {kind: sum(key in columns for key in keys if key != "input") for kind, keys in KINDS.items()}
    kind = max(shared, key=lambda one: shared[one])
    if not shared[kind]:
        raise UserError(f"--map: says nothing of the answers. Give {'; or '.join(WORDS.values())}.")
    require(columns, ("worker", *KINDS[kind]), WORDS[kind])
    odd = next((key for key in columns if key not in ("worker", *KINDS[kind], *OPTIONAL)), None)
    if odd:
        raise UserError(f"--map {odd}={columns[odd]}: has no place among {WORDS[kind]}. Leave it out.")
    return kind


def _mapped(columns: Mapping[str, str], reading: Reading, kind: Kind, key: Source | None) -> dict[str, str]:
    """What was said, for the record."""
    said = dict(columns)
    if reading.unsure:
        said["--unsure"] = ", ".join(reading.unsure)
    if kind == "two_afc":
        said["--question"] = reading.question
    if key is not None:
        said["--key"] = f"{key.name}, SHA-256 {key.sha256}"
    return said


def _laid_out(source: Source, columns: Mapping[str, str], key: Source | None) -> Source:
    """One row per answer, with what the key says of its question."""
    patterns = {column for column in columns.values() if "*" in column and column not in source.header}
    if len(patterns) > 1:
        raise UserError(f"--map: only one column may hold a *, not {len(patterns)}.")
    for pattern in patterns:
        source = source.in_rows(pattern)
    if key is None:
        return source
    column = QUESTION if patterns else columns.get(QUESTION)
    if column is None:
        raise UserError(f"--key {key.name}: say which column names the question: --map question=COLUMN.")
    return source.joined(key, column)


def _yes_no(table: Table) -> None:
    """One image per row."""
    found, used = table.found, []
    for row in table:
        if row.lacks("image", "is_fake"):
            continue
        fake = cells.truth(row["is_fake"], row.where("is_fake"), cells.FAKE, ("real",))
        if not (fake and row.lacks(*table.condition_key)):
            used.append((row, fake))
    fakes = (row.condition for row, fake in used if fake)
    found.conditions = named_conditions(fakes, table.reading.order, table.source.name)
    if not found.conditions:
        raise UserError(f"{table.source.name}: column {table.columns['is_fake']!r} calls no image fake.")
    place = _session_rule(found, used)
    for row, fake in used:
        session, condition = place(row, fake)
        if fake or condition is not None:
            shown = row.shown("image", condition_name(row.condition) if fake else REAL)
            given = _said_real(row, fake)
            found.answers.append(
                row.answer((shown,), given, condition=condition or "", asked="real_or_fake", session=session)
            )
        else:
            found.dropped["real image of a worker who saw no fake"] += 1


def _said_real(row: Row, fake: bool) -> tuple[str, float | None]:
    cell = row["said_real"]
    if row.is_unsure("said_real"):
        return "unsure", 0.5
    if is_missing(cell):
        return "", None
    real = cells.truth(cell, row.where("said_real"), ("real",), cells.FAKE)
    return ("real" if real else "fake"), float(real != fake)


def _session_rule(
    found: Found, used: Sequence[tuple[Row, bool]]
) -> Callable[[Row, bool], tuple[str, str | None]]:
    """Session and condition of a row; condition None where a real image belongs nowhere.

    Real images belong to the algorithm of their session. Where workers judged several algorithms and real images name one
    too, each worker has a session per algorithm; where they name none, all is one session and real images belong to none.
    """
    seen: dict[str, set[str]] = defaultdict(set)
    for row, fake in used:
        if fake:
            seen[row["worker"]].add(condition_name(row.condition))
    mixed = any(len(own) > 1 for own in seen.values())
    named = [condition_name(row.condition) in found.conditions for row, fake in used if not fake]
    if mixed and named and all(named):
        return _by_condition
    if mixed:
        found.design = "within"
        if named:
            found.notes.append(
                "Workers judged several algorithms, and the real images among them belong to none: there is no error rate "
                "on real images by algorithm."
            )
        return _in_one_session
    only = next(iter(found.conditions)) if len(found.conditions) == 1 else None

    def own(row: Row, fake: bool) -> tuple[str, str | None]:  # noqa: ARG001 - as the others
        named = condition_name(row.condition)
        return "", next(iter(seen[row["worker"]]), only or (named if named in found.conditions else None))

    return own


def _by_condition(row: Row, fake: bool) -> tuple[str, str | None]:  # noqa: ARG001 - as the others
    condition = condition_name(row.condition)
    return f"{row['worker']}\x1f{condition}", condition


def _in_one_session(row: Row, fake: bool) -> tuple[str, str | None]:
    return "", condition_name(row.condition) if fake else ""


def _two_afc(table: Table) -> None:
    """One pair per row; the left image is slot 1."""
    found, asked = table.found, table.reading.question
    needed = ("fake", "real", "fake_side", *table.condition_key)
    rows = [row for row in table if not row.lacks(*needed)]
    found.conditions = named_conditions(
        (row.condition for row in rows), table.reading.order, table.source.name
    )
    seen: dict[str, set[str]] = defaultdict(set)
    alike = bool(rows) and table.has("input")
    for row in rows:
        condition = condition_name(row.condition)
        seen[row["worker"]].add(condition)
        on_left = cells.side(row["fake_side"], row.where("fake_side")) == "left"
        fake = row.shown("fake", condition, "left" if on_left else "right")
        real = row.shown("real", REAL, "right" if on_left else "left")
        slots = (fake, real) if on_left else (real, fake)
        target = slots.index(fake if asked == "fake" else real) + 1
        choice = _chosen(row, {row["fake"].strip(): fake.side, row["real"].strip(): real.side})
        found.answers.append(
            row.answer(slots, _outcome(choice, target), condition=condition, asked=asked, target=target)
        )
    found.design = "within" if any(len(own) > 1 for own in seen.values()) else "between"
    found.pairing = "same" if alike else "different"


def _chosen(row: Row, names: Mapping[str, str]) -> str:
    """`first` (left) or second (right), by the side or by the image's name; empty = missing, "unsure" as said."""
    cell = row["choice"]
    if row.is_unsure("choice"):
        return "unsure"
    if is_missing(cell):
        return ""
    side = names.get(cell.strip()) or cells.side(cell, row.where("choice"))
    return "first" if side == "left" else "second"


def _outcome(choice: str, target: int) -> tuple[str, float | None]:
    if choice in ("", "unsure"):
        return choice, 0.5 if choice else None
    return choice, float((choice == "first") == (target == 1))


def _preference(table: Table) -> None:
    """Two algorithms' images of one input per row."""
    found = table.found
    found.design, found.pairing = "within", "same"
    rows = [row for row in table if not row.lacks("input", "left", "right")]
    names = (row[key].strip() for row in rows for key in ("left", "right"))
    found.conditions = named_conditions(names, table.reading.order, table.source.name)
    rank = {name: place for place, name in enumerate(found.conditions)}
    for row in rows:
        left, right = (condition_name(row[key]) for key in ("left", "right"))
        if left == right:
            raise UserError(f"{row.where('right')}: {row['right']!r} stands on both sides.")
        source = row["input"].strip()
        slots = (
            Shown(f"{left}/{source}", source, left, "left"),
            Shown(f"{right}/{source}", source, right, "right"),
        )
        target = 1 if rank[left] < rank[right] else 2
        sides = {row["left"].strip(): "left", row["right"].strip(): "right"}
        found.answers.append(
            row.answer(
                slots,
                _outcome(_chosen(row, sides), target),
                condition=slots[target - 1].condition,
                asked="better",
                target=target,
            )
        )


_READERS: Mapping[Kind, Callable[[Table], None]] = {
    "yes_no": _yes_no,
    "two_afc": _two_afc,
    "preference": _preference,
}
