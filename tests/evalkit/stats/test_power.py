import dataclasses
import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from evalkit.stats.power import (
    Design,
    Precision,
    Spread,
    detectable_difference,
    difference_precision,
    larger,
    rate_components,
    rate_precision,
    workers_needed,
)
from evalkit.stats.proportions import clustered_difference, clustered_rate, interval_p_value
from tests.evalkit.stats.made_up_studies import Made, draw

ALONE = Spread(runs=0.0)


@pytest.mark.parametrize(
    ("images", "errors"),
    [
        (50, (3.2, 2.7, 2.4, 2.2)),
        (100, (2.9, 2.3, 1.9, 1.7)),
        (250, (2.7, 2.0, 1.6, 1.3)),
        (1000, (2.6, 1.8, 1.3, 1.0)),
    ],
)
def test_standard_errors_equal_those_simulated_elsewhere_at_typical_spreads(images, errors):
    # 25 / 50 / 100 / 200 workers, 40 trials, rate 25 %, SDs 0.7 and 0.9; percentage points, printed to one decimal.
    for workers, expected in zip((25, 50, 100, 200), errors, strict=True):
        found = rate_precision(0.25, Design(workers, images, 40), Spread(), "this generator")
        assert 100 * found.standard_error == pytest.approx(expected, abs=0.055)


def test_variance_components_are_those_of_drawn_answers():
    rng, n = np.random.default_rng(3), 2000
    worker, image = 0.7 * rng.normal(size=n)[:, None], 0.9 * rng.normal(size=n)[None, :]
    rates = expit(-1.378 + worker + image)
    parts = rate_components(float(rates.mean()), Spread(runs=0.0))
    assert parts.workers == pytest.approx(rates.mean(axis=1).var(), rel=0.1)
    assert parts.images == pytest.approx(rates.mean(axis=0).var(), rel=0.1)
    total = parts.workers + parts.images + parts.runs + parts.rest
    assert total == pytest.approx(rates.mean() * (1 - rates.mean()))


def simulated(made, studies, seed):
    """SD of the estimates, and share of tests that find a difference."""
    rng, values, found = np.random.default_rng(seed), [], 0
    intercepts = [made.intercept(rate) for rate in made.rates]
    for _ in range(studies):
        outcomes, clusters, _ = draw(rng, made, intercepts)
        if len(outcomes) == 1:
            estimate = clustered_rate(outcomes[0], clusters[0])
        else:
            estimate = clustered_difference(tuple(outcomes), tuple(clusters))
            found += interval_p_value(estimate) < 0.05
        values.append(estimate.value)
    return np.std(values), found / studies


CASES = [
    (Made((30,), 40, 20, (0.25,)), "this generator"),
    (Made((40, 40), 60, 30, (0.35, 0.2), own_sd=0.6), "this generator"),
    (Made((40, 40), 60, 30, (0.35, 0.2), own_sd=0.6, runs=4, run_sd=0.3), "this loss"),
    (Made((40, 40), 60, 30, (0.15, 0.1), own_sd=0.0), "this generator"),
]


def compare(case, studies, width):
    made, target = case
    spread = Spread(made.worker_sd, made.image_sd, made.own_sd, made.run_sd)
    design = Design(made.workers[0], made.images, made.trials, made.runs)
    error, share = simulated(made, studies, seed=5)
    if len(made.rates) == 1:
        expected = rate_precision(made.rates[0], design, spread, target)
    else:
        expected = difference_precision(made.rates, design, spread, target)
        assert share == pytest.approx(expected.power(made.rates[0] - made.rates[1]), abs=width)
    assert expected.standard_error == pytest.approx(error, rel=2.5 / math.sqrt(2 * studies) + 0.03)


@pytest.mark.parametrize("case", CASES[:3])
def test_error_and_power_are_those_of_simulated_studies(case):
    compare(case, 300, width=0.09)  # 0.09: 3 SD of a share in 300 studies


@pytest.mark.reliability
@pytest.mark.parametrize("case", CASES)
def test_error_and_power_are_those_of_many_simulated_studies(case):
    compare(case, 3000, width=0.05)


