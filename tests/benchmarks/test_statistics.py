import numpy as np
import pytest

from benchmarks.statistics import better, by_counts, by_loop, by_vectorised_loop, made_up_answers


@pytest.mark.parametrize("algorithms", [1, 3])
def test_the_loops_and_the_counts_draw_the_same_law(algorithms):
    answers = made_up_answers(12, 10, algorithms)
    counts = by_counts(answers, 20_000, np.random.default_rng(2))
    for loop in (by_loop, by_vectorised_loop):
        rates = loop(answers, 2000, np.random.default_rng(1))
        assert rates.mean(axis=0) == pytest.approx(
            counts.mean(axis=0), abs=5 * counts.std(axis=0).max() / 2000**0.5
        )
        assert rates.std(axis=0) == pytest.approx(counts.std(axis=0), rel=0.08)
        assert better(rates) == pytest.approx(better(counts), abs=0.05)
