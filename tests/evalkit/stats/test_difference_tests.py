import numpy as np
import pytest
from scipy import stats

from evalkit.stats.difference_tests import adjusted, clustered_test
from evalkit.stats.proportions import clustered_difference


def groups(rng, sizes=(20, 14), trials=30, rates=(0.3, 0.25)):
    outcomes, workers = [], []
    for place, (size, rate) in enumerate(zip(sizes, rates, strict=True)):
        own = np.clip(rng.normal(rate, 0.1, size), 0.02, 0.98)
        outcomes.append((rng.random((size, trials)) < own[:, None]).astype(float).ravel())
        workers.append({"workers": np.repeat(np.arange(size), trials) + 1000 * place})
    return tuple(outcomes), tuple(workers)


def test_over_workers_of_two_groups_it_is_nearly_welch_t_on_worker_means():
    """Not exactly: the interval is as skew as those of the two rates."""
    for seed in range(10):
        outcomes, clusters = groups(np.random.default_rng(seed))
        found = clustered_test(outcomes, clusters)
        welch = stats.ttest_ind(*(y.reshape(-1, 30).mean(axis=1) for y in outcomes), equal_var=False)
        assert found.statistic == pytest.approx(welch.statistic, rel=0.25, abs=0.05)
        assert found.p_value == pytest.approx(welch.pvalue, abs=0.06)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("rates", [(0.3, 0.25), (0.3, 0.2), (0.0, 0.1), (0.0, 0.4), (0.0, 0.02)])
def test_it_rejects_exactly_where_the_interval_leaves_zero_out(rates, level):
    for seed in range(5):
        outcomes, clusters = groups(np.random.default_rng(seed), rates=rates)
        outcomes = (np.zeros_like(outcomes[0]), outcomes[1]) if rates[0] == 0 else outcomes
        interval = clustered_difference(outcomes, clusters, level).interval
        found = clustered_test(outcomes, clusters, level)
        assert (found.p_value < 1 - level) == (not interval.low <= 0 <= interval.high)
        assert np.sign(found.statistic) == np.sign(found.value)


def test_one_worker_of_both_groups_does_not_make_them_one_large_group():
    """Else 8 people against 60 had t with 66 degrees of freedom, and rejected 7 % of true hypotheses."""
    outcomes, clusters = groups(np.random.default_rng(4), sizes=(8, 60))
    apart = clustered_difference(outcomes, clusters).interval
    second = np.where(clusters[1]["workers"] == 1000, 0, clusters[1]["workers"])
    shared = clustered_difference(outcomes, (clusters[0], {"workers": second})).interval
    assert 7 <= apart.degrees_of_freedom < 20
    assert shared.degrees_of_freedom == 7


def test_equal_answers_have_p_one_and_one_worker_has_none():
    y, ids = np.tile([1.0, 0.0], 10), np.repeat(np.arange(10), 2)
    assert clustered_test((y, y), ({"workers": ids}, {"workers": ids + 10})).p_value == pytest.approx(
        1, abs=1e-6
    )
    lonely = clustered_test((y[:2], y[:2]), ({"workers": [1, 1]}, {"workers": [2, 2]}))
    assert (lonely.value, lonely.p_value) == (0.0, None)
    assert "at least 2 workers" in lonely.notes[0]
    empty = clustered_test((y[:2], []), ({"workers": [1, 1]}, {"workers": []}))
    assert (empty.value, empty.p_value, empty.notes) == (
        None,
        None,
        ("One of the conditions has no trials.",),
    )


def test_a_test_that_could_not_be_made_keeps_its_place_in_the_family():
    assert adjusted([0.01, None, 0.03]) == pytest.approx([0.03, None, 0.06])
    assert adjusted([]) == []
