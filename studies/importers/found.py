"""What an importer found: answers with their truth, what was left out and why, what must be said."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from studies.errors import UserError, did_you_mean
from studies.importers.cells import condition_name, is_missing
from studies.importers.source import Source
from studies.records import NOT_GENERATED, REAL, Asked, Phase, Question, Side

NO_WORKER, EMPTY, REPEATED = "no worker", "empty row", "row repeated word for word"


@dataclass(frozen=True)
class Shown:
    """One image of a trial."""

    image: str
    source_id: str
    """The input it was made from."""
    condition: str
    """An algorithm, or `real`."""
    side: Side


@dataclass(frozen=True)
class Answer:
    """One trial as the file tells it."""

    row: int
    worker: str
    """As written in the file."""
    session: str
    """What keeps the sessions of the file apart."""
    condition: str
    """The session's algorithm, or the trial's; empty for a real image alone that belongs to none."""
    shown: tuple[Shown, ...]
    question: Asked
    target: int | None
    choice: str
    """As in responses.csv; empty = missing."""
    outcome: float | None
    phase: Phase = "scored"
    rt_ms: float | None = None
    trial_index: int | None = None
    """None = in the order of the rows."""


@dataclass(frozen=True)
class WorkerNumbers:
    """What a worker-level table says of one worker."""

    worker: str
    condition: str
    values: dict[str, float | None]
    """Quantity -> value; None = missing."""


@dataclass
class Found:
    """Everything that goes into the imported study."""

    source: Source
    format: Literal["csv", "workers", "amt"]
    protocol: Literal["yes_no", "two_afc", "preference"]
    mapped: dict[str, str]
    question: Question = "fake"
    design: Literal["between", "within"] = "between"
    pairing: Literal["different", "same"] = "different"
    presentation: Literal["sequential", "simultaneous"] = "simultaneous"
    conditions: dict[str, str] = field(default_factory=dict)
    """Algorithm as study.toml names it -> as the file does, in the order of study.toml."""
    answers: list[Answer] = field(default_factory=list)
    numbers: list[WorkerNumbers] = field(default_factory=list)
    failed_checks: dict[str, int | None] = field(default_factory=dict)
    """Worker -> attention checks failed; None = not recorded. Empty where the file says nothing of checks."""
    dropped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Answers that were not given."""
        return sum(answer.outcome is None for answer in self.answers)

    @property
    def workers(self) -> list[str]:
        """Each once, in the order of the file."""
        names = [answer.worker for answer in self.answers] + [numbers.worker for numbers in self.numbers]
        return list(dict.fromkeys(names))


def usable(source: Source, worker: str, dropped: Counter[str], *, keep_repeated: bool = False) -> Source:
    """The rows that somebody answered: without empty ones, ones that name no worker and repetitions, all counted.

    Raises:
        UserError: None is left, or there is no such column.
    """
    place = source.place(worker)
    seen: set[tuple[str, ...]] = set()
    rows = []
    for number, cells in source.rows:
        if reason := _unusable(cells, place, set() if keep_repeated else seen):
            dropped[reason] += 1
            continue
        seen.add(cells)
        rows.append((number, cells))
    if not rows:
        raise UserError(f"{source.name}: no row names a worker in column {worker!r}.")
    return Source(source.name, source.sha256, source.header, tuple(rows), source.size)


def _unusable(cells: Sequence[str], worker: int, seen: set[tuple[str, ...]]) -> str:
    if not any(cell.strip() for cell in cells):
        return EMPTY
    if is_missing(cells[worker]):
        return NO_WORKER
    return REPEATED if tuple(cells) in seen else ""


def named_conditions(names: Iterable[str], order: Sequence[str], where: str) -> dict[str, str]:
    """Algorithm as study.toml names it -> as the file does; those of `order` first, the others as they come.

    Raises:
        UserError: Two names become one, a name has nothing to make a name of, or `order` names another one.
    """
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        short = condition_name(name)
        if not short or short in NOT_GENERATED:
            raise UserError(f"{where}: {name!r} cannot name an algorithm. Write another name in that column.")
        if short in found:
            raise UserError(
                f"{where}: {found[short]!r} and {name!r} are both written {short!r} in a study. If they are one "
                "algorithm, write them alike; if not, rename one."
            )
        found[short] = name
    wanted = [condition_name(name) for name in order]
    for name, written in zip(wanted, order, strict=True):
        if name not in found:
            raise UserError(f"--order: no algorithm is called {written!r}.{did_you_mean(name, found)}")
    return {name: found[name] for name in dict.fromkeys((*wanted, *found))}


def check(found: Found) -> None:
    """What would make the numbers wrong is refused; what only might is noted.

    Raises:
        UserError: No answer was given at all, or an image is shown under two conditions.
    """
    if not found.answers:
        raise UserError(f"{found.source.name}: holds no answer that can be used ({_reasons(found)}).")
    if found.missing == len(found.answers):
        raise UserError(
            f"{found.source.name}: all {len(found.answers)} answers are missing. Is the answer in another column?"
        )
    _one_condition_per_image(found)
    note_spellings(found)
    _note_repeats(found)


def _reasons(found: Found) -> str:
    return ", ".join(f"{count} left out: {reason}" for reason, count in found.dropped.items()) or "no rows"


def _one_condition_per_image(found: Found) -> None:
    seen: dict[str, tuple[str, int]] = {}
    for answer in found.answers:
        for shown in answer.shown:
            condition, row = seen.setdefault(shown.image, (shown.condition, answer.row))
            if condition != shown.condition:
                raise UserError(
                    f"{found.source.name}: the image {shown.image!r} is {_role(condition)} in row {row} and "
                    f"{_role(shown.condition)} in row {answer.row}. If these are different pictures of one input, say so: "
                    "map input= to the very columns that name the images."
                )


def _role(condition: str) -> str:
    return "a real image" if condition == REAL else f"an image of {condition!r}"


def note_spellings(found: Found) -> None:
    """Workers whose names differ in blanks and capitals only: perhaps one person."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for worker in found.workers:
        spellings[re.sub(r"\s+", "", worker).casefold()].append(worker)
    alike = [names for names in spellings.values() if len(names) > 1]
    if alike:
        example = " and ".join(map(repr, alike[0]))
        found.notes.append(
            f"{len(alike)} worker{'s are' if len(alike) > 1 else ' is'} written in more than one way, such as {example}: taken "
            "for different people. If they are one, write them alike and import again."
        )


def _note_repeats(found: Found) -> None:
    """A worker who judged the same images twice in one session; often a fault of the file."""
    shown = Counter(
        (answer.session, *(image.image for image in answer.shown))
        for answer in found.answers
        if answer.phase == "scored"
    )
    again = sum(count - 1 for count in shown.values())
    if again:
        first = next(key for key, count in shown.items() if count > 1)
        found.notes.append(
            f"{again} scored trial{'s show' if again > 1 else ' shows'} images that the same session had judged before (such "
            f"as {first[1]!r}); each counts."
        )
