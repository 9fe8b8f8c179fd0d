"""What every protocol in PROTOCOLS must do; a new one is picked up by itself."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest

import studies.protocols
from studies.design import parse_study
from studies.errors import UserError
from studies.plan import allocate, check_pool, plan_session, summarise
from studies.protocols import PROTOCOLS, Instructions, Issued, Step
from studies.records import INPUT, NOT_GENERATED, REAL
from studies.texts import Told
from tests.studies.designs import make_protocol_design

COUNTS = {"practice": 2, "scored": 6, "reserve": 2}
SHARED = {"__init__", "base", "one_image"}
"""Modules that are no protocol of their own."""


def make(name, inputs=40, **tables):
    return make_protocol_design(name, inputs, **{**COUNTS, **tables.pop("protocol", {})}, **tables)


@pytest.fixture(params=PROTOCOLS)
def planned(request):
    study, images = make(request.param)
    return study, plan_session(study, images, allocate(study, images)[0])


@pytest.fixture(params=PROTOCOLS)
def whole(request):
    """A study with all its sessions, small enough that images return over the places."""
    study, images = make(request.param, study={"participants_per_condition": 20})
    places = allocate(study, images)
    return study, images, places, [plan_session(study, images, place) for place in places]


def judged(trial):
    return {slot.image for slot in trial.slots}


def test_the_registry_key_is_the_name_and_the_module():
    for key, protocol in PROTOCOLS.items():
        assert key == protocol.name == protocol.__module__.rsplit(".", 1)[-1]
    modules = {path.stem for path in Path(studies.protocols.__file__).parent.glob("*.py")} - SHARED
    assert modules == set(PROTOCOLS)


def test_a_plan_has_practice_then_scored_trials_and_a_reserve(planned):
    study, plan = planned
    assert [trial.phase for trial in plan.trials] == ["practice"] * 2 + ["scored"] * 6
    assert [trial.phase for trial in plan.reserve] == ["scored"] * 2
    assert all(len(trial.slots) == study.protocol.images_per_trial for trial in plan.trials)


def test_no_image_is_judged_twice_in_a_session(whole):
    _, _, _, plans = whole
    for plan in plans:
        counts = Counter(image for trial in (*plan.trials, *plan.reserve) for image in judged(trial))
        assert set(counts.values()) == {1}


def test_each_image_is_scored_equally_often(whole):
    study, images, places, plans = whole
    counts = Counter(
        slot.image
        for plan in plans
        for trial in plan.trials
        if trial.phase == "scored"
        for slot in trial.slots
    )
    for name in study.conditions:
        views = [counts[image.id] for image in images if image.condition == name]
        assert max(views) - min(views) <= 1, name
    low, high = summarise(study, images, places).views_per_image
    assert high - low <= 1


def test_order_is_even_in_each_session_and_side_too_given_the_order(whole):
    study, _, _, plans = whole
    if study.protocol.images_per_trial == 1:
        pytest.skip("one image has no order")
    for plan in plans:
        scored = [trial for trial in plan.trials if trial.phase == "scored"]
        assert sum(trial.target == 1 for trial in scored) == 3
        for first in (True, False):  # three trials each
            sides = [trial.slots[trial.target - 1].side for trial in scored if (trial.target == 1) == first]
            assert sides.count("left") in (1, 2)
        assert all({slot.side for slot in trial.slots} == {"left", "right"} for trial in scored)


def test_the_kth_places_of_all_algorithms_are_yoked(whole):
    study, _, places, plans = whole
    if study.study.design == "within":
        pytest.skip("all algorithms in one session")
    lists = {}
    for place, plan in zip(places, plans, strict=True):
        content = [
            [(slot.source_id, slot.side, slot.condition == REAL) for slot in trial.slots]
            for trial in plan.trials
        ]
        lists.setdefault(place.index, []).append(content)
    assert all(first == second for first, second in lists.values())
    assert len({json.dumps(first) for first, _ in lists.values()}) == 20


def test_the_same_seed_gives_the_same_plan_and_another_one_another(planned):
    study, plan = planned
    again, images = make(study.protocol.name)
    assert plan_session(again, images, allocate(again, images)[0]) == plan
    other, images = make(study.protocol.name, study={"seed": 7})
    assert plan_session(other, images, allocate(other, images)[0]) != plan


def test_too_few_inputs_are_refused_with_the_number_that_is_needed(planned):
    study, _ = planned
    with pytest.raises(UserError, match=r"3 inputs are too few: .* need at least \d+"):
        check_pool(study, 3)


def test_a_schedule_ends_with_a_question_and_tells_nothing_of_the_truth(planned):
    study, plan = planned
    for trial in plan.trials:
        frames = study.protocol.schedule(trial)
        assert frames[-1].kind == "question"
        assert frames[-1].buttons
        assert str(frames[-1].text).endswith("?")
        assert all(frame.ms is not None and frame.ms >= 0 for frame in frames[:-1])
        shown = [slot for frame in frames if frame.kind in ("images", "question") for slot in frame.slots]
        assert sorted(shown) == sorted(trial.shown)
        sent = json.dumps([dataclasses.asdict(frame) for frame in frames])
        for slot in trial.shown.values():
            assert slot.image not in sent
            assert slot.source_id not in sent
            assert slot.condition in NOT_GENERATED or slot.condition not in sent


def test_every_image_has_the_time_that_its_slot_plans(planned):
    study, plan = planned
    for trial in plan.trials:
        for frame in study.protocol.schedule(trial):
            for number in frame.slots if frame.kind in ("images", "question") else ():
                assert (frame.ms or 0) == trial.slot(number).planned_ms


def test_a_schedule_is_the_same_if_the_images_change_places(planned):
    study, plan = planned
    trial = plan.trials[3]
    swapped_images = [
        dataclasses.replace(other, side=slot.side)
        for slot, other in zip(trial.slots, reversed(trial.slots), strict=True)
    ]
    swapped = dataclasses.replace(trial, slots=tuple(swapped_images), target=None)
    assert study.protocol.schedule(swapped) == study.protocol.schedule(trial)


def test_each_button_is_a_choice_that_can_be_graded(planned):
    study, plan = planned
    assert study.protocol.outcome.startswith("1 = ")
    for trial in plan.trials:
        buttons = study.protocol.schedule(trial)[-1].buttons
        outcomes = [study.protocol.grade(trial, button.value) for button in buttons]
        assert set(outcomes) <= {0.0, 0.5, 1.0}
        assert outcomes.count(1.0) == 1
        assert len({button.value for button in buttons}) == len(buttons)
        assert len({button.side for button in buttons}) == len(buttons)


def test_an_impossible_choice_is_refused(planned):
    study, plan = planned
    with pytest.raises(ValueError, match="no choice"):
        study.protocol.grade(plan.trials[0], "neither")


def test_feedback_names_what_each_image_was_wherever_an_answer_can_be_wrong(planned):
    study, plan = planned
    for trial in plan.trials:
        truth = study.protocol.truth(trial)
        assert set(truth) == (set(range(1, len(trial.slots) + 1)) if study.protocol.gives_feedback else set())
    kinds = {kind for trial in plan.trials for kind in study.protocol.truth(trial).values()}
    assert len(kinds) == (2 if study.protocol.gives_feedback else 0)


def test_instructions_are_complete(planned):
    study, plan = planned
    told = study.protocol.instructions(study.question)
    assert isinstance(told, Instructions)
    assert len(told.steps) >= 2
    assert all(isinstance(step, Step) for step in told.steps)
    assert told.steps[-1].picture == "keys"
    for text in (told.lead, told.asked, told.debriefing, *(step.text for step in told.steps)):
        assert isinstance(text, Told)
        assert str(text)
        assert "{" not in str(text)
    assert told.asked == study.protocol.schedule(plan.trials[0])[-1].text


def test_only_protocols_about_reality_speak_of_real_and_fake(planned):
    study, plan = planned
    told = study.protocol.instructions(study.question)
    words = " ".join(
        map(str, (told.lead, told.asked, told.debriefing, *(step.text for step in told.steps)))
    ).lower()
    labels = " ".join(
        str(button.label) for button in study.protocol.schedule(plan.trials[0])[-1].buttons
    ).lower()
    about_reality = any(slot.condition == REAL for trial in plan.trials for slot in trial.slots)
    assert ("fake" in words or "fake" in labels) == about_reality
    assert ("fool_rate" in study.protocol.analyses) <= about_reality


def answer(study, trial):
    return study.protocol.schedule(trial)[-1].buttons[0].value


def test_trials_come_in_order_and_then_end(planned):
    study, plan = planned
    issued: list[Issued] = []
    while (trial := study.protocol.next_trial(plan, issued)) is not None:
        issued.append(Issued(trial, choice=answer(study, trial)))
    assert [judged(item.trial) for item in issued] == [judged(trial) for trial in plan.trials]
    assert [item.trial.trial_index for item in issued] == list(range(8))


def test_answers_change_no_image_whatever_they_are(planned):
    study, plan = planned
    seen = []
    for pressed in (0, 1):
        issued: list[Issued] = []
        while (trial := study.protocol.next_trial(plan, issued)) is not None:
            issued.append(Issued(trial, study.protocol.schedule(trial)[-1].buttons[pressed].value))
        seen.append([dataclasses.replace(slot, planned_ms=0) for item in issued for slot in item.trial.slots])
    assert seen[0] == seen[1]


def test_void_scored_trials_are_replaced_from_the_reserve_and_practice_is_not(planned):
    study, plan = planned
    issued = [Issued(trial, None, void=trial.trial_index in (0, 3, 5)) for trial in plan.trials]
    first = study.protocol.next_trial(plan, issued)
    assert (first.trial_index, first.attempt) == (3, 1)
    issued.append(Issued(first, None, void=True))
    second = study.protocol.next_trial(plan, issued)
    assert (second.trial_index, second.attempt) == (5, 1)
    assert [judged(first), judged(second)] in (
        [judged(trial) for trial in plan.reserve],
        [judged(trial) for trial in reversed(plan.reserve)],
    )
    issued.append(Issued(second, choice=answer(study, second)))
    assert study.protocol.next_trial(plan, issued) is None


def test_a_void_trial_is_replaced_by_one_of_its_kind_while_there_is_one(planned):
    study, plan = planned
    kinds = {study.protocol.alike(trial) for trial in plan.reserve}
    for number, trial in enumerate(plan.trials):
        if trial.phase != "scored" or study.protocol.alike(trial) not in kinds:
            continue
        issued = [Issued(one, answer(study, one), void=False) for one in plan.trials]
        issued[number] = Issued(trial, void=True)
        stand_in = study.protocol.next_trial(plan, issued)
        assert study.protocol.alike(stand_in) == study.protocol.alike(trial)


def test_a_void_replacement_is_replaced_again(planned):
    study, plan = planned
    issued = [Issued(trial, answer(study, trial)) for trial in plan.trials[:-1]]
    issued.append(Issued(plan.trials[-1], void=True))
    issued.append(Issued(study.protocol.next_trial(plan, issued), void=True))
    again = study.protocol.next_trial(plan, issued)
    assert (again.trial_index, again.attempt) == (plan.trials[-1].trial_index, 2)


def test_no_stand_in_shows_an_image_that_a_check_has_shown(planned):
    study, plan = planned
    stand_in = plan.reserve[0]
    check = dataclasses.replace(plan.trials[-1], phase="check", slots=stand_in.slots[-1:])
    trials = (*plan.trials[:-2], check, plan.trials[-1])
    issued = [Issued(trial, void=trial is trials[-1]) for trial in trials]
    coming = study.protocol.next_trial(dataclasses.replace(plan, trials=trials), issued)
    assert judged(coming).isdisjoint(judged(check))
    alone = dataclasses.replace(plan, trials=trials, reserve=(stand_in,))
    assert study.protocol.next_trial(alone, issued) is None


def test_an_analysis_of_another_protocols_outcome_is_refused_in_one_line(planned):
    study, _ = planned
    assert study.analysis.planned == study.protocol.analyses
    foreign = {name for other in PROTOCOLS.values() for name in other.analyses} - set(study.protocol.analyses)
    assert foreign
    for name in foreign:
        with pytest.raises(UserError) as error:
            make(study.protocol.name, analysis={"planned": [name]})
        assert f"{name!r} does not fit protocol {study.protocol.name!r}" in str(error.value)
        assert str(error.value).endswith(f"Allowed: {', '.join(study.protocol.analyses)}.")
        assert "\n" not in str(error.value)


def test_no_algorithm_may_have_the_name_of_another_role():
    for name in NOT_GENERATED:
        tree = {
            "study": {"id": "s"},
            "reference": {"images": "real"},
            "conditions": {name: {"images": ["x"]}},
        }
        with pytest.raises(UserError, match=f"'{name}' is the name of"):
            parse_study(tree, "study.toml")


def test_the_picture_before_belongs_to_the_trials_input(planned):
    _, plan = planned
    for trial in plan.trials:
        if trial.context is not None:
            assert trial.context.condition in (INPUT, REAL)
            assert trial.context.side == "centre"
            assert trial.context.source_id == trial.slots[trial.target - 1].source_id
