import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from evalkit.stats.pigeonhole import draws_within, pigeonhole_bootstrap, pigeonhole_rates
from evalkit.stats.resampling import (
    amt2020_bootstrap,
    amt2020_estimate,
    nested_bootstrap,
    worker_bootstrap,
)


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


def test_the_nested_bootstrap_draws_the_same_law_as_drawing_trial_by_trial():
    rng = np.random.default_rng(7)
    workers = np.repeat(np.arange(12), rng.integers(5, 15, size=12))
    algorithms = rng.integers(3, size=workers.size)
    y = rng.choice([0.0, 0.5, 1.0], size=workers.size, p=[0.6, 0.1, 0.3])
    draws = nested_bootstrap(y, workers, algorithms, np.random.default_rng(8), n_resamples=20_000)
    copied = np.full((4000, 3), np.nan)
    for row in copied:
        trials = [
            rng.choice(np.flatnonzero(workers == worker), size=(workers == worker).sum())
            for worker in rng.integers(12, size=12)
        ]
        drawn = np.concatenate(trials)
        for algorithm in range(3):
            row[algorithm] = y[drawn[algorithms[drawn] == algorithm]].mean()
    for algorithm in range(3):
        assert ks_2samp(draws.rates[:, algorithm], copied[:, algorithm]).pvalue > 0.001
    gap, copied_gap = draws.rates[:, 0] - draws.rates[:, 1], copied[:, 0] - copied[:, 1]
    assert ks_2samp(gap, copied_gap).pvalue > 0.001  # they are drawn together
    better = np.mean(copied_gap > 0) + np.mean(copied_gap == 0) / 2
    assert draws.better(0, 1) == pytest.approx(better, abs=0.04)
    assert draws.better(0, 1) + draws.better(1, 0) == pytest.approx(1)


def test_amt2020_counts_trial_noise_twice():
    rng = np.random.default_rng(9)
    y, workers = (rng.random(50 * 40) < 0.25).astype(float), np.repeat(np.arange(50), 40)
    means = y.reshape(50, 40).mean(axis=1)
    own = (means * (1 - means)).mean() / 40
    found = amt2020_bootstrap(y, workers, np.random.default_rng(10))
    assert found.standard_error == pytest.approx(np.sqrt((means.var() + own) / 50), rel=0.02)
    assert found.value == pytest.approx(y.mean(), abs=0.001)
    assert found.interval.low < found.value < found.interval.high


def test_amt2020_leaves_out_resamples_without_the_algorithm_instead_of_calling_them_fooled():
    y, workers, algorithms = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 1, 1]
    draws = nested_bootstrap(y, workers, algorithms, np.random.default_rng(0), n_resamples=2000)
    rare = amt2020_estimate(draws, 0, 2000, 0.95)
    lost = int(np.isnan(draws.rates[:, 0]).sum())
    assert 600 < lost < 1600
    assert rare.value == 1.0  # its only trial
    assert rare.notes[0] == f"{lost:,} resamples without a trial of this algorithm are left out."
    assert rare.interval is None  # 100 % in every draw: 100 .. 100 % would be no interval


