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
_DENSE, _MOST_CELLS = 64, 4_000_000
"""Cells per trial, and cells in all, from which trials are sorted by cell instead of counted in a table of all cells."""
NO_DIMENSION = "clusters must name at least one dimension (workers)"


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
    alone: list[
        set[int]
    ] = []  # crossings in whose cells no two trials meet, nor then in further crossings of them
    places = range(len(dimensions))
    for size in range(2, len(dimensions) + 1):
        for subset in map(set, itertools.combinations(places, size)):
            if any(known <= subset for known in alone):
                sums, is_alone = influence, True
            else:
                sums, is_alone = _crossed_sums(influence, [dimensions[place] for place in sorted(subset)])
            if is_alone:
                alone.append(subset)
            squares = float(np.square(sums).sum())  # not sums @ sums: BLAS would start threads for it
            total += squares * (1 if size % 2 else -1)
    largest = max(term.variance for term in one_way)
    return ClusteredVariance(max(total, largest), min(term.degrees_of_freedom for term in one_way))


def dimensions_of(clusters: Clusters, size: int) -> list[Dimension]:
    """One Dimension per entry of `clusters`; ids may be of any type that sorts.

    Raises:
        ValueError: There is none, or one has not `size` ids.
    """
    if not clusters:
        raise ValueError(NO_DIMENSION)
    return [_dimension(name, _ids(name, ids, size)) for name, ids in clusters.items()]


def joined_dimensions(clusters: tuple[Clusters, Clusters], n_first: int, n_second: int) -> list[Dimension]:
    """Dimensions over the trials of two conditions, first ones first; equal ids are one cluster.

    Raises:
        ValueError: As `dimensions_of`.
    """
    sizes = n_first, n_second
    ids = [
        {name: _ids(name, values, n) for name, values in of.items()}
        for of, n in zip(clusters, sizes, strict=True)
    ]
    if not ids[0]:
        raise ValueError(NO_DIMENSION)
    return [_joined(name, values, ids[1][name]) for name, values in ids[0].items()]


def sandwich_words(dimensions: Sequence[Dimension], freedom: float | None = None) -> str:
    """The variance estimator as a `method` names it."""
    words = f"multi-way clustered sandwich over {' × '.join(dimension.words for dimension in dimensions)}"
    return (
        words if freedom is None else f"{words}, t with {freedom:.4g} degree{'s' * (freedom != 1)} of freedom"
    )


def _ids(name: str, values: npt.ArrayLike, size: int) -> npt.NDArray[np.generic]:
    ids = np.asarray(values)
    if ids.shape != (size,):
        raise ValueError(f"clusters[{name!r}] must have one id per outcome, shape ({size},), got {ids.shape}")
    return ids


def _dimension(name: str, ids: npt.NDArray[np.generic]) -> Dimension:
    codes, count = _numbered(ids)
    return Dimension(name, codes, count, count, np.zeros(count, dtype=np.int64))


def _numbered(ids: npt.NDArray[np.generic]) -> tuple[IntArray, int]:
    """Ids as 0 .. count - 1 in their order, and the count; without sorting where they are small whole numbers."""
    if ids.size and ids.dtype.kind in "iu":
        whole = ids.astype(np.int64, copy=False)
        if whole.min() >= 0 and whole.max() < 4 * ids.size + 1024:
            used = np.bincount(whole) > 0
            return (np.cumsum(used) - 1)[whole], int(used.sum())
    names, codes = np.unique(ids, return_inverse=True)
    return codes.astype(np.int64), len(names)


def _joined(name: str, first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> Dimension:
    every = _dimension(name, np.concatenate((first, second)))
    seen = [
        np.bincount(codes, minlength=every.count) > 0
        for codes in (every.codes[: first.size], every.codes[first.size :])
    ]
    fewest = min(int(of_one.sum()) for of_one in seen)
    apart = not bool((seen[0] & seen[1]).any())  # nothing is shared: two separate groups of clusters
    return Dimension(name, every.codes, every.count, fewest, (seen[1] & apart).astype(np.int64))


def _one_way(influence: FloatArray, dimension: Dimension) -> ClusteredVariance:
    """One dimension's term; with separate groups of clusters the sum of theirs.

    Where clusters are shared, it is known no better than the condition that has fewest of them lets it be: one person
    who saw both algorithms must not turn 8 people against 60 into 67 of one kind.

    Source:
        Degrees of freedom of a sum of variances: Satterthwaite (1946), Biometrics Bulletin 2, 110-114.
    """
    sums = np.bincount(dimension.codes, weights=influence, minlength=dimension.count)
    sums[np.abs(sums) < 1e-12 / influence.size] = (
        0.0  # rounding of exact zeros, or it would pass for a variance
    )
    squares = sums**2
    sizes = np.bincount(dimension.parts)
    if len(sizes) == 1:
        sizes = np.array([dimension.fewest])
    terms = np.bincount(dimension.parts, weights=squares) * sizes / (sizes - 1)
    total = float(terms.sum())
    if total == 0:
        return ClusteredVariance(0.0, float(sizes.min() - 1))
    return ClusteredVariance(total, total**2 / float((terms**2 / (sizes - 1)).sum()))


def _crossed_sums(influence: FloatArray, crossed: Sequence[Dimension]) -> tuple[FloatArray, bool]:
    """Sum of influence in each cell of a crossing (empty ones may be there, as zeros), and whether none has two trials."""
    codes, cells = crossed[0].codes, crossed[0].count
    for dimension in crossed[1:]:
        codes, cells = codes * dimension.count + dimension.codes, cells * dimension.count
        if cells > min(_DENSE * codes.size + 1024, _MOST_CELLS):  # mostly empty: number only the cells in use
            ordered = np.sort(codes)
            if bool((ordered[1:] != ordered[:-1]).all()):
                return influence, True
            used, codes = np.unique(codes, return_inverse=True)
            cells = used.size
    if int(np.bincount(codes).max()) == 1:
        return influence, True
    return np.bincount(codes, weights=influence).astype(np.float64, copy=False), False
