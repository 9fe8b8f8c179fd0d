import math

import numpy as np
import pytest

from evalkit.stats.resampling import worker_bootstrap


def test_the_same_seed_gives_the_same_interval_and_another_seed_another_error():
    y, workers = np.tile([1.0, 0.0, 0.0], 60), np.repeat(np.arange(12), 15)
    y[:15] = 1.0
    first, again, other = (worker_bootstrap(y, workers, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first.standard_error != other.standard_error


def test_the_error_is_that_of_a_mean_of_worker_means_when_all_answer_equally_often():
    rng = np.random.default_rng(3)
    means = rng.integers(0, 21, size=50) / 20
    y = np.concatenate([np.repeat([1.0, 0.0], [round(20 * m), 20 - round(20 * m)]) for m in means])
    result = worker_bootstrap(y, np.repeat(np.arange(50), 20), np.random.default_rng(4), n_resamples=20_000)
    assert result.value == pytest.approx(means.mean())
    assert result.standard_error == pytest.approx(means.std(ddof=0) / math.sqrt(50), rel=0.02)


def test_it_draws_the_same_law_as_copying_whole_workers():
    rng = np.random.default_rng(5)
    sizes = rng.integers(3, 12, size=15)
    workers = np.repeat(np.arange(15), sizes)
    y = (rng.random(len(workers)) < 0.3).astype(float)
    result = worker_bootstrap(y, workers, np.random.default_rng(6), n_resamples=20_000)
    groups = [y[workers == worker] for worker in range(15)]
    copied = [np.concatenate([groups[i] for i in rng.integers(0, 15, size=15)]).mean() for _ in range(20_000)]
    assert result.standard_error == pytest.approx(np.std(copied, ddof=1), rel=0.03)
    assert result.interval.low == pytest.approx(np.quantile(copied, 0.025), abs=0.01)


def test_batches_do_not_change_the_number_of_resamples(monkeypatch):
    monkeypatch.setattr("evalkit.stats.resampling._CELLS_PER_BATCH", 700)
    result = worker_bootstrap([1, 0, 0, 1], [0, 0, 1, 2], np.random.default_rng(0), n_resamples=1001)
    assert "1,001 resamples" in result.method
    assert 0 <= result.interval.low < result.interval.high <= 1


def test_one_worker_gives_the_rate_without_interval():
    result = worker_bootstrap([1, 0], [7, 7], np.random.default_rng(0))
    assert (result.value, result.interval) == (0.5, None)
    assert result.notes == (
        "No interval: at least 2 workers are needed to see how much they differ, and there are 1.",
    )


def test_no_trials_give_no_value():
    assert worker_bootstrap([], [], np.random.default_rng(0)).value is None


def test_bad_input_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="equal length"):
        worker_bootstrap([1, 0], [1], rng)
    with pytest.raises(ValueError, match=r"outcomes must lie in \[0, 1\]"):
        worker_bootstrap([2, 0], [1, 2], rng)
    with pytest.raises(ValueError, match="n_resamples must be at least 100, got 10"):
        worker_bootstrap([1, 0], [1, 2], rng, n_resamples=10)
