"""Image sets -> scores: what each metric wants is collected, computed in one pass, and made into records."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evalkit.metrics import METRICS
from evalkit.metrics.answers import PerImage, answers, unpack
from evalkit.metrics.base import Options, Statistics
from evalkit.metrics.cache import Cache
from evalkit.metrics.extract import FINGERPRINT, Extraction, Progress
from evalkit.metrics.pictures import PictureSet
from evalkit.metrics.precision import settle_precision
from evalkit.metrics.questions import Candidate, available, questions
from evalkit.metrics.team import ALONE, Team
from evalkit.results import Score
from studies.errors import UserError, did_you_mean
from studies.records import REAL

__all__ = ["Candidate", "PerImage", "Progress", "Scored", "chosen", "score_sets"]


@dataclass(frozen=True)
class Scored:
    """What came out."""

    scores: tuple[Score, ...]
    per_image: tuple[PerImage, ...]
    left_out: tuple[str, ...]
    """One line for each metric that could not be computed: what, of what, why and what to do."""
    remarks: tuple[str, ...] = ()
    """What else the user should know, such as a cache that could not be written."""


def chosen(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Metric -> keys of the quantities asked for.

    Args:
        names: Of metrics (their default quantities) or of single quantities.

    Raises:
        UserError: A name is neither.
    """
    owners = {quantity.key: metric for metric in METRICS.values() for quantity in metric.quantities}
    asked: dict[str, list[str]] = {}
    for told in names:
        name = told if told in METRICS or told in owners else told.lower()
        metric = METRICS.get(name) or owners.get(name)
        if metric is None:
            raise UserError(f"{told}: no such metric.{did_you_mean(name, {**METRICS, **owners})}")
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
    asked, left_out = available(chosen(names), options, reals, labels)
    settled, remarks = settle_precision(asked, options, reals, [one.fakes for one in candidates], cache, team)
    asking = questions(reals, candidates, asked, settled, labels, left_out)
    known = {id(one): cache.score(one.memo_key) if cache else None for one in asking}
    open_questions = [one for one in asking if team.first_says(known[id(one)] is None)]
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
    for question in asking:
        for part, answer in answers(question, known[id(question)], extraction, left_out):
            if cache is not None and known[id(question)] is None:
                cache.keep_score(part.memo_key, answer)
            unpack(answer, question, study, scores, per_image)
    if cache is not None and cache.trouble:
        remarks.append(cache.trouble)
    return Scored(
        tuple(map(_beside_ceiling(scores), scores)), tuple(per_image), tuple(left_out), tuple(remarks)
    )


def _beside_ceiling(scores: Sequence[Score]) -> Callable[[Score], Score]:
    """Adds a note to each score that is no worse than that of the real images in the fakes' place."""
    ceilings = {one.key: one.value for one in scores if one.condition == REAL and not one.detail}

    def noted(score: Score) -> Score:
        ceiling = ceilings.get(score.key)
        if score.condition == REAL or score.detail or ceiling is None or score.value is None:
            return score
        if score.value < ceiling:
            return score
        note = f"no worse than the real images themselves ({ceiling:.3f}): up here it does not tell fakes from reals"
        return dataclasses.replace(score, notes=(*score.notes, note))

    return noted
