import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from evalkit.stats.confidence_sequence import GRID, betting_sequence


def plain_bounds(x, alpha):
    """The set of means after each value, by the formulas as they stand, one candidate and one value after the other."""
    t = len(x)
    mean, spread, stakes = 0.5, 0.25, []
    total, squares = 0.5, 0.25
    for i, value in enumerate(x, start=1):
        stakes.append(math.sqrt(2 * math.log(2 / alpha) / (spread * i * math.log(i + 1))))
        total += value
        mean = total / (i + 1)
        squares += (value - mean) ** 2
        spread = squares / (i + 1)
    bounds = []
    alive = set(range(GRID + 1))
    for last in range(1, t + 1):
        for k in sorted(alive):
            m = k / GRID
            up = math.prod(
                1 + min(s, 0.5 / m if m else math.inf) * (v - m)
                for s, v in zip(stakes[:last], x, strict=False)
            )
            down = math.prod(
                1 - min(s, 0.5 / (1 - m) if m < 1 else math.inf) * (v - m)
                for s, v in zip(stakes[:last], x, strict=False)
            )
            if max(up, down) / 2 >= 1 / alpha:
                alive.discard(k)
        bounds.append((min(alive) / GRID, max(alive) / GRID))
    return np.array(bounds)


@pytest.mark.parametrize(
    "x",
    [
        np.array([0.2, 0.45, 0.1, 0.3, 0.0, 0.25, 0.4, 0.2, 0.15, 0.35, 0.3, 0.2]),
        np.array([0.0, 1.0] * 6),
        np.ones(9),
        np.zeros(9),
    ],
)
def test_the_bounds_are_those_of_the_formulas_rounded_outwards_by_one_step(x):
    expected = plain_bounds(x, 0.05)
    found = betting_sequence(x, 0.95)
    assert np.all(found.low <= expected[:, 0] + 1e-9)
    assert np.all(found.high >= expected[:, 1] - 1e-9)
    np.testing.assert_allclose(found.low, expected[:, 0], atol=1 / GRID + 1e-9)
    np.testing.assert_allclose(found.high, expected[:, 1], atol=1 / GRID + 1e-9)


def test_many_values_give_the_same_bounds_whole_as_in_parts():
    x = np.random.default_rng(4).beta(2, 5, 700)
    whole, part = betting_sequence(x), betting_sequence(x[:300])
    np.testing.assert_array_equal(whole.low[:300], part.low)
    np.testing.assert_array_equal(whole.high[:300], part.high)
    assert whole.high[-1] - whole.low[-1] < 0.06
    assert whole.low[-1] < 2 / 7 < whole.high[-1]


def test_mirrored_values_give_the_mirrored_interval():
    x = np.random.default_rng(5).beta(1, 6, 80)
    one, other = betting_sequence(x), betting_sequence(1 - x)
    np.testing.assert_allclose(one.low, 1 - other.high, atol=1e-12)
    np.testing.assert_allclose(one.high, 1 - other.low, atol=1e-12)


def test_an_interval_never_grows_and_begins_with_everything():
    found = betting_sequence(np.random.default_rng(6).random(60))
    assert np.all(np.diff(found.low) >= 0)
    assert np.all(np.diff(found.high) <= 0)
    assert (found.low[0], found.high[0]) == (0.0, 1.0)
    assert betting_sequence([]).low.shape == (0,)


def test_a_higher_confidence_level_is_wider():
    x = np.random.default_rng(7).beta(2, 5, 100)
    assert np.all(betting_sequence(x, 0.99).half_width >= betting_sequence(x, 0.9).half_width)


def test_the_rule_stops_at_the_first_narrow_interval_but_not_before_the_least_number():
    found = betting_sequence(np.full(200, 0.3))
    first = found.stopped_at(0.05, 1)
    assert first is not None
    assert found.half_width[first - 1] <= 0.05 < found.half_width[first - 2]
    assert found.stopped_at(0.05, first + 20) == first + 20
    assert found.stopped_at(0.05, 201) is None
    assert found.stopped_at(1e-4, 1) is None


def test_values_that_contradict_one_mean_leave_nothing():
    found = betting_sequence(np.concatenate((np.zeros(300), np.ones(300))))
    assert found.low[-1] > found.high[-1]


@pytest.mark.parametrize("wrong", [[0.2, 1.2], [-0.1], [0.3, float("nan")], [[0.1, 0.2]]])
def test_values_that_are_no_rates_are_refused(wrong):
    with pytest.raises(ValueError, match=r"numbers in \[0, 1\]"):
        betting_sequence(wrong)


def worker_means(rng, workers, trials, intercept, spread):
    return rng.binomial(trials, expit(intercept + spread * rng.normal(size=workers))) / trials


def true_mean(intercept, spread):
    points, weights = np.polynomial.hermite_e.hermegauss(81)
    return float((expit(intercept + spread * points) * weights).sum() / weights.sum())


DESIGNS = {
    "40 trials, 25 %": (40, -1.2, 0.7),
    "40 trials, very different workers": (40, -1.5, 1.5),
    "40 trials, 4 %": (40, -3.5, 0.8),
    "one trial each": (1, -1.2, 0.7),
    "40 trials, half": (40, 0.0, 0.5),
}


@pytest.mark.reliability
@pytest.mark.parametrize("design", DESIGNS)
def test_looked_at_after_every_one_of_200_workers_it_misses_in_at_most_5_percent(design):
    trials, intercept, spread = DESIGNS[design]
    truth = true_mean(intercept, spread)
    rng = np.random.default_rng(11)
    studies, missed, by_t = 1000, 0, 0
    widths = np.zeros(200)
    for _ in range(studies):
        x = worker_means(rng, 200, trials, intercept, spread)
        found = betting_sequence(x)
        missed += bool(((found.low > truth) | (found.high < truth)).any())
        by_t += misses_by_t(x, truth)
        widths += 100 * found.half_width / studies
    figures = (
        f"sequence {100 * missed / studies:.1f} %, t-interval {100 * by_t / studies:.1f} %,"
        f" half width after 50: {widths[49]:.1f}, after 200: {widths[199]:.1f} points"
    )
    assert missed / studies <= 0.05, figures
    assert by_t / studies > 0.2, figures  # what peeking does to an interval that is meant for one look


@pytest.mark.reliability
def test_with_the_same_images_for_all_in_rotating_lists_it_covers_the_rate_of_these_images():
    rng = np.random.default_rng(12)
    studies, missed, images = 500, 0, 60
    points, weights = np.polynomial.hermite_e.hermegauss(41)
    lists = (np.arange(40) + 7 * np.arange(120)[:, None]) % images
    for _ in range(studies):
        effects = -1.2 + 0.9 * rng.normal(size=images)
        truth = float((expit(effects[:, None] + 0.7 * points) * weights).sum() / weights.sum() / images)
        order = rng.permutation(120)
        chance = expit(effects[lists[order]] + 0.7 * rng.normal(size=(120, 1)))
        found = betting_sequence((rng.random(chance.shape) < chance).mean(axis=1))
        missed += bool(((found.low > truth) | (found.high < truth)).any())
    assert missed / studies <= 0.05


def misses_by_t(x, truth):
    """Whether a 95 % t-interval of the mean ever misses, looked at after every worker from the tenth on."""
    n = np.arange(1, len(x) + 1)[9:]
    mean = np.cumsum(x)[9:] / n
    variance = (np.cumsum(x**2)[9:] - n * mean**2) / (n - 1)
    reach = stats.t.ppf(0.975, n - 1) * np.sqrt(np.maximum(variance, 0) / n)
    return bool((np.abs(mean - truth) > reach).any())
