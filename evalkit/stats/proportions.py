"""Rates and their differences when the same workers and images answer for many trials.

Trials that share a worker or an image are not independent, and forgetting it makes intervals two to three times
too narrow. Here every way in which trials hang together is a cluster dimension, and the variance is the
multi-way clustered sandwich of Cameron, Gelbach & Miller (2011).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evalkit.results import Estimate, Interval
from evalkit.stats.binomial import (
    clopper_pearson_interval,
    logit_limits,
    t_quantile,
    t_tail,
    wilson_interval,
)
from evalkit.stats.clustering import (
    Clusters,
    Dimension,
    FloatArray,
    clustered_variance,
    dimensions_of,
    joined_dimensions,
    sandwich_words,
)

__all__ = [
    "clopper_pearson_interval",
    "clustered_difference",
    "clustered_rate",
    "interval_p_value",
    "wilson_interval",
    "worker_only_rate",
]

SMALL = {"workers": 8, "source_images": 20, "real_images": 20, "other_images": 20}
"""Clusters per algorithm, and below `FEW` fooled (or not fooled) answers, from which coverage has been simulated
(docs/statistics.md); below, the interval is given and said to be of too small a sample."""
FEW = 5


@dataclass(frozen=True)
class _Known:
    """A rate, its variance and what that rests on."""

    rate: float
    variance: float
    workers: int

    @property
    def is_exact(self) -> bool:
        """Whether its clusters show no variance, so that the interval must come from elsewhere."""
        return self.variance == 0 or self.rate in (0.0, 1.0)

    def limits(self, t: float, confidence_level: float) -> tuple[float, float]:
        if self.is_exact:
            exact = clopper_pearson_interval(self.rate * self.workers, self.workers, confidence_level)
            return exact.low, exact.high
        return logit_limits(self.rate, self.variance, t)


def clustered_rate(outcomes: npt.ArrayLike, clusters: Clusters, confidence_level: float = 0.95) -> Estimate:
    """The pooled rate of `outcomes` and its interval by the clustered sandwich on the logit scale.

    The variance is `evalkit.stats.clustering.clustered_variance` of e/n, e = y - p̂; the interval is
    `evalkit.stats.binomial.logit_limits` at t with (smallest cluster count - 1) degrees of freedom. At p̂ = 0 or 1, or
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
    estimate = _Blank("rate", "pooled over trials", y.size, dimensions)
    if y.size == 0:
        return estimate(None, notes=("No trials.",))
    rate = float(y.mean())
    notes = _too_few(dimensions)
    if notes:
        return estimate(rate, notes=notes)
    found = clustered_variance((y - rate) / y.size, dimensions)
    known = _Known(rate, found.variance, dimensions[0].count)
    notes = (*_small(dimensions), *_few(y))
    t = t_quantile(confidence_level, found.degrees_of_freedom)
    low, high = known.limits(t, confidence_level)
    if known.is_exact:
        method, why = _exact_words(known)
        return estimate(
            rate,
            f"pooled over trials; {method}",
            (why, *notes),
            Interval(low, high, confidence_level, method),
        )
    method = f"pooled over trials; {sandwich_words(dimensions, found.degrees_of_freedom)}, logit scale"
    interval = Interval(low, high, confidence_level, method, found.degrees_of_freedom)
    return estimate(rate, method, notes, interval, math.sqrt(found.variance))


def worker_only_rate(
    outcomes: npt.ArrayLike, workers: npt.ArrayLike, confidence_level: float = 0.95
) -> Estimate:
    """The pooled rate with an interval over workers alone: what other people would say of exactly these images.

    Args:
        outcomes: As for `clustered_rate`.
        workers: Shape (n,), one id per trial.
        confidence_level: Between 0 and 1.

    Raises:
        ValueError: As `clustered_rate`.

    Source:
        As `clustered_rate`, with one dimension.
    """
    return clustered_rate(outcomes, {"workers": workers}, confidence_level)


