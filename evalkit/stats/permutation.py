"""Permutation tests of a difference in rates: whole workers between two groups, labels within workers.

Both ask about these very images and these training runs: that an algorithm's images are all alike is part of what is
permuted, so that a rejection speaks for the images shown and for no others.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evalkit.results import HypothesisTest

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_CELLS_PER_BATCH = 2_000_000
_ROUNDING = 1e-9
"""A permuted statistic this much below the observed one is the same number, rounded otherwise."""


@dataclass(frozen=True)
class Permutation:
    """What a permutation test found."""

    difference: float | None
    """First minus second; None where a group has no trials."""
    statistic: float | None
    """Studentised; None where nothing varies."""
    p_value: float | None
    """Two-sided, (1 + permutations at least as extreme) / (1 + permutations)."""
    n_resamples: int
    scheme: str
    """What was permuted, in words."""

    def as_test(self) -> HypothesisTest:
        """The record, with key `difference_permutation`."""
        nothing = "Nothing can be permuted: a group is empty or has one worker, or all answers are alike."
        return HypothesisTest(
            key="difference_permutation",
            value=self.difference,
            unit="proportion",
            method=f"permutation test: {self.scheme}; difference of pooled rates over its standard error clustered on"
            " workers; p = (1 + as extreme) / (1 + permutations)",
            notes=() if self.p_value is not None else (nothing,),
            statistic=self.statistic,
            p_value=self.p_value,
            null_hypothesis="no answer to these images would have changed with the algorithm",
            alternative="two-sided",
            n_resamples=self.n_resamples or None,
        )


def draws_within(n_resamples: int, workers: int, work: int = 10_000_000) -> int:
    """As many of `n_resamples` as permutations x workers within `work` allow, though 400 (or all of them) in any case."""
    return min(n_resamples, max(work // max(workers, 1), 400))


@dataclass(frozen=True)
class _Totals:
    """What is summed over the workers of one group, each of shape (..., )."""

    workers: FloatArray
    fooled: FloatArray
    shown: FloatArray
    fooled_squared: FloatArray
    fooled_shown: FloatArray
    shown_squared: FloatArray


def permute_workers(
    outcomes: tuple[npt.ArrayLike, npt.ArrayLike],
    workers: tuple[npt.ArrayLike, npt.ArrayLike],
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
) -> Permutation:
    """Test of equal rates in two groups of different workers, by dealing whole workers to the groups anew.

    The statistic is the difference of pooled rates over its standard error clustered on workers, which keeps the level
    also where groups of unequal size differ in spread. Workers with equal totals are dealt together (multivariate
    hypergeometric), so that the time does not grow with their number.

    Args:
        outcomes: Two arrays, shapes (n₁,) and (n₂,), values in [0, 1].
        workers: The worker of each outcome; nobody may be in both groups.
        rng: Source of randomness.
        n_resamples: Permutations.

    Raises:
        ValueError: A worker is in both groups, or shapes differ.

    Source:
        Studentised permutation: Janssen (1997), Stat. Probab. Lett. 36, 9-21; Chung & Romano (2013), Ann. Stat. 41,
        484-507. The +1: Phipson & Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9(1), 39.
    """
    scheme = "whole workers dealt anew to the two algorithms"
    groups = [_per_worker(y, ids) for y, ids in zip(outcomes, workers, strict=True)]
    if np.intersect1d(np.asarray(workers[0]), np.asarray(workers[1])).size:
        raise ValueError("a worker is in both groups; permute labels within workers instead")
    sizes = [len(group) for group in groups]
    if not all(sizes):
        return Permutation(None, None, None, 0, scheme)
    kinds, codes = np.unique(np.concatenate(groups), axis=0, return_inverse=True)
    have = np.bincount(codes.ravel(), minlength=len(kinds))
    mine = np.bincount(codes.ravel()[: sizes[0]], minlength=len(kinds))
    observed, difference = _between(mine[None, :], have, kinds)
    alike = not kinds[:, 0].any() or bool((kinds[:, 0] == kinds[:, 1]).all())
    if min(sizes) < 2 or len(kinds) < 2 or alike:
        return Permutation(float(difference[0]), None, None, 0, scheme)
    extreme, batch = 0, max(_CELLS_PER_BATCH // len(kinds), 1)
    for start in range(0, n_resamples, batch):
        size = min(batch, n_resamples - start)
        dealt = rng.multivariate_hypergeometric(have, sizes[0], size=size, method="marginals")
        extreme += _as_extreme(_between(dealt, have, kinds)[0], observed[0])
    p_value = (1 + extreme) / (1 + n_resamples)
    return Permutation(float(difference[0]), _finite(observed[0]), p_value, n_resamples, scheme)


def permute_labels(
    outcomes: npt.ArrayLike,
    is_first: npt.ArrayLike,
    workers: npt.ArrayLike,
    sources: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
) -> Permutation:
    """Test of equal rates of two algorithms that the same workers saw, by swapping labels within workers.

    Where a worker saw one source image by both algorithms the labels are swapped inside that pair; the labels of the
    worker's other trials are dealt anew among themselves. The statistic is the difference of pooled rates over its
    standard error clustered on workers. How many of an algorithm's trials fooled after a deal is hypergeometric, so no
    trial is copied.

    Args:
        outcomes: Shape (n,), values in [0, 1], of the two algorithms' trials.
        is_first: Shape (n,), true for the first algorithm.
        workers: Shape (n,).
        sources: Shape (n,), source image of each fake.
        rng: Source of randomness.
        n_resamples: Permutations.

    Raises:
        ValueError: Shapes differ.

    Source:
        As `permute_workers`.
    """
    scheme = "labels swapped within workers, by source image where a worker saw both fakes of one"
    y, first = np.asarray(outcomes, dtype=np.float64), np.asarray(is_first, dtype=np.bool_)
    ids, images = np.asarray(workers), np.asarray(sources)
    if y.ndim != 1 or any(array.shape != y.shape for array in (first, ids, images)):
        raise ValueError("outcomes, is_first, workers and sources must have one dimension and equal length")
    if not first.any() or first.all():
        return Permutation(None, None, None, 0, scheme)
    people, worker = np.unique(ids, return_inverse=True)
    strata = _strata(worker, np.unique(images, return_inverse=True)[1], first)
    deal = _Deal.of(y, first, worker, strata)
    mine = np.bincount(worker, weights=np.where(first, y, 0.0), minlength=len(people)).astype(np.float64)
    observed, difference = deal.statistic(mine[None, :])
    if not deal.can_vary or len(people) < 2:
        return Permutation(float(difference[0]), None, None, 0, scheme)
    extreme, batch = 0, max(_CELLS_PER_BATCH // max(len(deal.sizes), 1), 1)
    for start in range(0, n_resamples, batch):
        dealt = deal.draw(min(batch, n_resamples - start), rng)
        extreme += _as_extreme(deal.statistic(dealt)[0], observed[0])
    p_value = (1 + extreme) / (1 + n_resamples)
    return Permutation(float(difference[0]), _finite(observed[0]), p_value, n_resamples, scheme)


@dataclass(frozen=True)
class _Deal:
    """Strata within which labels are dealt anew, and what the statistic needs of the workers they belong to."""

    values: FloatArray
    """Distinct outcomes above 0, shape (V,)."""
    counts: IntArray
    """Trials of a stratum with each of them, shape (S, V)."""
    sizes: IntArray
    """Trials of a stratum, shape (S,)."""
    labels: IntArray
    """Those that carry the first label, shape (S,)."""
    starts: IntArray
    """First stratum of each worker who has one; strata are sorted by worker."""
    owners: IntArray
    """Those workers."""
    fooled: FloatArray
    """Of both algorithms, shape (A,)."""
    shown: FloatArray
    """By first and second algorithm, shape (2, A)."""

    @staticmethod
    def of(y: FloatArray, first: npt.NDArray[np.bool_], worker: IntArray, strata: IntArray) -> "_Deal":
        """Tabulate the strata; numbers of strata must rise with those of their workers."""
        values = np.unique(y)[::-1]
        values = values[values > 0]
        n = int(strata.max()) + 1
        counts = np.zeros((n, len(values)), dtype=np.int64)
        for place, value in enumerate(values):
            counts[:, place] = np.bincount(strata[y == value], minlength=n)
        owner = np.zeros(n, dtype=np.int64)
        owner[strata] = worker
        owners, starts = np.unique(owner, return_index=True)
        people = int(worker.max()) + 1
        shown = np.stack([np.bincount(worker[mask], minlength=people) for mask in (first, ~first)])
        return _Deal(
            values,
            counts,
            np.bincount(strata, minlength=n).astype(np.int64),
            np.bincount(strata[first], minlength=n).astype(np.int64),
            starts.astype(np.int64),
            owners.astype(np.int64),
            np.bincount(worker, weights=y, minlength=people).astype(np.float64),
            shown.astype(np.float64),
        )

    @property
    def can_vary(self) -> bool:
        """Whether any deal differs from another in what it gives the first algorithm."""
        same = (self.counts.max(axis=1, initial=0) == self.sizes) | (self.counts.sum(axis=1) == 0)
        return bool(np.any((self.labels > 0) & (self.labels < self.sizes) & ~same))

    def draw(self, size: int, rng: np.random.Generator) -> FloatArray:
        """What fooled under the first label after dealing anew, shape (size, A)."""
        sums = np.zeros((size, len(self.sizes)))
        labels = np.broadcast_to(self.labels, sums.shape)
        left = self.sizes.copy()
        for value, count in zip(self.values, self.counts.T, strict=True):
            drawn = rng.hypergeometric(np.broadcast_to(count, sums.shape), left - count, labels)
            sums += value * drawn
            labels, left = labels - drawn, left - count
        mine = np.zeros((size, len(self.fooled)))
        mine[:, self.owners] = np.add.reduceat(sums, self.starts, axis=1)
        return mine

    def statistic(self, mine: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Studentised and plain difference of each deal; clustered on workers.

        Source:
            Cameron, Gelbach & Miller (2011), J. Bus. Econ. Stat. 29, section 2.2, with one dimension.
        """
        total = self.shown.sum(axis=1)
        rates = mine.sum(axis=1) / total[0], (self.fooled.sum() - mine.sum(axis=1)) / total[1]
        influence = (mine - rates[0][:, None] * self.shown[0]) / total[0]
        influence -= (self.fooled - mine - rates[1][:, None] * self.shown[1]) / total[1]
        people = len(self.fooled)
        variance = (influence**2).sum(axis=1) * people / max(people - 1, 1)
        return _studentised(rates[0] - rates[1], variance), rates[0] - rates[1]


