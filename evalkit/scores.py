"""The scores that belong to a study: those of scores.jsonl that were computed from the very images of the study."""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalkit.results import FAKE_FILES, REAL_FILES, YARDSTICKS, Score, read_results
from studies.design import Study
from studies.errors import UserError
from studies.records import REAL
from studies.stimuli import Bundle

FILE, PER_IMAGE = "scores.jsonl", "scores_per_image.csv"
Place = tuple[str, int]
"""Condition and training run; `real`, 0 for the reals held against themselves."""


@dataclass(frozen=True)
class Column:
    """One quantity, made alike for every algorithm and run that has it."""

    key: str
    scores: Mapping[Place, Score]

    @property
    def first(self) -> Score:
        """Any of them: they agree in settings, unit and direction."""
        return next(iter(self.scores.values()))

    @property
    def mark(self) -> str:
        """What must be said wherever these numbers stand."""
        return self.first.mark

    def of(self, condition: str) -> list[Score]:
        """One score per training run."""
        return [score for (name, _), score in self.scores.items() if name == condition]


@dataclass(frozen=True)
class Scores:
    """The metrics' side of a report."""

    columns: tuple[Column, ...] = ()
    left_out: tuple[str, ...] = ()
    """One line for each reason to leave records out."""
    digest: str = ""
    """SHA-256 of scores.jsonl; empty where there is none."""
    other_pixels: bool = False
    """Whether people saw the same images in another size or cut."""

    @property
    def mark(self) -> str:
        """What must be said of some of them; empty where nothing must."""
        return next((column.mark for column in self.columns if column.mark), "")

    @property
    def heading_mark(self) -> str:
        """The same, saying whether it holds for all."""
        partly = "" if all(column.mark for column in self.columns) else "partly "
        return partly + self.mark if self.mark else ""


def read_scores(folder: Path, study: Study, bundle: Bundle | None) -> Scores:
    """The latest scores of each quantity that are about the study's images and may be compared.

    Raises:
        UserError: scores.jsonl is malformed (names file and line).
    """
    path = folder / FILE
    if not path.is_file():
        return Scores()
    try:
        found = [one for one in read_results(path) if isinstance(one, Score)]
    except ValueError as error:
        raise UserError(
            f"{error}. Move the file away and run `evalkit metrics {folder}` again; what the cache holds is not computed again."
        ) from error
    main = [score for score in found if not score.detail and not score.image and score.value is not None]
    places = _places(study)
    digests = {place: _set_digests(bundle, *place) for place in (*places, (REAL, 0))} if bundle else {}
    current = [score for score in main if _place(score) in {*places, (REAL, 0)} and _fits(score, digests)]
    left_out = list(_stale(main, current, study, folder))
    columns = []
    for key in dict.fromkeys(score.key for score in current):
        chosen, line = _comparable([score for score in current if score.key == key], study, folder)
        columns += [Column(key, chosen)] if chosen else []
        left_out += [line] if line else []
    left_out += _not_computed(study, found, folder)
    other_pixels = any(
        score.provenance.digests.get("fakes") not in digests[place][1:]
        for column in columns
        for place, score in column.scores.items()
        if digests
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Scores(tuple(columns), tuple(left_out), digest, other_pixels)


def read_per_image(folder: Path, scores: Scores, condition: str) -> dict[str, dict[tuple[str, int], float]]:
    """Key -> (input, training run) -> value, of those scores that have values of single images.

    Raises:
        UserError: The table was not written by evalkit.
    """
    path = folder / PER_IMAGE
    if not path.is_file():
        return {}
    sets = {
        (column.key, str(run)): score.provenance.digests.get("fakes", "")
        for column in scores.columns
        for (name, run), score in column.scores.items()
        if name == condition
    }
    found: dict[str, dict[tuple[str, int], float]] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), 2):
            try:
                key, run = row["key"], row["run"] or "0"
                if row["condition"] == condition and row["value"] and sets.get((key, run)) == row["fakes"]:
                    found.setdefault(key, {})[row["source_id"], int(run)] = float(row["value"])
            except (KeyError, ValueError, TypeError) as error:
                raise UserError(
                    f"{path}, row {number}: not a table that evalkit wrote. Move it away and run `evalkit metrics` again."
                ) from error
    return found