def clustered_difference(
    outcomes: tuple[npt.ArrayLike, npt.ArrayLike],
    clusters: tuple[Clusters, Clusters],
    confidence_level: float = 0.95,
) -> Estimate:
    """The difference of two pooled rates (first minus second) with its clustered interval.

    The variance is the sandwich of the influence values (y - p̂₁)/n₁ and -(y - p̂₂)/n₂; ids that are equal in both
    conditions (the same source image, or the same worker in a within design) are one cluster, which is what makes a
    comparison on shared images sharper. Where no cluster meets both conditions (workers in a between design) the two
    groups' terms are added, with Satterthwaite's degrees of freedom. The interval joins the limits l, u of the two
    rates: from d - √(a² + b² - 2ρab), a = p̂₁ - l₁, b = u₂ - p̂₂, and upwards likewise, where ρ is the correlation of the
    two rates that the three variances imply. It is thus as skew as the rates' own intervals are. Where a rate has no
    visible variance (0, 1, or equal clusters), its limits are the exact ones and ρ = 0.

    Args:
        outcomes: Two arrays, shapes (n₁,) and (n₂,), values in [0, 1].
        clusters: For each the same dimensions in the same order, workers first.
        confidence_level: Between 0 and 1.

    Returns:
        Estimate with key `difference`, in proportions (0.05 = 5 percentage points).

    Raises:
        ValueError: As `clustered_rate`, or the dimensions differ.

    Source:
        Variance: Cameron, Gelbach & Miller (2011), as `clustered_rate`. Interval: Newcombe (1998), Stat. Med. 17,
        873-890, method 10, in the general form of Zou & Donner (2008), Stat. Med. 27, 1693-1702, equation 7.
    """
    if list(clusters[0]) != list(clusters[1]):
        raise ValueError(
            f"both conditions need the same dimensions, got {list(clusters[0])} and {list(clusters[1])}"
        )
    first, second = _outcomes(outcomes[0]), _outcomes(outcomes[1])
    dimensions = joined_dimensions(clusters, first.size, second.size)
    words = "difference of pooled rates; influence values"
    estimate = _Blank("difference", words, first.size + second.size, dimensions)
    if not first.size or not second.size:
        return estimate(None, notes=("One of the conditions has no trials.",))
    rates = float(first.mean()), float(second.mean())
    notes = _too_few(dimensions)
    if notes:
        return estimate(rates[0] - rates[1], notes=notes)
    parts = (first - rates[0]) / first.size, (second - rates[1]) / second.size
    joint = clustered_variance(np.concatenate((parts[0], -parts[1])), dimensions)
    own = [dimensions_of(of, part.size) for of, part in zip(clusters, parts, strict=True)]
    known = [
        _Known(rate, clustered_variance(part, of).variance, of[0].count)
        for rate, part, of in zip(rates, parts, own, strict=True)
    ]
    exact = any(one.is_exact for one in known)
    ends = _joined_limits(known[0], known[1], joint.variance, joint.degrees_of_freedom, confidence_level)
    method = f"{words}, {sandwich_words(dimensions, joint.degrees_of_freedom)}, square-and-add of the rates' limits"
    if exact:
        method = "difference of pooled rates; square-and-add of the two separate intervals"
        notes = ("The clustered variance of a rate was zero; its own limits are exact ones over workers.",)
    notes = (*notes, *_small(dimensions), *_few(first, second))
    interval = Interval(*ends, confidence_level, method, None if exact else joint.degrees_of_freedom)
    error = None if exact else math.sqrt(joint.variance)
    return estimate(rates[0] - rates[1], method, notes, interval, error)


def interval_p_value(estimate: Estimate) -> float | None:
    """Two-sided p-value of no difference that belongs to a difference's interval; None without one.

    At 1 - confidence level it is exactly the interval's verdict on 0. Elsewhere it takes the interval's arm toward 0 to
    grow with the t quantile, which is exact where the limits are symmetric and else nearly so.
    """
    interval, value = estimate.interval, estimate.value
    if interval is None or value is None:
        return None
    arm = value - interval.low if value > 0 else interval.high - value
    if value == 0 or arm <= 0:
        return 1.0
    freedom = interval.degrees_of_freedom or math.inf
    return t_tail(
        abs(value) / arm * t_quantile(interval.confidence_level, min(freedom, 1e9)), min(freedom, 1e9)
    )


