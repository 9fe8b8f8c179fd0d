"""How often answers were right: averaged over workers, and image by image, real images among them."""

import dataclasses

import pandas as pd

from evalkit.analyses.base import Context
from evalkit.analyses.targets import THESE_IMAGES, of_target
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from evalkit.stats.means import mean_over_workers
from evalkit.stats.proportions import wilson_interval
from studies.design import Study
from studies.records import REAL


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Per condition the accuracy averaged over workers; per single image the share of right answers, in two ways."""
    if study.protocol.layout not in ("real_and_fake", "one_image"):
        return [_nothing_right(condition) for condition in study.conditions]
    trials = table.primary
    level = study.analysis.confidence_level
    results: list[Result] = [
        _over_workers(table.about(trials, condition), condition, level) for condition in study.conditions
    ]
    return results + (_images(trials, level) if study.protocol.layout == "one_image" else [])


def _over_workers(trials: pd.DataFrame, condition: str, level: float) -> Estimate:
    means = trials.groupby("worker")["outcome"].mean()
    estimate = mean_over_workers(means.to_numpy(dtype=float), level, (0.0, 1.0))
    sizes = trials.groupby("worker").size()
    uneven = (
        (f"Workers answered {sizes.min()} to {sizes.max()} trials; each worker weighs the same.",)
        if len(sizes) and sizes.min() != sizes.max()
        else ()
    )
    notes = (
        *estimate.notes,
        *uneven,
        "The interval covers other people before these images, not other images.",
    )
    named = dataclasses.replace(
        estimate,
        key="accuracy_over_workers",
        unit="proportion",
        condition=condition,
        n={**estimate.n, "trials": len(trials)},
        notes=notes,
    )
    return of_target(named, THESE_IMAGES)


def _images(trials: pd.DataFrame, level: float) -> list[Result]:
    """A real image is one image, whichever algorithm's session it stood in."""
    owner = trials["condition"].where(trials["condition_1"] != REAL, "")
    found: list[Result] = []
    for (condition, image), own in trials.groupby([owner, "image"], sort=True):
        about = f"{'real, ' if not condition else ''}input {own['source_id'].iloc[0]}"
        outcome = own["outcome"].to_numpy(dtype=float)
        once = own["worker"].is_unique
        for key, right, words in (
            ("image_accuracy", outcome, 'right, "not sure" counting one half'),
            ("image_answered_right", outcome == 1.0, 'right, "not sure" counting as not right'),
        ):
            found.append(
                Estimate(
                    key=key,
                    value=float(right.mean()),
                    unit="proportion",
                    method=f"share of the image's answers that were {words}; Wilson, for this image",
                    n={"votes": len(own)},
                    condition=str(condition),
                    image=str(image),
                    detail=about,
                    interval=wilson_interval(float(right.sum()), len(own), level) if once else None,
                    notes=() if once else ("Some workers judged it more than once: no interval.",),
                )
            )
    return found


def _nothing_right(condition: str) -> Estimate:
    return Estimate(
        key="accuracy_over_workers",
        value=None,
        unit="proportion",
        method="mean over workers",
        condition=condition,
        notes=("No answer is right or wrong in this protocol.",),
    )
