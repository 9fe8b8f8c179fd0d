"""d', criterion and preferences against Hautus' correction, the 2AFC equations and a clustered probit regression."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from evalkit.stats.signal_detection import (
    detection,
    detection_over_workers,
    preference_spread,
    two_afc_detection,
    yes_no_detection,
)

REFERENCE = Path(__file__).parents[2] / "reference"


@pytest.fixture(scope="module")
def trials():
    """Answers "left", whether the fake was there, and workers, of the reference scripts' trials."""
    table = np.loadtxt(REFERENCE / "crossed_trials.csv", delimiter=",", skiprows=1)
    worker, _, _, left, fooled = table.T
    return np.where(fooled == 1, 1 - left, left), left == 1, worker


@pytest.mark.parametrize(("d_prime", "fooled", "unbiased"), [(1.0, 0.276, 0.240), (1.5, 0.185, 0.144)])
def test_a_side_preference_inflates_the_fool_rate_but_not_the_bias_free_one(d_prime, fooled, unbiased):
    n, z = 1e9, d_prime / 2**0.5
    hit, false_alarm = stats.norm.cdf(z - 0.6), stats.norm.cdf(-z - 0.6)
    assert (1 - hit + false_alarm) / 2 == pytest.approx(fooled, abs=5e-4)
    found = two_afc_detection(hit * n, n, false_alarm * n, n)
    assert found.d_prime == pytest.approx(d_prime, abs=1e-6)
    assert found.criterion == pytest.approx(0.6, abs=1e-6)
    assert found.bias_free_fool_rate == pytest.approx(unbiased, abs=5e-4)


def test_yes_no_uses_both_images_and_the_log_linear_correction():
    found = yes_no_detection(hits=20, signals=20, false_alarms=0, noises=20)
    z = stats.norm.ppf(20.5 / 21)
    assert found.d_prime == pytest.approx(2 * z)
    assert found.criterion == pytest.approx(0)
    assert found.bias_free_fool_rate == pytest.approx(stats.norm.cdf(-z))


def test_d_prime_and_criterion_agree_with_a_probit_regression_clustered_by_worker(trials):
    answers, signal, worker = trials
    known = json.loads((REFERENCE / "agreement_and_detection.json").read_text())["probit"]
    found = detection(answers, signal, {"workers": worker}, two_afc=True)
    for key in ("d_prime", "criterion"):
        assert found[key].value == pytest.approx(known[key], abs=0.001)  # they do not correct
        # Ours has G/(G - 1) in it, 40 workers.
        assert found[key].standard_error == pytest.approx(known[f"{key}_se"] * (40 / 39) ** 0.5, rel=0.003)


def test_the_standard_error_agrees_with_the_jackknife_over_workers(trials):
    answers, signal, worker = trials
    found = detection(answers, signal, {"workers": worker}, two_afc=True)["d_prime"]
    left_out = np.array(
        [detection(answers[k], signal[k], {"workers": worker[k]}, two_afc=True)["d_prime"].value
         for k in (worker != name for name in np.unique(worker))]
    )  # fmt: skip
    assert found.standard_error == pytest.approx((39 * left_out.var()) ** 0.5, rel=0.02)


def test_the_interval_of_the_bias_free_rate_is_that_of_d_prime_turned_round(trials):
    answers, signal, worker = trials
    found = detection(answers, signal, {"workers": worker}, two_afc=True)
    d, rate = found["d_prime"].interval, found["bias_free_fool_rate"]
    assert rate.interval.low == pytest.approx(stats.norm.cdf(-d.high / 2**0.5))
    assert rate.interval.low < rate.value < rate.interval.high
    assert rate.standard_error == pytest.approx((rate.interval.high - rate.interval.low) / 4, rel=0.1)


def test_pooling_makes_d_prime_smaller_where_workers_differ():
    rng = np.random.default_rng(3)
    worker, signal = np.repeat(np.arange(200), 100), np.tile([True, False], 10_000)
    bias = rng.normal(0, 1, 200)[worker]
    answers = (rng.normal(0, 1, 20_000) + 1.5 * signal + bias > 0.75).astype(float)
    pooled = detection(answers, signal, {"workers": worker}, two_afc=False)["d_prime"].value
    averaged = detection_over_workers(answers, signal, worker, two_afc=False)
    assert pooled < 1.2
    assert 1.3 < averaged.value < 1.5  # the correction pulls it down a little
    assert any("toward 0" in note for note in averaged.notes)


class TestWhatCannotBeEstimated:
    def test_no_trials(self):
        found = detection([], [], {"workers": []}, two_afc=True)
        assert all(one.value is None and one.notes for one in found.values())
        assert detection_over_workers([], [], [], two_afc=True).value is None

    def test_only_one_kind_of_trial(self):
        found = detection([1, 0], [True, True], {"workers": [0, 1]}, two_afc=False)
        assert "real and of fake" in found["d_prime"].notes[0]

    def test_one_worker_has_a_value_and_no_interval(self):
        found = detection([1, 0, 1], [True, False, False], {"workers": [0, 0, 0]}, two_afc=True)["d_prime"]
        assert found.value is not None
        assert found.interval is None
        assert "at least 2 workers" in found.notes[0]

    def test_answers_without_any_difference(self):
        found = detection([1, 1, 0, 0], [True, True, False, False], {"workers": [0, 1, 0, 1]}, two_afc=True)
        assert found["d_prime"].value == pytest.approx(stats.norm.ppf(2.5 / 3) * 2**0.5)
        assert found["d_prime"].interval is None

    def test_missing_answers_are_refused(self):
        with pytest.raises(ValueError, match="missing"):
            detection([np.nan], [True], {"workers": [0]}, two_afc=True)
        with pytest.raises(ValueError, match="shape"):
            detection([1, 0], [True], {"workers": [0, 1]}, two_afc=True)


class TestPreferenceSpread:
    def draw(self, spread, seed=1, workers=60):
        rng = np.random.default_rng(seed)
        worker, signal = np.repeat(np.arange(workers), 40), np.tile([True, False], 20 * workers)
        z = np.where(signal, 0.6, -0.6) + rng.normal(0, spread, workers)[worker]
        return (rng.random(40 * workers) < stats.norm.cdf(z)).astype(float), signal, worker

    def test_workers_who_differ_are_found(self):
        found = preference_spread(*self.draw(0.5))
        assert found.p_value < 1e-6
        assert found.value > 0.1

    def test_without_preferences_it_holds_its_level(self):
        p = np.array([preference_spread(*self.draw(0.0, seed)).p_value for seed in range(400)])
        assert stats.kstest(p, "uniform").pvalue > 0.001

    def test_one_worker_or_constant_answers_give_no_test(self):
        assert preference_spread([1, 0], [True, False], [0, 0]).p_value is None
        same = preference_spread([1, 1, 1, 1], [True, False, True, False], [0, 0, 1, 1])
        assert same.p_value is None
        assert same.notes

    def test_where_the_answer_is_always_right_a_preference_is_not_claimed(self):
        answers, _, worker = self.draw(0.5)
        found = preference_spread(answers, np.ones(answers.size, dtype=bool), worker)
        assert found.p_value is None
        assert "cannot be told from knowing it" in found.notes[0]
