"""Fidelity and variety apart: precision and recall, density and coverage of neighbourhoods of features."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.base import Array, Options, Quantity, Value
from evalkit.metrics.inception import InceptionMetric
from studies.errors import UserError

BLOCK = 512
"""Rows of distances at once."""
NEIGHBOURS: Mapping[str, int] = {"precision": 3, "recall": 3, "density": 5, "coverage": 5}
"""Which nearest neighbour of its own set, itself not counted, an image's ball reaches to: the papers' defaults."""
SMALL = 1000
"""Below it the numbers depend much on N; the papers use 10,000 images and more."""

RESOLUTION = 1e-6
"""Squared distances below this share of the two squared lengths are rounding of single precision."""

METHODS: Mapping[str, str] = {
    "precision": "share of fakes that lie in the ball of at least one real (to its 3rd nearest real); pool3 features",
    "recall": "share of reals that lie in the ball of at least one fake (to its 3rd nearest fake); pool3 features",
    "density": "mean number of real balls (to the 5th nearest real) that a fake lies in, over 5; pool3 features",
    "coverage": "share of reals whose ball (to the 5th nearest real) holds at least one fake; pool3 features",
}


class PrecisionRecall(InceptionMetric):
    """Precision and recall of Kynkäänniemi et al., density and coverage of Naeem et al.

    Precision asks of fakes whether they look like some real: balls are around reals, fakes are counted. Recall asks of
    reals whether some fake looks like them: balls are around fakes, reals are counted. A generator that makes one
    perfect image over and over has precision 1 and recall 0. Balls are around reals for both density and coverage.
    Density may exceed 1. For two draws of the same images coverage is about 1 - 2^-5 = 0.97, not 1.
    """

    name = "precision_recall"
    quantities = (
        Quantity("precision", "Precision", "proportion", higher_is_better=True),
        Quantity("recall", "Recall", "proportion", higher_is_better=True),
        Quantity("density", "Density", "ratio", higher_is_better=True),
        Quantity("coverage", "Coverage", "proportion", higher_is_better=True),
    )
    source = (
        "Kynkäänniemi et al. (2019), arXiv:1904.06991, eq. 2 (precision, recall);"
        " Naeem et al. (2020), arXiv:2002.09797, eq. 3 and 4 (density, coverage)"
    )

    def settings(self, keys: Sequence[str], options: Options) -> Mapping[str, str]:
        """Those of the features, and the numbers of neighbours."""
        return {
            **super().settings(keys, options),
            "neighbours": ", ".join(f"{key} {k}" for key, k in NEIGHBOURS.items() if key in keys),
        }

    def compute(self, keys: Sequence[str], found: Mapping[str, Any], options: Options) -> Sequence[Value]:
        """The quantities asked for; those that need more images than there are have no value.

        Raises:
            UserError: There are too few images for any of them.
        """
        del options
        reals, fakes = _centred(found["reals"], found["fakes"])
        possible = [key for key in keys if _balls(key, reals, fakes) > NEIGHBOURS[key]]
        if not possible or not len(fakes) or not len(reals):
            raise UserError(
                f"Precision and recall need at least 4 images in each set, density and coverage 6 reals;"
                f" there are {len(reals)} reals and {len(fakes)} fakes. Add images."
            )
        counts = neighbourhood_counts(reals, fakes, possible)
        notes = _notes(len(reals), len(fakes))
        return [
            _value(key, counts[key], notes) if key in possible else _without(key, _balls(key, reals, fakes))
            for key in keys
        ]


def neighbourhood_counts(reals: Array, fakes: Array, keys: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """What each quantity is the mean of.

    Args:
        reals: (n, d) float32.
        fakes: (m, d) float32.
        keys: Of NEIGHBOURS; the set whose balls are asked for has more images than neighbours.

    Returns:
        By key: `precision` (m,) 0 or 1 for each fake; `recall` (n,) 0 or 1 for each real; `density` (m,) balls over
        k for each fake; `coverage` (n,) 0 or 1 for each real. A ball holds its rim for precision and recall, as in
        Kynkäänniemi's programme, and not for density and coverage, as in Naeem's.
    """
    of_reals = radii(reals, {NEIGHBOURS[key] for key in keys if key != "recall"})
    of_fakes = radii(fakes, {NEIGHBOURS[key] for key in keys if key == "recall"})
    found = {key: np.zeros(len(fakes if key in ("precision", "density") else reals)) for key in keys}
    for rows, distances in _distances(reals, fakes):
        reach = {k: radius[rows, None] for k, radius in of_reals.items()}
        for key in keys:
            k = NEIGHBOURS[key]
            if key == "precision":
                found[key] = np.maximum(found[key], (distances <= reach[k]).any(axis=0))
            elif key == "recall":
                found[key][rows] = (distances <= of_fakes[k]).any(axis=1)
            elif key == "density":
                found[key] += (distances < reach[k]).sum(axis=0) / k
            else:
                found[key][rows] = (distances < reach[k]).any(axis=1)
    return found


def radii(features: Array, neighbours: set[int]) -> dict[int, Array]:
    """Squared distance of each row of (n, d) to its k-th nearest other row, (n,) by k; n is more than any k."""
    found = {k: np.zeros(len(features), np.float32) for k in neighbours}
    if not neighbours:
        return found
    for rows, distances in _distances(features, features):
        distances[
            np.arange(len(distances)), np.arange(len(features))[rows]
        ] = -1  # itself, before any double of it
        nearest = np.partition(distances, sorted(neighbours), axis=1)
        for k in neighbours:
            found[k][rows] = nearest[:, k]
    return found


def _distances(first: Array, second: Array) -> Iterator[tuple[slice, Array]]:
    """Blocks of rows of the matrix of squared Euclidean distances; what is below the precision is 0."""
    squares = [np.einsum("ij,ij->i", features, features) for features in (first, second)]
    for start in range(0, len(first), BLOCK):
        rows = slice(start, start + BLOCK)
        size = squares[0][rows, None] + squares[1]
        # A copy, since numpy multiplies a matrix by its own transpose in another way, with other rounding.
        distances = size - 2 * (first[rows].copy() @ second.T)
        distances[distances < RESOLUTION * size] = 0
        yield rows, distances


def _centred(reals: Array, fakes: Array) -> tuple[Array, Array]:
    """Both less their common mean, in single precision: the closer to zero, the less is lost in differences."""
    if not len(reals) or not len(fakes):
        return reals, fakes
    mean = (reals.mean(axis=0, dtype=np.float64) + fakes.mean(axis=0, dtype=np.float64)) / 2
    small = mean.astype(np.float32)
    return reals.astype(np.float32, copy=False) - small, fakes.astype(np.float32, copy=False) - small


def _balls(key: str, reals: Array, fakes: Array) -> int:
    """Number of images whose balls the quantity asks about."""
    return len(fakes) if key == "recall" else len(reals)


def _value(key: str, counts: NDArray[np.float64], notes: tuple[str, ...]) -> Value:
    per_image = counts if key in ("precision", "density") else None
    return Value(key, float(counts.mean()), METHODS[key], notes=notes, per_image=per_image)


def _without(key: str, balls: int) -> Value:
    whose = "fakes" if key == "recall" else "reals"
    why = f"{key.capitalize()} needs at least {NEIGHBOURS[key] + 1} {whose} and there are {balls}."
    return Value(key, None, METHODS[key], notes=(why,))


def _notes(n_reals: int, n_fakes: int) -> tuple[str, ...]:
    fewest = min(n_reals, n_fakes)
    if fewest >= SMALL:
        return ()
    return (
        f"N = {fewest} is below {SMALL}: balls of few images are large; compare only with sets of the same N.",
    )
