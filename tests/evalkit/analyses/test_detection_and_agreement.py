"""Signal detection and agreement as analyses: each protocol's answers the right way round, and odd data."""

import itertools
import tomllib

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evalkit.analyses import agreement, signal_detection
from evalkit.analyses.base import Context
from evalkit.responses import build_table
from evalkit.results import Provenance
from studies.design import parse_study
from studies.records import REAL
from tests.evalkit.analyses.test_single_images import make_design, make_table
from tests.evalkit.made_up_responses import MadeUp

CONTEXT = Context(Provenance(study="made-up"))


def two_afc(**changes):
    made = MadeUp(**{"workers": 20, "images": 30, "trials": 20, **changes}).draw()
    study = parse_study(tomllib.loads(made.toml()), "study.toml")
    return build_table(made.responses, made.sessions, made.arrivals, study), study


def with_answers(trials, chose_left):
    """The same trials with the answer "left" as given."""
    fake_left = trials["fake_side"] == "left"
    outcome = np.where(fake_left == chose_left, 1.0, 0.0)
    return trials.assign(outcome=outcome, fooled=1 - outcome, counted=True)


def keyed(records):
    return {(record.key, record.condition, record.detail): record for record in records}


class TestTwoAFC:
    def test_a_preference_for_the_left_is_criterion_and_not_fool_rate(self):
        table, study = two_afc(workers=60)
        rng = np.random.default_rng(5)
        # Sides of their own: in the made-up study the fake always stands on the left.
        left = rng.random(len(table.trials)) < 0.5
        side = np.where(left, "left", "right")
        other = np.where(left, "right", "left")
        is_first = (table.trials["target"] == 1).to_numpy()
        trials = table.trials.assign(
            fake_side=side, side_1=np.where(is_first, side, other), side_2=np.where(is_first, other, side)
        )
        z = np.where(left, 1, -1) / 2**0.5 + 0.6  # d' = 1, leaning to the left
        trials = with_answers(trials, rng.random(len(trials)) < stats.norm.cdf(z))
        table = type(table)(trials, table.sessions, table.arrivals, table.design, table.layout)
        found = keyed(signal_detection.run(table, study, CONTEXT))
        d = found["d_prime", "pix2pix", ""]
        assert d.interval.low < 1 < d.interval.high
        assert found["criterion", "pix2pix", ""].value == pytest.approx(-0.6, abs=0.15)
        fooled = trials[trials["condition"] == "pix2pix"]["fooled"].mean()
        free = found["bias_free_fool_rate", "pix2pix", ""].value
        assert free == pytest.approx(0.24, abs=0.03)
        assert fooled > free + 0.01
        share = found["answer_share", "", signal_detection.SIDE]
        assert share.interval.low > 0.55

    def test_sides_that_never_change_have_no_d_prime_and_say_why(self):
        found = keyed(signal_detection.run(*two_afc(), CONTEXT))
        known = found["d_prime", "pix2pix", ""]
        assert known.value is None
        assert "one of the two kinds is missing" in known.notes[0]

    def test_order_is_looked_at_where_images_come_one_after_the_other(self):
        found = keyed(signal_detection.run(*two_afc(), CONTEXT))
        share = found["answer_share", "", signal_detection.ORDER]
        assert share.interval.low < 0.5 < share.interval.high
        assert found["answer_preference_spread", "", signal_detection.ORDER].p_value is not None

    def test_a_side_that_is_always_first_is_told_once_and_not_as_two_biases(self):
        table, study = two_afc()  # images one after the other
        first = (table.trials["target"] == 1).to_numpy()
        sides = {"side_1": "left", "side_2": "right", "fake_side": np.where(first, "left", "right")}
        trials = table.trials.assign(**sides)
        table = type(table)(trials, table.sessions, table.arrivals, table.design, table.layout)
        found = keyed(signal_detection.run(table, study, CONTEXT))
        assert ("answer_share", "", "first, not second") not in found
        for key in ("answer_share", "answer_preference_spread"):
            assert any("cannot be told apart" in note for note in found[key, "", "left, not right"].notes)

    def test_one_worker_has_a_share_and_is_told_why_there_is_no_interval(self):
        share = keyed(
            signal_detection.run(*two_afc(workers=1, voided=0, stopped=0, rates={"pix2pix": 0.3}), CONTEXT)
        )["answer_share", "", "left, not right"]
        assert share.interval is None
        assert any("at least 2 workers" in note for note in share.notes)

    def test_means_over_workers_are_about_these_images(self):
        found = keyed(signal_detection.run(*two_afc(), CONTEXT))
        assert found["d_prime_worker_averaged", "pix2pix", ""].provenance.target == "these images"
        assert found["d_prime", "pix2pix", ""].provenance.target == ""  # the study's

    def test_no_answers_at_all(self):
        table, study = two_afc(workers=0, voided=0, stopped=0)
        for record in [*signal_detection.run(table, study, CONTEXT), *agreement.run(table, study, CONTEXT)]:
            assert record.value is None
            assert record.notes


