"""The pigeonhole bootstrap: workers and images resampled at once, for whatever has no formula of its own.

Every cluster of every dimension gets a multinomial weight; a trial weighs the product of its clusters' weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evalkit.results import Estimate
from evalkit.stats.clustering import Clusters
from evalkit.stats.resampling import FEWEST, percentile_estimate

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
ENOUGH_TO_DRAW = 8
"""Clusters below which percentiles are said to be too narrow; as many workers as the clustered interval asks for."""
_DRAWS_PER_BATCH, _CELLS_PER_BATCH = 200, 8192
"""Resamples and trials in memory at once: few enough for the processor's cache."""


@dataclass(frozen=True)
class _Cells:
    """Trials that no resample can tell apart, taken together."""

    codes: Mapping[str, IntArray]
    """Dimension -> the cluster of each cell."""
    fooled: FloatArray
    shown: FloatArray
    conditions: IntArray
    """Of each cell; sorted."""


def pigeonhole_bootstrap(
    outcomes: npt.ArrayLike,
    clusters: Clusters,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
    confidence_level: float = 0.95,
) -> Estimate:
    """The pooled rate with standard error and percentile interval from resampling every dimension at once.

    Conservative: the trials' own noise is counted 2^d - 1 times in its variance, d the number of dimensions, and what
    differs between workers or between images once. No bootstrap of crossed dimensions is exact.

    Args:
        outcomes: Shape (n,), each in [0, 1]; missing answers must be left out before.
        clusters: One or more dimensions, one id per trial each.
        rng: Source of randomness.
        n_resamples: Draws; at least 100.
        confidence_level: Between 0 and 1.

    Returns:
        Estimate with key `rate`; resamples that weigh every trial 0 are left out and counted in a note.

    Raises:
        ValueError: Shapes differ, an outcome is outside [0, 1], or n_resamples is below 100.

    Source:
        Owen (2007), "The pigeonhole bootstrap", Ann. Appl. Stat. 1, 386-411; Owen & Eckles (2012), "Bootstrapping data
        arrays of arbitrary order", Ann. Appl. Stat. 6, 895-927 (product weights for any number of dimensions);
        McCullagh (2000), Bernoulli 6, 285-301 (no exact bootstrap exists).
    """
    y = np.asarray(outcomes, dtype=np.float64)
    counts = {name: len(np.unique(np.asarray(ids))) for name, ids in clusters.items()}
    n = {"trials": y.size, **counts}
    method = f"pigeonhole bootstrap over {_words(clusters)}, {n_resamples:,} resamples, percentile interval"
    few = [name for name, count in counts.items() if count < 2]
    draws = pigeonhole_rates(y, np.zeros(y.size, dtype=np.int64), clusters, rng, n_resamples=n_resamples)
    if few or not y.size:
        value = float(y.mean()) if y.size else None
        notes = ("No trials.",) if value is None else tuple(map(_too_few, few))
        return Estimate(key="rate", value=value, unit="proportion", method=method, n=n, notes=notes)
    rates = draws[~np.isnan(draws[:, 0]), 0]
    if len(rates) < FEWEST:
        note = "No interval: nearly every resample weighs all trials 0, so thinly are they spread over the clusters."
        return Estimate(
            key="rate", value=float(y.mean()), unit="proportion", method=method, n=n, notes=(note,)
        )
    lost = len(draws) - len(rates)
    notes = (f"{lost:,} resamples weigh every trial 0 and are left out.",) if lost else ()
    return percentile_estimate(
        float(y.mean()),
        rates,
        n,
        method,
        confidence_level,
        f"over {_words(clusters)}",
        (*notes, *few_drawn(counts)),
    )


def few_drawn(counts: Mapping[str, int]) -> tuple[str, ...]:
    """What must be said of percentiles where a dimension has few clusters: resampling G of them sees (G-1)/G of their
    variance, and percentiles know no t.

    Source:
        Efron & Tibshirani (1993), "An Introduction to the Bootstrap", ch. 5.4 and 13 (bias of the plug-in variance).
    """
    return tuple(
        f"May be too narrow: resampling {count} {name.replace('_', ' ')} sees {count - 1}/{count} of how they differ, and percentiles know no t."
        for name, count in counts.items()
        if 2 <= count < ENOUGH_TO_DRAW
    )


