import dataclasses
import itertools
import tomllib

import numpy as np
import pytest

from evalkit.analyses import Context, analyze, equivalence, ranks
from evalkit.analyses.equivalence import verdict_of
from evalkit.responses import build_table
from evalkit.results import Provenance, read_results
from studies.design import parse_study
from studies.errors import UserError
from studies.records import REAL
from tests.evalkit.analyses.test_single_images import make_design, make_table
from tests.evalkit.made_up_responses import MadeUp


def study_and_table(analysis, **changes):
    made = MadeUp(
        **{"workers": 40, "images": 60, "trials": 40, "image_sd": 0.2, "worker_sd": 0.2, **changes}
    ).draw()
    tree = tomllib.loads(made.toml())
    tree["analysis"] |= analysis
    study = parse_study(tree, "study.toml")
    return study, build_table(made.responses, made.sessions, made.arrivals, study)


CONTEXT = Context(Provenance(study="made-up"), n_resamples=500)


@pytest.fixture(scope="module")
def judged():
    study, table = study_and_table(
        {"equivalence_margin": 0.1}, rates={"perfect": 0.5, "twin": 0.5, "poor": 0.1, "fair": 0.4}
    )
    found = equivalence.run(table, study, CONTEXT)
    return {(one.key, one.condition, one.versus): one for one in found}


def test_what_fools_every_other_time_is_indistinguishable_from_real(judged):
    found = judged["indistinguishable_from_real", "perfect", ""]
    assert verdict_of(found) == "yes"
    assert found.interval.confidence_level == pytest.approx(0.9)
    assert found.detail == "90 % interval inside 0.5 ± 0.1"
    assert 0.4 < found.interval.low < found.interval.high < 0.6


def test_what_rarely_fools_is_not_and_what_lies_at_the_margin_cannot_be_told(judged):
    assert verdict_of(judged["indistinguishable_from_real", "poor", ""]) == "no"
    fair = judged["indistinguishable_from_real", "fair", ""]
    assert verdict_of(fair) == "cannot tell"
    assert "no evidence that there is none" in fair.notes[0]


def test_two_algorithms_are_as_good_as_each_other_only_by_the_interval(judged):
    assert verdict_of(judged["as_good_as", "perfect", "twin"]) == "yes"
    assert verdict_of(judged["as_good_as", "perfect", "poor"]) == "no"
    assert len([key for key in judged if key[0] == "as_good_as"]) == 6


def test_a_small_study_without_a_difference_cannot_tell():
    study, table = study_and_table({"equivalence_margin": 0.03}, rates={"a": 0.3, "b": 0.3}, workers=5)
    found = equivalence.estimates(table, study)
    assert {verdict_of(one) for one in found if one.key == "as_good_as"} == {"cannot tell"}


def test_without_a_margin_nothing_is_said_of_equivalence():
    study, table = study_and_table({})
    assert study.analysis.equivalence_margin is None
    assert equivalence.run(table, study, CONTEXT) == []
    assert "equivalence" not in study.analysis.planned


def test_a_margin_plans_its_analysis_and_the_analysis_needs_a_margin():
    study, _ = study_and_table({"equivalence_margin": 0.05}, workers=1)
    assert study.analysis.planned == ("fool_rate", "pairwise_differences", "equivalence")
    with pytest.raises(UserError, match="'equivalence' needs equivalence_margin"):
        study_and_table({"planned": ["equivalence"]}, workers=1)


def judged_alone(says_real_of_fakes, says_real_of_reals):
    """20 workers, 20 fakes and 20 real images each, who say "real" in the given shares of trials."""
    rng, rows = np.random.default_rng(1), []
    for worker, image, real in itertools.product(range(20), range(20), (False, True)):
        said_real = float(rng.random() < (says_real_of_reals if real else says_real_of_fakes))
        rows.append({
            "session": f"s{worker}", "image": f"{image}-{real}", "source_id": f"{image}-{real}",
            "condition_1": REAL if real else "alpha", "outcome": said_real if real else 1 - said_real,
            "fooled": np.nan if real else said_real,
        })  # fmt: skip
    study = make_design("yes_no", analysis={"equivalence_margin": 0.15})
    (found,) = equivalence.estimates(make_table(rows), study)
    return found


def test_judged_alone_fakes_are_held_against_the_real_images_and_not_against_one_half():
    """Nobody can tell them apart where everybody says "real" in 85 % of all trials; 50 % would be far away."""
    alike = judged_alone(0.85, 0.85)
    assert verdict_of(alike) == "yes"
    assert alike.detail == "90 % interval inside ± 0.15"
    assert verdict_of(judged_alone(0.5, 0.85)) == "no"


def test_the_ranks_follow_the_rates_with_an_interval_of_ranks(analysed):
    get = analysed(rates={"a": 0.1, "b": 0.5, "c": 0.48}, workers=20, worker_sd=0.2, image_sd=0.2)[3]
    found = {name: get("rank", name) for name in "abc"}
    rates = {name: get("fool_rate", name).value for name in "abc"}
    assert sorted(found, key=lambda name: found[name].value) == sorted(rates, key=rates.get, reverse=True)
    assert found["a"].interval.low == found["a"].interval.high == 3
    assert {found[name].interval.low for name in "bc"} == {1}
    assert {found[name].interval.high for name in "bc"} == {2}
    assert found["a"].unit == "rank"
    assert found["a"].seed is not None
    assert found["a"].provenance.status == "descriptive"


def test_the_same_files_give_the_same_ranks(analysed):
    folder, _, records, _ = analysed()
    again = read_results(analyze(folder, "live"))
    assert [one for one in again if one.key == "rank"] == [one for one in records if one.key == "rank"]


def test_one_algorithm_is_not_ranked_and_an_unseen_one_says_so():
    study, table = study_and_table({}, rates={"only": 0.3})
    assert ranks.run(table, study, CONTEXT) == []
    study, table = study_and_table({}, workers=0, voided=0)
    for record in ranks.run(table, study, CONTEXT):
        assert record.value is None
        assert record.notes[0].startswith("Not ranked: no trials of pix2pix, cyclegan")
    study, table = study_and_table({}, workers=1, voided=0)
    assert ranks.run(table, study, CONTEXT)[0].notes[0] == "Not ranked: fewer than 2 workers per algorithm."


def without_fooling(table, *conditions):
    fooled = table.trials["fooled"].mask(table.trials["condition"].isin(conditions), 0.0)
    return dataclasses.replace(table, trials=table.trials.assign(fooled=fooled))


def test_answers_that_are_all_alike_make_no_certain_ranks():
    study, table = study_and_table({}, workers=10)
    for record in ranks.run(without_fooling(table, "pix2pix", "cyclegan"), study, CONTEXT):
        assert record.value is None
        assert record.notes[0] == "Not ranked: every answer was the same."
    for record in ranks.run(without_fooling(table, "cyclegan"), study, CONTEXT):
        assert any("All answers to cyclegan were alike" in note for note in record.notes)
