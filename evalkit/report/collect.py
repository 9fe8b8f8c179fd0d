"""Everything a report is made from: records, study.toml, stimulus bundle, preset, freeze. Computes no statistic."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalkit.results import Estimate, HypothesisTest, Interval, Provenance, Result, data_mark, read_results
from evalkit.scores import FILE as SCORES
from evalkit.scores import Scores, read_scores
from studies.design import Study, load_study
from studies.errors import UserError
from studies.plan import PlanSummary, allocate, summarise
from studies.presets import Preset, load_preset
from studies.records import DataKind, Stimulus
from studies.stimuli import Bundle, load_bundle

ONE_RUN = "one training run per algorithm"
"""Said with every table and figure that compares losses of which each was trained once."""


class Records:
    """The records of one estimates.jsonl, found by what they are about; remembers which were asked for."""

    def __init__(self, results: Iterable[Result]) -> None:
        self.all = tuple(results)
        self.asked: list[Result] = []
        """What has been asked for so far; the rest gets tables of its own."""
        self._index = {
            (result.key, result.condition, result.versus, result.detail): result
            for result in self.all
            if isinstance(result, Estimate) and not result.image
        }

    def get(self, key: str, condition: str = "", versus: str = "", detail: str = "") -> Estimate | None:
        """The estimate, or None where the analysis was not run."""
        found = self._index.get((key, condition, versus, detail))
        self.asked += [found] if found else []
        return found

    def value(self, key: str, condition: str = "", detail: str = "") -> float | None:
        """Its value alone."""
        found = self.get(key, condition, detail=detail)
        return None if found is None else found.value

    def interval(self, key: str, condition: str = "") -> Interval | None:
        """Its interval alone."""
        found = self.get(key, condition)
        return None if found is None else found.interval

    def details(self, key: str, condition: str = "") -> dict[str, int]:
        """The parts that a count is made of, such as reasons, largest first."""
        found = [
            result
            for result in self.all
            if result.key == key and result.condition == condition and result.detail
        ]
        self.asked += found
        parts = {result.detail: round(result.value) for result in found if result.value is not None}
        return dict(sorted(parts.items(), key=lambda part: (-part[1], part[0])))

    def keyed(self, key: str) -> list[Estimate]:
        """All estimates of one key, in order."""
        found = [result for result in self.all if result.key == key and isinstance(result, Estimate)]
        self.asked += found
        return found

    def tests(self, key: str) -> list[HypothesisTest]:
        """All tests of one key, in order."""
        found = [result for result in self.all if result.key == key and isinstance(result, HypothesisTest)]
        self.asked += found
        return found

    def test(self, key: str, condition: str = "", versus: str = "") -> HypothesisTest | None:
        """The test of one contrast, whatever its family, or None."""
        found = [
            result
            for result in self.all
            if isinstance(result, HypothesisTest)
            and (result.key, result.condition, result.versus) == (key, condition, versus)
        ]
        self.asked += found[:1]
        return found[0] if found else None


@dataclass(frozen=True)
class ImageRate:
    """One fake image with its votes."""

    condition: str
    image: str
    run: int | None
    votes: int
    raw: float
    shrunken: float
    low: float
    high: float


@dataclass(frozen=True)
class Collected:
    """The inputs of one report."""

    folder: Path
    """The study folder."""
    study: Study
    data: DataKind
    provenance: Provenance
    records: Records
    bundle: Bundle | None
    """None where the study has no stimuli of its own (imported responses)."""
    plan: PlanSummary | None
    """What the plan kept and gave up; None without a bundle."""
    preset: Preset | None
    frozen: dict[str, Any] | None
    amendments: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    """What makes this report doubtful, such as settings changed since the analysis."""
    scores: Scores = field(default_factory=Scores)
    """Metrics on the same images."""

    @property
    def mark(self) -> str:
        """SIMULATED and the like; empty for people's live answers."""
        return data_mark(self.data, self.provenance.observer)

    @property
    def one_run(self) -> str:
        """The label of losses that were trained once; empty where nothing has to be said."""
        notes = {note for record in self.records.all if record.key == "fool_rate" for note in record.notes}
        return ONE_RUN if any(note.startswith("One training run per algorithm") for note in notes) else ""

    @property
    def sources(self) -> dict[str, str]:
        """SHA-256 of everything that the page's numbers were computed from."""
        scores = {SCORES: self.scores.digest} if self.scores.digest else {}
        return {**self.provenance.digests, **scores}

    @property
    def preset_changes(self) -> list[str]:
        """Where the study's settings differ from its preset's."""
        return self.preset.changed_by(self.study.frozen_settings()) if self.preset else []

    @property
    def conditions(self) -> list[str]:
        """The algorithms, in the order of study.toml."""
        return list(self.study.conditions)

    @property
    def stimuli(self) -> dict[str, Stimulus]:
        """Stimuli by id."""
        return {stimulus.id: stimulus for stimulus in self.bundle.stimuli} if self.bundle else {}

    @property
    def varied_settings(self) -> dict[str, dict[str, Any]]:
        """Where all of the algorithms' images came with manifests: the generator settings in which the algorithms differ.

        Setting -> algorithm -> value; empty where a manifest is missing. What differs between the training runs of
        one algorithm (its seed) is left out.
        """
        made: dict[str, list[dict[str, Any]]] = {}
        for making in self.bundle.makings if self.bundle else ():
            made.setdefault(making.condition, []).append(_settings(making.manifest))
        if any(len(made.get(name, ())) < len(own.images) for name, own in self.study.conditions.items()):
            return {}
        first = {name: made[name][0] for name in self.conditions}
        keys = [key for key in next(iter(first.values())) if all(key in own for own in first.values())]
        return {
            key: {name: own[key] for name, own in first.items()}
            for key in keys
            if any(own[key] != next(iter(first.values()))[key] for own in first.values())
            and all(own[key] == first[name][key] for name in self.conditions for own in made[name])
        }

    def total(self, key: str) -> int:
        """A count of sessions over the whole study; in a within design every condition counts the same sessions."""
        values = [self.records.value(key, condition) or 0 for condition in self.conditions]
        return round(values[0] if self.study.study.design == "within" else sum(values))

    def images(self, condition: str) -> list[ImageRate]:
        """The condition's fake images that were judged, by id."""
        raw = {result.image: result for result in self.records.keyed("image_fool_rate")}
        return [
            ImageRate(
                condition,
                result.image,
                result.run,
                result.n["votes"],
                raw[result.image].value or 0.0,
                result.value,
                result.interval.low,
                result.interval.high,
            )
            for result in self.records.keyed("image_fool_rate_shrunken")
            if result.condition == condition and result.value is not None and result.interval is not None
        ]


