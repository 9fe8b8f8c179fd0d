"""Simulated people: what they are shown, what they answer, and that it is what was assumed."""

import dataclasses

import numpy as np
import pytest
from scipy import integrate, special, stats

from evalkit.rehearsal.answers import Simulator, World
from evalkit.rehearsal.assumptions import GridPoint, around, centre_for, mean_rate
from evalkit.rehearsal.places import RESERVE, SCORED, made_up_images
from evalkit.rehearsal.studies import (
    ALL_HALF,
    DIFFERENT,
    EQUAL,
    EQUAL_LOSSES,
    rates_in,
    slimmed,
    table_of,
    world,
)
from studies.errors import UserError
from studies.plan import allocate, plan_session
from tests.evalkit.rehearsal.studies import a_study, its_places

CALM = {"attrition": 0.0, "void_share": 0.0, "careless_share": 0.0}
POINT = GridPoint(0.7, 0.9)


def drawn(study, scenario=EQUAL, point=POINT, seed=1, places=None):
    simulator = Simulator(study, places or its_places(study))
    return simulator.draw(world(scenario, study, point), np.random.default_rng(seed))


def test_mean_rates_agree_with_numerical_integration():
    for logit, sd in ((-1.5, 0.7), (0.3, 2.0)):
        wanted, _ = integrate.quad(
            lambda z, a=logit, s=sd: special.expit(a + s * z) * stats.norm.pdf(z), -12, 12
        )
        assert mean_rate(logit, sd) == pytest.approx(wanted, abs=1e-6)


def test_the_centre_is_the_inverse_of_the_mean_rate():
    assert mean_rate(centre_for(0.25, 1.3), 1.3) == pytest.approx(0.25, abs=1e-9)


def test_an_estimated_deviation_is_surer_with_more_clusters():
    few, many = around(0.8, 8), around(0.8, 200)
    assert few[0] < many[0] < 0.8 < many[2] < few[2]


def test_everybody_sees_what_the_plan_of_the_server_says():
    study = a_study(rehearsal=CALM)
    images = made_up_images(study, [f"i{number:03d}" for number in range(32)])
    responses = drawn(study).responses
    places = allocate(study, images)
    assert responses["session"].nunique() == len(places)
    for number, place in enumerate(places):
        mine = responses[responses["session"] == f"s{number}"]
        planned = [trial for trial in plan_session(study, images, place).trials if trial.phase == "scored"]
        assert list(mine["image_1"]) == [trial.slots[0].image for trial in planned]
        assert list(mine["side_2"]) == [trial.slots[1].side for trial in planned]
        assert list(mine["target"]) == [trial.target for trial in planned]


def test_choice_and_outcome_belong_together_as_the_protocol_grades_them():
    study = a_study()
    responses = drawn(study).responses
    answered = responses[responses["choice"] != ""]
    right = answered["choice"] == np.where(answered["target"] == 1, "first", "second")
    assert (answered["outcome"] == right.astype(float)).all()
    assert responses[responses["choice"] == ""]["outcome"].isna().all()


def test_the_mean_over_many_studies_is_the_assumed_rate():
    study = a_study(2, analysis={"smallest_difference": 0.2}, rehearsal={**CALM, "rate": 0.3})
    places = its_places(study)
    shares = []
    for seed in range(60):
        trials = table_of(drawn(study, DIFFERENT, seed=seed, places=places), study).primary
        shares.append(trials.groupby("condition")["fooled"].mean())
    means = np.array(shares).mean(axis=0)
    error = np.array(shares).std(axis=0) / np.sqrt(60)
    assert rates_in(DIFFERENT, study) == pytest.approx((0.2, 0.4))
    assert (np.abs(means - (0.2, 0.4)) < 4 * error).all()


def test_the_truth_about_these_images_is_that_of_the_images_drawn():
    study = a_study(
        rehearsal=CALM, analysis={"target": "these images"}, study={"participants_per_condition": 200}
    )
    simulated = drawn(study)
    shares = table_of(simulated, study).primary.groupby("condition")["fooled"].mean()
    assert simulated.truth == pytest.approx(np.array(shares), abs=0.035)
    assert abs(simulated.truth - 0.25).max() > 0.005


def test_runs_differ_only_where_the_target_or_the_scenario_asks_for_it():
    point = GridPoint(0.7, 0.9, 0.6)
    generator = a_study(runs=2, rehearsal=CALM)
    assert drawn(generator, EQUAL, point).truth == pytest.approx([0.25, 0.25])
    assert abs(np.diff(drawn(generator, EQUAL_LOSSES, point).truth))[0] > 0.005
    loss = a_study(runs=2, rehearsal=CALM, analysis={"target": "this loss"})
    assert drawn(loss, EQUAL, point).truth == pytest.approx([0.25, 0.25])
    assert world(EQUAL, loss, point).runs_differ


