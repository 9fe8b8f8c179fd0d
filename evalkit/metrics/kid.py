"""Kernel Inception distance: like FID, without its bias."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.base import Array, Options, Quantity, Value
from evalkit.metrics.inception import InceptionMetric
from evalkit.results import Interval
from studies.errors import UserError

FloatArray = NDArray[np.float64]
BLOCK = 1024
"""Rows of kernel values at once; BLOCK × 5000 values are 40 MB."""
WHOLE = 5000
"""Images of a set of which all pairs are taken; larger sets are cut into parts of at most this size."""


METHOD = "squared maximum mean discrepancy of pool3 features, kernel (x·y/d + 1)³, unbiased, not multiplied by 1000; "
JACKKNIFE = "KID ± z · standard error of the jackknife over images of both sets"


class _Part(NamedTuple):
    """An estimate from all pairs of two sets."""

    value: float
    variance: float


class Kid(InceptionMetric):
    """Unbiased estimate of the squared maximum mean discrepancy with the kernel (x·y / d + 1)³.

    The value is MMD² itself, not a thousand times that, and may fall below 0 by chance where the sets are alike. The
    standard error is the jackknife's over the images of both sets, which errs on the wide side where they are alike.
    """

    name = "kid"
    quantities = (Quantity("kid", "KID", "distance", higher_is_better=False, decimals=4),)
    source = "Binkowski et al. (2018), arXiv:1801.01401, section 4; parts instead of subsets with replacement"

    def settings(self, keys: Sequence[str], options: Options) -> Mapping[str, str]:
        """Those of the features, and the kernel."""
        return {**super().settings(keys, options), "kernel": "(x.y/d + 1)^3"}

    def compute(self, keys: Sequence[str], found: Mapping[str, Any], options: Options) -> Sequence[Value]:
        """KID.

        Raises:
            UserError: A set has fewer than 2 images.
        """
        del keys
        reals, fakes = found["reals"], found["fakes"]
        for name, features in (("reals", reals), ("fakes", fakes)):
            if len(features) < 2:
                raise UserError(
                    f"KID needs at least 2 images in each set; the {name} are {len(features)}. Add images."
                )
        return [_value(reals, fakes, options)]


def _value(reals: Array, fakes: Array, options: Options) -> Value:
    rng = np.random.default_rng(options.seed)
    parts = [squared_mmd(first, second) for first, second in _pieces(reals, fakes, rng)]
    value = float(np.mean([part.value for part in parts]))
    error = float(np.sqrt(np.mean([part.variance for part in parts]) / len(parts)))
    seed = options.seed if len(parts) > 1 else None
    method = METHOD + (
        "all pairs" if seed is None else f"mean over {len(parts)} disjoint random parts of both sets"
    )
    if not np.isfinite(error):
        notes = ("No interval: at least 3 images in each set are needed to see how much they differ.",)
        return Value("kid", value, method, notes=notes, seed=seed)
    reach = NormalDist().inv_cdf(0.5 + options.confidence_level / 2) * error
    interval = Interval(value - reach, value + reach, options.confidence_level, JACKKNIFE)
    return Value("kid", value, method, interval, error, seed=seed)


def squared_mmd(first: Array, second: Array) -> _Part:
    """Unbiased squared maximum mean discrepancy of two sets of features, all pairs.

    Args:
        first: (n, d), n at least 2.
        second: (m, d), m at least 2.

    Returns:
        The value, and its jackknife variance over the rows of both (infinite for fewer than 3 rows).

    Source:
        Gretton et al. (2012), "A kernel two-sample test", JMLR 13, lemma 6; Arvesen (1969), "Jackknifing
        U-statistics", Ann. Math. Statist. 40, section 5 (two samples).
    """
    within_first, within_second = _row_sums(first), _row_sums(second)
    across_first, across_second = _cross_sums(first, second)
    n, m = len(first), len(second)
    across = 2 * float(across_first.sum()) / (n * m)
    value = float(within_first.sum()) / (n * (n - 1)) + float(within_second.sum()) / (m * (m - 1)) - across
    variance = _jackknife(within_first, across_first, m) + _jackknife(within_second, across_second, n)
    return _Part(value, variance)


def kernel(first: Array, second: Array) -> FloatArray:
    """(x·y / d + 1)³ of every row of the one with every row of the other: (n, m)."""
    values = first.astype(np.float64) @ second.astype(np.float64).T / first.shape[1] + 1
    return np.asarray(values * values * values)


def _row_sums(features: Array) -> FloatArray:
    """(n,) sum of the kernel of each row with all others; each pair is computed once."""
    sums = np.zeros(len(features))
    for start in range(0, len(features), BLOCK):
        rows = slice(start, start + BLOCK)
        values = kernel(features[rows], features[start:])
        own = values[:, : len(values)]
        np.fill_diagonal(own, 0)
        sums[rows] += values.sum(axis=1)
        sums[start + BLOCK :] += values[:, len(values) :].sum(axis=0)
    return sums


def _cross_sums(first: Array, second: Array) -> tuple[FloatArray, FloatArray]:
    """(n,) and (m,) sums of the kernel of each row with all rows of the other set."""
    of_first, of_second = np.zeros(len(first)), np.zeros(len(second))
    for start in range(0, len(first), BLOCK):
        values = kernel(first[start : start + BLOCK], second)
        of_first[start : start + BLOCK] = values.sum(axis=1)
        of_second += values.sum(axis=0)
    return of_first, of_second


def _jackknife(within: FloatArray, across: FloatArray, others: int) -> float:
    """Variance from leaving out each row of one set: of the terms of the estimate that this set is in."""
    n = len(within)
    if n < 3:
        return np.inf
    without = (within.sum() - 2 * within) / ((n - 1) * (n - 2))
    without -= 2 * (across.sum() - across) / ((n - 1) * others)
    return float((n - 1) * without.var())


def _pieces(reals: Array, fakes: Array, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """The two sets, or disjoint random parts of them; no more parts than leave 3 images of each set."""
    larger, smaller = max(len(reals), len(fakes)), min(len(reals), len(fakes))
    count = max(1, min(-(-larger // WHOLE), smaller // 3))
    if count == 1:
        yield reals, fakes
        return
    orders = (np.array_split(rng.permutation(len(features)), count) for features in (reals, fakes))
    for of_reals, of_fakes in zip(*orders, strict=True):
        yield reals[of_reals], fakes[of_fakes]
