"""The Fréchet distance between two sets of features, exactly and without a matrix square root.

Everything is in double precision: in single precision a distance of 40 between covariances of 2048 × 2048 is off by
0.1. With A and B the centred features over √(n - 1), the trace of √(C₁ C₂) is the sum of the singular values of A Bᵀ,
so that up to 2048 images never need a covariance at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.base import Array, Statistics

FloatArray = NDArray[np.float64]
BLOCK = 2048
"""Rows in double precision at once."""


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of a set of features; the covariance itself or a factor of it."""

    mean: FloatArray
    """(d,)"""
    trace: float
    """Of the covariance."""
    rows: FloatArray | None = None
    """(r, d) with rows.T @ rows = covariance, r at most d."""
    covariance: FloatArray | None = None
    """(d, d) where there are no rows."""


def frechet_distance(first: Array | Statistics, second: Array | Statistics) -> float:
    """Squared Fréchet distance |μ₁ - μ₂|² + tr C₁ + tr C₂ - 2 tr √(C₁ C₂) of two normal distributions.

    Up to d images (d = 2048 for Inception) it comes from one symmetric eigenvalue problem as large as the smaller
    set; above, from one of size d and a Cholesky factor. A covariance of less than full rank is no obstacle, and
    nothing is added to its diagonal.

    Args:
        first: (n, d) features, n at least 2, or Statistics.
        second: (m, d) features or Statistics.

    Returns:
        At least 0; rounding below 0 is cut off.

    Raises:
        ValueError: Fewer than 2 rows, dimensions differ, or a value is not finite.

    Source:
        Dowson & Landau (1982), J. Multivariate Analysis 12; Heusel et al. (2017), arXiv:1706.08500, eq. 6. Equal to
        pytorch-fid 0.3.0 `calculate_frechet_distance` up to the error of scipy's matrix square root there.
    """
    return distance_of_moments(moments(first), moments(second))


def distance_of_moments(first: Moments, second: Moments) -> float:
    """`frechet_distance` from `moments`, which may serve several distances."""
    _check_dimensions(first, second)
    return _distance(first, second, _trace_of_root(first, second))


def moments(of: Array | Statistics) -> Moments:
    """What a Fréchet distance needs to know of a set.

    Args:
        of: (n, d) features, n at least 2, or Statistics.

    Raises:
        ValueError: Fewer than 2 rows, or a value is not finite.
    """
    if isinstance(of, Statistics):
        return Moments(of.mean, float(np.trace(of.covariance)), covariance=of.covariance)
    n, d = _shape(of)
    if n > d:
        return moments(statistics_of(of))
    mean = np.asarray(of.mean(axis=0, dtype=np.float64))
    rows = (of - mean) / np.sqrt(n - 1)
    return Moments(mean, float(np.einsum("ij,ij", rows, rows)), rows=rows)


def statistics_of(features: Array) -> Statistics:
    """Mean and covariance (with n - 1) of (n, d) features, in double precision and block by block.

    Raises:
        ValueError: Fewer than 2 rows, or a value is not finite.
    """
    n, d = _shape(features)
    mean = np.asarray(features.mean(axis=0, dtype=np.float64))
    total = np.zeros((d, d))
    for block in blocks(features, mean):
        total += block.T @ block
    return Statistics(mean, total / (n - 1), n)


def blocks(features: Array, mean: FloatArray, dtype: Any = np.float64) -> Iterator[Array]:
    """(at most BLOCK, d) features less the mean, one block after the other."""
    for start in range(0, len(features), BLOCK):
        yield (features[start : start + BLOCK] - mean).astype(dtype, copy=False)


@dataclass(frozen=True)
class Influences:
    """A Fréchet distance and how much each image moves it."""

    distance: float
    reals: FloatArray | None
    """(n,), mean 0; None for Statistics, whose images are not known."""
    fakes: FloatArray
    """(m,), mean 0."""

    @property
    def standard_error(self) -> float:
        """Of the distance, over draws of the images of both sets (of the fakes alone for Statistics)."""
        known = (self.fakes,) if self.reals is None else (self.reals, self.fakes)
        return float(np.sqrt(sum(values.var() / len(values) for values in known)))


def influences(reals: Array | Statistics, fakes: Array) -> Influences:
    """The Fréchet distance with its derivative with respect to the weight of each image.

    ψᵢ = 2 (μ₁ - μ₂)·(xᵢ - μ₁) + (xᵢ - μ₁)ᵀ (I - M) (xᵢ - μ₁) less its mean, where M = C₁^-½ (C₁^½ C₂ C₁^½)^½ C₁^-½
    carries the first normal distribution to the second. var(ψ) / n + var(φ) / m is the infinitesimal jackknife's
    variance: what a bootstrap over the images of both sets finds, to first order and without its random numbers.
    It is 0 where the two sets are the same.

    Args:
        reals: (n, d) features, or Statistics.
        fakes: (m, d) features.

    Raises:
        ValueError: As for `frechet_distance`.

    Source:
        Rippl, Munk & Sturm (2016), "Limit laws of the empirical Wasserstein distance: Gaussian distributions",
        J. Multivariate Analysis 151, theorem 2.3; Efron (1982), "The jackknife, the bootstrap and other resampling
        plans", ch. 6.
    """
    sets = [(reals, moments(reals)), (fakes, moments(fakes))]
    _check_dimensions(sets[0][1], sets[1][1])
    swap = _size(sets[0][1]) > _size(sets[1][1])
    (of_small, small), (of_big, big) = sets[::-1] if swap else sets
    rows, back = _factor(small)
    values, vectors = _eigenvectors(_congruence(rows, big))
    roots = np.sqrt(values)
    if back is None:  # the rows are the images themselves
        inward: Array = (len(rows) - 1) * (vectors**2 @ roots)
    else:
        inward = back.T @ (vectors * np.sqrt(roots))
    onward = rows.T @ (vectors / np.sqrt(roots))
    found = [_influence(of_small, small, big, inward), _influence(of_big, big, small, onward)]
    of_reals, of_fakes = found[::-1] if swap else found
    assert of_fakes is not None
    return Influences(_distance(small, big, _sum_of_roots(values, rows, small, big)), of_reals, of_fakes)