def _strata(worker: IntArray, source: IntArray, first: npt.NDArray[np.bool_]) -> IntArray:
    """Per trial the stratum in which its label moves: (worker, source) seen by both, else the worker's rest."""
    images = int(source.max()) + 1
    cells, cell = np.unique(worker * images + source, return_inverse=True)
    with_first = np.bincount(cell[first], minlength=len(cells)) > 0
    with_second = np.bincount(cell[~first], minlength=len(cells)) > 0
    paired = (with_first & with_second)[cell]
    keys = worker * (images + 1) + np.where(paired, source + 1, 0)
    return np.asarray(np.unique(keys, return_inverse=True)[1], dtype=np.int64)


def _per_worker(outcomes: npt.ArrayLike, workers: npt.ArrayLike) -> FloatArray:
    """Fooled and shown of each worker, shape (A, 2)."""
    y, ids = np.asarray(outcomes, dtype=np.float64), np.asarray(workers)
    if y.ndim != 1 or ids.shape != y.shape:
        raise ValueError(
            f"outcomes and workers must have one dimension and equal length, got {y.shape} and {ids.shape}"
        )
    names, codes = np.unique(ids, return_inverse=True)
    return np.stack(
        [np.bincount(codes, weights=y, minlength=len(names)), np.bincount(codes, minlength=len(names))],
        axis=1,
    )


