"""Intervals for the mean of bounded values that stay valid however often one looks: betting confidence sequences."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

GRID = 1000
"""Candidate means per unit; bounds are rounded outwards to them."""
LARGEST_STAKE = 0.5
"""Share of the capital that a bet may lose at most; Waudby-Smith & Ramdas name 1/2 and 3/4."""
_AT_ONCE = 128
"""Values taken together: their product of growth factors neither overflows nor vanishes."""


@dataclass(frozen=True)
class ConfidenceSequence:
    """After each value, the interval of the mean; all of them hold at once with the confidence level."""

    outcomes: FloatArray
    """Shape (n,), in the order in which they came."""
    low: FloatArray
    """Shape (n,): lower bound after each value, never falling."""
    high: FloatArray
    """Shape (n,): upper bound after each value, never rising; below `low` where the values contradict one mean."""
    confidence_level: float

    @cached_property
    def half_width(self) -> FloatArray:
        """Shape (n,): half the interval's width after each value."""
        return (self.high - self.low) / 2

    def stopped_at(self, half_width: float, least: int) -> int | None:
        """How many values it took until the interval was narrow enough; None if it never was.

        Args:
            half_width: What is narrow enough.
            least: Values below which the rule does not stop.
        """
        narrow = np.flatnonzero(self.half_width <= half_width)
        narrow = narrow[narrow >= least - 1]
        return int(narrow[0]) + 1 if len(narrow) else None


def betting_sequence(values: npt.ArrayLike, confidence_level: float = 0.95) -> ConfidenceSequence:
    """The hedged-capital confidence sequence of the mean of exchangeable values in [0, 1].

    For each candidate mean m two gamblers bet, one that the values are larger, one that they are smaller, with
    predictable stakes λ_t; if m is the mean, neither is ever expected to grow rich. With half the capital each, m is
    left out once max(K⁺_t(m), K⁻_t(m))/2 ≥ 1/α, where

        K⁺_t(m) = Π_{i≤t} (1 + min(λ_i, c/m) (x_i - m)),   K⁻_t(m) = Π_{i≤t} (1 - min(λ_i, c/(1-m)) (x_i - m)),
        λ_t = √(2 log(2/α) / (σ̂²_{t-1} t log(t+1))),   μ̂_t = (1/2 + Σ_{i≤t} x_i)/(t+1),
        σ̂²_t = (1/4 + Σ_{i≤t} (x_i - μ̂_i)²)/(t+1).

    The interval after t values is met with all earlier ones, which costs nothing. K⁺ falls and K⁻ rises with m, so
    what is left over is an interval.

    Args:
        values: Shape (n,), each in [0, 1], one per independent unit (worker), in the order in which they came.
        confidence_level: Between 0 and 1; of the whole sequence.

    Returns:
        The sequence; of length 0 for no values.

    Raises:
        ValueError: A value is missing or outside [0, 1], or there is more than one dimension.

    Source:
        Waudby-Smith & Ramdas (2024), "Estimating means of bounded random variables by betting", J. R. Stat. Soc. B
        86, 1-27, theorem 3 with equations 24-26; arXiv:2010.09686.
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not np.all((x >= 0) & (x <= 1)):
        raise ValueError("values must be one row of numbers in [0, 1]")
    stakes = _stakes(x, 1 - confidence_level)
    least = math.log(2 / (1 - confidence_level))
    low = np.maximum.accumulate(_excluded_below(x, stakes, least)) / GRID
    high = 1 - np.maximum.accumulate(_excluded_below(1 - x, stakes, least)) / GRID
    return ConfidenceSequence(x, low, high, confidence_level)


def _stakes(x: FloatArray, alpha: float) -> FloatArray:
    """λ_1 .. λ_n, shape (n,); each from the values before it."""
    t = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (t + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1)
    before = np.append(0.25, variance)[: len(x)]
    return np.sqrt(2 * math.log(2 / alpha) / (before * t * np.log(t + 1)))


def _excluded_below(x: FloatArray, stakes: FloatArray, least: float) -> FloatArray:
    """After each value, the largest candidate mean k/GRID that is too small to be true, as k; 0 if none is.

    Source:
        As `betting_sequence`.
    """
    m = np.arange(GRID + 1) / GRID
    with np.errstate(divide="ignore"):
        most = LARGEST_STAKE / m
    capital = np.zeros(GRID + 1)  # its logarithm
    found = np.zeros(len(x))
    for start in range(0, len(x), _AT_ONCE):
        block = slice(start, start + _AT_ONCE)
        factors = 1 + np.minimum(stakes[block, None], most) * (x[block, None] - m)
        growth = np.cumprod(factors, axis=0)
        enough = np.exp(np.clip(least - capital, -700, 700))
        rich = np.count_nonzero(growth >= enough, axis=1)  # K⁺ falls with m: the smallest candidates
        found[block] = np.maximum(rich - 1, 0)
        capital = capital + np.log(growth[-1])
    return found
