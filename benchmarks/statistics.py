"""The fool rate's bootstrap: `process_csv.py`'s law in a loop, the same law by counts, and our estimates.

    python -m benchmarks.statistics [--workers 50] [--trials 40] [--draws 10000] [--repeats 3]

The loop is written from the law of `AMT_Real_vs_Fake`'s script: draw as many workers as there are, for each drawn worker
as many trials as it has, labels along with them; each algorithm's rate over all that was drawn; mean, SD, and for each pair
the share of draws in which one fooled more often. Both sides get the same answers and take turns; times are CPU time of
one core, the smallest of the repeats. The last two columns: how many times as fast as each of the two loops.
"""

# ruff: noqa: T201  (it prints a table)

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.stats.pigeonhole import pigeonhole_bootstrap, pigeonhole_rates
from evalkit.stats.proportions import clustered_rate
from evalkit.stats.resampling import nested_bootstrap, worker_bootstrap

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
IMAGES = 200
SHARE = 10
"""The loops make a tenth of the draws; their times are multiplied accordingly."""
LOOP = "the script's law, loop"


@dataclass(frozen=True)
class Answers:
    """A full table, workers × trials."""

    fooled: NDArray[np.bool_]
    algorithms: IntArray
    images: IntArray

    @property
    def workers(self) -> IntArray:
        """Of each answer in the flat table."""
        return np.repeat(np.arange(len(self.fooled)), self.fooled.shape[1])


def made_up_answers(workers: int, trials: int, algorithms: int, seed: int = 1) -> Answers:
    """Workers differ (SD 0.7 logit), and so do algorithms; the labels are mixed within workers."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(algorithms, size=(workers, trials))
    logit = -1.1 + 0.2 * labels + rng.normal(0, 0.7, (workers, 1))
    fooled = rng.random((workers, trials)) < 1 / (1 + np.exp(-logit))
    return Answers(fooled, labels, rng.integers(IMAGES, size=(workers, trials)))


def by_loop(answers: Answers, draws: int, rng: np.random.Generator) -> FloatArray:
    """Rates of each draw, shape (draws, algorithms), worker by worker and trial by trial."""
    people, trials = answers.fooled.shape
    return _loop(answers, draws, rng, lambda: [rng.integers(trials, size=trials) for _ in range(people)])


def by_vectorised_loop(answers: Answers, draws: int, rng: np.random.Generator) -> FloatArray:
    """The same with all trials of a draw picked in one go: the quickest loop over draws that we could write."""
    return _loop(
        answers, draws, rng, lambda: rng.integers(answers.fooled.shape[1], size=answers.fooled.shape)
    )


def _loop(answers: Answers, draws: int, rng: np.random.Generator, pick: Callable[[], Any]) -> FloatArray:
    people = len(answers.fooled)
    n_algorithms = int(answers.algorithms.max()) + 1
    rates = np.empty((draws, n_algorithms))
    for draw in range(draws):
        drawn = rng.integers(people, size=people)
        picked = pick()
        if isinstance(picked, list):
            fooled = np.concatenate([answers.fooled[w, t] for w, t in zip(drawn, picked, strict=True)])
            labels = np.concatenate([answers.algorithms[w, t] for w, t in zip(drawn, picked, strict=True)])
        else:
            fooled, labels = (
                answers.fooled[drawn[:, None], picked],
                answers.algorithms[drawn[:, None], picked],
            )
        for algorithm in range(n_algorithms):
            mine = labels == algorithm
            rates[draw, algorithm] = np.mean(fooled * mine) / (np.mean(mine) + 1e-6)
    return rates


def by_counts(answers: Answers, draws: int, rng: np.random.Generator) -> FloatArray:
    """The same law by `evalkit.stats.resampling.nested_bootstrap`."""
    fooled, labels = answers.fooled.astype(float).ravel(), answers.algorithms.ravel()
    return nested_bootstrap(fooled, answers.workers, labels, rng, n_resamples=draws).rates


def better(rates: FloatArray) -> FloatArray:
    """For each pair the share of draws in which the first fooled more often, ties counting half."""
    gaps = rates[:, :, None] - rates[:, None, :]
    return np.asarray((gaps > 0).mean(axis=0) + (gaps == 0).mean(axis=0) / 2)


def seconds(work: Callable[[], Any]) -> float:
    """CPU time of one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def measure(answers: Answers, draws: int, repeats: int) -> dict[str, float]:
    """Smallest CPU time of each way, all in turn."""
    y, workers = answers.fooled.astype(float).ravel(), answers.workers
    clusters = {"workers": workers, "source_images": answers.images.ravel()}
    labels = answers.algorithms.ravel()
    one = labels.max() == 0
    rng = np.random.default_rng(2)

    def sandwich() -> None:
        for algorithm in range(int(labels.max()) + 1):
            mine = labels == algorithm
            clustered_rate(y[mine], {name: ids[mine] for name, ids in clusters.items()})

    def pigeonhole() -> None:
        if one:
            pigeonhole_bootstrap(y, clusters, rng, n_resamples=draws)
        else:
            pigeonhole_rates(y, labels, clusters, rng, n_resamples=draws)

    def whole_workers() -> None:
        for algorithm in range(int(labels.max()) + 1):
            mine = labels == algorithm
            worker_bootstrap(y[mine], workers[mine], rng, n_resamples=draws)

    ways: dict[str, Callable[[], Any]] = {
        LOOP: lambda: better(by_loop(answers, draws // SHARE, rng)),
        "the same, one call per draw": lambda: better(by_vectorised_loop(answers, draws // SHARE, rng)),
        "the script's law, counts (amt2020)": lambda: better(by_counts(answers, draws, rng)),
        "whole workers": whole_workers,
        "pigeonhole, workers x images": pigeonhole,
        "clustered estimate (ours)": sandwich,
    }
    found = {name: float("inf") for name in ways}
    sandwich()  # loads scipy
    for _ in range(repeats):
        for place, (name, way) in enumerate(ways.items()):
            found[name] = min(found[name], seconds(way) * (SHARE if place < 2 else 1))
    return found


def main() -> None:
    """Print the table and how well the two sides agree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for algorithms in (1, 5):
        answers = made_up_answers(options.workers, options.trials, algorithms)
        times = measure(answers, options.draws, options.repeats)
        loops = list(times.values())[:2]
        print(f"\n{algorithms} algorithm{'s' * (algorithms > 1)}, {options.draws:,} draws")
        for name, taken in times.items():
            print(f"  {name:<36}{taken:9.4f} s" + "".join(f"{loop / taken:10.1f}" for loop in loops))
        rng = np.random.default_rng(3)
        sides = by_loop(answers, options.draws // SHARE, rng), by_counts(answers, options.draws, rng)
        for name, of in (("mean", np.mean), ("SD", np.std)):
            told = [" ".join(f"{100 * float(value):.2f}" for value in of(side, axis=0)) for side in sides]
            print(f"  {name}, %: loop {told[0]}; counts {told[1]}")


if __name__ == "__main__":
    main()
