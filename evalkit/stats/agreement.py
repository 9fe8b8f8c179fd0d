"""How far workers agree about images, and how repeatable the images' rates are.

The two say different things: with one vote a worker says little of an image (low α), yet the mean over many workers may
rank the images very reliably (high split-half).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse, stats

from evalkit.results import Estimate, Interval

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SPLITS = 200
"""Random halvings of the workers; the mean over them moves by less than 0.005 between seeds in our tests."""


@dataclass(frozen=True)
class _Ratings:
    """One rating per row."""

    values: IntArray
    """Codes of the categories, 0 .. categories - 1."""
    units: IntArray
    workers: IntArray
    categories: int
    unit_count: int
    worker_count: int

    @property
    def n(self) -> dict[str, int]:
        return {"trials": len(self.values), "images": self.unit_count, "workers": self.worker_count}


def krippendorff_alpha(
    values: npt.ArrayLike, units: npt.ArrayLike, workers: npt.ArrayLike, confidence_level: float = 0.95
) -> Estimate:
    """Krippendorff's α for nominal answers: 1 = all agree about every image, 0 = as if answers were dealt out at random.

    α = 1 - D_o/D_e with D_o = Σ_u (m_u² - Σ_c n_uc²)/(m_u - 1) over images with m_u >= 2 answers, n_uc of them c, and
    D_e = (N² - Σ_c N_c²)/(N - 1) over the same answers. The interval adds the variances of two jackknives, without one
    image and without one worker each, with t of (fewer of the two counts - 1) degrees of freedom; what both share is
    counted twice, so that it is rather too wide.

    Args:
        values: Shape (n,): the answers, of any type that sorts.
        units: Shape (n,): the image each is about.
        workers: Shape (n,): who gave it.
        confidence_level: Between 0 and 1.

    Raises:
        ValueError: Shapes differ, or a value is NaN.

    Source:
        Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C; jackknife: Efron & Stein (1981),
        Ann. Stat. 9, 586-596.
    """
    ratings = _ratings(values, units, workers)
    method = "Krippendorff's α, nominal"
    counts = _counts(ratings.units, ratings.values, (ratings.unit_count, ratings.categories))
    observed, expected = _disagreement(counts), _expected(_paired_totals(counts))
    if expected is None or expected == 0:
        note = (
            "No image has two answers." if expected is None else "Every answer was the same: α is undefined."
        )
        return Estimate(
            key="krippendorff_alpha", value=None, unit="α", method=method, n=ratings.n, notes=(note,)
        )
    alpha = 1 - float(observed.sum()) / expected
    jackknives = [_without_units(counts, observed), _without_workers(ratings, counts, observed)]
    if any(known.size < 2 or not bool(np.isfinite(known).all()) for known in jackknives):
        note = "No interval: it needs two images and two workers, and different answers without any of them."
        return Estimate(
            key="krippendorff_alpha", value=alpha, unit="α", method=method, n=ratings.n, notes=(note,)
        )
    error = math.sqrt(sum((len(known) - 1) * float(known.var()) for known in jackknives))
    freedom = float(min(len(known) for known in jackknives) - 1)
    half = float(stats.t.ppf(0.5 + confidence_level / 2, freedom)) * error
    method = f"{method}; jackknives over images and workers added, t with {freedom:g} degrees of freedom"
    return Estimate(
        key="krippendorff_alpha",
        value=alpha,
        unit="α",
        method=method,
        n=ratings.n,
        interval=Interval(alpha - half, min(alpha + half, 1.0), confidence_level, method, freedom),
        standard_error=error,
    )


def split_half_reliability(
    outcomes: npt.ArrayLike,
    units: npt.ArrayLike,
    workers: npt.ArrayLike,
    rng: np.random.Generator,
    n_splits: int = SPLITS,
) -> Estimate:
    """How well the images' rates of one half of the workers foretell those of the other, for all workers together.

    The workers are halved at random `n_splits` times; r is the mean over splits of the correlation over images that both
    halves saw; the reliability of the rates of all workers is 2r/(1 + r).

    Args:
        outcomes: Shape (n,), in [0, 1].
        units: Shape (n,): the image each is about.
        workers: Shape (n,): who gave it.
        rng: Of the splits.
        n_splits: How many.

    Raises:
        ValueError: Shapes differ.

    Source:
        Spearman (1910), Brit. J. Psychol. 3, 271-295; Brown (1910), ibid., 296-322.
    """
    y = np.asarray(outcomes, dtype=np.float64)
    ratings = _ratings(y, units, workers)
    method = f"split-half over workers, mean of {n_splits} random splits, Spearman-Brown"
    shape = (ratings.unit_count, ratings.worker_count)
    halves = _halves(ratings.worker_count, n_splits, rng)
    votes = sparse.csr_matrix((np.ones(y.size), (ratings.units, ratings.workers)), shape=shape)
    sums = sparse.csr_matrix((y, (ratings.units, ratings.workers)), shape=shape)
    found = _correlations(votes, sums, halves)
    if not found.size:
        note = (
            "Not estimated: it needs three images that both halves of the workers saw, with different rates."
        )
        return Estimate(
            key="split_half_reliability",
            value=None,
            unit="correlation",
            method=method,
            n=ratings.n,
            notes=(note,),
        )
    r = float(found.mean())
    low, high = np.quantile(found, (0.025, 0.975))
    notes: tuple[str, ...] = (
        f"Between halves r = {r:.3f}; 95 % of the splits lie in {low:.3f} .. {high:.3f}.",
    )
    if r <= 0:
        notes += ("The halves do not agree: nothing here tells the images apart.",)
    return Estimate(
        key="split_half_reliability",
        value=max(2 * r / (1 + r), -1.0) if r > -1 else -1.0,
        unit="correlation",
        method=method,
        n={**ratings.n, "splits": int(found.size)},
        notes=notes,
    )


def intraclass_correlation(outcomes: npt.ArrayLike, groups: npt.ArrayLike) -> Estimate:
    """ICC(1): the share of the answers' variance that lies between groups (images, or workers).

    (MSB - MSW)/(MSB + (k - 1) MSW), k the mean group size corrected for its spread; below 0 where groups differ less than
    chance makes them.

    Args:
        outcomes: Shape (n,).
        groups: Shape (n,).

    Raises:
        ValueError: Shapes differ.

    Source:
        Shrout & Fleiss (1979), Psychol. Bull. 86, 420-428, ICC(1,1); unequal sizes: Donner (1986), Int. Stat. Rev. 54.
    """
    y, ids = np.asarray(outcomes, dtype=np.float64), np.asarray(groups)
    if y.ndim != 1 or y.shape != ids.shape:
        raise ValueError(f"outcomes and groups must have shape (n,), got {y.shape} and {ids.shape}")
    codes = np.unique(ids, return_inverse=True)[1]
    sizes = np.bincount(codes)
    n = {"trials": int(y.size), "groups": int(sizes.size)}
    method = "ICC(1) from the one-way analysis of variance"

    def record(value: float | None, *notes: str) -> Estimate:
        return Estimate(
            key="intraclass_correlation",
            value=value,
            unit="share of variance",
            method=method,
            n=n,
            notes=notes,
        )

    if sizes.size < 2 or sizes.size == y.size:
        return record(None, "Not estimated: it needs two groups, and one with two answers.")
    means = np.bincount(codes, y) / sizes
    between = float(sizes @ (means - y.mean()) ** 2) / (sizes.size - 1)
    within = float(((y - means[codes]) ** 2).sum()) / (y.size - sizes.size)
    usual = (y.size - float(sizes @ sizes) / y.size) / (sizes.size - 1)
    total = between + (usual - 1) * within
    if total <= 0:
        return record(None, "Not estimated: every answer was the same.")
    return record((between - within) / total)


def _ratings(values: npt.ArrayLike, units: npt.ArrayLike, workers: npt.ArrayLike) -> _Ratings:
    arrays = [np.asarray(array) for array in (values, units, workers)]
    if arrays[0].ndim != 1 or any(array.shape != arrays[0].shape for array in arrays):
        raise ValueError(
            f"values, units and workers must have shape (n,), got {[array.shape for array in arrays]}"
        )
    if arrays[0].dtype.kind == "f" and bool(np.isnan(arrays[0]).any()):
        raise ValueError("values must not be NaN; leave missing answers out")
    found = [np.unique(array, return_inverse=True) for array in arrays]
    codes = [codes.astype(np.int64) for _, codes in found]
    counts = [len(levels) for levels, _ in found]
    return _Ratings(codes[0], codes[1], codes[2], counts[0], counts[1], counts[2])


def _counts(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> FloatArray:
    flat = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1])
    return np.asarray(flat.reshape(shape), dtype=np.float64)


def _disagreement(counts: FloatArray) -> FloatArray:
    """D_o of each unit; 0 below two answers."""
    m = counts.sum(axis=1)
    return np.asarray((m**2 - (counts**2).sum(axis=1)) / np.maximum(m - 1, 1), dtype=np.float64)


def _paired(counts: FloatArray) -> FloatArray:
    """The answers of units that have at least two."""
    return np.where(counts.sum(axis=1, keepdims=True) >= 2, counts, 0.0)


def _paired_totals(counts: FloatArray) -> FloatArray:
    return np.asarray(_paired(counts).sum(axis=0), dtype=np.float64)


def _expected(totals: FloatArray) -> float | None:
    total = float(totals.sum())
    return None if total < 2 else (total**2 - float(totals @ totals)) / (total - 1)


def _alphas(observed: FloatArray, totals: FloatArray) -> FloatArray:
    """α from D_o, shape (k,), and N_c, shape (k, categories); NaN where it is undefined."""
    total = totals.sum(axis=1)
    expected = (total**2 - (totals**2).sum(axis=1)) / np.where(total > 1, total - 1, 1)
    alphas = np.full(len(observed), np.nan)
    np.divide(observed, expected, out=alphas, where=expected > 0)
    return 1 - alphas


def _without_units(counts: FloatArray, observed: FloatArray) -> FloatArray:
    paired = _paired(counts)
    return _alphas(observed.sum() - observed, paired.sum(axis=0) - paired)[paired.any(axis=1)]


def _without_workers(ratings: _Ratings, counts: FloatArray, observed: FloatArray) -> FloatArray:
    """α without each worker: only the cells that the worker answered in change."""
    pairs, cells = np.unique(ratings.workers * ratings.unit_count + ratings.units, return_inverse=True)
    own = _counts(cells.astype(np.int64), ratings.values, (len(pairs), ratings.categories))
    worker, unit = pairs // ratings.unit_count, pairs % ratings.unit_count
    left = counts[unit] - own
    change = _disagreement(left) - observed[unit]
    moved = _paired(left) - _paired(counts)[unit]
    count = ratings.worker_count
    totals = np.column_stack(
        [np.bincount(worker, moved[:, category], minlength=count) for category in range(ratings.categories)]
    )
    return _alphas(
        observed.sum() + np.bincount(worker, change, minlength=count), _paired_totals(counts) + totals
    )


def _halves(workers: int, splits: int, rng: np.random.Generator) -> FloatArray:
    """Shape (workers, splits): 1 for the workers of the first half."""
    order = rng.random((workers, splits)).argsort(axis=0).argsort(axis=0)
    return (order < workers // 2).astype(np.float64)


def _correlations(votes: "sparse.csr_matrix", sums: "sparse.csr_matrix", halves: FloatArray) -> FloatArray:
    """Pearson's r of each split over the images that both halves saw; splits without one are left out."""
    votes_in, sums_in = votes @ halves, sums @ halves
    votes_all, sums_all = votes.sum(axis=1).A1[:, None], sums.sum(axis=1).A1[:, None]
    both = (votes_in > 0) & (votes_in < votes_all)
    rates = [
        np.divide(total, count, out=np.zeros_like(total), where=both)
        for total, count in ((sums_in, votes_in), (sums_all - sums_in, votes_all - votes_in))
    ]
    images = both.sum(axis=0)
    centred = [np.where(both, rate - rate.sum(axis=0) / np.maximum(images, 1), 0.0) for rate in rates]
    spread = np.sqrt((centred[0] ** 2).sum(axis=0) * (centred[1] ** 2).sum(axis=0))
    usable = (images >= 3) & (spread > 1e-12)
    return np.asarray(((centred[0] * centred[1]).sum(axis=0)[usable]) / spread[usable], dtype=np.float64)
