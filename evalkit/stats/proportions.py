"""Rates and their differences when the same workers and images answer for many trials.

Trials that share a worker or an image are not independent, and forgetting it makes intervals two to three times
too narrow. Here every way in which trials hang together is a cluster dimension, and the variance is the
multi-way clustered sandwich of Cameron, Gelbach & Miller (2011).
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from evalkit.results import Estimate, Interval
from evalkit.stats.clustering import (
    Clusters,
    Dimension,
    FloatArray,
    clustered_variance,
    dimensions_of,
    joined_dimensions,
    sandwich_words,
)

SMALL = {"workers": 8, "source_images": 20}
"""Below these the interval is given, but said to be untested: our coverage simulations begin there."""


def clustered_rate(outcomes: npt.ArrayLike, clusters: Clusters, confidence_level: float = 0.95) -> Estimate:
    """The pooled rate of `outcomes` and its interval by the clustered sandwich on the logit scale.

    The variance is `evalkit.stats.clustering.clustered_variance` of e/n, e = y - p̂; the interval is
    logit⁻¹(logit p̂ ± t √V / (p̂(1-p̂))), t with (smallest cluster count - 1) degrees of freedom. At p̂ = 0 or 1, or
    V = 0, it is Clopper-Pearson's with the number of workers in the place of n.

    Args:
        outcomes: Shape (n,), each in [0, 1]; missing answers must be left out before.
        clusters: One or more dimensions, workers first.
        confidence_level: Between 0 and 1.

    Returns:
        Estimate with key `rate`; where nothing can be estimated its value or interval is None and a note says why.

    Raises:
        ValueError: Shapes differ, an outcome is outside [0, 1], or there is no dimension.

    Source:
        Cameron, Gelbach & Miller (2011), "Robust inference with multiway clustering", J. Bus. Econ. Stat. 29,
        sections 2.2 and 2.3; Clopper & Pearson (1934), Biometrika 26.
    """
    y = _outcomes(outcomes)
    dimensions = dimensions_of(clusters, y.size)
    n = {"trials": y.size, **{dimension.name: dimension.count for dimension in dimensions}}
    method = f"pooled over trials; {sandwich_words(dimensions)}"
    if y.size == 0:
        return Estimate(key="rate", value=None, unit="proportion", method=method, n=n, notes=("No trials.",))
    rate = float(y.mean())
    notes = _too_few(dimensions)
    if notes:
        return Estimate(key="rate", value=rate, unit="proportion", method=method, n=n, notes=notes)
    known = clustered_variance((y - rate) / y.size, dimensions)
    if known.variance == 0:
        interval, why = _exact_on_workers(rate, dimensions[0].count, confidence_level)
        notes = (why, *_small(dimensions))
        return Estimate(
            key="rate",
            value=rate,
            unit="proportion",
            method=f"pooled over trials; {interval.method}",
            n=n,
            interval=interval,
            notes=notes,
        )
    error, freedom = math.sqrt(known.variance), known.degrees_of_freedom
    method = f"pooled over trials; {sandwich_words(dimensions, freedom)}, logit scale"
    return Estimate(
        key="rate",
        value=rate,
        unit="proportion",
        method=method,
        n=n,
        interval=_logit_interval(rate, error, freedom, confidence_level, method),
        standard_error=error,
        notes=_small(dimensions),
    )


def clustered_difference(
    outcomes: tuple[npt.ArrayLike, npt.ArrayLike],
    clusters: tuple[Clusters, Clusters],
    confidence_level: float = 0.95,
) -> Estimate:
    """The difference of two pooled rates (first minus second) with its clustered interval.

    The sandwich of the influence values (y - p̂₁)/n₁ and -(y - p̂₂)/n₂; ids that are equal in both conditions (the
    same source image, or the same worker in a within design) are one cluster, which is what makes a comparison on
    shared images sharper. Where no cluster meets both conditions (workers in a between design) the two groups' terms
    are added, with Satterthwaite's degrees of freedom. Where a rate is 0 or 1 its own variance cannot be seen, and the interval is built from the two
    separate ones (square-and-add).

    Args:
        outcomes: Two arrays, shapes (n₁,) and (n₂,), values in [0, 1].
        clusters: For each the same dimensions in the same order, workers first.
        confidence_level: Between 0 and 1.

    Returns:
        Estimate with key `difference`, in proportions (0.05 = 5 percentage points).

    Raises:
        ValueError: As `clustered_rate`, or the dimensions differ.

    Source:
        Cameron, Gelbach & Miller (2011), as `clustered_rate`; square-and-add: Newcombe (1998), Stat. Med. 17,
        873-890, method 10, in the general form of Zou & Donner (2008), Stat. Med. 27, 1693-1702.
    """
    if list(clusters[0]) != list(clusters[1]):
        raise ValueError(
            f"both conditions need the same dimensions, got {list(clusters[0])} and {list(clusters[1])}"
        )
    first, second = _outcomes(outcomes[0]), _outcomes(outcomes[1])
    dimensions = joined_dimensions(clusters, first.size, second.size)
    n = {"trials": first.size + second.size, **{dimension.name: dimension.count for dimension in dimensions}}
    method = f"difference of pooled rates; influence values, {sandwich_words(dimensions)}"
    if not first.size or not second.size:
        note = ("One of the conditions has no trials.",)
        return Estimate(key="difference", value=None, unit="proportion", method=method, n=n, notes=note)
    rates = (float(first.mean()), float(second.mean()))
    difference = rates[0] - rates[1]
    notes = _too_few(dimensions)
    if notes:
        return Estimate(
            key="difference", value=difference, unit="proportion", method=method, n=n, notes=notes
        )
    influence = np.concatenate(((first - rates[0]) / first.size, -(second - rates[1]) / second.size))
    known = clustered_variance(influence, dimensions)
    if known.variance == 0 or any(rate in (0.0, 1.0) for rate in rates):
        separate = [
            clustered_rate(outcome, cluster, confidence_level)
            for outcome, cluster in zip(outcomes, clusters, strict=True)
        ]
        return _square_and_add(separate[0], separate[1], n, confidence_level)
    error, freedom = math.sqrt(known.variance), known.degrees_of_freedom
    method = f"difference of pooled rates; influence values, {sandwich_words(dimensions, freedom)}"
    half = error * float(stats.t.ppf(0.5 + confidence_level / 2, freedom))
    low, high = max(difference - half, -1.0), min(difference + half, 1.0)
    return Estimate(
        key="difference",
        value=difference,
        unit="proportion",
        method=method,
        n=n,
        interval=Interval(low, high, confidence_level, method, freedom),
        standard_error=error,
        notes=_small(dimensions),
    )


def wilson_interval(successes: float, trials: int, confidence_level: float = 0.95) -> Interval:
    """Wilson's score interval for independent trials; for comparison only, it ignores clustering.

    Args:
        successes: Between 0 and `trials`.
        trials: At least 1.
        confidence_level: Between 0 and 1.

    Raises:
        ValueError: `successes` or `trials` is out of range.

    Source:
        Wilson (1927), J. Am. Stat. Assoc. 22, 209-212.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(
            f"successes must lie in 0 .. trials and trials be at least 1, got {successes} of {trials}"
        )
    z2 = float(stats.norm.ppf(0.5 + confidence_level / 2)) ** 2
    rate = successes / trials
    centre = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (rate * (1 - rate) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0), confidence_level, "Wilson on trials")


