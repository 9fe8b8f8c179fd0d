"""Rates of single images, pulled toward their common mean as far as few votes deserve."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ShrunkenRates:
    """Empirical-Bayes rates of K images."""

    rates: FloatArray
    """Shape (K,), posterior means."""
    low: FloatArray
    high: FloatArray
    """Shape (K,), equal-tailed posterior bounds."""
    mean: float
    """The pooled rate that they are pulled toward."""
    prior_votes: float
    """Weight of that mean, in votes; infinite if images differ no more than chance makes them."""


def beta_binomial_rates(
    fooled: npt.ArrayLike, votes: npt.ArrayLike, confidence_level: float = 0.95
) -> ShrunkenRates:
    """Shrink raw rates fooled/votes toward the pooled rate by a beta-binomial fitted by moments.

    The intraclass correlation ρ of a beta-binomial with mean μ is estimated from S = Σ nᵢ(pᵢ-μ)²; the prior is
    worth M = 1/ρ - 1 votes, and an image's rate becomes (y + Mμ)/(n + M). 2 of 2 is thus never reported as 100 %.

    Args:
        fooled: Shape (K,), 0 <= fooled <= votes.
        votes: Shape (K,), each at least 1.
        confidence_level: Of the posterior bounds.

    Raises:
        ValueError: Shapes differ, there is no image, or a count is out of range.

    Source:
        Kleinman (1973), J. Am. Stat. Assoc. 68, 46-54, moment estimator with weights nᵢ.
    """
    y, n = np.asarray(fooled, dtype=np.float64), np.asarray(votes, dtype=np.float64)
    if y.ndim != 1 or y.shape != n.shape or not y.size:
        raise ValueError(
            f"fooled and votes must have one dimension and equal length, got {y.shape} and {n.shape}"
        )
    if not bool(np.all((n >= 1) & (y >= 0) & (y <= n))):
        raise ValueError("every image needs at least one vote and 0 <= fooled <= votes")
    mean = float(y.sum() / n.sum())
    prior = _prior_votes(y, n, mean)
    if np.isinf(prior):
        same = np.full(y.shape, mean)
        return ShrunkenRates(same, same, same, mean, prior)
    a, b = y + prior * mean, n - y + prior * (1 - mean)
    tail = (1 - confidence_level) / 2
    low, high = np.asarray(stats.beta.ppf([[tail], [1 - tail]], a, b), dtype=np.float64)
    return ShrunkenRates(a / (a + b), low, high, mean, prior)


def _prior_votes(y: FloatArray, n: FloatArray, mean: float) -> float:
    spread = mean * (1 - mean)
    total, images = float(n.sum()), len(n)
    # How strongly ρ pushes S above its chance level; 0 if every image has one vote, which tells nothing of ρ.
    leverage = total - float(n @ n) / total - (images - 1)
    if spread == 0 or images < 2 or leverage <= 0:
        return np.inf
    between = float(n @ (y / n - mean) ** 2)
    correlation = (between - spread * (images - 1)) / (spread * leverage)
    if correlation <= 0:
        return np.inf
    return max(
        1 / correlation - 1, 1.0
    )  # never trust an image's votes against less than one vote of the others
