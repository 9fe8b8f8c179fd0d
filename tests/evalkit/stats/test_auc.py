"""The clustered AUC and Holm's procedure, against what is known."""

import numpy as np
import pytest
from scipy import stats

from evalkit.stats.auc import TwoSamples, clustered_auc, fold_averaged_auc
from evalkit.stats.multiplicity import holm

RNG = np.random.default_rng(5)


def samples(reals, fakes, real_inputs=None, fake_inputs=None):
    reals, fakes = np.asarray(reals, dtype=float), np.asarray(fakes, dtype=float)
    return TwoSamples(
        reals,
        fakes,
        np.arange(reals.size) if real_inputs is None else np.asarray(real_inputs),
        np.arange(fakes.size) if fake_inputs is None else np.asarray(fake_inputs),
    )


@pytest.mark.parametrize("levels", [3, 1000])
def test_the_value_is_the_mann_whitney_statistic_ties_and_all(levels):
    reals, fakes = RNG.integers(levels, size=23), RNG.integers(levels, size=31)
    expected = stats.mannwhitneyu(fakes, reals).statistic / (23 * 31)
    assert clustered_auc(samples(reals, fakes)).value == pytest.approx(expected)


def test_a_property_that_never_differs_has_an_auc_of_one_half_and_no_width():
    auc = clustered_auc(samples([4] * 9, [4] * 9))
    assert (auc.value, auc.interval().low, auc.interval().high, auc.p_value) == (0.5, 0.5, 0.5, 1)


def test_without_shared_inputs_the_variance_is_delongs():
    reals, fakes = RNG.normal(size=40), RNG.normal(0.7, size=60)
    wins = (fakes[:, None] > reals[None, :]).mean
    of_fakes, of_reals = wins(axis=1), wins(axis=0)
    delong = of_reals.var(ddof=1) / 40 + of_fakes.var(ddof=1) / 60
    auc = clustered_auc(samples(reals, fakes, np.arange(40), np.arange(100, 160)))
    assert auc.standard_error**2 == pytest.approx(delong, rel=0.03)  # 100/99 in place of 40/39 and 60/59


def test_pairs_that_rise_and_fall_together_are_known_better_than_strangers():
    inputs = RNG.normal(size=80)
    reals, fakes = inputs + 0.1 * RNG.normal(size=80), inputs + 0.1 * RNG.normal(size=80)
    paired = clustered_auc(samples(reals, fakes)).standard_error
    strangers = clustered_auc(samples(reals, fakes, np.arange(80), np.arange(80, 160))).standard_error
    assert paired < strangers / 5


@pytest.mark.parametrize("turn", [1, -1])
def test_separated_samples_get_an_exact_bound_instead_of_none(turn):
    auc = clustered_auc(samples(np.arange(20) * turn, (np.arange(20) + 50) * turn))
    interval = auc.interval(0.95)
    bound = 0.025 ** (1 / 10)
    assert (interval.low, interval.high) == pytest.approx((bound, 1) if turn == 1 else (0, 1 - bound))
    assert auc.p_value == pytest.approx(2 * 0.5**10)


def test_two_images_that_happen_to_be_in_order_prove_nothing():
    assert clustered_auc(samples([1, 2], [3, 4])).p_value == 1


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_interval_leaves_one_half_out_exactly_where_the_p_value_is_below_its_level(level):
    for shift in np.linspace(0, 1.2, 25):
        auc = clustered_auc(samples(RNG.normal(size=25), RNG.normal(shift, size=25)))
        interval = auc.interval(level)
        assert (not interval.low <= 0.5 <= interval.high) is (auc.p_value < 1 - level)
        assert interval.low <= auc.value <= interval.high


@pytest.mark.parametrize(("truth", "shift"), [(0.5, 0.0), (0.76, 1.0)])
@pytest.mark.parametrize("inputs", [20, 60])
def test_the_interval_contains_the_truth_about_as_often_as_it_says(truth, shift, inputs):
    """Two images per input that share most of their variation, 400 times; binomial bounds at four standard errors."""
    rng, hits = np.random.default_rng(11), 0
    exact = stats.norm.cdf(shift / np.sqrt(2))
    assert exact == pytest.approx(truth, abs=0.01)
    for _ in range(400):
        common = 0.8 * rng.normal(size=inputs)
        reals, fakes = (common + 0.6 * rng.normal(size=inputs) for _ in range(2))
        interval = clustered_auc(samples(reals, fakes + shift)).interval(0.95)
        hits += interval.low <= exact <= interval.high
    assert 0.906 <= hits / 400 <= 0.994


def test_folds_are_averaged_and_never_mixed():
    one, other = (
        samples([0, 1, 2], [1, 2, 3]),
        samples([100, 101, 102], [101, 102, 103], [7, 8, 9], [7, 8, 9]),
    )
    both = fold_averaged_auc([one, other])
    assert both.value == pytest.approx((clustered_auc(one).value + clustered_auc(other).value) / 2)
    assert both.inputs == 6
    # The variance of a mean, over six inputs instead of three; three times that for what the training sets share.
    plain = [clustered_auc(fold).standard_error ** 2 for fold in (one, other)]
    assert both.standard_error**2 == pytest.approx(3 * sum(plain) / 4 * (6 / 5) / (3 / 2))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (samples([], [1, 2]), "at least one real image and one fake"),
        (samples([1, 2], [1, 2], [1]), "every value needs the id of its input"),
        (samples([1], [2]), "at least two inputs"),
    ],
)
def test_what_cannot_be_estimated_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        clustered_auc(wrong)


def test_holms_own_kind_of_example():
    adjusted, levels = holm([0.01, 0.04, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert levels == pytest.approx([0.05 / 3, 0.025, 0.025, 0.0125])


def test_holm_rejects_exactly_where_the_level_of_the_interval_says():
    for _ in range(200):
        p_values = list(RNG.beta(0.4, 2, size=6))
        adjusted, levels = holm(p_values)
        assert [p <= level for p, level in zip(p_values, levels, strict=True)] == [
            p <= 0.05 for p in adjusted
        ]


def test_an_empty_family_is_no_error():
    assert holm([]) == ([], [])