def test_answers_that_are_all_alike_have_no_bootstrap_interval_and_say_so():
    zeros, ids = np.zeros(40), np.arange(40) % 8
    of_workers = worker_bootstrap(zeros, ids, np.random.default_rng(0), n_resamples=200)
    clusters = {"workers": ids, "source_images": np.arange(40) // 4}
    of_both = pigeonhole_bootstrap(zeros, clusters, np.random.default_rng(0), n_resamples=200)
    as_papers = amt2020_bootstrap(zeros, ids, np.random.default_rng(0), n_resamples=200)
    for found in (of_workers, of_both, as_papers):
        assert found.value == 0
        assert found.interval is None
        assert "every resample gives the same rate" in found.notes[-1]


def test_a_pigeonhole_over_few_clusters_says_that_its_percentiles_may_be_too_narrow():
    rng = np.random.default_rng(3)
    ids = {"workers": np.arange(60) % 20, "runs": np.arange(60) // 30}
    found = pigeonhole_bootstrap(rng.integers(2, size=60), ids, rng, n_resamples=200)
    (note,) = found.notes
    assert note.startswith("May be too narrow: resampling 2 runs sees 1/2")


def test_resamples_that_weigh_nothing_are_counted():
    ids = {"workers": np.arange(3), "source_images": np.arange(3)}
    found = pigeonhole_bootstrap([0, 1, 1], ids, np.random.default_rng(0), n_resamples=500)
    assert "resamples weigh every trial 0 and are left out" in found.notes[0]


def test_the_pigeonhole_draws_the_same_law_as_copying_rows_and_columns():
    rng = np.random.default_rng(11)
    workers, images = rng.integers(8, size=60), rng.integers(6, size=60)
    reals = rng.integers(5, size=60)
    y = rng.choice([0.0, 0.5, 1.0], size=60)
    clusters = {"workers": workers, "source_images": images, "real_images": reals}
    zeros = np.zeros(60, dtype=int)
    found = pigeonhole_rates(y, zeros, clusters, np.random.default_rng(12), n_resamples=20_000)[:, 0]
    copied = []
    for _ in range(4000):
        weight = np.ones(60)
        for ids in clusters.values():
            names = np.unique(ids)
            picks = rng.choice(names, size=len(names))
            weight *= [(picks == one).sum() for one in ids]
        copied.append(np.nan if not weight.sum() else weight @ y / weight.sum())
    assert np.isnan(found).mean() == pytest.approx(np.isnan(copied).mean(), abs=0.01)
    assert ks_2samp(found[~np.isnan(found)], np.array(copied)[~np.isnan(copied)]).pvalue > 0.001


def test_the_pigeonhole_counts_trial_noise_three_times_and_clusters_once():
    rng = np.random.default_rng(13)
    workers, images = np.divmod(np.arange(60 * 60), 60)
    effects = rng.normal(0, 0.1, 60)[workers] + rng.normal(0, 0.15, 60)[images]
    y = np.clip(0.5 + effects, 0, 1)
    noise = (rng.random(3600) < 0.5).astype(float)
    for outcomes, expected in (
        (y, np.sqrt(y.reshape(60, 60).mean(axis=1).var() / 60 + y.reshape(60, 60).mean(axis=0).var() / 60)),
        (noise, np.sqrt(3 * 0.25 / 3600)),
    ):
        clusters = {"workers": workers, "source_images": images}
        found = pigeonhole_bootstrap(outcomes, clusters, np.random.default_rng(14), n_resamples=2000)
        assert found.standard_error == pytest.approx(expected, rel=0.1)


def test_what_conditions_share_is_drawn_once_for_both_and_what_they_do_not_share_for_each():
    rng = np.random.default_rng(15)
    images = np.tile(np.arange(20), 20)
    hard = (images % 2).astype(float)  # only images differ, and both conditions show the same
    conditions, workers = np.repeat([0, 1], 200), np.repeat(np.arange(20), 20)
    shared = pigeonhole_rates(hard, conditions, {"source_images": images}, rng, n_resamples=500)
    assert np.allclose(shared[:, 0], shared[:, 1])
    own = pigeonhole_rates(
        hard, conditions, {"source_images": images + 20 * conditions}, rng, n_resamples=500
    )
    assert abs(np.corrcoef(own.T)[0, 1]) < 0.2
    two_each = pigeonhole_rates(hard, conditions, {"workers": workers // 5}, rng, n_resamples=200)
    assert not np.isnan(two_each).any()  # two workers are drawn for each, never four for one


def test_a_pigeonhole_of_one_image_gives_the_rate_without_interval():
    found = pigeonhole_bootstrap(
        [1, 0], {"workers": [1, 2], "source_images": [3, 3]}, np.random.default_rng(0)
    )
    assert (found.value, found.interval) == (0.5, None)
    assert found.notes == (
        "No interval: at least 2 source images are needed to see how much they differ, and there is 1.",
    )
    empty = pigeonhole_bootstrap([], {"workers": []}, np.random.default_rng(0))
    assert (empty.value, empty.notes) == (None, ("No trials.",))


def test_a_pigeonhole_refuses_what_does_not_fit():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="one id per outcome"):
        pigeonhole_bootstrap([1, 0], {"workers": [1]}, rng)
    with pytest.raises(ValueError, match="at least one dimension"):
        pigeonhole_bootstrap([1, 0], {}, rng)
    with pytest.raises(ValueError, match=r"outcomes must lie in \[0, 1\]"):
        pigeonhole_bootstrap([2, 0], {"workers": [1, 2]}, rng)
    with pytest.raises(ValueError, match="n_resamples must be at least 100, got 5"):
        pigeonhole_bootstrap([1, 0], {"workers": [1, 2]}, rng, n_resamples=5)


def test_large_tables_get_fewer_resamples_and_never_fewer_than_200():
    assert [draws_within(10_000, trials) for trials in (5000, 100_000, 1_000_000)] == [10_000, 500, 200]
    assert draws_within(200, 1_000_000) == 200
