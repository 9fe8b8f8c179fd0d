import json
from pathlib import Path

import numpy as np
import pytest

from evalkit.stats.trends import within_worker_slope

REFERENCE = json.loads((Path(__file__).parent / "slope_reference.json").read_text(encoding="utf-8"))


def drawn(seed=0, workers=12, slope=0.01, trials=20):
    rng = np.random.default_rng(seed)
    worker = np.repeat(np.arange(workers), trials)
    position = np.tile(np.arange(trials), workers)
    chance = np.clip(0.2 + 0.3 * rng.random(workers)[worker] + slope * position, 0, 1)
    return (rng.random(len(worker)) < chance).astype(float), position, worker


def test_the_slope_and_its_standard_error_are_those_of_statsmodels():
    y, x, worker = (np.array(REFERENCE[name]) for name in ("outcomes", "positions", "workers"))
    found = within_worker_slope(y, x, worker)
    assert found.value == pytest.approx(REFERENCE["slope"], rel=1e-9)
    assert found.standard_error == pytest.approx(REFERENCE["standard_error"], rel=1e-9)
    assert (found.interval.low, found.interval.high) == pytest.approx(REFERENCE["interval"], rel=1e-9)


def test_who_stays_longer_and_is_more_gullible_makes_no_slope():
    lengths = np.array([5, 10, 20, 40])
    worker = np.repeat(np.arange(4), lengths)
    position = np.concatenate([np.arange(length) for length in lengths])
    outcomes = (worker / 4).astype(float)
    assert within_worker_slope(outcomes, position, worker).value == pytest.approx(0.0, abs=1e-12)


def test_a_real_drift_lies_in_the_interval():
    found = within_worker_slope(*drawn(workers=200, slope=0.01))
    assert found.interval.low < 0.01 < found.interval.high
    assert found.interval.low > 0


@pytest.mark.parametrize(
    ("outcomes", "positions", "workers", "words"),
    [
        ([], [], [], "No worker answered at two places"),
        ([1.0, 0.0], [0, 0], [1, 2], "No worker answered at two places"),
        ([1.0, 0.0, 1.0], [0, 1, 2], [1, 1, 1], "One worker"),
        ([1.0, 1.0, 0.0, 0.0], [0, 1, 0, 1], [1, 1, 2, 2], "exactly the same slope"),
    ],
)
def test_what_cannot_be_estimated_says_why(outcomes, positions, workers, words):
    found = within_worker_slope(outcomes, positions, workers)
    assert found.interval is None
    assert words in found.notes[0]
