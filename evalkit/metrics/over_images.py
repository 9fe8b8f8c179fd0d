"""The mean of something that every image has, with its uncertainty."""

import numpy as np
from numpy.typing import NDArray

from evalkit.results import Interval


def mean_over_images(
    values: NDArray[np.float64], confidence_level: float
) -> tuple[float, Interval | None, float | None]:
    """Mean, its t interval and its standard error.

    Args:
        values: (n,) finite, one per image; n >= 1.
        confidence_level: Between 0 and 1.

    Returns:
        Interval and standard error are None for one image. The interval says how far the mean over another sample of
        inputs may lie; another training run is not in it.
    """
    from scipy.special import stdtrit

    n, mean = len(values), float(values.mean())
    if n < 2:
        return mean, None, None
    error = float(values.std(ddof=1) / np.sqrt(n))
    half = float(stdtrit(n - 1, 0.5 + confidence_level / 2)) * error
    method = f"t with {n - 1} degrees of freedom over images"
    return mean, Interval(mean - half, mean + half, confidence_level, method, n - 1), error
