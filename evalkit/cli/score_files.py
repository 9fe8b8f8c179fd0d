"""scores.jsonl and scores_per_image.csv: where `evalkit metrics` leaves what it found."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from evalkit.metrics.scoring import PerImage
from evalkit.results import Score, append_results, read_results
from studies.errors import UserError

SCORES, PER_IMAGE = "scores.jsonl", "scores_per_image.csv"
COLUMNS = ("condition", "run", "key", "source_id", "value", "mark", "fakes")
"""Of scores_per_image.csv; `fakes` is the digest of the set that the image belongs to."""


def write_scores(folder: Path, scores: Sequence[Score], per_image: Sequence[PerImage]) -> Path:
    """Append the records to scores.jsonl, and put the values of single images into the table beside it.

    Returns:
        The path of scores.jsonl.

    Raises:
        UserError: The folder cannot be written to, or the table that is there is not one of ours.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        append_results(folder / SCORES, scores)
        if per_image:
            _write_per_image(folder / PER_IMAGE, list(_rows(scores, per_image)))
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written to ({error.strerror}). Name another folder with --out; what was computed is "
            "kept in the cache."
        ) from error
    return folder / SCORES


def made_otherwise(path: Path, scores: Iterable[Score]) -> Iterator[str]:
    """A line for each set of which the file also holds scores that may not be compared with these.

    Raises:
        UserError: The file is malformed.
    """
    try:
        there = [one for one in read_results(path) if isinstance(one, Score) and not one.detail]
    except ValueError as error:
        raise UserError(f"{error}. Move the file away, or name another folder with --out.") from error
    now = {score.key: score for score in scores if not score.detail}
    again = {(score.condition, score.run) for score in scores}
    found: dict[tuple[str, str], dict[str, None]] = {}
    for other in there:
        if other.key in now and (other.condition, other.run) not in again:
            difference = other.difference(now[other.key])
            if difference:
                found.setdefault((other.condition, difference), {})[other.key] = None
    for (condition, difference), keys in found.items():
        yield f"{path} also holds {', '.join(keys)} of {condition}, not to be compared with these: {difference}."


def _rows(scores: Sequence[Score], per_image: Sequence[PerImage]) -> Iterator[dict[str, str]]:
    made = {(one.condition, one.run, one.key): one for one in scores if not one.detail}
    for part in per_image:
        score = made[part.condition, part.run, part.key]
        run = "" if part.run is None else str(part.run)
        for name, value in zip(part.source_ids, part.values, strict=True):
            yield {
                "condition": part.condition,
                "run": run,
                "key": part.key,
                "source_id": name,
                "value": repr(float(value)),
                "mark": score.mark,
                "fakes": score.provenance.digests.get("fakes", ""),
            }


def _write_per_image(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Replace the rows of the same sets and quantities, keep the others; whole or not at all."""
    new = {(row["condition"], row["run"], row["key"]) for row in rows}
    kept = [row for row in _read(path) if (row["condition"], row["run"], row["key"]) not in new]
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])
    partial.replace(path)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise UserError(
            f"{path}: not a table that evalkit wrote. Move it away, or name another folder with --out."
        )
    return rows
