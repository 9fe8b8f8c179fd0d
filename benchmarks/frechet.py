"""The Fréchet distance of 2048 features: ours against scipy's matrix square root, as pytorch-fid has it.

    python -m benchmarks.frechet [--sizes 1000,50000] [--repeats 3] [--with-statistics]

From features of N images for both sets. Up to 2048 images ours needs no covariance, the other does; above, both start
from means and covariances, which are made beforehand, unless --with-statistics counts them for both.
The features are made up: as many directions vary as in photographs (variances that fall as (k + 10)^-1.5).
"""

# ruff: noqa: T201  (it prints a table)

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.base import Statistics
from evalkit.metrics.frechet import frechet_distance, statistics_of

DIMENSIONS = 2048
TRACE = 229
Features = NDArray[np.float32]


def made_up_features(n: int, seed: int, scale: float = 1.0) -> Features:
    """(n, 2048) float32; one mixing matrix for all seeds."""
    variances = (np.arange(DIMENSIONS) + 11.0) ** -1.5
    mixing = np.random.default_rng(0).normal(size=(DIMENSIONS, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    mixing *= np.sqrt(TRACE * variances / variances.sum())[:, None]
    drawn = np.random.default_rng(seed).standard_normal((n, DIMENSIONS), dtype=np.float32)
    return drawn @ (mixing * scale).astype(np.float32) + np.float32(0.7)


def by_matrix_square_root(first: Statistics, second: Statistics) -> float:
    """What pytorch-fid 0.3.0 does with statistics, written out since its call fails under newer versions of scipy."""
    from scipy.linalg import sqrtm

    root = sqrtm(first.covariance @ second.covariance)
    gap = first.mean - second.mean
    return float(gap @ gap + np.trace(first.covariance + second.covariance) - 2 * np.trace(root.real))


def seconds(work: Callable[[], float]) -> tuple[float, float]:
    """Wall-clock time and result."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def measure(n: int, repeats: int, with_statistics: bool) -> tuple[list[float], list[float], float, float]:
    """Times of theirs and of ours, in turn, and what each found."""
    reals, fakes = made_up_features(n, 1), made_up_features(n, 2, 0.95)
    known = statistics_of(reals), statistics_of(fakes)
    from_rows = n <= DIMENSIONS or with_statistics

    def theirs() -> float:
        made = (statistics_of(reals), statistics_of(fakes)) if with_statistics else known
        return by_matrix_square_root(*made)

    def ours() -> float:
        return frechet_distance(reals, fakes) if from_rows else frechet_distance(*known)

    ours()  # loads scipy
    slow, quick = [], []
    for _ in range(repeats):
        time_theirs, found_theirs = seconds(theirs)
        time_ours, found_ours = seconds(ours)
        slow.append(time_theirs)
        quick.append(time_ours)
    return slow, quick, found_theirs, found_ours


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="1000,50000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--with-statistics", action="store_true")
    chosen = parser.parse_args()
    print("| N | scipy sqrtm, s | ours, s | ratio (least to most) | sqrtm finds | ours finds |")
    print("|---|---|---|---|---|---|")
    for n in map(int, chosen.sizes.split(",")):
        slow, quick, theirs, ours = measure(n, chosen.repeats, chosen.with_statistics)
        ratios = [a / b for a, b in zip(slow, quick, strict=True)]
        middle = f"{statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})"
        times = f"{statistics.median(slow):.2f} | {statistics.median(quick):.3f}"
        print(f"| {n} | {times} | {middle} | {theirs:.6f} | {ours:.6f} |", flush=True)


if __name__ == "__main__":
    main()
