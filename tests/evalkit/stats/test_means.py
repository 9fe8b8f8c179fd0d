import numpy as np
import pytest
from scipy import stats

from evalkit.stats.means import mean_over_workers


def test_it_is_students_interval():
    values = np.array([0.1, 0.3, 0.35, 0.2, 0.6])
    found = mean_over_workers(values, 0.9)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


def test_shares_stay_shares():
    assert mean_over_workers([0, 0, 0.2], bounds=(0, 1)).interval.low == 0
    assert mean_over_workers([0, 0, 0.2]).interval.low < 0
    assert mean_over_workers([1, 1, 0.8], bounds=(0, 1)).interval.high == 1


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_workers_who_are_all_alike_have_no_interval_of_width_zero(rate):
    found = mean_over_workers(np.full(7, rate))
    assert found.value == pytest.approx(rate)
    assert found.interval is None
    assert found.standard_error is None
    assert "exactly the same value" in found.notes[0]
