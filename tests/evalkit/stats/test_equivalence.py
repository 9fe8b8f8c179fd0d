import numpy as np
import pytest
from scipy import stats

from evalkit.results import Estimate, Interval
from evalkit.stats.equivalence import equivalence_level, equivalence_verdict
from evalkit.stats.proportions import clustered_difference


def with_interval(low, high, level=0.9):
    return Estimate(
        key="rate",
        value=(low + high) / 2,
        unit="proportion",
        method="m",
        interval=Interval(low, high, level, "m"),
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.46, 0.54, "yes"),
        (0.46, 0.55, "cannot tell"),
        (0.30, 0.60, "cannot tell"),
        (0.52, 0.58, "cannot tell"),
        (0.56, 0.70, "no"),
        (0.30, 0.45, "no"),
    ],
)
def test_the_verdict_is_the_place_of_the_interval(low, high, verdict):
    assert equivalence_verdict(with_interval(low, high), 0.05, 0.5) == verdict


def test_yes_is_nearly_where_both_one_sided_t_tests_reject():
    """Not exactly: our interval is as skew as those of the two rates."""
    rng = np.random.default_rng(1)
    verdicts, rejections = [], []
    for _ in range(80):
        y = [(rng.random((20, 20)) < 0.4).astype(float) for _ in range(2)]
        workers = np.repeat(np.arange(20), 20)
        found = clustered_difference(
            (y[0].ravel(), y[1].ravel()),
            ({"workers": workers}, {"workers": workers + 20}),
            equivalence_level(),
        )
        means = [one.mean(axis=1) for one in y]
        p_values = [
            stats.ttest_ind(means[0] + shift, means[1], equal_var=False, alternative=side).pvalue
            for shift, side in ((0.08, "greater"), (-0.08, "less"))
        ]
        verdicts.append(equivalence_verdict(found, 0.08) == "yes")
        rejections.append(max(p_values) < 0.05)
    assert 10 < sum(verdicts) < 70
    assert sum(np.array(verdicts) != np.array(rejections)) <= 6


def test_without_an_interval_nothing_can_be_told():
    none = Estimate(key="rate", value=0.5, unit="proportion", method="m")
    assert equivalence_verdict(none, 0.05, 0.5) == "cannot tell"


def test_a_narrower_interval_than_ninety_percent_is_refused():
    with pytest.raises(ValueError, match="at least 90 % confidence, got"):
        equivalence_verdict(with_interval(0.49, 0.51, 0.8), 0.05, 0.5)
    with pytest.raises(ValueError, match="margin must be above 0, got 0"):
        equivalence_verdict(with_interval(0.49, 0.51), 0)


def test_the_interval_is_never_below_ninety_percent():
    assert [equivalence_level(level) for level in (0.8, 0.95, 0.99)] == pytest.approx([0.9, 0.9, 0.98])
