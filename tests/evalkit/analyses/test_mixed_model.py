"""The mixed model as an analysis: known truth, the groups a design has, and what cannot be fitted."""

import dataclasses
import tomllib

import numpy as np
import pytest

from evalkit.analyses.base import Context
from evalkit.analyses.mixed_model import run
from evalkit.responses import build_table
from evalkit.results import Provenance
from evalkit.stats.mixed_logistic import marginal_rate
from studies.design import parse_study
from tests.evalkit.made_up_responses import MadeUp

CONTEXT = Context(Provenance(study="made-up"))


def analysed(**changes):
    """Records of a made-up study by (key, condition, detail), without those of images and workers; and all."""
    made = MadeUp(**{"workers": 30, "images": 40, "trials": 20, **changes}).draw()
    study = parse_study(tomllib.loads(made.toml()), "study.toml")
    records = run(build_table(made.responses, made.sessions, made.arrivals, study), study, CONTEXT)
    return {(r.key, r.condition, r.detail): r for r in records if not r.image}, records


@pytest.fixture(scope="module")
def ordinary():
    return analysed(workers=60, images=60, trials=30)


def test_marginal_rates_and_their_difference_cover_the_truth(ordinary):
    found, _ = ordinary
    for condition, rate in (("pix2pix", 0.3), ("cyclegan", 0.2)):
        truth = marginal_rate(np.log(rate / (1 - rate)), np.hypot(0.5, 0.7))
        interval = found["fool_rate_mixed", condition, ""].interval
        assert interval.low < truth < interval.high
        assert interval.degrees_of_freedom == 59
    difference = found["fool_rate_difference_mixed", "pix2pix", ""]
    rates = [found["fool_rate_mixed", name, ""].value for name in ("pix2pix", "cyclegan")]
    assert difference.value == pytest.approx(rates[0] - rates[1])
    assert difference.versus == "cyclegan"


def test_images_are_hard_for_each_algorithm_in_its_own_way(ordinary):
    """The made-up images share nothing between algorithms, so the shared part is (nearly) nothing."""
    found, _ = ordinary
    parts = {
        name: found["standard_deviation", "", name].value
        for name in ("source_images_shared", "source_images")
    }
    assert parts["source_images_shared"] < 0.4
    assert parts["source_images"] == pytest.approx(0.7, abs=0.2)
    assert found["standard_deviation", "", "workers"].value == pytest.approx(0.5, abs=0.2)


def test_side_and_order_have_no_effect_where_there_is_none(ordinary):
    found, _ = ordinary
    (first,) = [record for key, record in found.items() if key[0] == "fake_first_effect"]
    (order,) = [record for key, record in found.items() if key[0] == "order_effect"]
    for record in (first, order):
        assert record.unit == "logit"
        assert abs(record.value) < 4 * record.standard_error


def test_a_preference_for_the_first_image_is_seen():
    made = MadeUp(workers=40, images=40, trials=20).draw()
    first_is_fake = {False: 0.9, True: 0.1}
    rng = np.random.default_rng(1)
    made.responses[:] = [
        row
        if row.outcome is None
        else dataclasses.replace(row, outcome=float(rng.random() > first_is_fake[row.target == 1]))
        for row in made.responses
    ]
    study = parse_study(tomllib.loads(made.toml()), "study.toml")
    records = run(build_table(made.responses, made.sessions, made.arrivals, study), study, CONTEXT)
    (effect,) = [record for record in records if record.key == "fake_first_effect"]
    assert effect.interval.low < np.log(0.1 / 0.9) - np.log(0.9 / 0.1) < effect.interval.high


def test_image_rates_are_shrunken_and_have_intervals(ordinary):
    _, records = ordinary
    images = [record for record in records if record.key == "image_fool_rate_mixed"]
    assert {record.condition for record in images} == {"pix2pix", "cyclegan"}
    assert len(images) == 120
    assert all(0 < record.interval.low < record.value < record.interval.high < 1 for record in images)
    assert sum(1 for record in records if record.key == "worker_effect") == 120


@pytest.mark.parametrize(
    ("changes", "present", "absent"),
    [
        ({}, {"workers", "source_images", "real_images"}, {"runs", "workers_by_algorithm"}),
        ({"pairing": "same"}, {"workers", "source_images"}, {"real_images"}),
        ({"design": "within"}, {"workers_by_algorithm", "source_images_by_algorithm"}, {"runs"}),
        ({"rates": {"only": 0.3}}, {"source_images"}, {"source_images_by_algorithm", "source_images_shared"}),
        ({"runs": 2, "target": "this loss"}, {"runs"}, {"workers_by_algorithm"}),
    ],
)
def test_the_groups_are_those_that_the_design_knows(changes, present, absent):
    found, _ = analysed(**changes)
    groups = {detail for key, _, detail in found if key == "standard_deviation"}
    assert present <= groups
    assert not absent & groups


def test_runs_set_the_degrees_of_freedom():
    found, _ = analysed(runs=3, target="this loss", workers=40)
    run_sd = found["standard_deviation", "", "runs"]
    assert run_sd.value is not None
    rate = found["fool_rate_mixed", "pix2pix", ""]
    assert rate.interval.degrees_of_freedom == 4  # six runs, two algorithms
    assert any("training runs" in note for note in rate.notes)


def test_several_runs_images_of_one_input_are_not_told_as_one_of_them():
    _, records = analysed(runs=2, target="this loss")
    images = [r for r in records if r.key == "image_fool_rate_mixed"]
    assert images
    assert all(not r.image and "all training runs" in r.notes[0] for r in images if r.n["votes"] > 8)
    rates = [r for r in records if r.key in ("fool_rate_mixed", "fool_rate_difference_mixed")]
    assert {r.provenance.target for r in rates} == {"this loss"}


def test_its_rates_are_about_the_generator_also_where_the_study_means_these_images():
    found, _ = analysed(target="these images")
    assert found["fool_rate_mixed", "pix2pix", ""].provenance.target == "this generator"


def test_an_algorithm_that_never_fooled_is_left_out_and_says_so():
    found, _ = analysed(rates={"good": 0.3, "bad": 1e-12})
    assert found["fool_rate_mixed", "good", ""].interval is not None
    bad = found["fool_rate_mixed", "bad", ""]
    assert bad.value is None
    assert "no finite value" in bad.notes[0]
    assert not any(key == "fool_rate_difference_mixed" for key, _, _ in found)


def test_one_worker_has_a_rate_and_no_interval():
    found, _ = analysed(workers=1, stopped=0, voided=0)
    rate = found["fool_rate_mixed", "pix2pix", ""]
    assert (
        rate.value is None
        or rate.interval is None
        or found["standard_deviation", "", "workers"].value is not None
    )
    alone, _ = analysed(workers=1, stopped=0, voided=0, rates={"only": 0.4})
    record = alone["fool_rate_mixed", "only", ""]
    assert record.value is not None
    assert record.interval is None
    assert "two workers" in record.notes[0]


def test_the_ladder_is_told_in_the_notes():
    found, _ = analysed(rates={"only": 0.3}, image_sd=0.0, worker_sd=0.0, seed=3)
    fit = found["mixed_model_fit", "", ""]
    assert any("left out: no variance beyond chance" in note for note in fit.notes)
    gone = [r for (key, _, _), r in found.items() if key == "standard_deviation" and r.value == 0]
    assert gone
    assert all(record.notes for record in gone)
