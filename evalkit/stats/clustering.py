"""Ways in which trials hang together, and the variance of a sum over them.

Trials that share a worker or an image are not independent. Every such way is a `Dimension`; the variance is the
multi-way clustered sandwich of Cameron, Gelbach & Miller (2011).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Clusters = Mapping[str, npt.ArrayLike]
"""Dimension (`workers`, `source_images` ...) -> one id per trial, shape (n,). Workers come first."""


@dataclass(frozen=True)
class Dimension:
    """One way in which trials hang together."""

    name: str
    codes: IntArray
    """Shape (n,), 0 .. count - 1."""
    count: int
    """Clusters in all."""
    fewest: int
    """Clusters in the condition that has fewest; `count` where there is one condition."""
    parts: IntArray
    """Shape (count,): the condition of each cluster if no cluster has trials of two, else all 0."""

    @property
    def words(self) -> str:
        """Its name in running text."""
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class ClusteredVariance:
    """A variance and how well it is known."""

    variance: float
    degrees_of_freedom: float
    """Of the dimension that has fewest."""


def clustered_variance(influence: FloatArray, dimensions: Sequence[Dimension]) -> ClusteredVariance:
    """Variance of a sum of influence values, shape (n,), that are dependent within clusters of any dimension.

    V = Σ over non-empty sets S of dimensions (-1)^(|S|+1) c_S Σ_g (Σ_{i in g} influence_i)², g the cells of S, with
    c_S = G/(G-1) for one dimension of G clusters and 1 for intersections; at least the largest one-way term, since
    the difference can turn out negative. Every dimension needs at least two clusters per condition.

    Source:
        Cameron, Gelbach & Miller (2011), "Robust inference with multiway clustering", J. Bus. Econ. Stat. 29,
        sections 2.2 and 2.3; the lower bound by the one-way terms is ours.
    """
    one_way = [_one_way(influence, dimension) for dimension in dimensions]
    total = sum(term.variance for term in one_way)
    for size in range(2, len(dimensions) + 1):
        for subset in itertools.combinations(dimensions, size):
            sums = _cell_sums(influence, subset)
            total += float(sums @ sums) * (1 if size % 2 else -1)
    largest = max(term.variance for term in one_way)
    return ClusteredVariance(max(total, largest), min(term.degrees_of_freedom for term in one_way))


def dimensions_of(clusters: Clusters, size: int) -> list[Dimension]:
    """One Dimension per entry of `clusters`; ids may be of any type that sorts.

    Raises:
        ValueError: There is none, or one has not `size` ids.
    """
    if not clusters:
        raise ValueError("clusters must name at least one dimension (workers)")
    return [_dimension(name, np.asarray(ids), size) for name, ids in clusters.items()]


def joined_dimensions(clusters: tuple[Clusters, Clusters], n_first: int, n_second: int) -> list[Dimension]:
    """Dimensions over the trials of two conditions, first ones first; equal ids are one cluster.

    Raises:
        ValueError: As `dimensions_of`.
    """
    both = dimensions_of(clusters[0], n_first), dimensions_of(clusters[1], n_second)
    return [
        _joined(np.asarray(clusters[0][one.name]), np.asarray(clusters[1][one.name]), one, other)
        for one, other in zip(*both, strict=True)
    ]


def sandwich_words(dimensions: Sequence[Dimension], freedom: float | None = None) -> str:
    """The variance estimator as a `method` names it."""
    words = f"multi-way clustered sandwich over {' × '.join(dimension.words for dimension in dimensions)}"
    return (
        words if freedom is None else f"{words}, t with {freedom:.4g} degree{'s' * (freedom != 1)} of freedom"
    )


def _dimension(name: str, ids: npt.NDArray[np.generic], size: int) -> Dimension:
    if ids.shape != (size,):
        raise ValueError(f"clusters[{name!r}] must have one id per outcome, shape ({size},), got {ids.shape}")
    names, codes = np.unique(ids, return_inverse=True)
    return Dimension(
        name, codes.astype(np.int64), len(names), len(names), np.zeros(len(names), dtype=np.int64)
    )


def _joined(
    first: npt.NDArray[np.generic], second: npt.NDArray[np.generic], one: Dimension, other: Dimension
) -> Dimension:
    every = _dimension(one.name, np.concatenate((first, second)), len(first) + len(second))
    parts = every.parts.copy()
    if every.count == one.count + other.count:  # nothing is shared: two separate groups of clusters
        parts[every.codes[len(first) :]] = 1
    return Dimension(one.name, every.codes, every.count, min(one.count, other.count), parts)


def _one_way(influence: FloatArray, dimension: Dimension) -> ClusteredVariance:
    """One dimension's term; with separate groups of clusters the sum of theirs.

    Source:
        Degrees of freedom of a sum of variances: Satterthwaite (1946), Biometrics Bulletin 2, 110-114.
    """
    squares = _cell_sums(influence, [dimension]) ** 2
    sizes = np.bincount(dimension.parts)
    terms = np.bincount(dimension.parts, weights=squares) * sizes / (sizes - 1)
    total = float(terms.sum())
    if total == 0:
        return ClusteredVariance(0.0, float(sizes.min() - 1))
    return ClusteredVariance(total, total**2 / float((terms**2 / (sizes - 1)).sum()))


def _cell_sums(influence: FloatArray, subset: Sequence[Dimension]) -> FloatArray:
    """Sum of influence in each cell of the crossing of the dimensions; empty cells may be there, as zeros."""
    codes, cells = subset[0].codes, subset[0].count
    for dimension in subset[1:]:
        codes, cells = codes * dimension.count + dimension.codes, cells * dimension.count
        if cells > 8 * len(codes) + 1024:  # mostly empty: number only the cells in use
            used, codes = np.unique(codes, return_inverse=True)
            cells = len(used)
    sums = np.bincount(codes, weights=influence, minlength=cells).astype(np.float64)
    sums[np.abs(sums) < 1e-12 / len(influence)] = (
        0.0  # rounding of exact zeros, or it would pass for a variance
    )
    return sums
