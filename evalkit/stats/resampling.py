"""Resampling workers: whole ones, and whole ones with their trials drawn again (the law of `process_csv.py`)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evalkit.results import Estimate, Interval

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
FEWEST = 100
"""Resamples that an interval needs at least."""
NO_SPREAD = (
    "No interval: every resample gives the same rate, and a bootstrap knows nothing beyond its sample."
)
_CELLS_PER_BATCH = 4_000_000
"""Random counts held in memory at once (32 MB)."""


@dataclass(frozen=True)
class _Kinds:
    """Workers, told apart only by what a bootstrap can see of them."""

    rows: FloatArray
    """Shape (kinds, columns), no two alike."""
    workers: FloatArray
    """Shape (kinds,): how many workers each row stands for."""


@dataclass(frozen=True)
class NestedDraws:
    """Rates of several algorithms in each resample of workers and of their trials."""

    rates: FloatArray
    """Shape (n_resamples, algorithms); NaN where a resample has no trial of the algorithm."""
    workers: int
    trials: IntArray
    """Shape (algorithms,)."""

    def better(self, first: int, second: int) -> float:
        """Share of the resamples in which the first algorithm fooled more often, ties counting half.

        `process_csv.py` prints it as the chance that one algorithm is better. It is no p-value.
        """
        gap = self.rates[:, first] - self.rates[:, second]
        gap = gap[~np.isnan(gap)]
        return float(np.mean(gap > 0) + np.mean(gap == 0) / 2) if gap.size else float("nan")


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
    the workers' totals and no trial is ever copied; workers with equal totals are drawn together. Images are not
    resampled: the interval is about these images.

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
    y, codes, count = _checked(outcomes, workers, n_resamples)
    n = {"trials": y.size, "workers": count}
    method = (
        f"bootstrap over workers, {n_resamples:,} resamples, percentile interval; images are not resampled"
    )
    if count < 2:
        return _without_interval(y, n, method)
    kinds = _kinds(np.stack([np.bincount(codes, weights=y), np.bincount(codes)], axis=1))
    totals = np.concatenate([drawn @ kinds.rows for drawn in _batches(kinds, n_resamples, rng)])
    return percentile_estimate(
        float(y.mean()), totals[:, 0] / totals[:, 1], n, method, confidence_level, "over workers"
    )


def amt2020_bootstrap(
    outcomes: npt.ArrayLike,
    workers: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
    confidence_level: float = 0.95,
) -> Estimate:
    """The fool rate as the tool `AMT_Real_vs_Fake` prints it: mean ± SD of a nested bootstrap.

    The law is that of `nested_bootstrap` with one algorithm; mean and SD (divisor n_resamples) are what its script
    prints. Trial noise counts twice in that law, image differences not at all, so that its ± can be too wide or too
    narrow: for comparison with published numbers only. The script gives no interval; the one here is the percentile
    interval of its draws. Missing answers must be left out; the script scores them as a click on the left image.

    Args, Raises: As `worker_bootstrap`.

    Source:
        phillipi/AMT_Real_vs_Fake, `process_csv.py` (2020).
    """
    y, codes, count = _checked(outcomes, workers, n_resamples)
    n = {"trials": y.size, "workers": count}
    method = (
        f"amt2020: bootstrap of workers and, within each, of trials, {n_resamples:,} resamples; mean and SD of the draws,"
        " images are not resampled"
    )
    if count < 2:
        return _without_interval(y, n, method)
    draws = nested_bootstrap(y, codes, np.zeros(y.size, dtype=np.int64), rng, n_resamples=n_resamples)
    return amt2020_estimate(draws, 0, n_resamples, confidence_level)


def amt2020_estimate(
    draws: NestedDraws, algorithm: int, n_resamples: int, confidence_level: float
) -> Estimate:
    """One algorithm's mean ± SD of a nested bootstrap; resamples without any trial of it are left out and counted."""
    rates = draws.rates[:, algorithm]
    rates = rates[~np.isnan(rates)]
    n = {"trials": int(draws.trials[algorithm]), "workers": draws.workers}
    method = (
        f"amt2020: bootstrap of workers and, within each, of trials, {n_resamples:,} resamples; mean and SD of the draws,"
        " images are not resampled"
    )
    if not rates.size:
        return Estimate(key="rate", value=None, unit="proportion", method=method, n=n, notes=("No trials.",))
    lost = n_resamples - rates.size
    note = (f"{lost:,} resamples without a trial of this algorithm are left out.",) if lost else ()
    low, high = _quantiles(rates, confidence_level)
    interval = Interval(low, high, confidence_level, "percentiles of the draws; the script gives none")
    alike = bool(np.ptp(rates) == 0)
    return Estimate(
        key="rate",
        value=float(rates.mean()),
        unit="proportion",
        method=method,
        n=n,
        interval=None if alike else interval,
        standard_error=float(rates.std()),
        notes=(*note, *((NO_SPREAD,) if alike else ())),
    )


