"""Means of one number per worker."""

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from evalkit.results import Estimate, Interval


def mean_over_workers(
    values: npt.ArrayLike,
    confidence_level: float = 0.95,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """The mean of independent values, one per worker, with Student's interval.

    Args:
        values: Shape (n,), finite.
        confidence_level: Between 0 and 1.
        bounds: What a mean can be, such as 0 and 1 of shares; the interval is cut off there.

    Returns:
        Estimate with key `mean`; without an interval below two workers or where all are equal, and a note that says so.

    Source:
        Student (1908), "The probable error of a mean", Biometrika 6.
    """
    scores = np.asarray(values, dtype=float)
    n = {"workers": int(scores.size)}
    method = "mean over workers"
    if scores.size == 0:
        return Estimate(key="mean", value=None, unit="", method=method, n=n, notes=("No workers.",))
    mean = float(scores.mean())
    if scores.size == 1:
        note = "One worker: no interval can be given."
        return Estimate(key="mean", value=mean, unit="", method=method, n=n, notes=(note,))
    error, freedom = float(scores.std(ddof=1)) / math.sqrt(scores.size), scores.size - 1
    if error < 1e-12:
        note = "Every worker has exactly the same value: no interval can be given."
        return Estimate(key="mean", value=mean, unit="", method=method, n=n, notes=(note,))
    reach = float(stats.t.ppf((1 + confidence_level) / 2, freedom)) * error
    method = f"{method}, t with {freedom} degrees of freedom"
    low, high = max(mean - reach, bounds[0]), min(mean + reach, bounds[1])
    interval = Interval(low, high, confidence_level, method, float(freedom))
    return Estimate(
        key="mean", value=mean, unit="", method=method, n=n, interval=interval, standard_error=error
    )
