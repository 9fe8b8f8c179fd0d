"""How often each algorithm's images were taken for real ("labeled real %"), with its intervals."""

import dataclasses

import numpy as np

from evalkit.analyses.base import Context, IntArray, of_fakes, run_notes
from evalkit.analyses.by_condition import Trials, by_condition, sizes
from evalkit.analyses.targets import THESE_IMAGES, about
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from evalkit.stats.proportions import clustered_rate, wilson_interval
from evalkit.stats.rate_methods import RATE_METHODS, Draws, rate_by
from evalkit.stats.resampling import FEWEST, amt2020_estimate, nested_bootstrap
from studies.design import Study

KEYS = {
    "worker_averaged": "fool_rate_worker_averaged",
    "workers": "fool_rate_these_images",
    "pigeonhole": "fool_rate_pigeonhole",
    "worker_bootstrap": "fool_rate_worker_bootstrap",
}
"""Method of RATE_METHODS -> key of its record beside the primary one."""


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:
    """Per condition: the primary rate, then the same by other rules and methods, each under a key of its own."""
    parts = by_condition(of_fakes(table.primary), study)
    partial = by_condition(of_fakes(table.with_partial_sessions), study)
    kept = by_condition(of_fakes(table.without_exclusions), study)
    missing = _missing(table, study)
    as_papers = _amt2020(parts, study, context)
    results: list[Result] = []
    for condition, mine in parts.items():
        found = _clustered("fool_rate", mine, condition, study)
        results.append(_with_missing(found, missing.get(condition, 0)))
        for method, key in KEYS.items():
            if context.n_resamples >= FEWEST or not RATE_METHODS[method].is_random:
                results.append(_by_method(method, key, mine, condition, study, context))
        results.extend(as_papers[condition])
        results.append(_ignoring_clusters(mine, condition, study))
        for key, other in (
            ("fool_rate_with_partial_sessions", partial[condition]),
            ("fool_rate_without_exclusions", kept[condition]),
        ):
            same = len(other) == len(mine)  # they contain the primary trials
            results.append(
                dataclasses.replace(found, key=key) if same else _clustered(key, other, condition, study)
            )
        results.extend(_by_run(mine, study))
    return results


def primary(table: ResponseTable, study: Study) -> list[Estimate]:
    """The primary fool rate of each condition, in the order of study.toml; no resampling.

    Pooled over scored, answered, non-void trials of finished sessions that no rule excludes. A missing answer is
    counted, never scored.
    """
    return [
        _clustered("fool_rate", mine, condition, study)
        for condition, mine in by_condition(of_fakes(table.primary), study).items()
    ]


def _missing(table: ResponseTable, study: Study) -> dict[str, int]:
    """Scored trials of the primary sessions that were shown whole and not answered, by condition."""
    trials = table.trials
    lost = trials["outcome"].isna() & (trials["void_reason"] == "") & trials["finished"]
    lost &= trials["excluded"] == ""
    if (
        study.protocol.layout == "one_image"
    ):  # a real image that was judged alone could not have fooled anybody
        lost &= trials["condition_1"] == trials["condition"]
    counts = trials.loc[lost, "condition"].value_counts()
    return {str(name): int(count) for name, count in counts.items()}


def _with_missing(found: Estimate, missing: int) -> Estimate:
    note = f"{missing} trial{'s' * (missing != 1)} without an answer: left out, not scored."
    return dataclasses.replace(
        found, n={**found.n, "missing": missing}, notes=(*found.notes, *((note,) if missing else ()))
    )


def _clustered(key: str, mine: Trials, condition: str, study: Study) -> Estimate:
    estimate = clustered_rate(mine.outcomes, mine.clusters, study.analysis.confidence_level)
    named = dataclasses.replace(
        estimate,
        key=key,
        condition=condition,
        n=sizes(estimate, mine),
        notes=(*estimate.notes, *run_notes(study)),
    )
    return about(named, study.analysis.target)


def _by_method(
    method: str, key: str, mine: Trials, condition: str, study: Study, context: Context
) -> Estimate:
    """The primary trials by another method, seeded by the record's own name."""
    recipe = RATE_METHODS[method]
    seed = context.seed(key, condition, str(study.study.seed)) if recipe.is_random else None
    draws = Draws(np.random.default_rng(seed), context.n_resamples)
    clusters = mine.clusters
    estimate = rate_by(method, mine.outcomes, clusters, study.analysis.confidence_level, draws)
    named = dataclasses.replace(estimate, key=key, condition=condition, seed=seed, n=sizes(estimate, mine))
    return about(named, THESE_IMAGES if recipe.workers_only else study.analysis.target)


def _amt2020(parts: dict[str, Trials], study: Study, context: Context) -> dict[str, list[Estimate]]:
    """Per condition the nested bootstrap of `process_csv.py`, of the table that its users would have given it.

    Sessions of one algorithm are a batch of their own; mixed sessions are one batch, whose labels are drawn along.
    """
    if context.n_resamples < FEWEST:
        return {condition: [] for condition in parts}
    batches = [list(parts)] if study.study.design == "within" else [[condition] for condition in parts]
    found: dict[str, list[Estimate]] = {}
    for batch in batches:
        seed = context.seed("fool_rate_amt2020", *batch, str(study.study.seed))
        for condition, estimate in _amt2020_of(batch, parts, study, context, seed).items():
            named = dataclasses.replace(
                estimate, key="fool_rate_amt2020", condition=condition, seed=seed,
                n=sizes(estimate, parts[condition]),
            )  # fmt: skip
            found[condition] = [about(named, THESE_IMAGES)]
    return found


def _amt2020_of(
    batch: list[str], parts: dict[str, Trials], study: Study, context: Context, seed: int
) -> dict[str, Estimate]:
    level, rng = study.analysis.confidence_level, np.random.default_rng(seed)
    if len(batch) == 1:
        mine, draws = parts[batch[0]], Draws(rng, context.n_resamples)
        return {batch[0]: rate_by("amt2020", mine.outcomes, mine.clusters, level, draws)}
    outcomes = np.concatenate([parts[condition].outcomes for condition in batch])
    workers: IntArray = np.concatenate([parts[condition].workers for condition in batch])
    labels = np.repeat(np.arange(len(batch)), [len(parts[condition]) for condition in batch])
    if len(np.unique(workers)) < 2 or len(np.unique(labels)) < len(batch):  # no spread, or an empty condition
        return {name: _amt2020_of([name], parts, study, context, seed)[name] for name in batch}
    nested = nested_bootstrap(outcomes, workers, labels, rng, n_resamples=context.n_resamples)
    return {
        name: amt2020_estimate(nested, place, context.n_resamples, level) for place, name in enumerate(batch)
    }


def _by_run(mine: Trials, study: Study) -> list[Estimate]:
    """The pooled rate of each training run, where there are several; too few trials each for an interval."""
    found = []
    for run in range(study.runs if study.runs > 1 else 0):
        own = mine.runs == run
        found.append(
            Estimate(
                key="fool_rate_of_run",
                value=float(mine.outcomes[own].mean()) if own.any() else None,
                unit="proportion",
                method="pooled over the trials that showed this training run",
                n={"trials": int(own.sum()), "workers": len(np.unique(mine.workers[own]))},
                condition=mine.condition,
                run=run,
                detail=f"run {run}",
                notes=() if own.any() else ("No trials.",),
            )
        )
    return found


def _ignoring_clusters(mine: Trials, condition: str, study: Study) -> Estimate:
    y = mine.outcomes
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
    return dataclasses.replace(estimate, n=sizes(estimate, mine))