def _influence(of: Array | Statistics, own: Moments, other: Moments, carried: Array) -> FloatArray | None:
    """`carried`: (d, r) a factor of M, or (n,) the quadratic form itself. Single precision is ample for error bars."""
    if isinstance(of, Statistics):
        return None
    direction = (own.mean - other.mean).astype(np.float32)
    root = carried.astype(np.float32) if carried.ndim == 2 else None
    parts = []
    for block in blocks(of, own.mean, np.float32):
        part = np.einsum("ij,ij->i", block, block)
        if root is not None:
            moved = block @ root
            part -= np.einsum("ij,ij->i", moved, moved)
        parts.append((part, 2 * block @ direction))
    quadratic, linear = (np.concatenate(each).astype(np.float64) for each in zip(*parts, strict=True))
    if root is None:
        quadratic -= carried
    values = quadratic * (len(of) / (len(of) - 1)) + linear
    return np.asarray(values - values.mean())


def _distance(first: Moments, second: Moments, trace_of_root: float) -> float:
    gap = first.mean - second.mean
    return max(float(gap @ gap) + first.trace + second.trace - 2 * trace_of_root, 0.0)


def _check_dimensions(first: Moments, second: Moments) -> None:
    if first.mean.shape != second.mean.shape:
        raise ValueError(f"features of {first.mean.size} numbers against features of {second.mean.size}")


def _trace_of_root(first: Moments, second: Moments) -> float:
    """Trace of √(C₁ C₂)."""
    small, big = (second, first) if _size(first) > _size(second) else (first, second)
    rows = _root(small)
    values = np.linalg.eigvalsh(_congruence(rows, big))
    return _sum_of_roots(values[values > _tolerance(values)], rows, small, big)


def _sum_of_roots(kept: Array, rows: FloatArray, small: Moments, big: Moments) -> float:
    """Sum of the roots of eigenvalues that are no rounding.

    One is always 0 for centred rows. Where more are too small to tell from 0, their roots are not: a rounding of 1e-16
    has a root of 1e-8. Then the singular values are worth their two- to threefold price.
    """
    if len(kept) >= len(rows) - (small.rows is not None):
        return float(np.sqrt(kept).sum())
    from scipy.linalg import svdvals

    return float(svdvals(rows @ _root(big).T, overwrite_a=True, check_finite=False).sum())


def _size(of: Moments) -> int:
    return len(of.mean) + 1 if of.rows is None else len(of.rows)


def _congruence(rows: FloatArray, other: Moments) -> FloatArray:
    """The matrix rows @ covariance of the other @ rows.T, whose eigenvalues are those of C₁ C₂."""
    if other.rows is not None:
        product = rows @ other.rows.T
        return np.asarray(product @ product.T)
    assert other.covariance is not None
    return np.asarray(rows @ other.covariance @ rows.T)


def _root(of: Moments) -> FloatArray:
    """A matrix R with Rᵀ R = covariance."""
    if of.rows is not None:
        return of.rows
    upper = _cholesky(of)
    return _factor(of)[0] if upper is None else upper


def _factor(of: Moments) -> tuple[FloatArray, FloatArray | None]:
    """A matrix R with Rᵀ R = covariance and, where it had to be made, the transposed pseudo-inverse of R."""
    if of.rows is not None:
        return of.rows, None
    from scipy.linalg import solve_triangular

    upper = _cholesky(of)
    if upper is not None:
        return upper, np.asarray(solve_triangular(upper, np.eye(len(upper)), trans="T", check_finite=False))
    assert of.covariance is not None
    values, vectors = _eigenvectors(of.covariance)
    roots = np.sqrt(values)
    return (vectors * roots).T, (vectors / roots).T


def _cholesky(of: Moments) -> FloatArray | None:
    """The upper factor of the covariance; None where that is singular, to rounding."""
    from scipy.linalg import LinAlgError, cholesky

    assert of.covariance is not None
    try:
        upper = np.asarray(cholesky(of.covariance, check_finite=False))
    except LinAlgError:
        return None
    pivots = np.diag(upper) ** 2
    return None if pivots.min() <= _tolerance(pivots) else upper


def _eigenvectors(symmetric: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues that are not mere rounding, and their vectors as columns."""
    values, vectors = np.linalg.eigh(symmetric)
    kept = values > _tolerance(values)
    return values[kept], vectors[:, kept]


def _tolerance(values: Array) -> float:
    """Below it a value of a sum of this size is rounding."""
    return float(len(values) * np.finfo(np.float64).eps * values.max(initial=0))


def _shape(features: Array) -> tuple[int, int]:
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"at least 2 rows of features are needed, not an array of shape {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError("features must be finite")
    return features.shape[0], features.shape[1]
