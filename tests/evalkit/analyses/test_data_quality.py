"""Data quality, attrition and learning: what they count, and what they find where it was put."""

import dataclasses
import tomllib

import numpy as np
import pytest
from scipy import stats

from evalkit.analyses import Context, attrition, learning, response_quality
from evalkit.responses import build_table
from evalkit.results import Provenance
from studies.design import parse_study
from tests.evalkit.made_up_responses import MadeUp

CONTEXT = Context(Provenance(study="made-up"), n_resamples=100)


def made(**changes):
    return MadeUp(
        **{"workers": 8, "images": 24, "trials": 20, "voided": 0, "stopped": 0, "void_trials": 0, **changes}
    ).draw()


def records(analysis, study_made, **tables):
    study = parse_study({**tomllib.loads(study_made.toml()), **tables}, "S")
    table = build_table(study_made.responses, study_made.sessions, study_made.arrivals, study)
    found = analysis.run(table, study, CONTEXT)
    return lambda key, condition="pix2pix", detail="": next(
        r for r in found if (r.key, r.condition, r.detail) == (key, condition, detail)
    )


def change(study_made, which, **fields):
    study_made.responses = [
        dataclasses.replace(row, **{k: v(row) if callable(v) else v for k, v in fields.items()})
        if which(row)
        else row
        for row in study_made.responses
    ]


def test_response_times_are_medians_by_condition_and_by_what_was_answered():
    study_made = made()
    change(study_made, lambda r: r.condition == "pix2pix", rt_ms=lambda r: 900.0 if r.fooled else 600.0)
    get = records(response_quality, study_made)
    assert get("rt_ms_median", detail="fooled").value == 900
    assert get("rt_ms_median", detail="not fooled").value == 600
    assert get("rt_ms_median").n["trials"] == 8 * 20
    difference = get("rt_log_difference_when_fooled")
    assert difference.value == pytest.approx(np.log(1.5))
    assert get("rt_log_difference_when_fooled", "cyclegan").interval.low < 0


def test_one_hasty_one_sided_session_shows_in_the_largest_but_not_in_the_median():
    study_made = made()
    change(
        study_made,
        lambda r: r.session == "pix2pix-2",
        rt_ms=150.0,
        choice=lambda r: "first" if r.side_1 == "left" else "second",
    )
    get = records(
        response_quality, study_made, exclusions={"max_fast_share": 0.1, "max_same_side_share": 0.95}
    )
    assert (get("fast_share_max").value, get("fast_share_median").value) == (1.0, 0.0)
    assert (get("same_side_share_max").value, get("same_side_run_max").value) == (1.0, 20.0)
    assert get("same_side_share_median").value < 1
    assert get("alternation_share_max").value > 0
    assert get("sessions_breaking_rule", detail="more than 10 % of answers faster than 200 ms").value == 1
    assert (
        get("sessions_breaking_rule", "cyclegan", "more than 10 % of answers faster than 200 ms").value == 0
    )


def test_exposures_and_checks_are_counted_before_exclusions():
    study_made = made()
    change(study_made, lambda r: r.session == "pix2pix-1" and r.trial_index < 7, exposure_ms_1=1100.0)
    checks = [
        dataclasses.replace(row, phase="check", attempt=9, outcome=float(row.trial_index > 2))
        for row in study_made.responses
        if row.trial_index < 6
    ]
    study_made.responses += checks
    get = records(response_quality, study_made, checks={"share": 0.2}, exclusions={"max_exposure_misses": 3})
    assert get("exposure_misses_max").value == 5  # trial_index begins with practice, of which there are two
    assert get("exposure_misses_median").value == 0
    assert get("failed_check_share").value == pytest.approx(1 / 4)
    assert get("failed_check_share").n == {"checks": 32, "failed": 8, "sessions": 8}


