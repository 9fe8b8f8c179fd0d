"""Input sensitivity: do different inputs give different outputs, or the same picture again and again?"""

import numpy as np
from numpy.typing import NDArray


def input_sensitivity(reals: NDArray[np.uint8], fakes: NDArray[np.uint8]) -> float:
    """Distance between the outputs of different inputs, relative to the distance between their real photos.

    Args:
        reals: (n, height, width, 3) uint8 RGB, n >= 2.
        fakes: (n, height, width, 3) uint8 RGB, the k-th made from the k-th real's input.

    Returns:
        Root mean square distance between two different fakes over that between two different reals: 0 when the
        output does not depend on the input, 1 when the fakes differ as much as the reals.

    Raises:
        ValueError: Fewer than two images, different shapes, or reals that are all alike.
    """
    if reals.shape != fakes.shape or len(reals) < 2:
        raise ValueError(f"two or more reals and fakes of one shape, not {reals.shape} and {fakes.shape}")
    spread = _mean_square_distance(reals)
    if spread == 0:
        raise ValueError("the real images are all alike")
    return float(np.sqrt(_mean_square_distance(fakes) / spread))


def _mean_square_distance(images: NDArray[np.uint8]) -> float:
    """Over all pairs of different images, per pixel and channel; it is twice the unbiased variance."""
    flat = images.reshape(len(images), -1).astype(np.float64) / 255
    return float(2 * (flat - flat[0]).var(axis=0, ddof=1).mean())  # exactly 0 for images that are all alike