def clopper_pearson_interval(successes: float, n: int, confidence_level: float = 0.95) -> Interval:
    """The exact binomial interval; `successes` need not be whole (the beta form is continuous in it).

    Source:
        Clopper & Pearson (1934), Biometrika 26, 404-413.
    """
    tail = (1 - confidence_level) / 2
    low = 0.0 if successes <= 0 else float(stats.beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes >= n else float(stats.beta.ppf(1 - tail, successes + 1, n - successes))
    return Interval(low, high, confidence_level, "Clopper-Pearson")


def _outcomes(values: npt.ArrayLike) -> FloatArray:
    y = np.asarray(values, dtype=np.float64)
    if y.ndim != 1:
        raise ValueError(f"outcomes must have one dimension, got shape {y.shape}")
    if y.size and not bool(np.all((y >= 0) & (y <= 1))):
        raise ValueError("outcomes must lie in [0, 1]; leave missing answers out")
    return y


def _logit_interval(
    rate: float, error: float, freedom: float, confidence_level: float, method: str
) -> Interval:
    t = float(stats.t.ppf(0.5 + confidence_level / 2, freedom))
    half = t * error / (rate * (1 - rate))
    centre = float(special.logit(rate))
    low, high = float(special.expit(centre - half)), float(special.expit(centre + half))
    return Interval(low, high, confidence_level, method, freedom)


def _exact_on_workers(rate: float, workers: int, confidence_level: float) -> tuple[Interval, str]:
    exact = clopper_pearson_interval(rate * workers, workers, confidence_level)
    method = f"Clopper-Pearson with n = {workers} workers"
    why = "every answer was the same" if rate in (0.0, 1.0) else "the clusters do not differ at all"
    note = f"The clustered variance is zero ({why}); interval: {method}, which knows nothing of differences between images."
    return Interval(exact.low, exact.high, confidence_level, method), note


def _square_and_add(
    first: Estimate, second: Estimate, n: dict[str, int], confidence_level: float
) -> Estimate:
    method = "difference of pooled rates; square-and-add of the two separate intervals"
    if first.value is None or second.value is None or first.interval is None or second.interval is None:
        notes = tuple(dict.fromkeys((*first.notes, *second.notes)))
        value = None if first.value is None or second.value is None else first.value - second.value
        return Estimate(key="difference", value=value, unit="proportion", method=method, n=n, notes=notes)
    difference = first.value - second.value
    low = difference - math.hypot(first.value - first.interval.low, second.interval.high - second.value)
    high = difference + math.hypot(first.interval.high - first.value, second.value - second.interval.low)
    note = "The clustered variance of a rate was zero; the interval adds the squares of the two separate intervals' arms."
    return Estimate(
        key="difference",
        value=difference,
        unit="proportion",
        method=method,
        n=n,
        interval=Interval(max(low, -1.0), min(high, 1.0), confidence_level, method),
        notes=(note,),
    )


def _too_few(dimensions: Sequence[Dimension]) -> tuple[str, ...]:
    return tuple(
        f"No interval: at least 2 {dimension.words} per algorithm are needed to see how much they differ, and there"
        f" {'is' if dimension.fewest == 1 else 'are'} {dimension.fewest}."
        for dimension in dimensions
        if dimension.fewest < 2
    )


def _small(dimensions: Sequence[Dimension]) -> tuple[str, ...]:
    return tuple(
        f"Small sample: {dimension.fewest} {dimension.words}, fewer than the {SMALL[dimension.name]} from which the"
        " interval's coverage has been simulated."
        for dimension in dimensions
        if dimension.fewest < SMALL.get(dimension.name, 0)
    )