@dataclass(frozen=True)
class _Blank:
    """An estimate whose number is still to come."""

    key: str
    words: str
    trials: int
    dimensions: Sequence[Dimension]

    def __call__(
        self,
        value: float | None,
        method: str = "",
        notes: tuple[str, ...] = (),
        interval: Interval | None = None,
        error: float | None = None,
    ) -> Estimate:
        return Estimate(
            key=self.key,
            value=value,
            unit="proportion",
            method=method or f"{self.words}; {sandwich_words(self.dimensions)}",
            n={"trials": self.trials, **{one.name: one.count for one in self.dimensions}},
            notes=notes,
            interval=interval,
            standard_error=error,
        )


def _joined_limits(
    first: _Known, second: _Known, variance: float, freedom: float, confidence_level: float
) -> tuple[float, float]:
    """Square-and-add with the correlation of the two rates."""
    t = t_quantile(confidence_level, freedom)
    (low_1, high_1), (low_2, high_2) = (one.limits(t, confidence_level) for one in (first, second))
    correlation = 0.0
    if not first.is_exact and not second.is_exact:
        shared = first.variance + second.variance - variance
        correlation = min(max(shared / (2 * math.sqrt(first.variance * second.variance)), -1.0), 1.0)

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(one**2 + other**2 - 2 * correlation * one * other, 0.0))

    difference = first.rate - second.rate
    low = difference - reach(first.rate - low_1, high_2 - second.rate)
    high = difference + reach(high_1 - first.rate, second.rate - low_2)
    return max(low, -1.0), min(high, 1.0)


def _outcomes(values: npt.ArrayLike) -> FloatArray:
    y = np.asarray(values, dtype=np.float64)
    if y.ndim != 1:
        raise ValueError(f"outcomes must have one dimension, got shape {y.shape}")
    if y.size and not bool(np.all((y >= 0) & (y <= 1))):
        raise ValueError("outcomes must lie in [0, 1]; leave missing answers out")
    return y


def _exact_words(known: _Known) -> tuple[str, str]:
    method = f"Clopper-Pearson with n = {known.workers} workers"
    why = "every answer was the same" if known.rate in (0.0, 1.0) else "the clusters do not differ at all"
    note = f"The clustered variance is zero ({why}); interval: {method}, which knows nothing of differences between images."
    return method, note


def _too_few(dimensions: Sequence[Dimension]) -> tuple[str, ...]:
    return tuple(
        f"No interval: at least 2 {dimension.words} per algorithm are needed to see how much they differ, and there"
        f" {'is' if dimension.fewest == 1 else 'are'} {dimension.fewest}."
        for dimension in dimensions
        if dimension.fewest < 2
    )


def _small(dimensions: Sequence[Dimension]) -> tuple[str, ...]:
    return tuple(
        _too_small(f"{dimension.fewest} {dimension.words}", SMALL[dimension.name])
        for dimension in dimensions
        if dimension.fewest < SMALL.get(dimension.name, 0)
    )


def _few(*outcomes: FloatArray) -> tuple[str, ...]:
    """Whether a rate rests on fewer than `FEW` fooled or not fooled answers; `outcomes` of each rate."""
    counts = [(float(y.sum()), float(y.size - y.sum())) for y in outcomes]
    yes, no = min(counts, key=min)
    fewest, which = min((yes, "positive"), (no, "negative"))
    if fewest >= FEW:
        return ()
    count = f"{fewest:g} {which} answer{'s' * (fewest != 1)} of {yes + no:g}"
    return (_too_small(count, FEW),)


def _too_small(count: str, enough: int) -> str:
    return (
        f"Too small a sample for this interval to be relied on: {count}, fewer than the {enough} from which its coverage"
        " has been simulated."
    )