class TestOneImage:
    @pytest.fixture
    def judged(self):
        """60 workers call fakes fake in 84 %, real images fake in 30 % of the trials: d' = 1.52, c = -0.24."""
        rng, rows = np.random.default_rng(1), []
        for worker, number in itertools.product(range(60), range(20)):
            real = number % 2 == 0
            said_fake = rng.random() < (0.3 if real else 0.84)
            outcome = float(said_fake != real)
            image = f"i{(worker + number) % 30}"
            rows.append(
                {
                    "session": f"w{worker}",
                    "source_id": image,
                    "image": f"{'real' if real else 'alpha'}-{image}",
                    "condition_1": REAL if real else "alpha",
                    "outcome": outcome,
                    "fooled": np.nan if real else 1 - outcome,
                    "side_1": "centre",
                    "side_2": "",
                    "target": np.nan,
                }
            )
        return make_table(rows)

    def test_hits_are_fakes_called_fake(self, judged):
        found = keyed(signal_detection.run(judged, make_design("yes_no"), CONTEXT))
        assert found["d_prime", "alpha", ""].value == pytest.approx(1.52, abs=0.2)
        assert found["criterion", "alpha", ""].value == pytest.approx(-0.24, abs=0.13)
        assert found["bias_free_fool_rate", "alpha", ""].value == pytest.approx(0.224, abs=0.03)
        assert found["answer_share", "", "fake, not real"].value == pytest.approx(0.57, abs=0.05)

    def test_nothing_is_pooled_over_exposures_that_answers_chose(self, judged):
        for analysis in (signal_detection, agreement):
            assert analysis.run(judged, make_design("timed_staircase"), CONTEXT) == []
            assert analysis.run(judged, make_design("yes_no"), CONTEXT) != []

    def test_agreement_is_high_over_all_images_and_low_over_the_fakes(self, judged):
        found = keyed(agreement.run(judged, make_design("yes_no"), CONTEXT))
        assert found["krippendorff_alpha", "alpha", agreement.EVERY].value > 0.2
        assert abs(found["krippendorff_alpha", "alpha", ""].value) < 0.1
        assert found["split_half_reliability", "alpha", agreement.EVERY].value > 0.8


class TestAgreement:
    def test_images_that_differ_are_repeatable(self):
        found = keyed(agreement.run(*two_afc(workers=60, image_sd=1.5), CONTEXT))
        assert 0.1 < found["krippendorff_alpha", "pix2pix", ""].value < 0.5
        halves = found["split_half_reliability", "pix2pix", ""]
        assert halves.value > 0.8
        assert halves.seed is not None

    def test_the_seed_alone_decides_the_splits(self):
        table, study = two_afc()
        assert agreement.run(table, study, CONTEXT) == agreement.run(table, study, CONTEXT)

    def test_pairs_of_two_algorithms_are_the_units_of_a_preference(self):
        rng, rows = np.random.default_rng(2), []
        taste = rng.random(20)
        for worker, image in itertools.product(range(40), range(20)):
            rows.append(
                {
                    "session": f"w{worker}",
                    "source_id": f"i{image}",
                    "image": f"alpha-{image}",
                    "condition_2": "beta",
                    "outcome": float(rng.random() < taste[image]),
                }
            )
        table = make_table(rows)
        table = type(table)(table.trials, pd.DataFrame(), pd.DataFrame(), "within", "two_algorithms")
        study = make_design(
            "preference",
            study={"id": "made-up", "design": "within"},
            conditions={name: {"images": [f"{name}/0"]} for name in ("alpha", "beta")},
        )
        found = keyed(agreement.run(table, study, CONTEXT))
        record = found["krippendorff_alpha", "alpha", ""]
        assert record.versus == "beta"
        assert record.value > 0.1
        assert found["split_half_reliability", "alpha", ""].value > 0.8
