import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from evalkit.stats.clustering import clustered_variance, dimensions_of
from evalkit.stats.proportions import (
    clopper_pearson_interval,
    clustered_difference,
    clustered_rate,
    interval_p_value,
    wilson_interval,
    worker_only_rate,
)


def brute_force_variance(influence, ids):
    """Σ_ij e_i e_j [share a cluster], with the one-way corrections; at least the largest one-way term."""
    names = list(ids)
    total, one_way = 0.0, []
    for size in range(1, len(names) + 1):
        for subset in itertools.combinations(names, size):
            term = 0.0
            for i, j in itertools.product(range(len(influence)), repeat=2):
                if all(ids[name][i] == ids[name][j] for name in subset):
                    term += influence[i] * influence[j]
            if size == 1:
                groups = len(set(ids[subset[0]]))
                term *= groups / (groups - 1)
                one_way.append(term)
            total += term if size % 2 else -term
    return max(total, *one_way)


def crossed(rng, workers, images, trials):
    worker = np.repeat(np.arange(workers), trials)
    image = np.concatenate([rng.permutation(images)[:trials] for _ in range(workers)])
    real = np.concatenate([rng.permutation(images)[:trials] for _ in range(workers)])
    return worker, image, real


@pytest.mark.parametrize("ways", [1, 2, 3])
def test_the_sandwich_equals_the_sum_over_all_pairs_of_trials(ways):
    rng = np.random.default_rng(ways)
    worker, image, real = crossed(rng, 7, 9, 6)
    y = (rng.random(len(worker)) < expit(rng.normal(size=7)[worker] + rng.normal(size=9)[image])).astype(
        float
    )
    ids = dict(list({"workers": worker, "source_images": image, "real_images": real}.items())[:ways])
    result = clustered_rate(y, ids)
    expected = math.sqrt(brute_force_variance((y - y.mean()) / len(y), ids))
    assert result.standard_error == pytest.approx(expected, rel=1e-12)
    t = stats.t.ppf(0.975, min(len(set(values)) for values in ids.values()) - 1)
    half = t * expected / (y.mean() * (1 - y.mean()))
    trials = y.mean() * (1 - y.mean()) / expected**2  # independent ones that would say as much
    fooled = y.mean() * trials
    low, high = math.log(fooled / (trials - fooled + 1)), math.log((fooled + 1) / (trials - fooled))
    assert result.interval.low == pytest.approx(expit(low - half), rel=1e-9)
    assert result.interval.high == pytest.approx(expit(high + half), rel=1e-9)
    assert result.interval.low < expit(logit(y.mean()) - half)
    assert result.interval.high > expit(logit(y.mean()) + half)


def test_three_ways_of_clustering_are_summed_also_where_some_crossings_repeat_and_others_do_not():
    above_the_bound = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        worker, image, real = crossed(rng, 6, 5, 5)
        y = rng.random(30) < expit(2 * rng.normal(size=5)[image] + 2 * rng.normal(size=5)[real])
        influence = (y - y.mean()) / 30
        ids = {"workers": worker, "source_images": image, "real_images": real}
        found = clustered_variance(influence, dimensions_of(ids, 30)).variance
        assert found == pytest.approx(brute_force_variance(influence, ids), rel=1e-10)
        one_way = [
            clustered_variance(influence, dimensions_of({name: ids[name]}, 30)).variance for name in ids
        ]
        above_the_bound += found > max(one_way) * (1 + 1e-9)
    assert above_the_bound >= 4  # else only the lower bound would have been looked at


