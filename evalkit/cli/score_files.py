"""scores.jsonl and scores_per_image.csv: where `evalkit metrics` leaves what it found."""

import csv
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

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
            f"{folder}: cannot be written to ({error.strerror}). Name another folder with --out; what the cache holds "
            "is not computed again."
        ) from error
    return folder / SCORES


def check_folder(folder: Path) -> None:
    """Whether results can be kept there, before hours go into them.

    Raises:
        UserError: The folder cannot be written to, or the table that is there is not one of ours.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written to ({error.strerror}). Name another folder with --out."
        ) from error
    _read(folder / PER_IMAGE)


def earlier_scores(folder: Path) -> list[Score]:
    """The main scores that the folder's scores.jsonl holds.

    Raises:
        UserError: The file is malformed.
    """
    path = folder / SCORES
    if not path.is_file():
        return []
    try:
        return [one for one in read_results(path) if isinstance(one, Score) and not one.detail]
    except ValueError as error:
        raise UserError(f"{error}. Move the file away, or name another folder with --out.") from error


def made_otherwise(path: Path, there: Iterable[Score], scores: Iterable[Score]) -> Iterator[str]:
    """A line for each set of which the file also held scores that may not be compared with these."""
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
                "value": "" if np.isnan(value) else repr(float(value)),
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
