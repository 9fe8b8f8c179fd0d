"""Image sets -> scores: what each metric wants is collected, computed in one pass, and made into records."""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics import METRICS
from evalkit.metrics import weights as pretrained
from evalkit.metrics.base import Metric, Options, Quantity, Statistics, Value, Want
from evalkit.metrics.cache import Cache
from evalkit.metrics.extract import FINGERPRINT, Extraction, ItemRef, Progress
from evalkit.metrics.pictures import PictureSet, set_digest
from evalkit.metrics.precision import settle_precision
from evalkit.metrics.team import ALONE, Team
from evalkit.results import Provenance, Score, decode_record, encode_record
from studies.errors import UserError, did_you_mean
from studies.records import REAL

PACKAGES = (
    "evalkit", "numpy", "scipy", "pillow", "torch", "pytorch-fid", "lpips", "torchmetrics", "scikit-image",
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """The images of one training run of one algorithm."""

    condition: str
    run: int | None
    """None where there is but one."""
    fakes: PictureSet

    @property
    def title(self) -> str:
        """For messages."""
        return self.condition if self.run is None else f"{self.condition}, run {self.run}"


@dataclass(frozen=True)
class PerImage:
    """One quantity image by image."""

    condition: str
    run: int | None
    key: str
    source_ids: tuple[str, ...]
    values: NDArray[np.float64]
    """(n,) in the order of `source_ids`."""


@dataclass(frozen=True)
class Scored:
    """What came out."""

    scores: tuple[Score, ...]
    per_image: tuple[PerImage, ...]
    left_out: tuple[str, ...]
    """One line for each metric that could not be computed: what, of what, why and what to do."""
    remarks: tuple[str, ...] = ()
    """What else the user should know, such as a cache that could not be written."""


@dataclass(frozen=True)
class _Question:
    """One metric on one candidate."""

    metric: Metric
    keys: tuple[str, ...]
    candidate: Candidate
    reals: PictureSet | Statistics
    labels: PictureSet | None
    options: Options
    items: Mapping[str, tuple[ItemRef, ...]] = field(default_factory=dict)
    """By kind, see `Over`."""
    wants: Mapping[str, Want] = field(default_factory=dict)
    """Of the metric."""

    @property
    def title(self) -> str:
        """For messages."""
        return f"{', '.join(self.keys)} of {self.candidate.title}"

    @property
    def memo_key(self) -> str:
        """What the score is kept under: all that it depends on."""
        options = self.options
        told: dict[str, Any] = {
            "metric": [self.metric.name, list(self.keys), dict(self.metric.settings(self.keys, options))],
            "features": sorted(want.feature.key for want in self.wants.values()),
            "sets": [
                _set_key(one)
                for one in (self.reals, self.candidate.fakes, self.labels if self.metric.labelled else None)
            ],
            "n": self.reals.n if isinstance(self.reals, Statistics) else None,
            "options": [options.seed, options.confidence_level, options.absent],
            "evalkit": _version("evalkit"),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def chosen(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Metric -> keys of the quantities asked for.

    Args:
        names: Of metrics (their default quantities) or of single quantities.

    Raises:
        UserError: A name is neither.
    """
    owners = {quantity.key: metric for metric in METRICS.values() for quantity in metric.quantities}
    asked: dict[str, list[str]] = {}
    for name in names:
        metric = METRICS.get(name) or owners.get(name)
        if metric is None:
            raise UserError(f"{name}: no such metric.{did_you_mean(name, {**METRICS, **owners})}")
        keys = metric.default_keys or tuple(one.key for one in metric.quantities)
        asked.setdefault(metric.name, []).extend(keys if name in METRICS else (name,))
    order = {name: [one.key for one in metric.quantities] for name, metric in METRICS.items()}
    return {name: tuple(sorted(set(keys), key=order[name].index)) for name, keys in asked.items()}


def score_sets(
    reals: PictureSet | Statistics,
    candidates: Sequence[Candidate],
    names: Sequence[str],
    options: Options,
    *,
    labels: PictureSet | None = None,
    cache: Cache | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    team: Team = ALONE,
    study: str = "",
) -> Scored:
    """Score sets of fakes against the real images.

    Args:
        reals: The real images, or statistics of their Inception features (FID only).
        candidates: What is scored.
        names: Metrics or quantities, see `chosen`.
        options: Precision, weights, segmenter and the like.
        labels: Label maps of the inputs, for FCN-scores.
        cache: Where features and scores are kept; None: nowhere.
        on_progress: Told a few times per second while images are read.
        team: The processes that share the work; only the first one returns scores.
        study: Id of the study that the images belong to; goes into the records.

    Raises:
        UserError: A name is unknown, or an image cannot be read. Metrics that cannot be computed for these sets do
            not raise; they are `left_out`.
    """
    asked, left_out = _available(chosen(names), options, reals, labels)
    settled, remarks = settle_precision(asked, options, reals, [one.fakes for one in candidates], cache, team)
    questions = _questions(reals, candidates, asked, settled, labels, left_out)
    known = {id(one): cache.score(one.memo_key) if cache else None for one in questions}
    open_questions = [one for one in questions if team.first_says(known[id(one)] is None)]
    extraction = Extraction(cache, options.device, on_progress, team)
    for question in open_questions:
        for want in question.wants.values():
            if want.over in question.items:
                extraction.ask(want.feature, question.items[want.over])
    if open_questions:
        for one in (reals, *(candidate.fakes for candidate in candidates), labels):
            if isinstance(one, PictureSet):
                extraction.ask(FINGERPRINT, [(picture,) for picture in one.pictures])
    extraction.run()
    if team.rank:
        return Scored((), (), ())
    scores: list[Score] = []
    per_image: list[PerImage] = []
    for question in questions:
        for part, answer in _answers(question, known[id(question)], extraction, left_out):
            if cache is not None and known[id(question)] is None:
                cache.keep_score(part.memo_key, answer)
            _unpack(answer, question, study, scores, per_image)
    if cache is not None and cache.trouble:
        remarks.append(cache.trouble)
    return Scored(tuple(scores), tuple(per_image), tuple(left_out), tuple(remarks))


def _available(
    asked: Mapping[str, tuple[str, ...]],
    options: Options,
    reals: PictureSet | Statistics,
    labels: PictureSet | None,
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """What can be computed whatever the fakes, and a line for each reason why something cannot."""
    kept: dict[str, tuple[str, ...]] = {}
    reasons: dict[str, list[str]] = {}
    for name, keys in asked.items():
        for key in keys:
            reason = _unavailable(METRICS[name], key, options, reals, labels)
            if reason:
                reasons.setdefault(reason, []).append(key)
            else:
                kept[name] = (*kept.get(name, ()), key)
    return kept, [f"{', '.join(keys)}: {reason}" for reason, keys in reasons.items()]


def _questions(
    reals: PictureSet | Statistics,
    candidates: Sequence[Candidate],
    asked: Mapping[str, tuple[str, ...]],
    settled: Mapping[str, Options],
    labels: PictureSet | None,
    left_out: list[str],
) -> list[_Question]:
    """Every metric of every candidate; what cannot be asked of one gets a line in `left_out`."""
    questions = []
    for name, keys in asked.items():
        metric, options = METRICS[name], settled[name]
        subjects = list(candidates)
        if metric.ceiling and isinstance(reals, PictureSet):
            subjects.insert(0, Candidate(REAL, None, reals))
        for candidate in subjects:
            question = _Question(metric, keys, candidate, reals, labels, options)
            try:
                wants = metric.wants(keys, options)
                question = dataclasses.replace(question, items=_items(question), wants=wants)
            except UserError as error:
                left_out.append(f"{question.title}: {error}")
                continue
            questions.append(question)
    return questions


def _unavailable(
    metric: Metric, key: str, options: Options, reals: PictureSet | Statistics, labels: PictureSet | None
) -> str:
    """Why a quantity cannot be computed whatever the fakes; empty if it can."""
    if options.random_weights is None:
        for name in metric.weights([key]):
            if not pretrained.is_there(name):
                return pretrained.how_to_bring(name)
    if isinstance(reals, Statistics) and not metric.takes_statistics:
        return "needs the real images themselves; an .npz of statistics serves FID only."
    if metric.labelled and labels is None:
        return "needs label maps of the inputs (--labels, --classes)."
    if metric.labelled and options.segmenter is None:
        return "needs a segmenter (--segmenter; `evalkit segmenter train` makes one)."
    return ""


def _items(question: _Question) -> dict[str, tuple[ItemRef, ...]]:
    """Items by kind.

    Raises:
        UserError: Inputs of the fakes have no real image, or no label map, of their name.
    """
    fakes = question.candidate.fakes
    items: dict[str, tuple[ItemRef, ...]] = {"fakes": tuple((picture,) for picture in fakes.pictures)}
    if isinstance(question.reals, PictureSet):
        items["reals"] = tuple((picture,) for picture in question.reals.pictures)
        if question.metric.paired:
            partners = _partners(fakes, question.reals, "real image")
            items["pairs"] = tuple(
                (real, fake) for real, fake in zip(partners.pictures, fakes.pictures, strict=True)
            )
    if question.metric.labelled and question.labels is not None:
        maps = _partners(fakes, question.labels, "label map")
        items["labelled fakes"] = tuple(zip(fakes.pictures, maps.pictures, strict=True))
    return items


def _partners(fakes: PictureSet, others: PictureSet, what: str) -> PictureSet:
    """Of the other set, the pictures of the fakes' inputs, in the fakes' order."""
    by_id = {picture.source_id: picture for picture in others.pictures}
    missing = [name for name in fakes.source_ids if name not in by_id]
    if missing:
        listed = ", ".join(repr(name) for name in missing[:3]) + (", ..." if len(missing) > 3 else "")
        spare = sorted(set(by_id) - set(fakes.source_ids))
        raise UserError(
            f"{len(missing)} of its {len(fakes)} images have no {what} of the same name in {others.name} ({listed}; "
            f"there are {len(spare)} others there{', such as ' + repr(spare[0]) if spare else ''}). Names must agree."
        )
    return PictureSet(others.name, tuple(by_id[name] for name in fakes.source_ids))


def _answers(
    question: _Question, known: Any, extraction: Extraction, left_out: list[str]
) -> list[tuple[_Question, dict[str, Any]]]:
    """The answer, known or computed; where not all of its quantities can be, those that can, and lines for the others."""
    if known is not None:
        return [(question, known)]
    with contextlib.suppress(UserError):
        return [(question, _answer(question, extraction))]
    found: list[tuple[_Question, dict[str, Any]]] = []
    reasons: dict[str, list[str]] = {}
    for key in question.keys:
        wants = question.metric.wants((key,), question.options)
        part = dataclasses.replace(question, keys=(key,), wants=wants)
        try:
            found.append((part, _answer(part, extraction)))
        except UserError as error:
            reasons.setdefault(str(error), []).append(key)
    left_out += [f"{', '.join(keys)} of {question.candidate.title}: {line}" for line, keys in reasons.items()]
    return found


def _answer(question: _Question, extraction: Extraction) -> dict[str, Any]:
    """Compute one metric on one candidate: the scores as JSON values, without condition, run and study."""
    metric = question.metric
    found: dict[str, Any] = {}
    for name, want in question.wants.items():
        if isinstance(question.reals, Statistics) and want.over == "reals":
            found[name] = question.reals
            continue
        items = question.items[want.over]
        found[name] = extraction.result(want.feature, items)
        found[f"{name}_where"] = [item[-1].where for item in items]
        if want.feature.summed:
            found[f"{name}_n"] = len(items)
    values = metric.compute(question.keys, found, question.options)
    quantities = {quantity.key: quantity for quantity in metric.quantities}
    sizes, digests, notes = _about(question, extraction)
    records = []
    for value in values:
        settings = metric.settings([value.key], question.options)
        score = _score(value, quantities[value.key], metric, settings)
        score = dataclasses.replace(
            score,
            n={**sizes, **value.n},
            notes=(*value.notes, *_weights_notes(metric, value.key, question.options), *notes),
            provenance=Provenance(analysis=f"metrics.{metric.name}", digests=digests, software=_software()),
        )
        per_image = None if value.per_image is None else [float(one) for one in value.per_image]
        records.append({"record": encode_record(score), "per_image": per_image})
    return {"scores": records}


def _weights_notes(metric: Metric, key: str, options: Options) -> tuple[str, ...]:
    """Says so where the pretrained weights are not the published ones."""
    if options.random_weights is not None:
        return ()
    told = {name: pretrained.note(name) for name in metric.weights([key])}
    return tuple(f"{name}: {note}" for name, note in told.items() if note)


def _score(value: Value, quantity: Quantity, metric: Metric, settings: Mapping[str, str]) -> Score:
    return Score(
        key=value.key,
        value=value.value,
        unit=quantity.unit,
        method=value.method,
        detail=value.detail,
        seed=value.seed,
        interval=value.interval,
        standard_error=value.standard_error,
        higher_is_better=quantity.higher_is_better,
        source=metric.source,
        settings=settings,
    )


def _about(
    question: _Question, extraction: Extraction
) -> tuple[dict[str, int], dict[str, str], tuple[str, ...]]:
    """Sizes of the sets, digests of their pixels, and notes on how their pixels were read."""
    sizes, digests, notes = {}, {}, []
    sets = {"reals": question.reals, "fakes": question.candidate.fakes}
    if question.metric.labelled and question.labels is not None:
        sets["labels"] = question.labels
    for role, one in sets.items():
        if isinstance(one, Statistics):
            digests[role] = _set_key(one)
            if one.n is not None:
                sizes[role] = one.n
            continue
        prints = extraction.fingerprints(one.pictures)
        sizes[role] = len(one)
        digests[role] = set_digest(one.source_ids, [digest for digest, _ in prints])
        spare = 0 if role == "fakes" else len(set(one.source_ids) - set(question.candidate.fakes.source_ids))
        if spare and (question.metric.paired or role == "labels"):
            have, count = ("has", "counts") if spare == 1 else ("have", "count")
            notes.append(f"{spare} of the {role} {have} no fake of its name and {count} for nothing here")
        odd = [(picture, steps) for picture, (_, steps) in zip(one.pictures, prints, strict=True) if steps]
        if odd:
            picture, steps = odd[0]
            notes.append(
                f"{len(odd)} of the {role} were read otherwise than other tools do, e.g. {picture.source_id}: {steps}"
            )
    return sizes, digests, tuple(notes)


def _unpack(
    answer: Mapping[str, Any],
    question: _Question,
    study: str,
    scores: list[Score],
    per_image: list[PerImage],
) -> None:
    """Add an answer's scores under the names they have here."""
    candidate = question.candidate
    for entry in answer["scores"]:
        score = decode_record(entry["record"])
        assert isinstance(score, Score)
        provenance = dataclasses.replace(score.provenance, study=study)
        scores.append(
            dataclasses.replace(
                score, condition=candidate.condition, run=candidate.run, provenance=provenance
            )
        )
        if entry["per_image"] is not None:
            values = np.asarray(entry["per_image"], np.float64)
            per_image.append(
                PerImage(candidate.condition, candidate.run, score.key, candidate.fakes.source_ids, values)
            )


def _set_key(one: PictureSet | Statistics | None) -> str:
    if one is None:
        return ""
    if isinstance(one, PictureSet):
        return one.key
    return hashlib.sha256(one.mean.tobytes() + one.covariance.tobytes()).hexdigest()


def _software() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
