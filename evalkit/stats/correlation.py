"""Rank correlations of two short rows of numbers, each of which is itself uncertain."""

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from evalkit.results import Estimate, HypothesisTest, Interval

FloatArray = npt.NDArray[np.float64]
Coefficient = Literal["spearman", "kendall"]
COEFFICIENTS: tuple[Coefficient, ...] = ("spearman", "kendall")
FEWEST_POINTS = 5
"""Fewer are not called a correlation: with 4 no order of the points has a two-sided p below 2/4! = .083."""
EXACT_UP_TO = 8
"""Points of which all orders are tried (8! = 40,320)."""
DRAWN_ORDERS = 9_999
"""Orders that are drawn where there are too many to try all."""
FEWEST_IMAGES = 20
"""Our choice: over fewer images an interval reaches from nearly -1 to nearly 1 whatever they look like."""
_WORDS = {"spearman": "Spearman's ρ", "kendall": "Kendall's τ-b"}
_EPSILON = 1e-12


@dataclass(frozen=True)
class Uncertain:
    """Numbers of K things, and how else they might have come out."""

    values: FloatArray
    """Shape (K,)."""
    draws: FloatArray | None = None
    """Shape (B, K): resampled; None where nothing is known of their uncertainty."""


def coefficients(first: npt.ArrayLike, second: npt.ArrayLike, kind: Coefficient) -> FloatArray:
    """The rank correlation of each row of two arrays, shape (B, K) each -> (B,); NaN where a row is constant or has NaN.

    Source:
        Spearman (1904), Am. J. Psychol. 15, 72-101, with mean ranks for ties; Kendall (1945), Biometrika 33, 239-251 (τ-b).
    """
    x, y = np.atleast_2d(np.asarray(first, np.float64)), np.atleast_2d(np.asarray(second, np.float64))
    x, y = np.broadcast_arrays(x, y)
    known = ~(np.isnan(x).any(axis=1) | np.isnan(y).any(axis=1))
    found = np.full(len(x), np.nan)
    if known.any() and x.shape[1] > 1:
        u, v = _parts(x[known], kind), _parts(y[known], kind)
        scale = np.sqrt((u**2).sum(axis=1) * (v**2).sum(axis=1))
        found[known] = np.divide(
            (u * v).sum(axis=1), scale, out=np.full(len(u), np.nan), where=scale > _EPSILON
        )
    return np.asarray(np.clip(found, -1, 1), dtype=np.float64)


def smallest_p(points: int) -> float:
    """The smallest two-sided p of an exact test of `points` points without ties: 2/K!.

    >>> round(smallest_p(4), 3), round(smallest_p(5), 3)
    (0.083, 0.017)
    """
    return min(1.0, 2 / math.factorial(points))


def permutation_p(
    first: npt.ArrayLike, second: npt.ArrayLike, kind: Coefficient, rng: np.random.Generator
) -> tuple[float, int | None]:
    """Two-sided p that the second row stands in random order: over all orders up to EXACT_UP_TO points, else drawn (+1).

    Returns:
        p, and how many orders were drawn (None = all were tried).

    Source:
        Edgington & Onghena (2007), "Randomization Tests", ch. 11; +1: Phipson & Smyth (2010), Stat. Appl. Genet. 9, 39.
    """
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    observed = abs(float(coefficients(x, y, kind)[0]))
    if len(x) <= EXACT_UP_TO:
        orders = np.array(list(itertools.permutations(range(len(x)))))
        extreme = np.abs(coefficients(x, y[orders], kind)) >= observed - _EPSILON
        return float(extreme.mean()), None
    drawn = rng.permuted(np.tile(y, (DRAWN_ORDERS, 1)), axis=1)
    extreme = np.abs(coefficients(x, drawn, kind)) >= observed - _EPSILON
    return float((extreme.sum() + 1) / (DRAWN_ORDERS + 1)), DRAWN_ORDERS


