"""What is answered: the numbers of one question as records, kept in the cache without the names of one run."""

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics import weights as pretrained
from evalkit.metrics.base import Metric, Options, Quantity, Statistics, Value
from evalkit.metrics.extract import Extraction
from evalkit.metrics.pictures import set_digest
from evalkit.metrics.questions import Question, set_key
from evalkit.metrics.versions import software
from evalkit.results import Provenance, Score, decode_record, encode_record
from studies.errors import UserError


@dataclass(frozen=True)
class PerImage:
    """One quantity image by image."""

    condition: str
    run: int | None
    key: str
    source_ids: tuple[str, ...]
    values: NDArray[np.float64]
    """(n,) in the order of `source_ids`."""


def answers(
    question: Question, known: Any, extraction: Extraction, left_out: list[str]
) -> list[tuple[Question, dict[str, Any]]]:
    """The answer, known or computed; where not all of its quantities can be, those that can, and lines for the others."""
    if known is not None:
        return [(question, known)]
    with contextlib.suppress(UserError):
        return [(question, _answer(question, extraction))]
    found: list[tuple[Question, dict[str, Any]]] = []
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


def _answer(question: Question, extraction: Extraction) -> dict[str, Any]:
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
    provenance = Provenance(analysis=f"metrics.{metric.name}", digests=digests, software=software())
    records = []
    for value in values:
        settings = metric.settings([value.key], question.options)
        score = _score(value, quantities[value.key], metric, settings)
        score = dataclasses.replace(
            score,
            n={**sizes, **value.n},
            notes=(*value.notes, *_weights_notes(metric, value.key, question.options), *notes),
            provenance=provenance,
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
    question: Question, extraction: Extraction
) -> tuple[dict[str, int], dict[str, str], tuple[str, ...]]:
    """Sizes of the sets, digests of their pixels, and notes on how their pixels were read."""
    sizes, digests, notes = {}, {}, []
    sets = {"reals": question.reals, "fakes": question.candidate.fakes}
    if question.metric.labelled and question.labels is not None:
        sets["labels"] = question.labels
    for role, one in sets.items():
        if isinstance(one, Statistics):
            digests[role] = set_key(one)
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


def unpack(
    answer: Mapping[str, Any],
    question: Question,
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