def test_a_rate_worked_out_by_hand():
    # Workers a: 1 1 0, b: 0 0 1, c: 0 0 0 over images x y z; rate 3/9.
    # e·9: a: 2/3 2/3 -1/3 -> 1; b: -1/3 -1/3 2/3 -> 0; c: -1. Workers: 3/2·(1 + 0 + 1)/81 = 3/81.
    # Images: x 0, y 0, z 0. Cells: (3·(2/3)² + 6·(1/3)²)/81 = 2/81. V = 3/81 + 0 - 2/81 = 1/81 -> at least 3/81.
    y = [1, 1, 0, 0, 0, 1, 0, 0, 0]
    result = clustered_rate(y, {"workers": list("aaabbbccc"), "source_images": list("xyzxyzxyz")})
    assert result.value == pytest.approx(1 / 3)
    assert result.standard_error == pytest.approx(math.sqrt(3) / 9)
    assert result.interval.degrees_of_freedom == 2
    assert dict(result.n) == {"trials": 9, "workers": 3, "source_images": 3}
    assert "t with 2 degrees of freedom, logit scale" in result.method


def test_without_clustering_the_error_is_the_binomial_one():
    y = np.repeat([0.0, 1.0], [300, 100])
    one_way = clustered_rate(y, {"workers": np.arange(400)})
    both_ways = clustered_rate(y, {"workers": np.arange(400), "source_images": np.arange(400)})
    assert one_way.standard_error == pytest.approx(math.sqrt(0.25 * 0.75 / 399), rel=1e-12)
    assert both_ways.standard_error == pytest.approx(math.sqrt(0.25 * 0.75 / 400), rel=0.003)


def test_whole_workers_that_always_answer_alike_count_as_one_answer_each():
    y = np.repeat(np.repeat([0.0, 1.0], [30, 10]), 25)
    result = clustered_rate(y, {"workers": np.repeat(np.arange(40), 25)})
    assert result.standard_error == pytest.approx(math.sqrt(0.25 * 0.75 / 39), rel=1e-12)


def test_the_order_of_trials_and_the_names_of_clusters_do_not_matter():
    rng = np.random.default_rng(0)
    worker, image, _ = crossed(rng, 8, 20, 10)
    y = (rng.random(80) < 0.3).astype(float)
    shuffled = rng.permutation(80)
    names = np.array([f"person {w}" for w in worker])
    first = clustered_rate(y, {"workers": worker, "source_images": image})
    second = clustered_rate(y[shuffled], {"workers": names[shuffled], "source_images": image[shuffled]})
    assert second.standard_error == pytest.approx(first.standard_error, rel=1e-12)
    assert second.interval.low == pytest.approx(first.interval.low, rel=1e-12)


@pytest.mark.parametrize(
    ("outcome", "low", "high"), [(0.0, 0.0, 1 - 0.025 ** (1 / 12)), (1.0, 0.025 ** (1 / 12), 1.0)]
)
def test_where_every_answer_is_the_same_the_interval_counts_workers_and_says_so(outcome, low, high):
    result = clustered_rate(np.full(240, outcome), {"workers": np.repeat(np.arange(12), 20)})
    assert result.value == outcome
    assert (result.interval.low, result.interval.high) == pytest.approx((low, high))
    assert "Clopper-Pearson with n = 12 workers" in result.method
    assert result.standard_error is None
    assert any("every answer was the same" in note for note in result.notes)


def test_perfectly_even_answers_do_not_give_an_interval_of_no_width():
    y, workers, images = [1, 0, 0, 1], [0, 0, 1, 1], [0, 1, 0, 1]
    result = clustered_rate(y, {"workers": workers, "source_images": images})
    assert result.interval.low < 0.1
    assert result.interval.high > 0.9
    assert any("the clusters do not differ at all" in note for note in result.notes)


@pytest.mark.parametrize(
    ("clusters", "message"),
    [
        ({"workers": [0, 0, 0]}, "at least 2 workers per algorithm are needed"),
        (
            {"workers": [0, 1, 2], "source_images": [5, 5, 5]},
            "at least 2 source images per algorithm are needed",
        ),
    ],
)
def test_one_worker_or_one_image_gives_the_rate_and_says_why_there_is_no_interval(clusters, message):
    result = clustered_rate([1, 0, 0], clusters)
    assert result.value == pytest.approx(1 / 3)
    assert result.interval is None
    assert message in result.notes[0]


def test_no_trials_give_no_value_and_a_note():
    result = clustered_rate([], {"workers": [], "source_images": []})
    assert (result.value, result.interval, result.notes) == (None, None, ("No trials.",))