def test_what_was_not_recorded_is_none_with_its_reason_and_says_which_rule_could_not_be_applied():
    study_made = made()
    change(
        study_made, lambda r: True, rt_ms=None, exposure_ms_1=None, exposure_ms_2=None, side_1="", side_2=""
    )
    get = records(response_quality, study_made, exclusions={"max_fast_share": 0.1})
    for key in ("rt_ms_median", "fast_share_median", "same_side_run_median", "exposure_misses_median"):
        assert get(key).value is None
        assert get(key).notes
    broken = get("sessions_breaking_rule", detail="more than 10 % of answers faster than 200 ms")
    assert broken.value == 0
    assert "could not be applied to 8 sessions" in broken.notes[0]


def test_a_rule_on_sides_is_warned_of_where_all_fakes_stood_on_one_side_and_one_on_practice_always():
    study_made = made()
    tables = {"exclusions": {"max_same_side_run": 15, "min_practice_correct": 1}}
    reason = "more than 15 answers in a row on one side"
    assert (
        "on the left in 100 %"
        in records(response_quality, study_made, **tables)("sessions_breaking_rule", detail=reason).notes[0]
    )
    change(study_made, lambda r: r.trial_index % 2, side_1=lambda r: r.side_2, side_2=lambda r: r.side_1)
    get = records(response_quality, study_made, **tables)
    assert get("sessions_breaking_rule", detail=reason).notes == ()
    assert "lower" in get("sessions_breaking_rule", detail="fewer than 1 correct practice answers").notes[-1]


def test_in_a_within_design_numbers_per_session_stand_there_once():
    get = records(response_quality, made(design="within"))
    assert get("same_side_run_max", "").n["sessions"] == 16
    assert get("rt_ms_median", "pix2pix").n["trials"] + get("rt_ms_median", "cyclegan").n["trials"] == 320


def leave(study_made, sessions, after):
    """These sessions stop after so many trials."""
    study_made.sessions = [
        dataclasses.replace(row, state="stopped", finished_at="") if row.session in sessions else row
        for row in study_made.sessions
    ]
    study_made.responses = [
        row for row in study_made.responses if row.session not in sessions or row.trial_index < 2 + after
    ]


def test_attrition_is_tested_between_two_algorithms_by_fishers_exact_test():
    study_made = made(workers=12)
    leave(study_made, {f"pix2pix-{k}" for k in range(6)}, 5)
    get = records(attrition, study_made)
    assert get("finished_share").value == 0.5
    assert get("finished_share", "cyclegan").value == 1.0
    test = get("attrition_test", "")
    assert test.p_value == pytest.approx(stats.fisher_exact([[6, 6], [12, 0]]).pvalue)
    assert test.value == 0.5
    assert get("trials_before_leaving").value == 5
    assert get("trials_before_leaving", "cyclegan").notes == ("Nobody left.",)


def test_attrition_among_three_algorithms_is_tested_by_random_tables_with_the_same_margins():
    study_made = made(rates={"a": 0.2, "b": 0.2, "c": 0.2}, workers=10)
    leave(study_made, {f"a-{k}" for k in range(6)} | {"b-0"}, 5)
    study = parse_study(tomllib.loads(study_made.toml()), "S")
    table = build_table(study_made.responses, study_made.sessions, study_made.arrivals, study)
    test = next(r for r in attrition.run(table, study, CONTEXT) if r.key == "attrition_test")
    assert test.p_value == pytest.approx(freeman_halton([6, 1, 0], 10), abs=0.005)
    assert test.seed is not None
    assert test.n_resamples == attrition.DRAWS


def freeman_halton(left, size):
    """The exact p-value: every table with these margins, three algorithms of `size` sessions."""
    total = sum(left)
    ways = {
        (i, j): stats.hypergeom.pmf(i, 3 * size, size, total)
        * stats.hypergeom.pmf(j, 2 * size, size, total - i)
        for i in range(total + 1)
        for j in range(total - i + 1)
        if total - i - j <= size
    }
    return sum(p for p in ways.values() if p <= ways[left[0], left[1]] * (1 + 1e-9))


def test_where_everybody_finished_the_test_says_so():
    test = records(attrition, made())("attrition_test", "")
    assert (test.p_value, test.value) == (1.0, 0.0)
    assert test.notes == ("Everybody finished: the algorithms do not differ.",)