def test_in_a_within_design_the_workers_own_level_cancels():
    rng, values = np.random.default_rng(8), []
    workers, images, trials, own = 30, 40, 40, 0.6
    design, spread = Design(workers, images, trials, within=True), Spread(own_images=own, runs=0.0)
    intercept = Made((30,), rates=(0.25,)).intercept(0.25)
    for _ in range(400):
        person = 0.7 * rng.normal(size=workers)[:, None]
        shared, own_effects = (
            spread.shared_images * rng.normal(size=images),
            own * rng.normal(size=(2, images)),
        )
        which = rng.random((workers, trials)).argsort(axis=1) % 2
        image = rng.random((workers, images)).argsort(axis=1)
        y = rng.random((workers, trials)) < expit(
            intercept + person + shared[image] + own_effects[which, image]
        )
        values.append(y[which == 0].mean() - y[which == 1].mean())
    found = difference_precision((0.25, 0.25), design, spread, "this generator")
    assert found.standard_error == pytest.approx(np.std(values), rel=0.12)
    apart = dataclasses.replace(design, within=False, trials=trials // 2)
    assert (
        difference_precision((0.25, 0.25), apart, spread, "this generator").standard_error
        > found.standard_error
    )


@pytest.mark.parametrize("freedom", [4, 30, 300])
def test_power_is_that_of_the_non_central_t_distribution(freedom):
    critical = stats.t.ppf(0.975, freedom)
    expected = stats.nct.sf(critical, freedom, 2.5) + stats.nct.cdf(-critical, freedom, 2.5)
    assert Precision(0.02, freedom, freedom).power(0.05) == pytest.approx(expected, abs=1e-5)
    assert Precision(0.02, freedom, freedom).power(0.0) == pytest.approx(0.05, abs=1e-5)
    assert Precision(0.02, freedom, freedom).power(0.9) == pytest.approx(1.0)


def test_more_of_anything_never_costs_power():
    design, rates = Design(50, 100, 40, runs=2), (0.3, 0.25)
    for target in ("these images", "this generator", "this loss"):
        now = difference_precision(rates, design, Spread(), target).power(0.05)
        for changed in larger(design).values():
            assert difference_precision(rates, changed, Spread(), target).power(0.05) >= now - 1e-12


def test_algorithms_that_share_a_session_share_its_trials():
    four = Design(50, 200, 40, within=True, algorithms=4)
    assert four.answers == 50 * 10
    found, two = (
        difference_precision((0.3, 0.25), design, Spread(), "this generator")
        for design in (four, dataclasses.replace(four, algorithms=2))
    )
    half = difference_precision((0.3, 0.25), Design(50, 200, 20, within=True), Spread(), "this generator")
    assert found.standard_error == pytest.approx(half.standard_error)
    assert found.standard_error > two.standard_error


def test_one_training_run_says_nothing_about_a_loss():
    assert difference_precision((0.3, 0.25), Design(50, 100, 40), Spread(), "this loss") is None
    assert rate_precision(0.25, Design(50, 100, 40), Spread(), "this loss") is None


def test_fewest_workers_reach_the_power_and_one_less_does_not():
    design, rates = Design(2, 250, 40), (0.3, 0.25)
    needed = workers_needed(rates, design, ALONE, "this generator", 0.8)

    def power(workers):
        return difference_precision(
            rates, dataclasses.replace(design, workers=workers), ALONE, "this generator"
        ).power(0.05)

    assert power(needed) >= 0.8 > power(needed - 1)


def test_where_images_are_too_few_no_number_of_people_is_enough():
    assert workers_needed((0.3, 0.25), Design(2, 50, 40), Spread(), "this generator", 0.8) is None


def test_the_detectable_difference_is_found_with_the_wanted_power():
    design = Design(50, 100, 40)
    found = detectable_difference(0.25, design, Spread(), "this generator", 0.8)
    power = difference_precision((0.25 + found, 0.25), design, Spread(), "this generator").power(found)
    assert power == pytest.approx(0.8, abs=0.002)
    assert detectable_difference(0.9, Design(3, 3, 3), Spread(2, 2, 2, 0), "this generator", 0.8) is None


def test_a_spread_that_cannot_be_is_refused():
    with pytest.raises(
        ValueError, match=r"own_images \(1\) is a part of images and cannot be larger than it \(0.9\)"
    ):
        Spread(own_images=1.0)
    with pytest.raises(ValueError, match="standard deviations must be finite and not negative"):
        Spread(workers=-1)
    with pytest.raises(ValueError, match="a rate must lie between 0 and 1 to plan with, got 0"):
        rate_components(0.0, Spread())
