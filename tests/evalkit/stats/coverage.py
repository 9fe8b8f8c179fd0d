"""The coverage table of docs/statistics.md; `python -m tests.evalkit.stats.coverage 2000` prints it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evalkit.stats.proportions import clustered_difference, clustered_rate, interval_p_value, wilson_interval
from tests.evalkit.stats.made_up_studies import Made, draw

MESS = {"quitting": 1.0, "side_sd": 0.6, "side_mean": 0.3, "void_share": 0.05}


@dataclass(frozen=True)
class Row:
    words: str
    made: Made
    lowest: float = 93.0
    highest: float = 97.0
    """Percent; above 97 only where docs/statistics.md says that the interval is conservative."""


def standard(**changed) -> Made:
    return Made(**{"worker_sd": 0.6, "image_sd": 0.6, **changed})


RATES = [
    Row("A 50, I 100, 0.6 / 0.6", standard()),
    Row("A 50, I 100, 0.8 / 1.2", Made(worker_sd=0.8, image_sd=1.2)),
    Row("A 50, I 1000, 0.6 / 0.9", Made(images=1000, worker_sd=0.6, image_sd=0.9)),
    Row("A 25, I 50, 1.2 / 1.1", Made(workers=(25,), images=50, worker_sd=1.2, image_sd=1.1)),
    Row("A 50, I 100, no heterogeneity", Made(worker_sd=0.0, image_sd=0.0, own_sd=0.0)),
    Row("A 50, I 100, 0.6 / 0.6, real images 0.6", standard(real_sd=0.6)),
    Row("A 25, I 50, 0.8 / 0.9, real images 0.4", Made(workers=(25,), images=50, worker_sd=0.8, real_sd=0.4)),
    Row("A 50, I 100, 0.7 / 0.9, who is fooled more quits more", Made(quitting=1.0)),
    Row("the same, held against the rate of all who begin", Made(quitting=1.0, of_all=True), lowest=0),
    Row("A 50, I 100, 0.7 / 0.9, side bias 0.3 ± 0.6", Made(side_sd=0.6, side_mean=0.3)),
    Row("A 50, I 100, 0.7 / 0.9, 5 % voids, unequally", Made(void_share=0.05)),
    Row("A 50, I 100, 0.7 / 0.9, all three", Made(**MESS)),
    Row("these images: A 50, I 40, 0.7 / 0.9", Made(images=40, target="these images")),
    Row("this loss: 2 runs, SD 0.3", Made(runs=2, run_sd=0.3), highest=100),
    Row("this loss: 3 runs, SD 0.3", Made(runs=3, run_sd=0.3), highest=100),
    Row("this loss: 5 runs, SD 0.3", Made(runs=5, run_sd=0.3), highest=100),
]
_PAIR = {"rates": (0.2, 0.2), "workers": (50, 50), "images": 50}
DIFFERENCES = [
    Row("A 50, I 50, image x algorithm 0.6", Made(**_PAIR)),
    Row("A 50, I 50, image x algorithm 0.9 (nothing shared)", Made(**_PAIR, own_sd=0.9)),
    Row("A 50, I 100, no interaction", Made(**{**_PAIR, "images": 100}, own_sd=0.0)),
    Row("A 25, I 50, image x algorithm 0.9", Made(**{**_PAIR, "workers": (25, 25)}, own_sd=0.9)),
    Row("30 % against 5 %", Made(**{**_PAIR, "rates": (0.3, 0.05)})),
    Row("who is fooled more quits more", Made(**_PAIR, quitting=1.0)),
    Row("side bias 0.3 ± 0.6", Made(**_PAIR, side_sd=0.6, side_mean=0.3)),
    Row("5 % voids, unequally", Made(**_PAIR, void_share=0.05)),
    Row("all three, 30 % against 20 %", Made(**{**_PAIR, "rates": (0.3, 0.2)}, **MESS)),
    Row("10 against 60 workers", Made(**{**_PAIR, "workers": (10, 60)}), highest=98.5),
    Row("these images: I 40", Made(**{**_PAIR, "images": 40}, target="these images")),
    Row("this loss: 2 runs, SD 0.3", Made(**_PAIR, runs=2, run_sd=0.3), highest=100),
    Row("this loss: 3 runs, SD 0.3", Made(**_PAIR, runs=3, run_sd=0.3), highest=100),
    Row("this loss: 5 runs, SD 0.3", Made(**_PAIR, runs=5, run_sd=0.3), highest=100),
]
_SPREADS = ((0.0, 0.0), (0.7, 0.9), (1.35, 1.19))


def _small_rates() -> Iterator[Row]:
    """At the smallest sizes, with five fooled answers to be expected and more, at published SDs and none."""
    for workers, images, trials in ((8, 20, 20), (8, 400, 40), (200, 20, 20)):
        for worker_sd, image_sd in _SPREADS:
            for rate in sorted({max(5 / (workers * trials), 0.02), 0.07, 0.25, 0.9}):
                made = Made((workers,), images, trials, (rate,), worker_sd, image_sd)
                yield Row(
                    f"A {workers}, I {images}, T {trials}, rate {100 * rate:.2g} %, {worker_sd:g} / {image_sd:g}",
                    made,
                    highest=100,
                )


def _small_differences() -> Iterator[Row]:
    for workers, images, trials in (((8, 8), 20, 20), ((8, 40), 40, 40), ((200, 200), 20, 20)):
        for worker_sd, image_sd in _SPREADS:
            for rates in ((0.05, 0.05), (0.2, 0.2), (0.3, 0.05)):
                made = Made(workers, images, trials, rates, worker_sd, image_sd, own_sd=min(0.6, image_sd))
                words = f"A {workers[0]} / {workers[1]}, I {images}, T {trials}, {100 * rates[0]:g} / {100 * rates[1]:g} %"
                yield Row(f"{words}, {worker_sd:g} / {image_sd:g}", made, highest=100)


SMALL_RATES, SMALL_DIFFERENCES = list(_small_rates()), list(_small_differences())


@dataclass(frozen=True)
class Coverage:
    """Of 95 % intervals, in percent; for equal rates 100 - `covered` is how often the test at 5 % is wrong."""

    covered: float
    too_high: float
    """Of intervals that lie above the truth."""
    too_low: float
    half_width: float
    """Median, percentage points."""
    flagged: float
    """Of intervals said to be of too small a sample."""
    naive: float
    """Coverage of an interval that takes trials for independent (rates only)."""


def simulate(row: Row, studies: int, seed: int = 20240731) -> Coverage:
    rng = np.random.default_rng([seed, len(row.words), row.made.images])
    made = row.made
    intercepts = [made.intercept(rate) for rate in made.rates]
    found = np.array([_one(rng, made, intercepts) for _ in range(studies)])
    above, below, half, flagged, naive = found.T
    return Coverage(
        100 * (1 - above.mean() - below.mean()),
        100 * above.mean(),
        100 * below.mean(),
        100 * float(np.median(half)),
        100 * flagged.mean(),
        100 * naive.mean(),
    )


def _one(rng, made, intercepts):
    outcomes, clusters, truths = draw(rng, made, intercepts)
    if len(outcomes) == 2:
        estimate, truth, naive = (
            clustered_difference(tuple(outcomes), tuple(clusters)),
            truths[0] - truths[1],
            0.0,
        )
        if abs(truth) < 1e-9:
            assert (interval_p_value(estimate) < 0.05) == (not _holds(estimate.interval, 0.0))
    else:
        estimate, truth = clustered_rate(outcomes[0], clusters[0]), truths[0]
        naive = _holds(wilson_interval(outcomes[0].sum(), outcomes[0].size), truth)
    low, high = estimate.interval.low, estimate.interval.high
    flagged = any("Too small a sample" in note for note in estimate.notes)
    return low > truth, high < truth, (high - low) / 2, flagged, naive


def _holds(interval, value):
    return interval.low <= value <= interval.high


def main(studies: int) -> None:
    for title, rows in (
        ("Rates", RATES),
        ("Differences", DIFFERENCES),
        ("Small: rates", SMALL_RATES),
        ("Small: differences", SMALL_DIFFERENCES),
    ):
        print(f"\n{title}\n")  # noqa: T201
        for row in rows:
            one = simulate(row, studies)
            naive = f" | {one.naive:.1f}" if len(row.made.rates) == 1 else ""
            bad = "" if row.lowest <= one.covered <= row.highest else "  <-- out of bounds"
            print(  # noqa: T201
                f"| {row.words} | {one.covered:.1f} | {one.too_low:.1f} / {one.too_high:.1f} | ±{one.half_width:.1f}"
                f"{naive} | {one.flagged:.0f} |{bad}",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]))
