import itertools
import math

import numpy as np
import pytest
from scipy import stats

from evalkit.stats.correlation import (
    Uncertain,
    coefficients,
    fisher_interval,
    image_correlation,
    permutation_p,
    rank_correlation,
)

RNG = np.random.default_rng


def oracle(x, y, kind):
    return (stats.spearmanr if kind == "spearman" else stats.kendalltau)(x, y).statistic


@pytest.mark.parametrize("kind", ["spearman", "kendall"])
def test_coefficients_are_scipys_with_ties_too(kind):
    rng = RNG(3)
    x, y = rng.integers(0, 5, (40, 9)).astype(float), rng.integers(0, 5, (40, 9)).astype(float)
    assert coefficients(x, y, kind) == pytest.approx([oracle(*pair, kind) for pair in zip(x, y, strict=True)])


@pytest.mark.parametrize("kind", ["spearman", "kendall"])
@pytest.mark.parametrize("points", [5, 6])
def test_the_exact_p_is_the_share_of_all_orders_that_agree_as_much(kind, points):
    x, y = RNG(points).random((2, points))
    observed = abs(oracle(x, y, kind))
    orders = [abs(oracle(x, np.array(order), kind)) for order in itertools.permutations(y)]
    p, drawn = permutation_p(x, y, kind, RNG(0))
    assert drawn is None
    assert p == pytest.approx(np.mean(np.array(orders) >= observed - 1e-12))


def test_five_points_in_one_order_reach_two_of_120_and_four_are_not_called_a_correlation():
    five = np.arange(5.0)
    estimate, test = rank_correlation(Uncertain(five), Uncertain(five), "spearman", RNG(0))
    assert (estimate.value, test.p_value) == (1.0, pytest.approx(2 / 120))
    estimate, test = rank_correlation(Uncertain(five[:4]), Uncertain(five[:4]), "spearman", RNG(0))
    assert (estimate.value, test) == (None, None)
    assert "no test can reach p < .05 with K = 4 (the smallest p is 0.083)" in estimate.notes[0]


@pytest.mark.parametrize(("points", "low", "high"), [(5, -0.32, 0.99), (8, 0.19, 0.96), (13, 0.43, 0.94)])
def test_the_interval_of_a_sample_of_points_is_that_of_fieller_hartley_and_pearson(points, low, high):
    found = fisher_interval(0.8, points, "spearman", 0.95)
    assert (round(found.low, 2), round(found.high, 2)) == (low, high)


def test_both_sides_widen_the_interval():
    rng, x = RNG(1), np.linspace(0.1, 0.5, 8)
    noisy = x + 0.05 * rng.standard_normal((2000, 8))
    one, _ = rank_correlation(Uncertain(x, noisy), Uncertain(x), "spearman", rng)
    both, _ = rank_correlation(Uncertain(x, noisy), Uncertain(x, noisy[::-1]), "spearman", rng)
    assert both.interval.low < one.interval.low < 1.0
    assert "first and second side" in both.method


def test_a_constant_side_has_no_correlation_and_says_so():
    estimate, test = rank_correlation(Uncertain(np.ones(6)), Uncertain(np.arange(6.0)), "kendall", RNG(0))
    assert (estimate.value, test) == (None, None)
    assert "same value everywhere" in estimate.notes[0]


@pytest.mark.parametrize("kind", ["spearman", "kendall"])
def test_over_images_the_interval_holds_the_correlation_and_missing_images_are_left_out(kind):
    rng = RNG(5)
    truth = rng.normal(size=80)
    rates = truth + 0.8 * rng.standard_normal((301, 80))
    metric = truth + 0.8 * rng.standard_normal(80)
    metric[:3], rates[:, 3] = math.nan, math.nan
    estimate, test = image_correlation(rates, metric, kind, rng)
    assert estimate.n == {"images": 76}
    assert estimate.value == pytest.approx(oracle(rates[0, 4:], metric[4:], kind))
    assert estimate.interval.low < estimate.value < estimate.interval.high
    assert test.p_value < 0.01


def test_few_images_are_refused():
    estimate, test = image_correlation(RNG(0).random((11, 8)), np.arange(8.0), "spearman", RNG(0))
    assert (estimate.value, test) == (None, None)
    assert "8 images have votes and a score; at least 20" in estimate.notes[0]


@pytest.mark.reliability
def test_the_permutation_test_keeps_its_level():
    rng, hits = RNG(11), 0
    for _ in range(2000):
        x, y = rng.random((2, 6))
        hits += permutation_p(x, y, "spearman", rng)[0] <= 0.05
    assert hits / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