def test_leavers_who_were_fooled_more_are_found_over_the_places_that_they_reached():
    study_made = made(workers=16, rates={"pix2pix": 0.2, "cyclegan": 0.2}, worker_sd=0.1)
    leavers = {f"pix2pix-{k}" for k in range(6)}
    leave(study_made, leavers, 8)
    change(study_made, lambda r: r.session in leavers, outcome=lambda r: float(r.trial_index % 4 == 0))
    change(study_made, lambda r: r.session not in leavers and r.trial_index >= 10, outcome=0.0)
    found = records(attrition, study_made)("fool_rate_leavers_minus_finishers")
    early = [r.fooled for r in study_made.responses if r.condition == "pix2pix" and r.trial_index < 10]
    late = [r for r in study_made.responses if r.session in leavers]
    stayed = (sum(early) - sum(r.fooled for r in late)) / (len(early) - len(late))
    assert found.value == pytest.approx(0.75 - stayed)
    assert found.interval.low > 0


def test_a_session_that_still_runs_has_not_left():
    study_made = made(workers=4)
    study_made.sessions[0] = dataclasses.replace(study_made.sessions[0], state="active", finished_at="")
    get = records(attrition, study_made)
    assert get("finished_share").n == {"sessions": 3, "finished": 3}


def test_within_sessions_there_is_one_share_and_no_test():
    study_made = made(design="within")
    study = parse_study(tomllib.loads(study_made.toml()), "S")
    table = build_table(study_made.responses, study_made.sessions, study_made.arrivals, study)
    found = attrition.run(table, study, CONTEXT)
    assert [r.condition for r in found if r.key == "finished_share"] == [""]
    assert not [r for r in found if r.key == "attrition_test"]


def test_learning_shows_by_quarter_and_in_the_slope():
    study_made = made(workers=30, trials=20)
    change(
        study_made,
        lambda r: r.condition == "pix2pix",
        outcome=lambda r: float((r.trial_index - 2) >= 10 or int(r.session.split("-")[1]) % 2),
    )
    get = records(learning, study_made)
    rates = [get("fool_rate_by_quarter", detail=f"quarter {q} of the session") for q in (1, 2, 3, 4)]
    assert [rate.value for rate in rates] == [0.5, 0.5, 0.0, 0.0]
    assert [rate.n["trials"] for rate in rates] == [150] * 4
    assert get("fool_rate_slope").interval.high < 0
    # half of the workers fall from 1 to 0 in the middle of 20 trials, half stay at 0
    x = np.arange(20) - 9.5
    assert get("fool_rate_slope").value == pytest.approx((x * (x < 0)).sum() / (x @ x) / 2)


def test_a_replacement_belongs_to_the_end_of_the_session():
    study_made = made(workers=3)
    first = study_made.responses[0]
    study_made.responses[0] = dataclasses.replace(
        first, choice="", outcome=None, rt_ms=None, void_reason="hidden"
    )
    study_made.responses.append(dataclasses.replace(first, attempt=1, rt_ms=99_000.0))
    study = parse_study(tomllib.loads(study_made.toml()), "S")
    trials = build_table(study_made.responses, study_made.sessions, study_made.arrivals, study).primary
    position, quarter = learning.places(trials)
    assert (position[trials["rt_ms"] == 99_000.0], quarter[trials["rt_ms"] == 99_000.0]) == (19, 4)
    assert sorted(position[trials["session"] == first.session]) == list(range(20))


def test_practice_accuracy_is_of_answered_practice_trials():
    study_made = made(workers=6)
    practice = [
        dataclasses.replace(
            row, phase="practice", trial_index=row.trial_index - 2, outcome=float(row.trial_index == 2)
        )
        for row in study_made.responses
        if row.trial_index < 4
    ]
    scored = [row for row in study_made.responses if row.trial_index >= 4]
    study_made.responses = practice + scored
    found = records(learning, study_made)("practice_accuracy")
    assert found.value == 0.5
    assert found.n["trials"] == 12
    assert found.provenance.target == "these images"  # clustered on workers alone
    assert records(learning, made())("practice_accuracy").notes[0] == "No practice trial was recorded."