def test_who_leaves_is_replaced_until_every_place_is_finished():
    study = a_study(rehearsal={**CALM, "attrition": 0.4})
    sessions = drawn(study).sessions
    finished = sessions[sessions["state"] == "finished"]
    assert len(finished) == 24
    assert finished.groupby("condition")["place_index"].nunique().eq(12).all()
    assert len(sessions) > 28


def test_attrition_by_ability_leaves_people_who_are_harder_to_fool():
    settings = {**CALM, "attrition": 0.5, "attrition_by_ability": 3.0}
    study = a_study(rehearsal=settings, study={"participants_per_condition": 150})
    rate = table_of(drawn(study, point=GridPoint(1.35, 0.0)), study).primary["fooled"].mean()
    assert rate < 0.2


def test_stand_ins_replace_void_trials_while_the_reserve_lasts():
    study = a_study(rehearsal={**CALM, "void_share": 0.15})
    places = its_places(study)
    responses = drawn(study, places=places).responses
    per_session = responses.groupby("session").agg(
        void=("void_reason", lambda reasons: (reasons != "").sum()),
        stood_in=("attempt", lambda at: (at > 0).sum()),
    )
    reserve = int((places.phase[0] == RESERVE).sum())
    assert reserve == 2
    assert (per_session["stood_in"] == np.minimum(per_session["void"], reserve)).all()
    assert per_session["stood_in"].max() == 2
    again = responses[responses["attempt"] > 0]
    for _, row in again.iterrows():
        before = responses[
            (responses["session"] == row["session"]) & (responses["trial_index"] == row["trial_index"])
        ]
        assert list(before[before["attempt"] == row["attempt"] - 1]["void_reason"]) == ["hidden"]


def test_sessions_with_too_many_void_trials_are_excluded_by_the_study_s_rule():
    study = a_study(rehearsal={**CALM, "void_share": 0.3}, exclusions={"max_void_trials": 2})
    people = table_of(drawn(study), study).sessions
    assert (people["excluded"] != "").equals(people["void_trials"] > 2)
    assert (people["excluded"] != "").any()


def test_careless_people_fail_attention_checks():
    settings = {**CALM, "careless_share": 0.5}
    study = a_study(
        rehearsal=settings,
        checks={"share": 0.34},
        exclusions={"max_failed_checks": 1},
        study={"participants_per_condition": 60},
    )
    people = table_of(drawn(study, places=its_places(study, 60)), study).sessions
    assert (people["checks"] == 4).all()
    assert 0.2 < (people["excluded"] != "").mean() < 0.5


def test_single_images_are_half_real_and_equal_at_one_half():
    study = a_study(protocol={"name": "yes_no", "practice": 0, "scored": 12, "reserve": 2}, rehearsal=CALM)
    places = its_places(study)
    assert places.real_alone[places.phase == SCORED].mean() == 0.5
    outcomes = [
        table_of(drawn(study, ALL_HALF, seed=seed, places=places), study).primary["outcome"].mean()
        for seed in range(20)
    ]
    assert np.mean(outcomes) == pytest.approx(0.5, abs=0.03)


def test_mixed_sessions_are_simulated_too():
    study = a_study(3, study={"design": "within", "participants_per_condition": 20})
    table = table_of(drawn(study), study)
    assert set(table.primary["condition"]) == {"alpha", "beta", "gamma"}
    assert table.primary.groupby("session")["condition"].nunique().eq(3).all()


def test_dropping_unused_columns_changes_no_number():
    from evalkit.analyses import equivalence, fool_rate, pairwise_differences

    for protocol in ("two_afc", "yes_no"):
        study = a_study(
            3,
            protocol={"name": protocol, "practice": 2, "scored": 12, "reserve": 2},
            analysis={"equivalence_margin": 0.1},
        )
        whole = table_of(drawn(study), study)
        few = slimmed(whole)
        assert len(few.trials.columns) < len(whole.trials.columns) - 10
        assert fool_rate.primary(few, study) == fool_rate.primary(whole, study)
        assert pairwise_differences.differences(few, study) == pairwise_differences.differences(whole, study)
        assert equivalence.estimates(few, study) == equivalence.estimates(whole, study)


def test_the_same_seed_gives_the_same_study():
    study = a_study()
    one, other = drawn(study, seed=4).responses, drawn(study, seed=4).responses
    assert one.equals(other)
    assert not one.equals(drawn(study, seed=5).responses)


def test_a_protocol_without_a_fool_rate_is_refused_in_one_line():
    study = a_study(
        protocol={"name": "preference", "practice": 0, "scored": 12, "reserve": 2},
        study={"design": "within"},
    )
    with pytest.raises(UserError, match="has no fool rate"):
        its_places(study)


def test_worlds_are_plain_values():
    assert dataclasses.is_dataclass(World)
    assert world(ALL_HALF, a_study(), POINT).rates == (0.5, 0.5)
