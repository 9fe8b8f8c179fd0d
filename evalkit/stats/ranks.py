"""Ranks of several rates, with intervals from draws of all of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ranks:
    """Rank 1 is the highest rate; ties share the mean of their ranks."""

    ranks: FloatArray
    """Shape (K,)."""
    low: FloatArray
    """Shape (K,): the best rank still in the interval."""
    high: FloatArray
    """The worst."""
    first: FloatArray
    """Shape (K,): share of the draws in which the condition comes first, ties shared out. No probability of being
    the best."""
    n_draws: int
    """Draws in which every condition has a rate."""


def rank_intervals(rates: npt.ArrayLike, draws: npt.ArrayLike, confidence_level: float = 0.95) -> Ranks:
    """The rank of each rate and the percentile interval of its rank over bootstrap draws.

    An interval holds at least the given share of a condition's ranks, and its observed rank in any case. Intervals are
    whole numbers unless ties fall on their ends.

    Args:
        rates: Shape (K,).
        draws: Shape (B, K), one row per resample of everything; rows with NaN are left out.
        confidence_level: Between 0 and 1.

    Raises:
        ValueError: Shapes do not fit, or no row is without NaN.

    Source:
        Goldstein & Spiegelhalter (1996), J. R. Stat. Soc. A 159, 385-443 (ranks with intervals instead of league
        tables); Hall & Miller (2009), Ann. Stat. 37, 3929-3959 (bootstrap of ranks: too short where rates are tied).
    """
    values, table = np.asarray(rates, dtype=np.float64), np.asarray(draws, dtype=np.float64)
    if values.ndim != 1 or table.ndim != 2 or table.shape[1] != len(values):
        raise ValueError(f"rates (K,) and draws (B, K) do not fit: {values.shape} and {table.shape}")
    table = table[~np.isnan(table).any(axis=1)]
    if not len(table):
        raise ValueError("no draw has a rate of every condition")
    ranks = stats.rankdata(-values)
    drawn = stats.rankdata(-table, axis=1)
    tail = (1 - confidence_level) / 2
    low = np.quantile(drawn, tail, axis=0, method="inverted_cdf")
    high = np.quantile(drawn, 1 - tail, axis=0, method="inverted_cdf")
    best = table == table.max(axis=1, keepdims=True)
    first = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return Ranks(ranks, np.minimum(low, ranks), np.maximum(high, ranks), first, len(table))
