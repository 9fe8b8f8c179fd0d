"""Whether an outcome drifts over the trials of a session."""

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from evalkit.results import Estimate, Interval


def within_worker_slope(
    outcomes: npt.ArrayLike,
    positions: npt.ArrayLike,
    workers: npt.ArrayLike,
    confidence_level: float = 0.95,
) -> Estimate:
    """How much the outcome changes per trial inside a worker's session, by a straight line.

    Outcome and position are taken as deviations from the worker's own means, ỹ and x̃, so that who stayed longer or is
    more gullible makes no slope: b = Σ x̃ỹ / Σ x̃². Its variance is clustered on workers,
    V = G/(G-1) Σ_w (Σ_{i in w} x̃ (ỹ - b x̃))² / (Σ x̃²)², with t on G - 1 degrees of freedom.

    Args:
        outcomes: Shape (n,), each in [0, 1].
        positions: Shape (n,), the trial's place in the session.
        workers: Shape (n,), ids of any type that sorts.
        confidence_level: Between 0 and 1.

    Returns:
        Estimate with key `slope`, in units of the outcome per trial; without a value where no worker answered twice,
        without an interval below two such workers, and a note that says so.

    Source:
        Arellano (1987), "Computing robust standard errors for within-groups estimators", Oxf. Bull. Econ. Stat. 49,
        equation 5; the factor G/(G-1) as in Cameron & Miller (2015), J. Hum. Resour. 50, section II.B.
    """
    y, x = np.asarray(outcomes, dtype=float), np.asarray(positions, dtype=float)
    codes = np.unique(np.asarray(workers), return_inverse=True)[1]
    method = "least squares within workers, clustered on workers"
    unit = "proportion per trial"
    x, y = _centred(x, codes), _centred(y, codes)
    spread = float(x @ x)
    count = int(np.count_nonzero(np.bincount(codes, weights=x**2) > 0)) if len(x) else 0
    n = {"trials": len(y), "workers": count}
    if spread == 0:
        note = "No worker answered at two places of a session: no slope can be seen."
        return Estimate(key="slope", value=None, unit=unit, method=method, n=n, notes=(note,))
    slope = float(x @ y) / spread
    if count < 2:
        note = "One worker: no interval can be given."
        return Estimate(key="slope", value=slope, unit=unit, method=method, n=n, notes=(note,))
    sums = np.bincount(codes, weights=x * (y - slope * x))
    error = math.sqrt(count / (count - 1) * float(sums @ sums)) / spread
    if error < 1e-12:
        note = "Every worker shows exactly the same slope: no interval can be given."
        return Estimate(key="slope", value=slope, unit=unit, method=method, n=n, notes=(note,))
    reach = error * float(stats.t.ppf((1 + confidence_level) / 2, count - 1))
    method = f"{method}, t with {count - 1} degrees of freedom"
    interval = Interval(slope - reach, slope + reach, confidence_level, method, float(count - 1))
    return Estimate(
        key="slope", value=slope, unit=unit, method=method, n=n, interval=interval, standard_error=error
    )


def _centred(values: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The values less the mean of their group."""
    if not len(values):
        return values
    means = np.bincount(codes, weights=values) / np.bincount(codes)
    centred: npt.NDArray[np.float64] = values - means[codes]
    return centred
