"""The rules of [exclusions]: who breaks them, with what reason, and that none looks at scored answers."""

import dataclasses
import tomllib

import numpy as np
import pandas as pd
import pytest

from evalkit.exclusions import RULES, rules_in_words, with_exclusions
from evalkit.responses import build_table
from studies.design import Exclusions, parse_study
from studies.errors import UserError
from studies.study_toml import render_study_toml
from tests.evalkit.made_up_responses import MadeUp

STRICT = {
    "max_void_trials": 3,
    "max_failed_checks": 0,
    "max_fast_share": 0.1,
    "min_median_rt_ms": 400.0,
    "max_same_side_share": 0.7,
    "max_same_side_run": 5,
    "max_alternation_share": 0.7,
    "max_exposure_misses": 1,
    "whole_pixels_only": True,
    "min_practice_correct": 2,
}
TRIALS = 12


def study_with(**exclusions):
    tree = tomllib.loads(MadeUp(workers=3, trials=TRIALS).toml())
    return parse_study({**tree, "exclusions": exclusions}, "study.toml")


def people_of(*sessions):
    return pd.DataFrame({"session": list(sessions)})


def trials_of(session="s", **changes):
    """Careful answers: sides in no pattern, 700 ms, exact exposures, a screen of two device pixels per CSS pixel."""
    sides = np.array([0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1])
    columns = {
        "session": session,
        "phase": "scored",
        "trial_index": np.arange(TRIALS),
        "attempt": 0,
        "choice": np.where(sides, "first", "second"),
        "side_1": "left",
        "side_2": "right",
        "outcome": 1.0,
        "void_reason": "",
        "rt_ms": 700.0,
        "refresh_hz": 60.0,
        "planned_ms_1": 1000.0,
        "planned_ms_2": 1000.0,
        "exposure_ms_1": 1000.0,
        "exposure_ms_2": 1000.0,
        "device_pixel_ratio": 2.0,
        "zoom": 1.0,
        **changes,
    }
    return pd.DataFrame(columns)


def reasons(every, **exclusions):
    names = list(dict.fromkeys(every["session"]))
    study = study_with(**exclusions)
    return with_exclusions(people_of(*names), every, study)["excluded"].tolist()


def at(value, other, *places):
    return np.where(np.isin(np.arange(TRIALS), places), value, other)


