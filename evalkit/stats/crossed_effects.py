"""Crossed groups of trials (workers, images, runs) and the linear algebra of an effect per level of each.

With one effect per level the matrix to invert is Z'WZ + D⁻¹: q × q, with a diagonal block for every group. The largest
group is eliminated by its diagonal (Schur complement), so that only the levels of the other groups need a dense factor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DENSE_PER_SECOND, SPARSE_PER_SECOND = 1e10, 1e8
"""Multiplications in a product of dense and of sparse matrices; only their ratio matters, for choosing the form."""


@dataclass(frozen=True)
class CrossedGroups:
    """Which level of each group every trial belongs to; the group with most levels comes first."""

    names: tuple[str, ...]
    levels: tuple[npt.NDArray[np.generic], ...]
    """The ids of each group's levels, sorted."""
    codes: tuple[IntArray, ...]
    """Shape (n,) each, 0 .. levels - 1."""

    @classmethod
    def of(cls, groups: Mapping[str, npt.ArrayLike]) -> "CrossedGroups":
        """From one id per trial and group."""
        found = [(name, *np.unique(np.asarray(ids), return_inverse=True)) for name, ids in groups.items()]
        found.sort(key=lambda entry: -len(entry[1]))
        return cls(
            tuple(entry[0] for entry in found),
            tuple(entry[1] for entry in found),
            tuple(entry[2].astype(np.int64) for entry in found),
        )

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Levels of each group."""
        return tuple(len(levels) for levels in self.levels)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each group's effects stand in the vector of all, shape (q,)."""
        ends = np.cumsum(self.sizes)
        return tuple(slice(int(end) - size, int(end)) for end, size in zip(ends, self.sizes, strict=True))

    @cached_property
    def rest(self) -> int:
        """Levels of all groups but the first."""
        return sum(self.sizes[1:])

    def spread(self, effects: FloatArray) -> FloatArray:
        """Zu: the sum of each trial's effects, shape (n,)."""
        total = np.zeros(len(self.codes[0]))
        for part, codes in zip(self.slices, self.codes, strict=True):
            total += effects[part][codes]
        return total

    def gather(self, values: FloatArray) -> FloatArray:
        """Z'x: the sum of `values`, shape (n,), in each level, shape (q,)."""
        return np.concatenate(
            [
                np.bincount(codes, values, minlength=size)
                for codes, size in zip(self.codes, self.sizes, strict=True)
            ]
        )

    def factor(self, weights: FloatArray, precisions: FloatArray) -> "Factor":
        """Factor Z' diag(weights) Z + diag(precisions), shapes (n,) and (q,)."""
        diagonal = self.gather(weights) + precisions
        first = self.sizes[0]
        if not self.rest:
            return Factor(self, np.sqrt(diagonal), None, None)
        border, root = self._border.filled(weights), np.sqrt(diagonal[:first])
        scaled = (
            sparse.diags_array(1 / root) @ border if self._is_sparse else border.toarray() / root[:, None]
        )
        inner = self._inner(weights)
        inner[np.diag_indices(self.rest)] = diagonal[first:]
        if isinstance(scaled, np.ndarray):
            inner = linalg.blas.dsyrk(-1.0, scaled.T, beta=1.0, c=inner.T, lower=1)
        else:
            inner -= (scaled.T @ scaled).toarray()
        return Factor(self, root, scaled, np.asarray(linalg.cholesky(inner, lower=True, overwrite_a=True)))

    @cached_property
    def _rest_codes(self) -> tuple[IntArray, ...]:
        """The codes of all groups but the first, counted through."""
        return tuple(
            codes + part.start - self.sizes[0]
            for part, codes in zip(self.slices[1:], self.codes[1:], strict=True)
        )

    @cached_property
    def _border(self) -> "_Pattern":
        """The block between the first group and the others."""
        rows = np.concatenate([self.codes[0]] * len(self._rest_codes))
        return _Pattern.of(rows, np.concatenate(self._rest_codes), (self.sizes[0], self.rest))

    @cached_property
    def _is_sparse(self) -> bool:
        """Whether the product of the border with itself is faster in sparse form."""
        per_row = np.diff(self._border.starts).astype(float)
        return bool((per_row @ per_row) / SPARSE_PER_SECOND < self.sizes[0] * self.rest**2 / DENSE_PER_SECOND)

    @cached_property
    def _pairs(self) -> "_Pattern | None":
        """The blocks between any two of the other groups."""
        rest = self._rest_codes
        pairs = [(one, other) for place, one in enumerate(rest) for other in rest[place + 1 :]]
        if not pairs:
            return None
        rows, columns = (np.concatenate([pair[k] for pair in pairs]) for k in (0, 1))
        return _Pattern.of(rows, columns, (self.rest, self.rest))

    def _inner(self, weights: FloatArray) -> FloatArray:
        """Z'WZ of all groups but the first, without its diagonal."""
        if self._pairs is None:
            return np.zeros((self.rest, self.rest))
        upper = self._pairs.filled(weights).toarray()
        return np.asarray(upper + upper.T, dtype=np.float64)


