"""What is asked: one metric of one set of fakes, with the images that it is about."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from evalkit.metrics import METRICS
from evalkit.metrics import weights as pretrained
from evalkit.metrics.base import Metric, Options, Statistics, Want
from evalkit.metrics.extract import ItemRef
from evalkit.metrics.pictures import PictureSet
from evalkit.metrics.versions import version
from studies.errors import UserError
from studies.records import REAL


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
class Question:
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

    @cached_property
    def memo_key(self) -> str:
        """What the score is kept under: all that it depends on."""
        options = self.options
        told: dict[str, Any] = {
            "metric": [self.metric.name, list(self.keys), dict(self.metric.settings(self.keys, options))],
            "features": sorted(want.feature.key for want in self.wants.values()),
            "sets": [
                set_key(one)
                for one in (self.reals, self.candidate.fakes, self.labels if self.metric.labelled else None)
            ],
            "n": self.reals.n if isinstance(self.reals, Statistics) else None,
            "options": [options.seed, options.confidence_level, options.absent],
            "evalkit": version("evalkit"),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def available(
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


def questions(
    reals: PictureSet | Statistics,
    candidates: Sequence[Candidate],
    asked: Mapping[str, tuple[str, ...]],
    settled: Mapping[str, Options],
    labels: PictureSet | None,
    left_out: list[str],
) -> list[Question]:
    """Every metric of every candidate; what cannot be asked of one gets a line in `left_out`."""
    asking = []
    for name, keys in asked.items():
        metric, options = METRICS[name], settled[name]
        subjects = list(candidates)
        if metric.ceiling and isinstance(reals, PictureSet):
            subjects.insert(0, Candidate(REAL, None, reals))
        for candidate in subjects:
            question = Question(metric, keys, candidate, reals, labels, options)
            try:
                wants = metric.wants(keys, options)
                question = dataclasses.replace(question, items=_items(question), wants=wants)
            except UserError as error:
                left_out.append(f"{question.title}: {error}")
                continue
            asking.append(question)
    return asking


def _unavailable(
    metric: Metric, key: str, options: Options, reals: PictureSet | Statistics, labels: PictureSet | None
) -> str:
    """Why a quantity cannot be computed whatever the fakes; empty if it can."""
    if options.random_weights is None:
        for name in metric.weights([key]):
            if not pretrained.is_there(name):
                return pretrained.missing(name)
    if isinstance(reals, Statistics) and not metric.takes_statistics:
        return "needs the real images themselves; an .npz of statistics serves FID only."
    if metric.labelled and labels is None:
        return "needs label maps of the inputs (--labels, --classes)."
    if metric.labelled and options.segmenter is None:
        return "needs a segmenter (--segmenter; `evalkit segmenter train` makes one)."
    return ""


def _items(question: Question) -> dict[str, tuple[ItemRef, ...]]:
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
            f"{len(missing)} of its {len(fakes)} images {'has' if len(missing) == 1 else 'have'} no {what} of the same name in {others.name} ({listed}; "
            f"there are {len(spare)} others there{', such as ' + repr(spare[0]) if spare else ''}). Names must agree."
        )
    return PictureSet(others.name, tuple(by_id[name] for name in fakes.source_ids))


def set_key(one: PictureSet | Statistics | None) -> str:
    """What a set is known by: SHA-256 (hex), or nothing where there is none."""
    if one is None:
        return ""
    if isinstance(one, PictureSet):
        return one.key
    return hashlib.sha256(one.mean.tobytes() + one.covariance.tobytes()).hexdigest()
