"""Resampling whole workers, as the papers' "bootstrap test" did."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evalkit.results import Estimate, Interval

FloatArray = npt.NDArray[np.float64]
_CELLS_PER_BATCH = 4_000_000
"""Draws × workers held in memory at once (32 MB)."""


@dataclass(frozen=True)
class _Totals:
    """What the bootstrap needs to know of each worker."""

    sums: FloatArray
    counts: FloatArray


def worker_bootstrap(
    outcomes: npt.ArrayLike,
    workers: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
    confidence_level: float = 0.95,
) -> Estimate:
    """The pooled rate with standard error and percentile interval from resampling whole workers.

    Drawing A workers with replacement is one multinomial draw of counts, so each resample is a weighted ratio of
    the workers' totals and no trial is ever copied. Images are not resampled: the interval is about these images.

    Args:
        outcomes: Shape (n,), each in [0, 1].
        workers: Shape (n,), one id per trial.
        rng: Source of randomness; the same state gives the same interval.
        n_resamples: Draws; at least 100.
        confidence_level: Between 0 and 1.

    Raises:
        ValueError: Shapes differ, an outcome is outside [0, 1], or n_resamples is below 100.

    Source:
        Efron & Tibshirani (1993), "An Introduction to the Bootstrap", ch. 8 (resampling of units) and 13.3
        (percentile interval); used on workers by Isola et al. (2017), section 4.2 ("bootstrap test").
    """
    y, ids = np.asarray(outcomes, dtype=np.float64), np.asarray(workers)
    if y.ndim != 1 or ids.shape != y.shape:
        raise ValueError(
            f"outcomes and workers must have one dimension and equal length, got {y.shape} and {ids.shape}"
        )
    if y.size and not bool(np.all((y >= 0) & (y <= 1))):
        raise ValueError("outcomes must lie in [0, 1]; leave missing answers out")
    if n_resamples < 100:
        raise ValueError(f"n_resamples must be at least 100, got {n_resamples}")
    totals = _totals(y, ids)
    n = {"trials": y.size, "workers": len(totals.counts)}
    method = (
        f"bootstrap over workers, {n_resamples:,} resamples, percentile interval; images are not resampled"
    )
    if len(totals.counts) < 2:
        value = float(y.mean()) if y.size else None
        note = f"No interval: at least 2 workers are needed to see how much they differ, and there are {len(totals.counts)}."
        return Estimate(key="rate", value=value, unit="proportion", method=method, n=n, notes=(note,))
    draws = _draw(totals, n_resamples, rng)
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(
        key="rate",
        value=float(y.mean()),
        unit="proportion",
        method=method,
        n=n,
        interval=Interval(float(low), float(high), confidence_level, "percentile bootstrap over workers"),
        standard_error=float(draws.std(ddof=1)),
    )


def _totals(y: FloatArray, ids: npt.NDArray[np.generic]) -> _Totals:
    names, codes = np.unique(ids, return_inverse=True)
    sums = np.bincount(codes, weights=y, minlength=len(names)).astype(np.float64)
    return _Totals(sums, np.bincount(codes, minlength=len(names)).astype(np.float64))


def _draw(totals: _Totals, n_resamples: int, rng: np.random.Generator) -> FloatArray:
    """Resampled rates, shape (n_resamples,)."""
    workers = len(totals.counts)
    even = np.full(workers, 1 / workers)
    batch = max(_CELLS_PER_BATCH // workers, 1)
    parts = []
    for start in range(0, n_resamples, batch):
        weights = rng.multinomial(workers, even, size=min(batch, n_resamples - start))
        parts.append((weights @ totals.sums) / (weights @ totals.counts))
    return np.concatenate(parts)
