"""How sure a study would be before it is run: standard errors, power, and what they need.

People, images and training runs are drawn with normal effects on the logit scale; here they become variances of
answers, and those the standard error and power of the clustered estimates of `evalkit.stats.proportions`.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import optimize, special

from evalkit.stats.clustering import FloatArray

Target = Literal["these images", "this generator", "this loss"]
TARGETS: tuple[Target, ...] = ("these images", "this generator", "this loss")
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_QUANTILES, _SHARES = np.polynomial.legendre.leggauss(200)
_QUANTILES, _SHARES = (_QUANTILES + 1) / 2, _SHARES / 2


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the effects, in logits.

    Source:
        Typical of public response tables: workers 0.5 to 1.35, images 0.3 to 1.2 (docs/power.md). How much of the
        images' is the algorithm's own, and the runs', are assumptions: no public table has several runs.
    """

    workers: float = 0.7
    images: float = 0.9
    """Of one algorithm's images."""
    own_images: float = 0.6
    """The part of `images` that another algorithm's image of the same source does not share (image x algorithm)."""
    runs: float = 0.3

    def __post_init__(self) -> None:
        """Refuse what is no standard deviation.

        Raises:
            ValueError: One is negative or not finite, or `own_images` is larger than `images`.
        """
        values = dataclasses.astuple(self)
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise ValueError(f"standard deviations must be finite and not negative, got {values}")
        if self.own_images > self.images:
            raise ValueError(
                f"own_images ({self.own_images:g}) is a part of images and cannot be larger than it ({self.images:g})"
            )

    @property
    def shared_images(self) -> float:
        """The part of `images` that every algorithm's image of a source shares."""
        return math.sqrt(self.images**2 - self.own_images**2)


@dataclass(frozen=True)
class Design:
    """The sizes of a study."""

    workers: int
    """Per algorithm; in a within design, who all judge both."""
    images: int
    """Source images."""
    trials: int
    """Scored trials of a session; in a within design, as many of them for each algorithm."""
    runs: int = 1
    """Training runs per algorithm."""
    within: bool = False
    """Whether one session shows all algorithms."""
    algorithms: int = 2
    """Those that share a session in a within design; two of them are compared."""

    @property
    def answers(self) -> float:
        """Per algorithm."""
        return self.workers * self.trials / (self.algorithms if self.within else 1)

    @property
    def shown(self) -> int:
        """Images that are seen at all."""
        return max(1, min(self.images, int(self.answers)))


@dataclass(frozen=True)
class Components:
    """Variances of an answer, in squared proportions; of a difference, of one answer to each algorithm."""

    workers: float
    images: float
    runs: float
    rest: float
    """What is left of p(1-p): the answer's own noise and all interactions."""


@dataclass(frozen=True)
class Precision:
    """How well a design knows a number, under one target."""

    standard_error: float
    degrees_of_freedom: float
    """Of the t quantile, as the clustered interval takes it: the smallest number of clusters minus one."""
    certainty: float
    """Degrees of freedom that the estimated variance really has (Satterthwaite), at least the others."""

    def half_width(self, confidence_level: float = 0.95) -> float:
        """Of the expected interval, in proportions."""
        return self.standard_error * self._quantile(1 - confidence_level)

    def power(self, difference: float, alpha: float = 0.05) -> float:
        """Probability that the interval at level 1 - alpha leaves out 0, either side.

        Source:
            Non-central t: P(|Z + δ| > t S), S² a chi-squared over its degrees of freedom, integrated over S; the critical
            t at `degrees_of_freedom`, the variance's own at `certainty`.
        """
        critical, shift = self._quantile(alpha), abs(difference) / self.standard_error
        freedom = min(self.certainty, 1e6)
        reach = critical * np.sqrt(2 * special.gammaincinv(freedom / 2, _QUANTILES) / freedom)
        return float((special.ndtr(shift - reach) + special.ndtr(-shift - reach)) @ _SHARES)

    def _quantile(self, alpha: float) -> float:
        return float(special.stdtrit(self.degrees_of_freedom, 1 - alpha / 2))


@lru_cache(maxsize=4096)
def rate_components(rate: float, spread: Spread, target: Target = "this generator") -> Components:
    """Variance components of the answers to one algorithm whose pooled rate is `rate`, in (0, 1).

    Source:
        Law of total variance over logit-normal effects, main effects only: Var E[y | worker] and so on, by
        Gauss-Hermite quadrature (41 nodes).
    """
    spread = _under(target, spread)
    intercept, total = _intercept(rate, spread), _total(spread)
    workers, images, runs = (
        _variance(_given(intercept, sd, total)) for sd in (spread.workers, spread.images, spread.runs)
    )
    return Components(workers, images, runs, rate * (1 - rate) - workers - images - runs)


@lru_cache(maxsize=4096)
def difference_components(
    rates: tuple[float, float], spread: Spread, *, within: bool = False, target: Target = "this generator"
) -> Components:
    """Variance components of an answer to the first algorithm minus one to the second, shared inputs.

    What both share cancels as far as the rates are alike: the shared part of the image effects, and in a within
    design the workers'.

    Source:
        As `rate_components`; Var(g₁(s) - g₂(s)) with g_k(s) = E[y_k | s] for what is shared.
    """
    spread = _under(target, spread)
    one, two = (rate_components(rate, spread, target) for rate in rates)
    total = _total(spread)

    def shared(sd: float) -> float:
        first, second = (_given(_intercept(rate, spread), sd, total) for rate in rates)
        return _covariance(first, second)

    workers = one.workers + two.workers - (2 * shared(spread.workers) if within else 0.0)
    images = one.images + two.images - 2 * shared(spread.shared_images)
    return Components(max(workers, 0.0), max(images, 0.0), one.runs + two.runs, one.rest + two.rest)


