import numpy as np
import pytest

from evalkit.stats.shrinkage import beta_binomial_rates


def test_images_that_differ_no_more_than_chance_all_get_the_common_mean():
    found = beta_binomial_rates([3, 3, 3, 3], [10, 10, 10, 10])
    assert found.rates == pytest.approx([0.3] * 4)
    assert found.prior_votes == np.inf


def test_few_votes_are_pulled_harder_and_never_reach_100_percent():
    found = beta_binomial_rates([2, 18, 1, 3, 2, 15], [2, 20, 20, 20, 20, 20])
    assert found.rates[0] < found.rates[1] < 0.9
    assert found.mean < found.rates[0] < 1
    assert np.all((found.low < found.rates) & (found.rates < found.high))


def test_with_many_votes_the_raw_rates_remain():
    votes = np.full(6, 100_000)
    raw = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert beta_binomial_rates(raw * votes, votes).rates == pytest.approx(raw, abs=1e-4)


def test_the_weight_of_the_mean_is_the_one_that_made_the_data():
    rng = np.random.default_rng(0)
    rates = rng.beta(0.3 * 8, 0.7 * 8, size=4000)
    votes = rng.integers(5, 30, size=4000)
    assert beta_binomial_rates(rng.binomial(votes, rates), votes).prior_votes == pytest.approx(8, rel=0.1)


def test_shrunken_rates_are_closer_to_the_truth_than_raw_ones():
    rng = np.random.default_rng(1)
    rates = rng.beta(3, 7, size=300)
    fooled = rng.binomial(8, rates)
    shrunken = beta_binomial_rates(fooled, np.full(300, 8)).rates
    assert np.mean((shrunken - rates) ** 2) < 0.75 * np.mean((fooled / 8 - rates) ** 2)


@pytest.mark.parametrize(("fooled", "votes"), [([0, 0], [4, 4]), ([1], [1]), ([1, 0, 1], [1, 1, 1])])
def test_where_nothing_can_be_learnt_of_the_spread_the_mean_stands_for_all(fooled, votes):
    found = beta_binomial_rates(fooled, votes)
    assert found.rates == pytest.approx([sum(fooled) / sum(votes)] * len(votes))


def test_bad_counts_are_refused():
    with pytest.raises(ValueError, match="every image needs at least one vote"):
        beta_binomial_rates([1, 0], [1, 0])
    with pytest.raises(ValueError, match="equal length"):
        beta_binomial_rates([1], [1, 2])