def rank_correlation(
    first: Uncertain,
    second: Uncertain,
    kind: Coefficient,
    rng: np.random.Generator,
    *,
    confidence_level: float = 0.95,
) -> tuple[Estimate, HypothesisTest | None]:
    """The rank correlation of K points, with an interval from what is uncertain about each, and its exact test.

    The interval holds for these K points: both sides are resampled, the points are not. What it would be if they were a
    sample of many stands in the notes.

    Args:
        first: Such as the fool rates of K algorithms.
        second: Such as their scores.
        kind: spearman | kendall.
        rng: Of drawn orders, beyond EXACT_UP_TO points.
        confidence_level: Between 0 and 1.

    Returns:
        The estimate, and the test; below FEWEST_POINTS points, or where one side is constant, no value and no test.

    Raises:
        ValueError: Shapes differ.
    """
    x, y = first.values, second.values
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"both sides must have shape (K,), got {x.shape} and {y.shape}")
    n, method = {"points": len(x)}, _WORDS[kind]

    def none(note: str) -> tuple[Estimate, None]:
        return Estimate(key=kind, value=None, unit="correlation", method=method, n=n, notes=(note,)), None

    if len(x) < FEWEST_POINTS:
        return none(refusal(len(x)))
    value = float(coefficients(x, y, kind)[0])
    if math.isnan(value):
        return none("Not estimated: one side has the same value everywhere.")
    interval, words = _resampled(first, second, kind, confidence_level)
    p_value, drawn = permutation_p(x, y, kind, rng)
    orders = f"all {math.factorial(len(x)):,} orders" if drawn is None else f"{drawn:,} drawn orders, +1"
    estimate = Estimate(
        key=kind,
        value=value,
        unit="correlation",
        method=f"{method}; {words}",
        n=n,
        interval=interval,
        notes=(_of_many(value, len(x), kind, confidence_level),),
    )
    test = HypothesisTest(
        key=kind,
        value=value,
        unit="correlation",
        method=f"{method}; permutation test over {orders}",
        n=n,
        statistic=value,
        p_value=p_value,
        null_hypothesis="the two orders have nothing to do with each other",
        alternative="two-sided",
        n_resamples=drawn,
    )
    return estimate, test


