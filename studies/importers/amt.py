"""Batches of phillipi/AMT_Real_vs_Fake as Mechanical Turk returns them, of both its branches.

Columns `Input.gt_side{i}`, `Input.images_left{i}`, `Input.images_right{i}`, `Answer.selection{i}`; i counts from 0 (Python)
or 1 (Matlab, whose image paths have no extension). `gt_side` is the side of the real image, `selection` the side judged
fake. The tool's own script takes the most frequent folder for the real one and scores "unset" as left; here the folder is
said, every trial is held against it, and an unset answer is missing.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from studies.errors import UserError, did_you_mean
from studies.importers import cells
from studies.importers.answer_rows import Reading
from studies.importers.cells import condition_name, is_missing
from studies.importers.found import Answer, Found, Shown, check, named_conditions, usable
from studies.importers.source import Source
from studies.records import CHECK, REAL, Phase, Side

WORKER, STATUS = "WorkerId", "AssignmentStatus"
REAL_SIDE, LEFT, RIGHT, SELECTION = (
    "Input.gt_side",
    "Input.images_left",
    "Input.images_right",
    "Answer.selection",
)


@dataclass(frozen=True)
class _Trial:
    """One trial of one row."""

    row: int
    worker: str
    place: int
    """Position in the session, from 0."""
    real: PurePosixPath
    fake: PurePosixPath
    real_side: Literal["left", "right"]
    selection: str

    @property
    def fake_folder(self) -> str:
        return self.fake.parent.name


def read_amt(source: Source, real: str, practice: int, reading: Reading, vigilance: str = "") -> Found:
    """Read a batch.

    Args:
        source: The batch results.
        real: Folder of the real images.
        practice: How many trials at the start of each session were practice.
        reading: For the order of the algorithms.
        vigilance: Folder of obvious fakes (attention checks); empty = there is none.

    Raises:
        UserError: A column is missing, or a trial contradicts what was said of the folders (names the row).
    """
    numbers = _numbers(source)
    if not 0 <= practice < len(numbers):
        raise UserError(
            f"--practice {practice}: each session has {len(numbers)} trials; allowed: 0 to {len(numbers) - 1}."
        )
    said = {"--real": real, "--practice": str(practice), **({"--vigilance": vigilance} if vigilance else {})}
    said["trials"] = f"{len(numbers)}, counted from {numbers[0]}"
    found = Found(source, "amt", "two_afc", said, "fake", presentation="sequential")
    rows = usable(source, WORKER, found.dropped, keep_repeated=reading.keep_repeated)
    trials = list(_trials(rows, numbers))
    _check_folders(source, trials, real, vigilance)
    names = (trial.fake_folder for trial in trials if trial.fake_folder != vigilance)
    found.conditions = named_conditions(names, reading.order, source.name)
    sessions: dict[int, set[str]] = defaultdict(set)
    for trial in trials:
        if trial.fake_folder != vigilance:
            sessions[trial.row].add(trial.fake_folder)
    found.design = "within" if any(len(own) > 1 for own in sessions.values()) else "between"
    own = (
        {row: condition_name(next(iter(names))) for row, names in sessions.items()}
        if found.design == "between"
        else {}
    )
    found.answers = [_answer(trial, practice, vigilance, own.get(trial.row, "")) for trial in trials]
    found.pairing = "same" if all(trial.real.stem == trial.fake.stem for trial in trials) else "different"
    _note_rejected(rows, found)
    check(found)
    return found


def _numbers(source: Source) -> list[int]:
    """The numbers of the trials, read off the header.

    Raises:
        UserError: There are none, they are not 0..N-1 or 1..N, or a trial lacks one of its columns.
    """
    numbers = sorted(
        int(match[1])
        for name in source.header
        if (match := re.fullmatch(rf"{re.escape(REAL_SIDE)}(\d+)", name))
    )
    if not numbers:
        raise UserError(
            f"{source.name}: no columns {REAL_SIDE}0, {REAL_SIDE}1 ... here, so it is no batch of AMT_Real_vs_Fake. "
            "`evalkit study import csv` reads other tables."
        )
    if numbers not in (list(range(len(numbers))), list(range(1, len(numbers) + 1))):
        raise UserError(
            f"{source.name}: {REAL_SIDE} is numbered {numbers[0]} to {numbers[-1]} with gaps; trials are missing."
        )
    for number in numbers:
        for group in (LEFT, RIGHT, SELECTION):
            source.place(f"{group}{number}")
    return numbers


def _trials(rows: Source, numbers: list[int]) -> Iterator[_Trial]:
    worker = rows.place(WORKER)
    columns = [
        [rows.place(f"{group}{number}") for group in (REAL_SIDE, LEFT, RIGHT, SELECTION)]
        for number in numbers
    ]
    for row, cell in rows.rows:
        for place, (side, left, right, selection) in enumerate(columns):
            where = f"{rows.name}, row {row}, column {rows.header[side]!r}"
            real_side = cells.side(cell[side], where)
            pair = PurePosixPath(cell[left].strip()), PurePosixPath(cell[right].strip())
            real, fake = pair if real_side == "left" else pair[::-1]
            yield _Trial(row, cell[worker], place, real, fake, real_side, cell[selection])


def _check_folders(source: Source, trials: Sequence[_Trial], real: str, vigilance: str) -> None:
    """The real image of every trial lies in the folder of real images, the fake one elsewhere.

    Raises:
        UserError: It does not (names the row).
    """
    folders = {folder for trial in trials for folder in (trial.real.parent.name, trial.fake_folder)}
    for option, folder in (("--real", real), ("--vigilance", vigilance)):
        if folder and folder not in folders:
            raise UserError(
                f"{option} {folder}: no image of {source.name} lies there.{did_you_mean(folder, folders)}"
            )
    for trial in trials:
        for path, is_real in ((trial.real, True), (trial.fake, False)):
            if (path.parent.name == real) != is_real:
                told = "real" if is_real else "fake"
                raise UserError(
                    f"{source.name}, row {trial.row}, trial {trial.place + 1}: {REAL_SIDE} says that {str(path)!r} is {told}, "
                    f"--real {real} says otherwise."
                )


def _answer(trial: _Trial, practice: int, vigilance: str, condition: str) -> Answer:
    is_check = trial.fake_folder == vigilance
    own = "check" if is_check else condition_name(trial.fake_folder)
    fake_side: Side = "right" if trial.real_side == "left" else "left"
    fake = Shown(f"{own}/{trial.fake.stem}", trial.fake.stem, CHECK if is_check else own, fake_side)
    real = Shown(f"{REAL}/{trial.real.stem}", trial.real.stem, REAL, trial.real_side)
    choice, outcome = "", None
    if not is_missing(trial.selection):
        where = f"row {trial.row}, trial {trial.place + 1}, {SELECTION}"
        chosen = cells.side(trial.selection, where)
        choice, outcome = ("first" if chosen == "left" else "second"), float(chosen == fake_side)
    phase: Phase = "practice" if trial.place < practice else "check" if is_check else "scored"
    return Answer(
        row=trial.row,
        worker=trial.worker,
        session=str(trial.row),
        condition=condition if is_check else own,
        shown=(fake, real) if fake_side == "left" else (real, fake),
        question="fake",
        target=1 if fake_side == "left" else 2,
        choice=choice,
        outcome=outcome,
        phase=phase,
        trial_index=trial.place,
    )


def _note_rejected(rows: Source, found: Found) -> None:
    """Rejected work is in the batch too; whether it counts is not for an importer to say."""
    if STATUS not in rows.header:
        return
    place = rows.place(STATUS)
    rejected = sum(cell[place].strip().casefold() == "rejected" for _, cell in rows.rows)
    if rejected:
        found.notes.append(
            f"{rejected} assignments are marked Rejected; their answers count like all others."
        )