def _not_computed(study: Study, found: Sequence[Score], folder: Path) -> list[str]:
    """A line about the metrics that study.toml names and that have no record at all."""
    there = {score.key for score in found} | {score.provenance.analysis for score in found}
    missing = [name for name in study.metrics.names if not {name, f"metrics.{name}"} & there]
    if not missing:
        return []
    return [
        f"{', '.join(missing)}: named in [metrics] of study.toml and not computed. `evalkit metrics {folder}` says why."
    ]


def _fits(score: Score, digests: Mapping[Place, tuple[str, str]]) -> bool:
    """Whether fakes and reals are the images that the bundle was built from; without a bundle nobody can tell."""
    if not digests:
        return True
    told = score.provenance.digests
    fakes, reals = digests[_place(score)], digests[REAL, 0]
    return (told.get("fakes") in fakes or told.get(FAKE_FILES) in fakes) and (
        told.get("reals") in reals or told.get(REAL_FILES) in reals
    )


def _places(study: Study) -> set[Place]:
    """Every condition and training run of the study."""
    return {(name, run) for name, own in study.conditions.items() for run in range(len(own.images))}


def _place(score: Score) -> Place:
    return score.condition, score.run or 0


def _set_digests(bundle: Bundle, condition: str, run: int) -> tuple[str, str]:
    """As evalkit.metrics.pictures.set_digest: over the original files, and over the pixels that people saw.

    The two tell different things where the bundle's pixels were resized: files show then that the images are the same.
    """
    own = [one for one in bundle.stimuli if (one.condition, one.run) == (condition, run)]
    files = ((one.source_id, bundle.originals[one.id].file_digest) for one in own)
    return _digest(files), _digest((one.source_id, one.digest) for one in own)


def _digest(pairs: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in pairs).encode()).hexdigest()


def _command(folder: Path, keys: Iterable[str]) -> str:
    return f"evalkit metrics {folder.resolve().name} --metrics {','.join(keys)}"


def _stale(main: Sequence[Score], current: Sequence[Score], study: Study, folder: Path) -> Iterable[str]:
    """A line for each set of which some quantities are known of other images only."""
    places = {*_places(study), (REAL, 0)}
    known = {(score.key, _place(score)) for score in current}
    stale: dict[Place, dict[str, None]] = {}
    for score in main:
        if (score.key, _place(score)) not in known:
            stale.setdefault(_place(score), {})[score.key] = None
    for (condition, run), keys in stale.items():
        name = condition if not run and (study.runs == 1 or condition == REAL) else f"{condition} (run {run})"
        if (condition, run) not in places:
            yield f"Left out: {FILE} has {', '.join(keys)} of {name}, which is not in this study."
            continue
        yield (
            f"Left out: {FILE} has {', '.join(keys)} of {name} for other images only, not for this study's. "
            f"`{_command(folder, keys)}` computes them anew."
        )


def _comparable(scores: Sequence[Score], study: Study, folder: Path) -> tuple[dict[Place, Score], str]:
    """The last written scores that were made alike for all algorithms, if possible with trained weights; else a line."""
    groups: dict[object, dict[Place, Score]] = {}
    for score in scores:
        making = _making(score)
        group = groups.pop(making, {})
        groups[making] = group | {_place(score): score}  # the group of the last record comes last
    wanted = _places(study)
    whole = [group for group in groups.values() if wanted <= set(group)]
    if whole:
        trained = [group for group in whole if not next(iter(group.values())).mark]
        return (trained or whole)[-1], ""
    if len(groups) == 1:
        return next(iter(groups.values())), ""
    one, other = (next(iter(group.values())) for group in list(groups.values())[-2:])
    return {}, (
        f"Left out: {one.key} of {one.condition} and of {other.condition} cannot be compared; they differ in "
        f"{one.difference(other)}. `{_command(folder, [one.key])}` computes all alike."
    )


def _making(score: Score) -> object:
    """What must agree within a column."""
    return (
        tuple(sorted(score.settings.items())),
        tuple(score.provenance.digests.get(name, "") for name in YARDSTICKS),
    )