def _between(dealt: IntArray, have: IntArray, kinds: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Studentised and plain difference of each deal; `dealt` (B, kinds) workers are in the first group."""
    fooled, shown = kinds.T
    columns = np.stack([np.ones(len(kinds)), fooled, shown, fooled**2, fooled * shown, shown**2], axis=1)
    everybody, first = have @ columns, dealt @ columns
    rates, variances = [], []
    for group in (_Totals(*first.T), _Totals(*(everybody - first).T)):
        rate = group.fooled / group.shown
        squares = group.fooled_squared - 2 * rate * group.fooled_shown + rate**2 * group.shown_squared
        correction = group.workers / np.maximum(group.workers - 1, 1)
        variances.append(np.maximum(squares, 0.0) * correction / group.shown**2)
        rates.append(rate)
    difference = rates[0] - rates[1]
    return _studentised(difference, variances[0] + variances[1]), difference


def _studentised(difference: FloatArray, variance: FloatArray) -> FloatArray:
    """Difference over its standard error; infinite where only the error is zero, 0 where both are."""
    difference = np.where(np.abs(difference) < 1e-12, 0.0, difference)
    error = np.sqrt(np.where(variance < 1e-20, 0.0, variance))
    found = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    np.divide(difference, error, out=found, where=error > 0)
    return found


def _as_extreme(permuted: FloatArray, observed: float) -> int:
    least = abs(observed)
    return int(np.sum(np.abs(permuted) >= (least * (1 - _ROUNDING) if np.isfinite(least) else least)))


def _finite(statistic: float) -> float | None:
    return float(statistic) if np.isfinite(statistic) else None
