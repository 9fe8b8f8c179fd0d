import numpy as np
import pytest
from scipy import stats

from evalkit.stats.permutation import draws_within, permute_labels, permute_workers

RESAMPLES = 40_000


def answers(rates, trials, rng):
    """Outcomes and workers; each worker answers `trials` times."""
    outcomes = [(rng.random(trials) < rate).astype(float) for rate in rates]
    return np.concatenate(outcomes), np.repeat(np.arange(len(rates)), trials)


def within_one_resample(p_value, exact):
    """Whether a p-value from RESAMPLES draws fits the exact one."""
    return abs(p_value - exact) < 4 * np.sqrt(exact * (1 - exact) / RESAMPLES) + 2 / RESAMPLES


def test_dealing_whole_workers_gives_the_exact_permutation_p_value_of_welch_t_on_worker_means():
    rng = np.random.default_rng(1)
    one, workers = answers(rng.uniform(0.1, 0.6, 6), 10, rng)
    two, _ = answers(rng.uniform(0.1, 0.4, 5), 10, rng)
    found = permute_workers((one, two), (workers, workers[:50] + 100), rng, n_resamples=RESAMPLES)
    means = one.reshape(6, 10).mean(axis=1), two.reshape(5, 10).mean(axis=1)
    exact = stats.permutation_test(
        means,
        lambda x, y: abs(stats.ttest_ind(x, y, equal_var=False).statistic),
        vectorized=False,
        n_resamples=np.inf,
        alternative="greater",
    )
    assert found.difference == pytest.approx(one.mean() - two.mean())
    assert found.statistic == pytest.approx(exact.statistic)  # the first mean is larger
    assert within_one_resample(found.p_value, exact.pvalue)
    assert 0.02 < exact.pvalue < 0.9


def test_swapping_labels_in_pairs_gives_the_exact_p_value_of_sign_flips():
    rng = np.random.default_rng(2)
    workers, pairs = 9, 3
    one, two = (
        (rng.random((workers, pairs)) < 0.6).astype(float),
        (rng.random((workers, pairs)) < 0.3).astype(float),
    )
    ids, images = np.repeat(np.arange(workers), pairs), np.tile(np.arange(pairs), workers)
    found = permute_labels(
        np.concatenate((one.ravel(), two.ravel())), np.repeat([True, False], workers * pairs),
        np.tile(ids, 2), np.tile(images, 2), rng, n_resamples=RESAMPLES,
    )  # fmt: skip
    gaps = (one - two).reshape(-1)

    def t_of(signs):
        flipped = (signs * gaps).reshape(*signs.shape[:-1], workers, pairs).mean(axis=-1)
        return flipped.mean(axis=-1) / (flipped.std(axis=-1, ddof=1) / np.sqrt(workers))

    signs = np.random.default_rng(3).choice([-1.0, 1.0], size=(200_000, workers * pairs))
    exact = np.mean(np.abs(t_of(signs)) >= abs(t_of(np.ones(workers * pairs))) - 1e-9)
    assert found.statistic == pytest.approx(t_of(np.ones(workers * pairs)))
    assert within_one_resample(found.p_value, exact)
    assert 0.005 < exact < 0.9


def test_without_pairs_the_labels_of_a_worker_are_dealt_anew_with_unsure_answers_too():
    rng = np.random.default_rng(4)
    workers, trials = 6, 8
    y = rng.choice([0.0, 0.5, 1.0], size=workers * trials, p=[0.5, 0.2, 0.3])
    first = np.concatenate([rng.permutation([True] * 3 + [False] * 5) for _ in range(workers)])
    y[first] = np.minimum(y[first] + 0.5 * (rng.random(first.sum()) < 0.4), 1)
    ids, images = np.repeat(np.arange(workers), trials), np.tile(np.arange(trials), workers)
    found = permute_labels(y, first, ids, images, rng, n_resamples=RESAMPLES)
    shuffled = np.random.default_rng(5)

    def t_of(labels):
        rates = y[labels].mean(), y[~labels].mean()
        influence = np.where(labels, (y - rates[0]) / labels.sum(), -(y - rates[1]) / (~labels).sum())
        sums = influence.reshape(workers, trials).sum(axis=1)
        return (rates[0] - rates[1]) / np.sqrt((sums**2).sum() * workers / (workers - 1))

    drawn = [t_of(shuffled.permuted(first.reshape(workers, trials), axis=1).ravel()) for _ in range(20_000)]
    naive = np.mean(np.abs(drawn) >= abs(t_of(first)) - 1e-9)
    assert found.statistic == pytest.approx(t_of(first))
    assert found.p_value == pytest.approx(naive, abs=0.015)
    assert 0.005 < naive < 0.9