BROKEN = {
    "max_void_trials": (
        {"void_reason": at("hidden", "", 0, 3, 7, 9)},
        "more than 3 void scored trials",
    ),
    "max_fast_share": (
        {"rt_ms": at(199.0, 700.0, 2, 5)},
        "more than 10 % of answers faster than 200 ms",
    ),
    "min_median_rt_ms": ({"rt_ms": 399.0}, "median response time below 400 ms"),
    "max_same_side_share": (
        {"choice": at("second", "first", 2, 5, 8)},
        "more than 70 % of answers on one side",
    ),
    "max_same_side_run": (
        {"choice": at("second", "first", 0, 7, 9, 11)},
        "more than 5 answers in a row on one side",
    ),
    "max_alternation_share": (
        {"choice": at("second", "first", 1, 3, 5, 7, 9, 11)},
        "more than 70 % of answers change sides",
    ),
    "max_exposure_misses": (
        {"exposure_ms_2": at(1030.0, 1000.0, 4, 6)},
        "more than 1 trials with an exposure that was off",
    ),
    "whole_pixels_only": (
        {"device_pixel_ratio": 1.25},
        "a fractional number of device pixels per CSS pixel",
    ),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_session_that_breaks_one_rule_has_its_reason_and_a_careful_one_has_none(rule):
    changes, reason = BROKEN[rule]
    every = pd.concat([trials_of("careful"), trials_of("broken", **changes)], ignore_index=True)
    assert reasons(every, **{"max_void_trials": 11, rule: STRICT[rule]}) == ["", reason]


@pytest.mark.parametrize("rule", BROKEN)
def test_the_limit_itself_is_allowed(rule):
    nearly = {
        "max_void_trials": {"void_reason": at("hidden", "", 0, 3, 7)},
        "max_fast_share": {"rt_ms": at(199.0, 200.0, 2)},
        "min_median_rt_ms": {"rt_ms": 400.0},
        "max_same_side_share": {"choice": at("second", "first", 2, 5, 8, 10)},
        "max_same_side_run": {"choice": at("second", "first", 0, 6, 9, 11)},
        "max_alternation_share": {"choice": at("second", "first", 1, 3, 5)},
        "max_exposure_misses": {"exposure_ms_1": at(1030.0, 1000.0, 4)},
        "whole_pixels_only": {"device_pixel_ratio": 1.1, "zoom": 1.1},
    }[rule]
    assert reasons(trials_of(**nearly), **{"max_void_trials": 11, rule: STRICT[rule]}) == [""]


def test_practice_and_checks_have_rules_of_their_own():
    practice = trials_of(phase="practice", outcome=at(1.0, 0.0, 3))
    checks = trials_of(phase="check", outcome=at(0.0, 1.0, 3))
    every = pd.concat([trials_of(), practice, checks], ignore_index=True)
    found = reasons(every, max_failed_checks=0, min_practice_correct=2)
    assert found == ["more than 0 failed attention checks; fewer than 2 correct practice answers"]
    assert reasons(trials_of(), max_failed_checks=0, min_practice_correct=2) == [""]  # nothing to judge by


def test_a_session_that_breaks_several_rules_has_all_as_its_reason():
    changes = {name: value for changed, _ in BROKEN.values() for name, value in changed.items()}
    changes |= {"void_reason": "", "choice": "first", "rt_ms": 150.0}
    found = reasons(trials_of(**changes), **STRICT)[0].split("; ")
    assert found == [
        BROKEN[rule][1] for rule in BROKEN if rule not in ("max_void_trials", "max_alternation_share")
    ]


def test_no_rule_looks_at_whether_scored_answers_fooled():
    rng = np.random.default_rng(3)
    sessions = [
        trials_of(
            f"s{number}",
            choice=rng.choice(["first", "second", ""], TRIALS, p=[0.6, 0.38, 0.02]),
            outcome=rng.choice([0.0, 0.5, 1.0], TRIALS),
            rt_ms=rng.choice([100.0, 300.0, 900.0, np.nan], TRIALS),
            exposure_ms_1=rng.choice([1000.0, 1040.0], TRIALS, p=[0.9, 0.1]),
            device_pixel_ratio=rng.choice([1.0, 1.5]),
            void_reason=np.where(rng.random(TRIALS) < (0.4 if number % 5 == 0 else 0.02), "hidden", ""),
        )
        for number in range(100)
    ]
    every = pd.concat(sessions, ignore_index=True)
    mirrored = every.assign(outcome=1.0 - every["outcome"])
    shuffled = every.assign(outcome=rng.choice([0.0, 0.5, 1.0], len(every)))
    found = reasons(every, **STRICT)
    assert found == reasons(mirrored, **STRICT) == reasons(shuffled, **STRICT)
    assert {reason for texts in found for reason in texts.split("; ")} >= {
        text for _, text in BROKEN.values()
    }


def test_replacements_of_void_trials_come_last_in_a_run():
    first = trials_of(choice=at("", "first", 1), outcome=at(np.nan, 1.0, 1), void_reason=at("hidden", "", 1))
    again = trials_of(attempt=1)[1:2].assign(choice="second")
    every = pd.concat([first, again], ignore_index=True)
    people = with_exclusions(people_of("s"), every, study_with(max_same_side_run=11))
    assert people["same_side_run"].tolist() == [11.0]


def test_a_handful_of_answers_is_no_straight_line():
    few = trials_of(choice="first")[:9]
    rules = {"max_same_side_share": 0.7, "max_alternation_share": 0.5}
    assert reasons(few, **rules) == [""]
    assert reasons(trials_of(choice="first")[:10], **rules) == ["more than 70 % of answers on one side"]
    turns = trials_of(choice=at("second", "first", *range(0, TRIALS, 2)))
    assert reasons(turns[:9], **rules) == [""]
    assert reasons(turns[:10], **rules) == ["more than 50 % of answers change sides"]


def test_what_was_not_measured_breaks_no_rule():
    blank = trials_of(
        rt_ms=np.nan, choice="", side_1="", side_2="", exposure_ms_1=np.nan, exposure_ms_2=np.nan
    ).drop(columns=["device_pixel_ratio", "zoom"])
    assert reasons(blank, **STRICT) == [""]


def test_a_study_without_sessions_or_trials_excludes_nobody():
    every = trials_of()
    study = study_with(**STRICT)
    assert with_exclusions(people_of(), every[:0], study).empty
    assert with_exclusions(people_of("s"), every[:0], study)["excluded"].tolist() == [""]


def test_rows_and_sessions_may_stand_in_any_order():
    every = pd.concat(
        [trials_of("careful"), *(trials_of(rule, **BROKEN[rule][0]) for rule in BROKEN)], ignore_index=True
    )
    people = people_of("careful", *BROKEN)
    study = study_with(**STRICT)
    expected = with_exclusions(people, every, study).set_index("session")["excluded"]
    mixed = every.sample(frac=1, random_state=1)
    found = with_exclusions(people[::-1].set_index(np.arange(50, 50 + len(people))), mixed, study)
    assert found.set_index("session")["excluded"][expected.index].tolist() == expected.tolist()


def test_medians_and_shares_are_those_of_pandas():
    rng = np.random.default_rng(8)
    every = pd.concat(
        [trials_of(f"s{k}", rt_ms=rng.lognormal(6, 1, TRIALS))[: 1 + k % TRIALS] for k in range(30)],
        ignore_index=True,
    )
    people = with_exclusions(
        people_of(*dict.fromkeys(every["session"])), every, study_with(min_median_rt_ms=1, max_fast_share=0.5)
    )
    by = every.groupby("session", sort=False)["rt_ms"]
    np.testing.assert_allclose(people["median_rt_ms"], by.median())
    np.testing.assert_allclose(people["fast_share"], by.apply(lambda rt: (rt < 200).mean()))


def test_every_rule_stands_in_the_settings_and_can_be_switched_off():
    off = Exclusions(max_void_trials=None)
    assert rules_in_words(off) == []
    assert {rule.key for rule in RULES} | {"fast_rt_ms"} == set(Exclusions.model_fields)
    assert len(rules_in_words(Exclusions(**STRICT))) == len(RULES)


def test_rules_survive_their_file():
    study = study_with(**STRICT)
    assert parse_study(tomllib.loads(render_study_toml(study, None)), "S") == study


@pytest.mark.parametrize("rule", ["max_same_side_share", "max_same_side_run", "max_alternation_share"])
def test_where_the_buttons_say_real_and_fake_no_rule_may_look_at_them(rule):
    tree = tomllib.loads(MadeUp().toml())
    tree = {**tree, "protocol": {"name": "yes_no"}, "exclusions": {rule: STRICT[rule]}}
    tree["analysis"] = {"planned": ["error_rate"]}
    with pytest.raises(
        UserError, match=rf"exclusions\.{rule} looks at sides, but the buttons of protocol 'yes_no'"
    ):
        parse_study(tree, "S")


def test_more_correct_practice_answers_than_practice_trials_cannot_be_asked_for():
    with pytest.raises(UserError, match=r"min_practice_correct = 3 is more than protocol\.practice = 2"):
        study_with(min_practice_correct=3)


def test_results_with_and_without_the_excluded_stand_side_by_side():
    made = MadeUp(workers=6, trials=10, images=12, voided=0, stopped=0).draw()
    hasty = "pix2pix-3"
    made.responses = [
        dataclasses.replace(row, rt_ms=120.0) if row.session == hasty and row.rt_ms else row
        for row in made.responses
    ]
    tree = tomllib.loads(made.toml())
    study = parse_study({**tree, "exclusions": {"max_fast_share": 0.2}}, "S")
    table = build_table(made.responses, made.sessions, made.arrivals, study)
    assert set(table.without_exclusions["session"]) - set(table.primary["session"]) == {hasty}
