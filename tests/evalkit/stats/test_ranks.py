import numpy as np
import pytest
from scipy import stats

from evalkit.stats.ranks import rank_intervals


def test_clearly_different_rates_have_ranks_without_doubt():
    draws = np.array([0.4, 0.1, 0.25]) + np.random.default_rng(1).normal(0, 0.01, (500, 3))
    found = rank_intervals([0.4, 0.1, 0.25], draws)
    assert found.ranks.tolist() == found.low.tolist() == found.high.tolist() == [1, 3, 2]
    assert found.first.tolist() == [1, 0, 0]


def test_the_interval_holds_at_least_its_share_of_the_drawn_ranks():
    rng = np.random.default_rng(2)
    rates = rng.normal(0.3, 0.02, 6)
    draws = rates + rng.normal(0, 0.02, (4000, 6))
    found = rank_intervals(rates, draws)
    drawn = stats.rankdata(-draws, axis=1)
    assert np.all(((drawn >= found.low) & (drawn <= found.high)).mean(axis=0) >= 0.95)
    assert np.all(((drawn > found.low) & (drawn <= found.high)).mean(axis=0) < 0.975 + 0.02)
    assert found.first.sum() == pytest.approx(1)


def test_ties_share_the_mean_of_their_ranks_and_the_first_place():
    found = rank_intervals([0.5, 0.5, 0.1], [[0.5, 0.5, 0.1]] * 4)
    assert found.ranks.tolist() == [1.5, 1.5, 3]
    assert found.first.tolist() == [0.5, 0.5, 0]


def test_draws_in_which_a_condition_is_missing_are_left_out():
    found = rank_intervals([0.2, 0.1], [[0.3, 0.1], [np.nan, 0.1], [0.1, 0.3]])
    assert found.n_draws == 2
    with pytest.raises(ValueError, match="no draw has a rate of every condition"):
        rank_intervals([0.2, 0.1], [[np.nan, 0.1]])
    with pytest.raises(ValueError, match="do not fit"):
        rank_intervals([0.2, 0.1], [[0.1, 0.2, 0.3]])