def test_a_small_sample_is_said_to_be_small():
    rng = np.random.default_rng(0)
    worker, image, _ = crossed(rng, 5, 30, 20)
    notes = clustered_rate(
        (rng.random(100) < 0.4).astype(float), {"workers": worker, "source_images": image}
    ).notes
    assert len(notes) == 1
    assert "Too small a sample for this interval to be relied on: 5 workers, fewer than the 8" in notes[0]


def test_outcomes_out_of_range_and_ids_of_the_wrong_number_are_refused():
    with pytest.raises(ValueError, match=r"outcomes must lie in \[0, 1\]; leave missing answers out"):
        clustered_rate([0, math.nan], {"workers": [0, 1]})
    with pytest.raises(
        ValueError, match=r"clusters\['workers'\] must have one id per outcome, shape \(2,\), got \(3,\)"
    ):
        clustered_rate([0, 1], {"workers": [0, 1, 2]})
    with pytest.raises(ValueError, match="clusters must name at least one dimension"):
        clustered_rate([0, 1], {})


def test_a_difference_on_shared_images_equals_the_sum_over_all_pairs_of_trials():
    rng = np.random.default_rng(5)
    worker, image, _ = crossed(rng, 6, 8, 5)
    ys = [(rng.random(30) < rate).astype(float) for rate in (0.6, 0.3)]
    ids = [{"workers": worker, "source_images": image}, {"workers": worker, "source_images": image}]
    result = clustered_difference((ys[0], ys[1]), (ids[0], ids[1]))
    influence = np.concatenate(((ys[0] - ys[0].mean()) / 30, -(ys[1] - ys[1].mean()) / 30))
    joined = {name: np.concatenate((values, values)) for name, values in ids[0].items()}
    assert result.value == pytest.approx(ys[0].mean() - ys[1].mean())
    assert result.standard_error == pytest.approx(
        math.sqrt(brute_force_variance(influence, joined)), rel=1e-12
    )
    assert result.interval.degrees_of_freedom == pytest.approx(5)