def test_a_p_value_is_never_zero():
    one, workers = np.ones(100), np.repeat(np.arange(20), 5)
    two = np.zeros(100)
    found = permute_workers((one, two), (workers, workers + 20), np.random.default_rng(0), n_resamples=999)
    assert found.p_value == 1 / 1000
    assert found.statistic is None  # no spread in either group: infinite
    again = permute_workers((one, two), (workers, workers + 20), np.random.default_rng(0), n_resamples=999)
    assert again == found


@pytest.mark.parametrize("y", [np.zeros(8), np.ones(8)])
def test_where_all_answers_are_alike_there_is_no_p_value_and_a_note_says_why(y):
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(4), 2)
    between = permute_workers((y[:4], y[4:]), (ids[:4], ids[4:]), rng)
    within = permute_labels(y, np.tile([True, False], 4), ids, np.zeros(8), rng)
    for found in (between, within):
        assert (found.difference, found.p_value) == (0.0, None)
        assert found.as_test().notes[0].startswith("Nothing can be permuted")


def test_an_empty_group_has_no_difference():
    rng = np.random.default_rng(0)
    assert permute_workers(([], [1.0]), ([], [1]), rng).difference is None
    assert permute_labels([1.0], [True], [1], [1], rng).difference is None
    assert permute_labels([], [], [], [], rng).difference is None


def test_one_worker_per_group_has_a_difference_and_no_test():
    found = permute_workers(([1.0, 0.0], [0.0, 0.0]), ([1, 1], [2, 2]), np.random.default_rng(0))
    assert (found.difference, found.p_value) == (0.5, None)


def test_bad_input_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="a worker is in both groups"):
        permute_workers(([1.0], [0.0]), ([1], [1]), rng)
    with pytest.raises(ValueError, match="equal length"):
        permute_workers(([1.0, 0.0], [0.0]), ([1], [2]), rng)
    with pytest.raises(ValueError, match="equal length"):
        permute_labels([1.0, 0.0], [True], [1, 1], [1, 1], rng)


def test_many_workers_get_fewer_permutations_and_never_fewer_than_400():
    assert draws_within(10_000, 50) == 10_000
    assert draws_within(10_000, 25_000) == 400
    assert draws_within(100, 25_000) == 100


@pytest.mark.reliability
@pytest.mark.parametrize(
    ("sizes", "trials"), [((25, 25), 40), ((10, 60), 40), ((8, 8), 10)], ids=["25+25", "10+60", "8+8"]
)
def test_between_workers_the_level_holds_for_these_images(sizes, trials):
    """H0: the same images, equally hard."""
    rng, rejected, studies = np.random.default_rng(6), 0, 1500
    images = rng.normal(0, 0.9, size=trials)
    for _ in range(studies):
        groups = [
            (rng.random((size, trials)) < 1 / (1 + np.exp(1.2 - rng.normal(0, 0.5, (size, 1)) - images)))
            for size in sizes
        ]
        ids = np.repeat(np.arange(sum(sizes)), trials)
        cut = sizes[0] * trials
        found = permute_workers(
            tuple(group.ravel().astype(float) for group in groups),
            (ids[:cut], ids[cut:]),
            rng,
            n_resamples=499,
        )
        rejected += found.p_value is not None and found.p_value <= 0.05
    assert rejected / studies <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / studies), (
        f"{100 * rejected / studies:.1f} %"
    )


@pytest.mark.reliability
@pytest.mark.parametrize("slope_sd", [0.0, 0.5])
def test_within_workers_the_level_holds_for_these_images(slope_sd):
    """H0: no image is easier by one algorithm; with a slope SD some workers see one better, some the other."""
    rng, rejected, studies, workers, trials = np.random.default_rng(7), 0, 1500, 30, 40
    images = rng.normal(0, 0.9, size=100)
    for _ in range(studies):
        source = np.concatenate([rng.permutation(100)[:trials] for _ in range(workers)])
        first = np.concatenate([rng.permutation([True, False] * (trials // 2)) for _ in range(workers)])
        ids = np.repeat(np.arange(workers), trials)
        slope = np.where(first, 0.5, -0.5) * rng.normal(0, slope_sd, workers)[ids]
        logit = -1.2 + rng.normal(0, 0.7, workers)[ids] + images[source] + slope
        y = (rng.random(ids.size) < 1 / (1 + np.exp(-logit))).astype(float)
        p_value = permute_labels(y, first, ids, source, rng, n_resamples=499).p_value
        rejected += p_value is not None and p_value <= 0.05
    assert rejected / studies <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / studies), (
        f"{100 * rejected / studies:.1f} %"
    )
