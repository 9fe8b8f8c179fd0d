"""One rate by any of the ways in which papers have computed it, each of which says what it is about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evalkit.results import Estimate
from evalkit.stats.clustering import Clusters
from evalkit.stats.means import mean_over_workers
from evalkit.stats.pigeonhole import draws_within, pigeonhole_bootstrap
from evalkit.stats.proportions import clustered_rate
from evalkit.stats.resampling import amt2020_bootstrap, worker_bootstrap

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """How a bootstrap is to draw; methods with a formula do not look at it."""

    rng: np.random.Generator
    n_resamples: int = 10_000


@dataclass(frozen=True)
class RateMethod:
    """One way to a rate and its interval."""

    compute: Callable[[FloatArray, Clusters, float, Draws], Estimate]
    """(outcomes, clusters, confidence level, draws) -> estimate."""
    is_random: bool
    workers_only: bool
    """It knows nothing of images, so that its interval is about these images."""


def worker_averaged(outcomes: npt.ArrayLike, workers: npt.ArrayLike, confidence_level: float) -> Estimate:
    """The mean over workers of their own rates, with Student's interval.

    Every worker counts alike, however many trials each has; with equally many it is the pooled rate. The interval
    is about these images.

    Args:
        outcomes: Shape (n,), each in [0, 1].
        workers: Shape (n,), one id per trial.
        confidence_level: Between 0 and 1.

    Source:
        As `evalkit.stats.means.mean_over_workers`.
    """
    y, ids = np.asarray(outcomes, dtype=np.float64), np.asarray(workers)
    names, codes = np.unique(ids, return_inverse=True)
    counts = np.bincount(codes, minlength=len(names))
    shares = np.bincount(codes, weights=y, minlength=len(names)) / counts
    found = mean_over_workers(shares, confidence_level, (0.0, 1.0))
    notes = found.notes
    if counts.size and counts.min() != counts.max():
        notes = (*notes, f"Workers have {counts.min()} to {counts.max()} trials, and count alike.")
    return _renamed(found, {"trials": y.size, **found.n}, notes)


def rate_by(method: str, outcomes: npt.ArrayLike, clusters: Clusters, level: float, draws: Draws) -> Estimate:
    """The rate by the named method of RATE_METHODS.

    Args:
        method: Key of RATE_METHODS.
        outcomes: Shape (n,), each in [0, 1]; missing answers must be left out before.
        clusters: One or more dimensions, `workers` first; methods of `workers_only` use no other.
        level: Confidence level, between 0 and 1.
        draws: For the bootstraps.

    Raises:
        KeyError: There is no such method.
        ValueError: As the method raises.
    """
    return RATE_METHODS[method].compute(np.asarray(outcomes, dtype=np.float64), clusters, level, draws)


def _clustered(y: FloatArray, clusters: Clusters, level: float, draws: Draws) -> Estimate:  # noqa: ARG001 - the type
    return clustered_rate(y, clusters, level)


def _workers(y: FloatArray, clusters: Clusters, level: float, draws: Draws) -> Estimate:  # noqa: ARG001
    return clustered_rate(y, {"workers": clusters["workers"]}, level)


def _worker_averaged(y: FloatArray, clusters: Clusters, level: float, draws: Draws) -> Estimate:  # noqa: ARG001
    return worker_averaged(y, clusters["workers"], level)


def _pigeonhole(y: FloatArray, clusters: Clusters, level: float, draws: Draws) -> Estimate:
    count = draws_within(draws.n_resamples, y.size)
    return pigeonhole_bootstrap(y, clusters, draws.rng, n_resamples=count, confidence_level=level)


def _worker_bootstrap(y: FloatArray, clusters: Clusters, level: float, draws: Draws) -> Estimate:
    return worker_bootstrap(
        y, clusters["workers"], draws.rng, n_resamples=draws.n_resamples, confidence_level=level
    )


def _amt2020(y: FloatArray, clusters: Clusters, level: float, draws: Draws) -> Estimate:
    return amt2020_bootstrap(
        y, clusters["workers"], draws.rng, n_resamples=draws.n_resamples, confidence_level=level
    )


def _renamed(found: Estimate, n: Mapping[str, int], notes: tuple[str, ...]) -> Estimate:
    return Estimate(
        key="rate",
        value=found.value,
        unit="proportion",
        method=f"mean of the workers' own rates; {found.method}",
        n=n,
        interval=found.interval,
        standard_error=found.standard_error,
        notes=notes,
    )


RATE_METHODS: Mapping[str, RateMethod] = {
    "clustered": RateMethod(_clustered, is_random=False, workers_only=False),
    "worker_averaged": RateMethod(_worker_averaged, is_random=False, workers_only=True),
    "workers": RateMethod(_workers, is_random=False, workers_only=True),
    "pigeonhole": RateMethod(_pigeonhole, is_random=True, workers_only=False),
    "worker_bootstrap": RateMethod(_worker_bootstrap, is_random=True, workers_only=True),
    "amt2020": RateMethod(_amt2020, is_random=True, workers_only=True),
}
"""By name: multi-way clustered sandwich (ours); mean of worker means; sandwich over workers alone; pigeonhole bootstrap;
bootstrap of whole workers; the nested bootstrap of `process_csv.py`."""