@pytest.mark.parametrize(
    ("fooled", "said"), [(4, "4 positive answers of 400"), (398, "2 negative answers of 400")]
)
def test_few_answers_of_a_kind_are_said_to_be_few(fooled, said):
    rng = np.random.default_rng(fooled)
    y = rng.permutation(np.arange(400) < fooled).astype(float)
    ids = {"workers": np.arange(400) // 20, "source_images": np.arange(400) % 40}
    (note,) = clustered_rate(y, ids).notes
    assert said in note
    assert "fewer than the 5" in note
    other = np.tile([1.0, 0.0, 0.0, 0.0], 100)
    assert said in clustered_difference((other, y), (ids, ids)).notes[0]
    assert clustered_rate(rng.permutation(np.arange(400) < 5).astype(float), ids).notes == ()


def groups_of_workers(rng):
    means = [rng.integers(3, 8, size=size) / 10 for size in (40, 120)]
    ys = [
        np.concatenate([np.repeat([1.0, 0.0], [round(10 * m), 10 - round(10 * m)]) for m in group])
        for group in means
    ]
    ids = [{"workers": [f"{name}{i // 10}" for i in range(len(y))]} for name, y in zip("ab", ys, strict=True)]
    return means, ys, ids


def test_independent_groups_of_workers_nearly_give_welchs_interval_and_his_degrees_of_freedom():
    means, ys, ids = groups_of_workers(np.random.default_rng(2))
    result = clustered_difference((ys[0], ys[1]), (ids[0], ids[1]))
    welch = stats.ttest_ind(means[0], means[1], equal_var=False)
    low, high = welch.confidence_interval(0.95)
    assert result.interval.degrees_of_freedom == pytest.approx(welch.df)
    assert result.standard_error == pytest.approx((high - low) / 2 / stats.t.ppf(0.975, welch.df))
    assert (result.interval.low, result.interval.high) == pytest.approx((low, high), abs=0.002)


def test_the_interval_of_a_difference_joins_those_of_the_rates_by_their_correlation():
    _, ys, ids = groups_of_workers(np.random.default_rng(4))
    result = clustered_difference((ys[0], ys[1]), (ids[0], ids[1]))
    freedom, error = result.interval.degrees_of_freedom, result.standard_error
    variances = [clustered_rate(y, of).standard_error ** 2 for y, of in zip(ys, ids, strict=True)]
    correlation = (sum(variances) - error**2) / (2 * math.sqrt(math.prod(variances)))
    assert correlation == pytest.approx(0, abs=1e-12)
    arms = []
    for y, variance in zip(ys, variances, strict=True):
        p = y.mean()
        half, trials = (
            stats.t.ppf(0.975, freedom) * math.sqrt(variance) / (p * (1 - p)),
            p * (1 - p) / variance,
        )
        ends = p * trials / (trials * (1 - p) + 1), (p * trials + 1) / (trials * (1 - p))
        arms.append((p - expit(math.log(ends[0]) - half), expit(math.log(ends[1]) + half) - p))
    assert result.interval.low == pytest.approx(result.value - math.hypot(arms[0][0], arms[1][1]))
    assert result.interval.high == pytest.approx(result.value + math.hypot(arms[0][1], arms[1][0]))


def test_the_same_answers_to_the_same_images_by_the_same_people_do_not_differ():
    rng = np.random.default_rng(1)
    worker, image, _ = crossed(rng, 20, 30, 10)
    ids, y = {"workers": worker, "source_images": image}, (rng.random(200) < 0.3).astype(float)
    result = clustered_difference((y, y), (ids, ids))
    assert result.interval.low == pytest.approx(
        0, abs=0.05
    )  # not exactly: an upper arm is longer than a lower one
    assert interval_p_value(result) == 1.0


@pytest.mark.parametrize("seed", range(20))
def test_the_p_value_of_a_difference_is_its_intervals_verdict_on_zero(seed):
    rng = np.random.default_rng(seed)
    _, ys, ids = groups_of_workers(rng)
    ys[0] = np.minimum(ys[0], rng.random(ys[0].size) < rng.choice([0.7, 0.8, 0.9]))
    for level in (0.9, 0.95, 0.99):
        result = clustered_difference((ys[0], ys[1]), (ids[0], ids[1]), level)
        leaves_zero_out = not result.interval.low <= 0 <= result.interval.high
        assert (interval_p_value(result) < 1 - level) == leaves_zero_out


def test_a_p_value_needs_an_interval():
    result = clustered_difference(([1, 0, 1], [1, 0, 0]), ({"workers": [0, 0, 0]}, {"workers": [1, 2, 3]}))
    assert interval_p_value(result) is None


def test_workers_alone_are_one_way_of_clustering():
    rng = np.random.default_rng(0)
    worker, image, _ = crossed(rng, 12, 30, 20)
    y = (rng.random(240) < expit(rng.normal(size=30)[image])).astype(float)
    result = worker_only_rate(y, worker)
    assert result == clustered_rate(y, {"workers": worker})
    assert (
        result.standard_error < clustered_rate(y, {"workers": worker, "source_images": image}).standard_error
    )


@pytest.mark.parametrize(
    "names", [lambda ids: ids, lambda ids: ids * 10**9 - 5, lambda ids: [f"x{i}" for i in ids]]
)
def test_ids_of_any_kind_give_the_same_interval(names):
    rng = np.random.default_rng(6)
    worker, image, real = crossed(rng, 10, 40, 20)
    y = (rng.random(200) < 0.4).astype(float)
    ids = {"workers": worker, "source_images": image, "real_images": real}
    named = {name: np.asarray(names(values)) for name, values in ids.items()}
    assert clustered_rate(y, named) == clustered_rate(y, ids)
    assert clustered_difference((y, y[::-1]), (named, named)) == clustered_difference(
        (y, y[::-1]), (ids, ids)
    )


def test_a_difference_from_a_rate_of_zero_adds_the_two_separate_intervals():
    ys = (np.zeros(100), np.tile([1.0, 0.0, 0.0, 0.0, 1.0], 20))
    ids = tuple({"workers": np.repeat(np.arange(10), 10) + shift} for shift in (0, 10))
    ids[1]["workers"] = np.sort(ids[1]["workers"])
    ys[1][:10] = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    result = clustered_difference(ys, ids)
    first, second = clustered_rate(ys[0], ids[0]), clustered_rate(ys[1], ids[1])
    arms = second.interval.high - second.value, first.interval.high - first.value
    assert result.interval.low == pytest.approx(
        result.value - arms[0], abs=0.01
    )  # t of both groups, not of one
    assert result.interval.high == pytest.approx(
        result.value + math.hypot(arms[1], second.value - second.interval.low), abs=0.01
    )
    assert result.standard_error is None
    assert "square-and-add" in result.method


def test_one_worker_in_one_condition_leaves_a_difference_without_interval():
    ids = ({"workers": [0, 0, 0]}, {"workers": [1, 2, 3]})
    result = clustered_difference(([1, 0, 1], [1, 0, 0]), ids)
    assert result.value == pytest.approx(1 / 3)
    assert result.interval is None
    assert result.notes == (
        "No interval: at least 2 workers per algorithm are needed to see how much they differ, and there is 1.",
    )


def test_conditions_with_other_dimensions_cannot_be_compared():
    with pytest.raises(ValueError, match="both conditions need the same dimensions"):
        clustered_difference(([1, 0], [0, 1]), ({"workers": [0, 1]}, {"source_images": [0, 1]}))


def test_the_variance_is_never_below_the_largest_one_way_term():
    # A Latin square: nothing between workers or images, all within cells.
    influence = np.array([1.0, -1.0, -1.0, 1.0]) / 4
    found = clustered_variance(influence, dimensions_of({"workers": [0, 0, 1, 1], "images": [0, 1, 0, 1]}, 4))
    assert found.variance == 0.0


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (120, 400)])
def test_wilson_and_clopper_pearson_agree_with_scipy(successes, trials):
    test = stats.binomtest(successes, trials)
    wilson, exact = wilson_interval(successes, trials), clopper_pearson_interval(successes, trials)
    assert (wilson.low, wilson.high) == pytest.approx(tuple(test.proportion_ci(method="wilson")), abs=1e-12)
    assert (exact.low, exact.high) == pytest.approx(tuple(test.proportion_ci(method="exact")), abs=1e-12)


