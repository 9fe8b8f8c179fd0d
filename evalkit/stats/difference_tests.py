"""The test that belongs to the clustered interval of a difference."""

import math
from collections.abc import Sequence

import numpy.typing as npt
from scipy import stats

from evalkit.results import Estimate, HypothesisTest
from evalkit.stats.clustering import Clusters
from evalkit.stats.multiplicity import holm
from evalkit.stats.proportions import clustered_difference, interval_p_value


def clustered_test(
    outcomes: tuple[npt.ArrayLike, npt.ArrayLike],
    clusters: tuple[Clusters, Clusters],
    confidence_level: float = 0.95,
) -> HypothesisTest:
    """Test of equal rates: it rejects at 1 - confidence_level exactly where the interval leaves 0 out.

    Args:
        outcomes: As for `clustered_difference`.
        clusters: As for `clustered_difference`.
        confidence_level: Of the interval that the p-value is taken from.

    Returns:
        As `difference_test`.

    Raises:
        ValueError: As `clustered_difference`.

    Source:
        `evalkit.stats.proportions.interval_p_value`.
    """
    return difference_test(clustered_difference(outcomes, clusters, confidence_level))


def difference_test(difference: Estimate) -> HypothesisTest:
    """The test that goes with a clustered difference: the same value, sizes and notes.

    Returns:
        HypothesisTest with key `difference_test`; its `statistic` is the t (without degrees of freedom: z) that has its
        p-value, with the sign of the difference.

    Source:
        As `clustered_test`.
    """
    p_value = interval_p_value(difference)
    statistic = None
    if p_value is not None and difference.value is not None and difference.interval is not None:
        freedom = difference.interval.degrees_of_freedom or math.inf
        quantile = stats.norm.isf(p_value / 2) if math.isinf(freedom) else stats.t.isf(p_value / 2, freedom)
        statistic = math.copysign(float(quantile), difference.value) if math.isfinite(quantile) else None
    return HypothesisTest(
        key="difference_test",
        value=difference.value,
        unit="proportion",
        method=f"the interval's verdict on 0, as a p-value; {difference.method}",
        n=difference.n,
        notes=difference.notes,
        statistic=statistic,
        p_value=p_value,
        null_hypothesis="both algorithms fool equally often",
        alternative="two-sided",
    )


def adjusted(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjustment over a family in which some tests could not be made; those count as if they had p = 1.

    Source:
        As `evalkit.stats.multiplicity.holm`.
    """
    known = holm([1.0 if p is None else p for p in p_values])[0]
    return [None if p is None else found for p, found in zip(p_values, known, strict=True)]
