"""How often each algorithm's images were taken for real ("labeled real %"), with its intervals."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.analyses.base import Context, as_clusters, cluster_ids, of_fakes, run_notes, with_sizes
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from evalkit.stats.proportions import clustered_rate, wilson_interval
from evalkit.stats.resampling import worker_bootstrap
from studies.design import Study
from studies.errors import UserError, did_you_mean


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:
    """Per condition: the primary rate, then the same by other rules and methods, each under a key of its own."""
    results: list[Result] = []
    primary = of_fakes(table.primary)
    for condition in study.conditions:
        results.append(_clustered("fool_rate", primary, condition, study))
        results.append(_bootstrapped(primary, condition, study, context))
        results.append(_ignoring_clusters(primary, condition, study))
        results.append(
            _clustered(
                "fool_rate_with_partial_sessions", of_fakes(table.with_partial_sessions), condition, study
            )
        )
        results.append(
            _clustered("fool_rate_without_exclusions", of_fakes(table.without_exclusions), condition, study)
        )
        results.extend(_by_run(primary, condition, study))
    return results


def fool_rate(
    table: pd.DataFrame | Mapping[str, npt.ArrayLike],
    *,
    fooled: str = "fooled",
    worker: str = "worker",
    image: str = "image",
    real_image: str | None = None,
    confidence_level: float = 0.95,
) -> Estimate:
    """The fool rate of one algorithm, with its interval clustered by worker and image.

    Args:
        table: A data frame, or arrays by name; one row per trial.
        fooled: Column with 1 where the fake was taken for real, 0 where not, 0.5 unsure, NaN missing.
        worker: Column with who answered.
        image: Column with the image (or its source).
        real_image: Column with the real partner, where fake and real come from different inputs.
        confidence_level: Between 0 and 1.

    Returns:
        The estimate, in proportions; `n` counts trials, workers, images and missing answers.

    Raises:
        UserError: A column is not in the table.

    Source:
        `evalkit.stats.proportions.clustered_rate`.
    """
    frame = pd.DataFrame(dict(table.items()))
    names = {"workers": worker, "source_images": image} | ({"real_images": real_image} if real_image else {})
    for name in (fooled, *names.values()):
        if name not in frame.columns:
            raise UserError(f"the table has no column {name!r}.{did_you_mean(name, map(str, frame.columns))}")
    answered = frame[frame[fooled].notna()]
    clusters = {dimension: pd.factorize(answered[column])[0] for dimension, column in names.items()}
    estimate = clustered_rate(answered[fooled].to_numpy(dtype=float), clusters, confidence_level)
    missing = {"missing": len(frame) - len(answered)}
    return dataclasses.replace(estimate, key="fool_rate", n={**estimate.n, **missing})


def _clustered(key: str, trials: pd.DataFrame, condition: str, study: Study) -> Estimate:
    mine = trials[trials["condition"] == condition]
    clusters = as_clusters(cluster_ids(mine, study))
    estimate = clustered_rate(mine["fooled"].to_numpy(dtype=float), clusters, study.analysis.confidence_level)
    notes = (*estimate.notes, *run_notes(study))
    return dataclasses.replace(
        estimate, key=key, condition=condition, n=with_sizes(estimate, mine), notes=notes
    )


def _by_run(trials: pd.DataFrame, condition: str, study: Study) -> list[Estimate]:
    """The pooled rate of each training run, where there are several; too few trials each for an interval."""
    mine = trials[trials["condition"] == condition]
    return [
        Estimate(
            key="fool_rate_of_run",
            value=float(own["fooled"].mean()) if len(own) else None,
            unit="proportion",
            method="pooled over the trials that showed this training run",
            n={"trials": len(own), "workers": int(own["worker"].nunique())},
            condition=condition,
            run=run,
            detail=f"run {run}",
        )
        for run in range(study.runs if study.runs > 1 else 0)
        for own in [mine[mine["run"] == run]]
    ]


def _bootstrapped(trials: pd.DataFrame, condition: str, study: Study, context: Context) -> Estimate:
    mine = trials[trials["condition"] == condition]
    key = "fool_rate_worker_bootstrap"
    seed = context.seed(key, condition, str(study.study.seed))
    estimate = worker_bootstrap(
        mine["fooled"].to_numpy(dtype=float),
        pd.factorize(mine["worker"])[0],
        np.random.default_rng(seed),
        n_resamples=context.n_resamples,
        confidence_level=study.analysis.confidence_level,
    )
    return dataclasses.replace(
        estimate, key=key, condition=condition, seed=seed, n=with_sizes(estimate, mine)
    )


def _ignoring_clusters(trials: pd.DataFrame, condition: str, study: Study) -> Estimate:
    mine = trials[trials["condition"] == condition]
    y = mine["fooled"].to_numpy(dtype=float)
    interval = wilson_interval(float(y.sum()), len(y), study.analysis.confidence_level) if len(y) else None
    estimate = Estimate(
        key="fool_rate_ignoring_clustering",
        value=float(y.mean()) if len(y) else None,
        unit="proportion",
        method="pooled over trials; Wilson on trials, ignores clustering: for comparison only",
        n={"trials": len(y)},
        condition=condition,
        interval=interval,
        notes=("Ignores clustering by worker and image; too narrow, for comparison only.",),
    )
    return dataclasses.replace(estimate, n=with_sizes(estimate, mine))