def nested_bootstrap(
    outcomes: npt.ArrayLike,
    workers: npt.ArrayLike,
    algorithms: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
) -> NestedDraws:
    """Draw workers with replacement and, for each one drawn, as many of its trials with replacement as it has.

    A worker drawn c times gives c x N of its N trials, whose kinds (algorithm, outcome) are counted by one multinomial
    draw; with one algorithm and answers of 0 and 1 by one binomial draw for all workers who were fooled equally often.
    The joint law of the rates is exactly that of drawing trial by trial.

    Args:
        outcomes: Shape (n,), each in [0, 1].
        workers: Shape (n,), one id per trial.
        algorithms: Shape (n,), 0 .. K - 1; the labels are drawn along with the trials.
        rng: Source of randomness.
        n_resamples: Draws; at least 100.

    Raises:
        ValueError: As `worker_bootstrap`.

    Source:
        phillipi/AMT_Real_vs_Fake, `process_csv.py` (2020). It adds 1e-6 to the share of trials of an algorithm, so that
        one without any trial counts as always fooling; here such a resample has no rate.
    """
    y, codes, count = _checked(outcomes, workers, n_resamples)
    labels = np.asarray(algorithms, dtype=np.int64)
    n_algorithms = int(labels.max()) + 1 if labels.size else 0
    values, value_codes = np.unique(y, return_inverse=True)
    n_kinds = n_algorithms * len(values)
    table = np.bincount(
        codes * n_kinds + labels * len(values) + value_codes, minlength=count * n_kinds
    ).reshape(count, n_kinds)
    used = np.flatnonzero(table.any(axis=0))  # kinds of trials that nobody has need no draw
    kinds = _kinds(table[:, used].astype(np.float64))
    sizes = kinds.rows.sum(axis=1)
    shares = kinds.rows / sizes[:, None]
    fooled, shown = np.zeros((2, n_resamples, n_algorithms))
    start = 0
    for drawn in _batches(kinds, n_resamples, rng, columns=len(used)):
        trials = _trials_of(drawn * sizes.astype(np.int64), shares, rng)
        here = slice(start, start + len(drawn))
        for place, kind in enumerate(used):
            fooled[here, kind // len(values)] += trials[:, place] * values[kind % len(values)]
            shown[here, kind // len(values)] += trials[:, place]
        start += len(drawn)
    rates = np.full(shown.shape, np.nan)
    np.divide(fooled, shown, out=rates, where=shown > 0)
    return NestedDraws(rates, count, np.bincount(labels, minlength=n_algorithms).astype(np.int64))


def percentile_estimate(
    value: float,
    draws: FloatArray,
    n: dict[str, int],
    method: str,
    confidence_level: float,
    of: str,
    notes: tuple[str, ...] = (),
) -> Estimate:
    """A rate with the standard deviation and the percentiles of its bootstrap draws; neither where all draws are equal."""
    if np.ptp(draws) == 0:
        return Estimate(
            key="rate", value=value, unit="proportion", method=method, n=n, notes=(NO_SPREAD, *notes)
        )
    low, high = _quantiles(draws, confidence_level)
    return Estimate(
        key="rate",
        value=value,
        unit="proportion",
        method=method,
        n=n,
        interval=Interval(min(low, value), max(high, value), confidence_level, f"percentile bootstrap {of}"),
        standard_error=float(draws.std(ddof=1)),
        notes=notes,
    )


def _trials_of(sizes: IntArray, shares: FloatArray, rng: np.random.Generator) -> IntArray:
    """How often each kind of trial is drawn, shape (resamples, kinds of trials), summed over the workers.

    Args:
        sizes: Trials drawn from each kind of worker, shape (resamples, kinds of workers).
        shares: Of each kind of trial among a worker's own, shape (kinds of workers, kinds of trials).
        rng: Source of randomness.
    """
    if shares.shape[1] == 1:
        return np.asarray(sizes.sum(axis=1, keepdims=True)).astype(np.int64)
    if shares.shape[1] == 2:
        first = rng.binomial(sizes, shares[:, 0]).sum(axis=1)
        return np.stack([first, sizes.sum(axis=1) - first], axis=1)
    return np.asarray(rng.multinomial(sizes, shares).sum(axis=1)).astype(np.int64)


def _checked(
    outcomes: npt.ArrayLike, workers: npt.ArrayLike, n_resamples: int
) -> tuple[FloatArray, IntArray, int]:
    """Outcomes, workers as 0 .. count - 1, and their count."""
    y, ids = np.asarray(outcomes, dtype=np.float64), np.asarray(workers)
    if y.ndim != 1 or ids.shape != y.shape:
        raise ValueError(
            f"outcomes and workers must have one dimension and equal length, got {y.shape} and {ids.shape}"
        )
    if y.size and not bool(np.all((y >= 0) & (y <= 1))):
        raise ValueError("outcomes must lie in [0, 1]; leave missing answers out")
    if n_resamples < FEWEST:
        raise ValueError(f"n_resamples must be at least {FEWEST}, got {n_resamples}")
    names, codes = np.unique(ids, return_inverse=True)
    return y, codes.astype(np.int64), len(names)


def _without_interval(y: FloatArray, n: dict[str, int], method: str) -> Estimate:
    value = float(y.mean()) if y.size else None
    note = f"No interval: at least 2 workers are needed to see how much they differ, and there are {n['workers']}."
    return Estimate(key="rate", value=value, unit="proportion", method=method, n=n, notes=(note,))


def _kinds(rows: FloatArray) -> _Kinds:
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    return _Kinds(distinct, counts.astype(np.float64))


def _batches(
    kinds: _Kinds, n_resamples: int, rng: np.random.Generator, columns: int = 1
) -> Iterator[IntArray]:
    """How often workers of each kind are drawn when as many are drawn as there are, shape (batch, kinds)."""
    workers = int(kinds.workers.sum())
    batch = max(_CELLS_PER_BATCH // (len(kinds.workers) * columns), 1)
    for start in range(0, n_resamples, batch):
        yield rng.multinomial(workers, kinds.workers / workers, size=min(batch, n_resamples - start))


def _quantiles(draws: FloatArray, confidence_level: float) -> tuple[float, float]:
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