def test_wilson_refuses_more_successes_than_trials():
    with pytest.raises(
        ValueError, match=r"successes must lie in 0 \.\. trials and trials be at least 1, got 3 of 2"
    ):
        wilson_interval(3, 2)


def mean_rate(intercept, *sds):
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    return float((expit(intercept + math.hypot(*sds) * nodes) @ weights) / weights.sum())


@pytest.mark.parametrize("unpaired", [False, True])
def test_95_percent_intervals_cover_the_generators_rate_about_95_percent_of_the_time(unpaired):
    # 300 data sets: binomial SD of the coverage 1.26 %, so the bounds are 3 SD either side; Wilson covers 60 %.
    rng = np.random.default_rng(11)
    worker_sd, image_sd, real_sd = 0.7, 0.9, 0.5 if unpaired else 0.0
    truth, hits, naive = mean_rate(-1.5, worker_sd, image_sd, real_sd), 0, 0
    for _ in range(300):
        worker, image, real = crossed(rng, 40, 60, 30)
        eta = -1.5 + worker_sd * rng.normal(size=40)[worker] + image_sd * rng.normal(size=60)[image]
        eta += real_sd * rng.normal(size=60)[real]
        y = (rng.random(len(eta)) < expit(eta)).astype(float)
        clusters = {"workers": worker, "source_images": image} | ({"real_images": real} if unpaired else {})
        interval, wilson = clustered_rate(y, clusters).interval, wilson_interval(y.sum(), len(y))
        hits += interval.low <= truth <= interval.high
        naive += wilson.low <= truth <= wilson.high
    assert 0.912 <= hits / 300 <= 0.988
    assert naive / 300 < 0.8