def image_correlation(
    rates: FloatArray,
    metric: FloatArray,
    kind: Coefficient,
    rng: np.random.Generator,
    confidence_level: float = 0.95,
) -> tuple[Estimate, HypothesisTest | None]:
    """The rank correlation over images, a sample of many, of people's rates with a metric.

    Args:
        rates: Shape (1 + B, images): each image's rate, then the same with workers resampled; NaN where nobody voted.
        metric: Shape (images,); NaN where there is no value. Of each resample the images are resampled too.
        kind: spearman | kendall.
        rng: Of images and orders.
        confidence_level: Between 0 and 1.

    Returns:
        The estimate with its percentile interval, and the test: drawn orders for Spearman, the normal approximation for
        Kendall (scipy). Below FEWEST_IMAGES images, or where one side is constant, no value and no test.
    """
    known = np.flatnonzero(~np.isnan(metric) & ~np.isnan(rates[0]))
    n, method = {"images": len(known)}, _WORDS[kind]
    value = _one(rates[0, known], metric[known], kind)
    if len(known) < FEWEST_IMAGES or math.isnan(value):
        note = f"Not estimated: {len(known)} images have votes and a score; at least {FEWEST_IMAGES} are asked for."
        if len(known) >= FEWEST_IMAGES:
            note = "Not estimated: one side has the same value everywhere."
        return Estimate(key=kind, value=None, unit="correlation", method=method, n=n, notes=(note,)), None
    drawn = []
    for row in rates[1:]:
        chosen = known[rng.integers(len(known), size=len(known))]
        chosen = chosen[~np.isnan(row[chosen])]
        drawn.append(_one(row[chosen], metric[chosen], kind))
    found = np.array([one for one in drawn if not math.isnan(one)], dtype=np.float64)
    interval = None
    if len(found):
        low, high = np.quantile(found, [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
        interval = Interval(float(low), float(high), confidence_level, "percentile")
    words = f"{method}; percentile interval of {len(found):,} resamples of workers and images"
    estimate = Estimate(key=kind, value=value, unit="correlation", method=words, n=n, interval=interval)
    if kind == "spearman":
        p_value, orders = permutation_p(rates[0, known], metric[known], kind, rng)
        told = f"permutation test over {orders or 0:,} drawn orders of the images, +1"
    else:
        p_value, orders = float(stats.kendalltau(rates[0, known], metric[known]).pvalue), None
        told = "normal approximation"
    test = HypothesisTest(
        key=kind,
        value=value,
        unit="correlation",
        method=f"{method}; {told}",
        n=n,
        statistic=value,
        p_value=p_value,
        null_hypothesis="the two orders of the images have nothing to do with each other",
        alternative="two-sided",
        n_resamples=orders,
    )
    return estimate, test


def _one(x: FloatArray, y: FloatArray, kind: Coefficient) -> float:
    """As `coefficients`, of one row that may be long; NaN where one side is constant."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    if kind == "kendall":
        return float(stats.kendalltau(x, y).statistic)
    return float(coefficients(x, y, kind)[0])


def refusal(points: int) -> str:
    """Why so few points are not called a correlation."""
    if points < 2:
        return f"Not estimated: {points} point{'s' * (points != 1)}; a correlation needs at least {FEWEST_POINTS}."
    return (
        f"{points} points are not called a correlation: no test can reach p < .05 with K = {points}"
        f" (the smallest p is {smallest_p(points):.3f}). At least {FEWEST_POINTS} are needed."
    )


def fisher_interval(value: float, points: int, kind: Coefficient, confidence_level: float) -> Interval | None:
    """Where the correlation of all such points would lie if these were a random sample of them; None at ±1.

    Source:
        Fieller, Hartley & Pearson (1957), Biometrika 44, 470-481: var(artanh r) = 1.06/(K - 3) for ρ, 0.437/(K - 4) for τ.
    """
    variance = 1.06 / (points - 3) if kind == "spearman" else 0.437 / (points - 4)
    if abs(value) >= 1 - _EPSILON:
        return None
    half = float(special.ndtri((1 + confidence_level) / 2)) * math.sqrt(variance)
    low, high = (math.tanh(math.atanh(value) + sign * half) for sign in (-1, 1))
    return Interval(low, high, confidence_level, "Fisher's z")


def _of_many(value: float, points: int, kind: Coefficient, level: float) -> str:
    found = fisher_interval(value, points, kind, level)
    told = "cannot be told at ±1" if found is None else f"would be {found.low:.2f} to {found.high:.2f}"
    return f"The interval is about these {points} points; were they a random sample of many, it {told} (Fisher's z)."


def _resampled(
    first: Uncertain, second: Uncertain, kind: Coefficient, level: float
) -> tuple[Interval | None, str]:
    if first.draws is None and second.draws is None:
        return None, "neither side was resampled"
    x = first.values if first.draws is None else first.draws
    y = second.values if second.draws is None else second.draws
    found = coefficients(x, y, kind)
    found = found[~np.isnan(found)]
    sides = " and ".join(
        side for side, one in (("first", first), ("second", second)) if one.draws is not None
    )
    words = f"percentile interval of {len(found):,} resamples of the {sides} side"
    if not len(found):
        return None, words
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, "percentile"), words


def _parts(rows: FloatArray, kind: Coefficient) -> FloatArray:
    """What is multiplied and summed: centred ranks, or the sign of each pair's difference."""
    if kind == "spearman":
        ranks = stats.rankdata(rows, axis=1)
        return np.asarray(ranks - ranks.mean(axis=1, keepdims=True), dtype=np.float64)
    one, other = np.triu_indices(rows.shape[1], 1)
    return np.asarray(np.sign(rows[:, one] - rows[:, other]), dtype=np.float64)