def rate_precision(rate: float, design: Design, spread: Spread, target: Target) -> Precision | None:
    """Standard error of a pooled rate: SE² = v_w/A + v_i/I + v_r/R + v_e/(A T); None if the target needs more runs.

    Source:
        Design effect of crossed random effects: Westfall, Kenny & Judd (2014), J. Exp. Psychol. Gen. 143, 2020-2045,
        in the one-condition case.
    """
    return _precision(rate_components(rate, spread, target), design, target, groups=1)


def difference_precision(
    rates: tuple[float, float], design: Design, spread: Spread, target: Target
) -> Precision | None:
    """The same for the first rate minus the second; None if the target needs more runs."""
    found = difference_components(rates, spread, within=design.within, target=target)
    return _precision(found, design, target, groups=2)


def workers_needed(
    rates: tuple[float, float], design: Design, spread: Spread, target: Target, power: float = 0.8
) -> int | None:
    """Fewest workers per algorithm that reach `power` at the design's other sizes; None if 20,000 do not."""
    difference = rates[0] - rates[1]

    def reached(workers: int) -> bool:
        precision = difference_precision(rates, dataclasses.replace(design, workers=workers), spread, target)
        return precision is not None and precision.power(difference) >= power

    low, high = 1, 20_000
    if not reached(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def detectable_difference(
    rate: float, design: Design, spread: Spread, target: Target, power: float = 0.8
) -> float | None:
    """Smallest difference upwards from `rate` that the design finds with `power`; None if there is none below 1."""

    def short(difference: float) -> float:
        precision = difference_precision((rate + difference, rate), design, spread, target)
        return -power if precision is None else precision.power(difference) - power

    largest = 0.999 - rate
    if short(largest) < 0:
        return None
    return float(optimize.brentq(short, 1e-4, largest, xtol=1e-4))


def larger(design: Design, share: float = 0.5) -> Mapping[str, Design]:
    """The design with `share` more of one thing each (at least one more): workers, images, trials, runs."""

    def more(count: int) -> int:
        return count + max(1, round(share * count))

    return {
        "workers": dataclasses.replace(design, workers=more(design.workers)),
        "images": dataclasses.replace(design, images=more(design.images)),
        "trials": dataclasses.replace(design, trials=more(design.trials)),
        "runs": dataclasses.replace(design, runs=more(design.runs)),
    }


def _precision(parts: Components, design: Design, target: Target, groups: int) -> Precision | None:
    """`groups`: conditions, whose clusters' degrees of freedom add up where they are separate."""
    if target == "this loss" and design.runs < 2:
        return None
    separate = 1 if design.within else groups
    terms = [(parts.workers / design.workers, separate * (design.workers - 1))]
    if target != "these images":
        terms.append((parts.images / design.shown, design.shown - 1))
    if target == "this loss":
        terms.append((parts.runs / design.runs, groups * (design.runs - 1)))
    smallest = min(freedom for _, freedom in terms)
    if smallest < 1:
        return None
    terms.append((parts.rest / design.answers, max(1, round(groups * design.answers) - groups)))
    variance = math.fsum(term for term, _ in terms)
    certainty = variance**2 / math.fsum(term**2 / freedom for term, freedom in terms)
    return Precision(math.sqrt(variance), smallest, max(certainty, smallest))


def _under(target: Target, spread: Spread) -> Spread:
    """Other runs are only met where the loss is the target; elsewhere the rate is that of the runs at hand."""
    return spread if target == "this loss" else dataclasses.replace(spread, runs=0.0)


def _total(spread: Spread) -> float:
    return math.hypot(spread.workers, spread.images, spread.runs)


def _marginal(intercept: float, sd: float) -> float:
    """∫ logit⁻¹(intercept + sd z) φ(z) dz."""
    return float(special.expit(intercept + sd * _NODES) @ _WEIGHTS)


@lru_cache(maxsize=4096)
def _intercept(rate: float, spread: Spread) -> float:
    """The logit whose rate over all effects is `rate`."""
    if not 0 < rate < 1:
        raise ValueError(f"a rate must lie between 0 and 1 to plan with, got {rate:g}")
    total = _total(spread)
    reach = 20 + 6 * total**2
    return float(optimize.brentq(lambda logit: _marginal(logit, total) - rate, -reach, reach, xtol=1e-10))


def _given(intercept: float, sd: float, total: float) -> FloatArray:
    """E[y | z] at each node, for an effect of this SD out of `total`."""
    others = math.sqrt(max(total**2 - sd**2, 0.0))
    logits = intercept + sd * _NODES[:, None] + others * _NODES[None, :]
    return np.asarray(special.expit(logits) @ _WEIGHTS, dtype=np.float64)


def _variance(values: FloatArray) -> float:
    return _covariance(values, values)


def _covariance(first: FloatArray, second: FloatArray) -> float:
    return float((first - first @ _WEIGHTS) * _WEIGHTS @ (second - second @ _WEIGHTS))