def collect(folder: Path, data: DataKind) -> Collected:
    """Read the inputs of a report.

    Raises:
        UserError: There are no estimates yet, or a file is malformed.
    """
    study = load_study(folder)
    results = _records(folder, data)
    provenance = results[0].provenance
    manifest = folder / "stimuli" / "manifest.json"
    bundle = load_bundle(folder) if manifest.is_file() else None
    return Collected(
        folder=folder,
        study=study,
        data=data,
        provenance=provenance,
        records=Records(results),
        bundle=bundle,
        plan=summarise(study, bundle.stimuli, allocate(study, bundle.stimuli)) if bundle else None,
        preset=load_preset(study.study.preset) if study.study.preset else None,
        frozen=_json(folder / "frozen.json"),
        amendments=_json_lines(folder / "amendments.jsonl"),
        warnings=_stale(study, provenance, manifest),
        scores=read_scores(folder, study, bundle),
    )


def _records(folder: Path, data: DataKind) -> list[Result]:
    path = folder / data / "estimates.jsonl"
    if not path.is_file():
        raise UserError(f"{path}: no such file. `evalkit analyze {folder} --data {data}` writes it.")
    try:
        results = read_results(path)
    except ValueError as error:
        raise UserError(f"{error}. Run `evalkit analyze {folder} --data {data}` again.") from error
    if not results:
        raise UserError(f"{path}: holds no records. Run `evalkit analyze {folder} --data {data}` again.")
    for result in results:
        if result.provenance.data != data:
            raise UserError(
                f"{path}: {result.key!r} was computed from {result.provenance.data!r} data, not {data!r}."
                f" Run `evalkit analyze {folder} --data {data}` again."
            )
    return results


def _settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Of what made an image set; a manifest of another tool may hold anything, or nothing, under that name."""
    settings = manifest.get("settings")
    return _flat(settings) if isinstance(settings, dict) else {}


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings under their innermost names, which are unique in a training run."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat


def _stale(study: Study, provenance: Provenance, manifest: Path) -> tuple[str, ...]:
    """What has changed since the estimates were computed."""
    changed = []
    if provenance.digests.get("study settings") != study.digest():
        changed.append("study.toml")
    built = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else None
    if provenance.digests.get("stimuli/manifest.json") != built:
        changed.append("the stimulus bundle")
    if not changed:
        return ()
    verb = "has" if len(changed) == 1 else "have"
    return (
        f"{' and '.join(changed)} {verb} changed since these estimates were computed. Run `evalkit analyze` again.",
    )


def _json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}.") from error
    return tree


def _json_lines(path: Path) -> tuple[dict[str, Any], ...]:
    if not path.is_file():
        return ()
    try:
        return tuple(
            json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
        )
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}.") from error
