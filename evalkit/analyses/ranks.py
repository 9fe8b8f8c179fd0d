"""The rank of each algorithm by fool rate, with its interval."""

import numpy as np

from evalkit.analyses.base import Context, as_clusters, cluster_ids, of_fakes, run_notes
from evalkit.analyses.targets import about
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Interval, Result
from evalkit.stats.pigeonhole import draws_within, few_drawn, pigeonhole_rates
from evalkit.stats.ranks import Ranks, rank_intervals
from evalkit.stats.resampling import FEWEST
from studies.design import Study

STUCK = "All answers to {} were alike, so every resample gives the same rate: these intervals of ranks are too narrow."


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:
    """One record per condition, 1 = fooled most often; nothing for a single algorithm or another outcome."""
    names = list(study.conditions)
    if len(names) < 2 or "fool_rate" not in study.protocol.analyses or context.n_resamples < FEWEST:
        return []
    trials = of_fakes(table.primary)
    ids = cluster_ids(trials, study)
    place = trials["condition"].map({name: index for index, name in enumerate(names)})
    conditions, y = place.to_numpy(dtype=np.int64), trials["fooled"].to_numpy(dtype=float)
    counts = np.bincount(conditions, minlength=len(names))
    few = {
        str(name): int(column.groupby(conditions).nunique().min()) if len(ids) else 0
        for name, column in ids.items()
    }
    if not counts.all() or min(few.values()) < 2:
        return _not_ranked(names, counts, few, study)
    n_resamples = draws_within(context.n_resamples, len(y))
    seed = context.seed("rank", str(study.study.seed))
    draws = pigeonhole_rates(
        y, conditions, as_clusters(ids), np.random.default_rng(seed), n_resamples=n_resamples
    )
    if not (~np.isnan(draws).any(axis=1)).sum() >= FEWEST:
        return _not_ranked(names, counts, few, study)
    rates = np.bincount(conditions, weights=y) / counts
    stuck = [name for name, rate in zip(names, rates, strict=True) if rate in (0.0, 1.0)]
    if len(stuck) == len(names) and len(set(rates)) == 1:
        return _not_ranked(names, counts, few, study, "every answer was the same")
    found = rank_intervals(rates, draws, study.analysis.confidence_level)
    cautions = (*few_drawn(few), *([STUCK.format(", ".join(stuck))] if stuck else []))
    words = " × ".join(str(name).replace("_", " ") for name in ids.columns)
    return [
        about(_record(name, index, found, counts, words, seed, study, cautions), study.analysis.target)
        for index, name in enumerate(names)
    ]


def _record(
    name: str,
    index: int,
    found: Ranks,
    counts: np.typing.NDArray[np.int64],
    words: str,
    seed: int,
    study: Study,
    cautions: tuple[str, ...],
) -> Estimate:
    level = study.analysis.confidence_level
    method = f"rank of the pooled fool rates, 1 the highest; pigeonhole bootstrap over {words}, {found.n_draws:,} resamples"
    return Estimate(
        key="rank",
        value=float(found.ranks[index]),
        unit="rank",
        method=method,
        n={"algorithms": len(counts), "trials": int(counts[index])},
        condition=name,
        seed=seed,
        notes=(f"First in {100 * found.first[index]:.0f} % of the resamples.", *cautions, *run_notes(study)),
        interval=Interval(
            float(found.low[index]),
            float(found.high[index]),
            level,
            "percentiles of the rank over the resamples",
        ),
    )


def _not_ranked(
    names: list[str],
    counts: np.typing.NDArray[np.int64],
    few: dict[str, int],
    study: Study,
    because: str = "",
) -> list[Result]:
    empty = [name for name, count in zip(names, counts, strict=True) if not count]
    thin = [name.replace("_", " ") for name, count in few.items() if count < 2]
    why = f"no trials of {', '.join(empty)}" if empty else f"fewer than 2 {' and '.join(thin)} per algorithm"
    note = f"Not ranked: {why if empty or thin else because or 'too few trials for any resample'}."
    return [
        Estimate(
            key="rank",
            value=None,
            unit="rank",
            method="rank of the pooled fool rates, 1 the highest; pigeonhole bootstrap",
            n={"algorithms": len(names), "trials": int(count)},
            condition=name,
            notes=(note, *run_notes(study)),
        )
        for name, count in zip(names, counts, strict=True)
    ]