@dataclass(frozen=True)
class _Pattern:
    """The cells of a sparse matrix that any trial touches, and which one each trial does."""

    cells: IntArray
    """Shape (trials × pairs of groups,)."""
    starts: IntArray
    columns: IntArray
    shape: tuple[int, int]

    @classmethod
    def of(cls, rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> "_Pattern":
        keys, cells = np.unique(rows * shape[1] + columns, return_inverse=True)
        starts = np.searchsorted(keys, np.arange(shape[0] + 1) * shape[1])
        return cls(cells.astype(np.int64), starts.astype(np.int64), keys % shape[1], shape)

    def filled(self, weights: FloatArray) -> "sparse.csr_matrix":
        """The matrix of summed weights, shape (n,)."""
        times = len(self.cells) // len(weights)
        values = np.bincount(self.cells, np.tile(weights, times), minlength=len(self.columns))
        return sparse.csr_matrix((values, self.columns, self.starts), shape=self.shape)


@dataclass(frozen=True)
class Factor:
    """A factored Z'WZ + D⁻¹."""

    groups: CrossedGroups
    root: FloatArray
    """Square roots of the first group's diagonal."""
    scaled: "FloatArray | sparse.csr_matrix | None"
    """The first group's border, each row divided by its root; None where there is one group."""
    schur: FloatArray | None
    """The lower Cholesky factor of the others' Schur complement."""

    @property
    def log_determinant(self) -> float:
        """Of the whole matrix."""
        total = 2 * float(np.log(self.root).sum())
        return total if self.schur is None else total + 2 * float(np.log(np.diag(self.schur)).sum())

    def solve(self, right: FloatArray) -> FloatArray:
        """The solution x of (Z'WZ + D⁻¹) x = right, shape (q,)."""
        size = len(self.root)
        first = right[:size] / self.root
        if self.schur is None or self.scaled is None:
            return first / self.root
        rest = linalg.cho_solve((self.schur, True), right[size:] - self.scaled.T @ first)
        return np.concatenate(((first - self.scaled @ rest) / self.root, rest))

    @cached_property
    def _blocks(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of the inverse: its diagonal, the border (first group × others, sign changed), the block of the others."""
        if self.schur is None or self.scaled is None:
            return self.root**-2, np.zeros((0, 0)), np.zeros((0, 0))
        lower, _ = linalg.lapack.dpotri(self.schur, lower=1)
        inverse = np.tril(lower) + np.tril(lower, -1).T
        border = np.asarray(self.scaled @ inverse, dtype=np.float64)
        if isinstance(self.scaled, np.ndarray):
            own = np.einsum("ij,ij->i", self.scaled, border)
        else:
            own = np.asarray(self.scaled.multiply(border).sum(axis=1)).ravel()
        border /= self.root[:, None]
        return np.concatenate(((1 + own) / self.root**2, np.diag(inverse))), border, inverse

    @property
    def inverse_diagonal(self) -> FloatArray:
        """The variance of each effect given the rest, shape (q,)."""
        return self._blocks[0]

    def leverages(self) -> FloatArray:
        """The variance of each trial's sum of effects, z' (Z'WZ + D⁻¹)⁻¹ z, shape (n,)."""
        diagonal, border, inverse = self._blocks
        groups = self.groups
        total = groups.spread(diagonal)
        rest = groups._rest_codes
        for place, one in enumerate(rest):
            total -= 2 * border[groups.codes[0], one]
            for other in rest[place + 1 :]:
                total += 2 * inverse[one, other]
        return total
