"""Whether people and metrics order the algorithms, and the images, alike."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.analyses.base import Context, as_clusters, cluster_ids, of_fakes
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result, Score
from evalkit.scores import Column, Scores, read_per_image, read_scores
from evalkit.stats.agreement import split_half_reliability
from evalkit.stats.correlation import (
    COEFFICIENTS,
    Coefficient,
    Uncertain,
    image_correlation,
    rank_correlation,
)
from evalkit.stats.pigeonhole import draws_within, pigeonhole_rates
from studies.design import Study
from studies.stimuli import load_bundle

FloatArray = npt.NDArray[np.float64]
IMAGE_RESAMPLES = 1_000
"""Resamples of workers and images for correlations over images."""
FEWEST_DRAWS = 100


@dataclass(frozen=True)
class _People:
    """The fool rates of all algorithms, and how else they might have come out."""

    conditions: tuple[str, ...]
    rates: FloatArray
    """Shape (K,)."""
    draws: FloatArray
    """Shape (B, K)."""
    n: Mapping[str, int]


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:
    """Spearman and Kendall of fool rate with each metric: over algorithms, and over the images of each algorithm.

    Fool rates are resampled over workers and images, a metric by its own standard error where it has one. The ceiling
    says how high a correlation with people could be at all, given how repeatable their rates are.
    """
    scores = _scores(study, context)
    if not scores.columns:
        return [_nothing(kind, scores) for kind in COEFFICIENTS]
    trials = of_fakes(table.primary)
    people = _people(trials, study, context)
    results: list[Result] = [_ceiling(trials, study, context)]
    for column in scores.columns:
        results += _over_algorithms(column, people, study, context)
    for condition in study.conditions:
        results += _over_images(trials[trials["condition"] == condition], condition, scores, study, context)
    return results


def _scores(study: Study, context: Context) -> Scores:
    if context.folder is None:
        return Scores()
    manifest = context.folder / "stimuli" / "manifest.json"
    return read_scores(context.folder, study, load_bundle(context.folder) if manifest.is_file() else None)


def _nothing(kind: Coefficient, scores: Scores) -> Estimate:
    why = scores.left_out or (
        "Not estimated: there are no scores of these images. `evalkit metrics` computes them.",
    )
    return Estimate(key=kind, value=None, unit="correlation", method="rank correlation", notes=tuple(why))


def _people(trials: pd.DataFrame, study: Study, context: Context) -> _People:
    shown = tuple(name for name in study.conditions if (trials["condition"] == name).any())
    of = trials["condition"].map({name: place for place, name in enumerate(shown)}).to_numpy(dtype=np.int64)
    y = trials["fooled"].to_numpy(dtype=np.float64)
    rng = np.random.default_rng(context.seed("people_and_metrics", str(study.study.seed)))
    draws = draws_within(max(context.n_resamples, FEWEST_DRAWS), len(trials))
    found = pigeonhole_rates(y, of, as_clusters(cluster_ids(trials, study)), rng, n_resamples=draws)
    rates = np.array([y[of == place].mean() for place in range(len(shown))], dtype=np.float64)
    n = {"trials": len(trials), "workers": int(trials["worker"].nunique())}
    return _People(shown, rates, found[:, : len(shown)], n)


def _over_algorithms(column: Column, people: _People, study: Study, context: Context) -> Iterator[Result]:
    known = [place for place, name in enumerate(people.conditions) if column.of(name)]
    own = [column.of(people.conditions[place]) for place in known]
    seed = context.seed("people_and_metrics", column.key, str(study.study.seed))
    rng = np.random.default_rng(seed)
    values = np.array([np.mean([one.value for one in runs]) for runs in own], dtype=np.float64)
    errors = np.array([_error(runs) for runs in own], dtype=np.float64)
    certain = np.nan_to_num(errors)
    draws = (
        values + certain * rng.standard_normal((len(people.draws), len(values))) if certain.any() else None
    )
    for kind in COEFFICIENTS:
        estimate, test = rank_correlation(
            Uncertain(people.rates[known], people.draws[:, known]),
            Uncertain(values, draws),
            kind,
            rng,
            confidence_level=study.analysis.confidence_level,
        )
        notes = (*_of_metric(column, int(np.isnan(errors).sum()), len(known)), *estimate.notes)
        for record in filter(None, (estimate, test)):
            yield dataclasses.replace(
                record,
                detail=f"{column.key}, over algorithms",
                n={"algorithms": len(known), **people.n},
                method=record.method.replace("first", "people's").replace("second", "metric's"),
                seed=seed,
                notes=notes if record is estimate else notes[:1],
            )


def _error(runs: list[Score]) -> float:
    """Standard error of the mean over training runs; NaN where a run has none."""
    errors = [np.nan if one.standard_error is None else one.standard_error for one in runs]
    return float(np.sqrt(np.sum(np.square(errors))) / len(errors))


def _of_metric(column: Column, without_error: int, algorithms: int) -> tuple[str, ...]:
    better = "higher" if column.first.higher_is_better else "lower"
    sign = "+1" if column.first.higher_is_better else "-1"
    notes = [f"{column.key}: {better} is better, so that {sign} is full agreement with people."]
    if without_error:
        who = (
            "every algorithm"
            if without_error == algorithms
            else f"{without_error} of {algorithms} algorithms"
        )
        notes.append(
            f"{column.key} has no standard error for {who}: held fixed there, only people were resampled."
        )
    return (*notes, *((f"{column.key}: {column.mark}.",) if column.mark else ()))


def _ceiling(trials: pd.DataFrame, study: Study, context: Context) -> Estimate:
    """Over algorithms, the highest correlation to expect of a metric that knew the true rates."""
    seed = context.seed("reliability_ceiling", str(study.study.seed))
    found = split_half_reliability(
        trials["fooled"].to_numpy(dtype=np.float64),
        trials["condition"].to_numpy(dtype=str),
        trials["worker"].to_numpy(dtype=str),
        np.random.default_rng(seed),
    )
    few = len(study.conditions) < 3
    note = "Not estimated: it takes at least 3 algorithms." if few else ""
    return _root(dataclasses.replace(found, seed=seed, detail="over algorithms"), note)


def _root(found: Estimate, note: str = "") -> Estimate:
    reliability = None if note else found.value
    value = None if reliability is None or reliability < 0 else float(np.sqrt(reliability))
    notes = (note,) if note else found.notes
    if reliability is not None and reliability < 0:
        notes = (*notes, "Not estimated: the halves disagree, so that the rates are all noise.")
    return dataclasses.replace(
        found,
        key="reliability_ceiling",
        value=value,
        unit="correlation",
        method=f"square root of the reliability of people's rates: {found.method}",
        interval=None,
        standard_error=None,
        notes=notes,
    )


def _over_images(
    trials: pd.DataFrame, condition: str, scores: Scores, study: Study, context: Context
) -> Iterator[Result]:
    values = read_per_image(context.folder, scores, condition) if context.folder else {}
    if not values or trials.empty:
        return
    place = pd.MultiIndex.from_arrays([trials["source_id"], trials["run"].astype(int)])
    codes, images = pd.factorize(place)
    workers, names = pd.factorize(trials["worker"])
    seed = context.seed("people_and_metrics", "images", condition, str(study.study.seed))
    rng = np.random.default_rng(seed)
    people = _votes(trials["fooled"].to_numpy(np.float64), codes, workers, (len(images), len(names)), rng)
    n = {"images": len(images), "workers": len(names), "trials": len(trials)}
    halves = split_half_reliability(trials["fooled"].to_numpy(np.float64), codes, workers, rng)
    yield _root(dataclasses.replace(halves, condition=condition, seed=seed, detail="over images", n=n))
    for column in scores.columns:
        if column.key in values:
            own = values[column.key]
            metric = np.array([own.get(image, np.nan) for image in images], dtype=np.float64)
            for kind in COEFFICIENTS:
                found = image_correlation(people, metric, kind, rng, study.analysis.confidence_level)
                for record in filter(None, found):
                    yield dataclasses.replace(
                        record,
                        condition=condition,
                        detail=f"{column.key}, over images",
                        seed=seed,
                        n={**n, **record.n},
                        notes=(*_of_metric(column, 0, 1), *record.notes),
                    )


def _votes(
    y: FloatArray,
    codes: npt.NDArray[np.int64],
    workers: npt.NDArray[np.int64],
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> FloatArray:
    """Image rates, shape (1 + IMAGE_RESAMPLES, images): first as they are, then with workers resampled; NaN = no vote."""
    if not shape[1]:
        return np.full((1, shape[0]), np.nan)
    even = np.full(shape[1], 1 / shape[1])
    weights = np.vstack([np.ones(shape[1]), rng.multinomial(shape[1], even, size=IMAGE_RESAMPLES)])
    rates = np.full((len(weights), shape[0]), np.nan)
    for row, weight in enumerate(weights):
        of_trial = weight[workers]
        votes = np.bincount(codes, weights=of_trial, minlength=shape[0])
        fooled = np.bincount(codes, weights=of_trial * y, minlength=shape[0])
        np.divide(fooled, votes, out=rates[row], where=votes > 0)
    return rates