def pigeonhole_rates(
    outcomes: npt.ArrayLike,
    conditions: npt.ArrayLike,
    clusters: Clusters,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
) -> FloatArray:
    """The pooled rate of each condition in each resample, shape (n_resamples, K); NaN where nothing of it was drawn.

    A dimension whose clusters meet several conditions (shared inputs, or workers who saw them all) has one weight per
    cluster for all of them, so that what is shared cancels in comparisons. One whose clusters belong to one condition
    each (workers of a between design, training runs) is drawn for each condition by itself.

    Args:
        outcomes: Shape (n,), each in [0, 1].
        conditions: Shape (n,), 0 .. K - 1.
        clusters: One or more dimensions, one id per trial each.
        rng: Source of randomness.
        n_resamples: Draws; at least 100.

    Raises:
        ValueError: As `pigeonhole_bootstrap`.

    Source:
        As `pigeonhole_bootstrap`.
    """
    y, of = np.asarray(outcomes, dtype=np.float64), np.asarray(conditions, dtype=np.int64)
    _check(y, of, clusters, n_resamples)
    n_conditions = int(of.max()) + 1 if of.size else 1
    cells = _cells(y, of, clusters)
    pools = {name: _pools(codes, cells.conditions) for name, codes in cells.codes.items()}
    starts = np.searchsorted(cells.conditions, np.arange(n_conditions + 1))
    rates = np.full((n_resamples, n_conditions), np.nan)
    for start in range(0, n_resamples if y.size else 0, _DRAWS_PER_BATCH):
        size = min(_DRAWS_PER_BATCH, n_resamples - start)
        weights = {name: _weights(pools[name], size, rng) for name in cells.codes}
        for condition in np.flatnonzero(np.diff(starts)):
            totals = np.zeros((2, size))
            for begin in range(starts[condition], starts[condition + 1], _CELLS_PER_BATCH):
                mine = slice(begin, min(begin + _CELLS_PER_BATCH, starts[condition + 1]))
                product = np.ones((1, 1), dtype=np.float32)
                for name, codes in cells.codes.items():  # (cells, draws): whole rows are gathered
                    product = product * weights[name][codes[mine]]
                totals += np.stack([cells.fooled[mine], cells.shown[mine]]) @ product
            here = rates[start : start + size, condition]
            np.divide(totals[0], totals[1], out=here, where=totals[1] > 0)
    return rates


def draws_within(n_resamples: int, trials: int, work: int = 50_000_000) -> int:
    """As many of `n_resamples` as resamples × trials ≤ `work` allows, though 200 (or all of them) in any case."""
    return min(n_resamples, max(work // max(trials, 1), 200))


def _cells(y: FloatArray, of: IntArray, clusters: Clusters) -> _Cells:
    """Trials that share condition and every cluster, as one."""
    codes = {name: np.unique(np.asarray(ids), return_inverse=True)[1] for name, ids in clusters.items()}
    keys = np.lexsort((*codes.values(), of))
    new = np.zeros(len(y), dtype=np.bool_)
    if len(y):
        new[0] = True
        for column in (of, *codes.values()):
            new[1:] |= np.diff(column[keys]) != 0
    places = np.flatnonzero(new)
    return _Cells(
        {name: column[keys][places].astype(np.int64) for name, column in codes.items()},
        np.add.reduceat(y[keys], places).astype(np.float32) if len(y) else y,
        np.diff(np.append(places, len(y))).astype(np.float32),
        of[keys][places],
    )


def _pools(codes: IntArray, conditions: IntArray) -> list[IntArray]:
    """The clusters that are drawn together: all of them where one meets two conditions, else each condition's own."""
    pairs = np.unique(np.stack([codes, conditions]), axis=1)
    count = int(codes.max()) + 1 if codes.size else 0
    if pairs.shape[1] > count:
        return [np.arange(count)]
    return [pairs[0, pairs[1] == condition] for condition in np.unique(conditions)]


def _weights(pools: list[IntArray], size: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Shape (clusters, size): how often each cluster is drawn when its pool is resampled."""
    weights = np.zeros((sum(map(len, pools)), size), dtype=np.float32)
    for pool in pools:
        picks = rng.integers(len(pool), size=(size, len(pool)))
        picks += np.arange(size)[:, None] * len(pool)
        weights[pool] = np.bincount(picks.ravel(), minlength=size * len(pool)).reshape(size, -1).T
    return weights


def _check(y: FloatArray, of: IntArray, clusters: Clusters, n_resamples: int) -> None:
    if not clusters:
        raise ValueError("clusters must name at least one dimension (workers)")
    for name, ids in {"conditions": of, **clusters}.items():
        if y.ndim != 1 or np.asarray(ids).shape != y.shape:
            raise ValueError(
                f"{name} must have one id per outcome, shape {y.shape}, got {np.asarray(ids).shape}"
            )
    if y.size and not bool(np.all((y >= 0) & (y <= 1))):
        raise ValueError("outcomes must lie in [0, 1]; leave missing answers out")
    if n_resamples < FEWEST:
        raise ValueError(f"n_resamples must be at least {FEWEST}, got {n_resamples}")


def _words(clusters: Clusters) -> str:
    return " × ".join(name.replace("_", " ") for name in clusters)


def _too_few(name: str) -> str:
    return f"No interval: at least 2 {name.replace('_', ' ')} are needed to see how much they differ, and there is 1."
