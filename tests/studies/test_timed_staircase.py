"""Exposures follow the answers, two staircases take turns, and images never change."""

import dataclasses

import pytest

from studies.errors import UserError
from studies.plan import allocate, plan_session
from studies.protocols import Issued, TimedStaircase
from studies.records import CHECK, REAL
from tests.studies.designs import make_protocol_design

PROTOCOL = TimedStaircase(practice=2, scored=8, reserve=2)


@pytest.fixture
def plan():
    study, images = make_protocol_design("timed_staircase", 20, practice=2, scored=8, reserve=2)
    return plan_session(study, images, allocate(study, images)[0])


def right(trial):
    return "real" if trial.slots[0].condition == REAL else "fake"


def wrong(trial):
    return "fake" if trial.slots[0].condition == REAL else "real"


def shown(plan, answers, protocol=PROTOCOL):
    """Planned exposures as the server sends them: two trials ahead, so the newest answer is that before the last."""
    issued, times = [], []
    while (trial := protocol.next_trial(plan, issued)) is not None:
        number = len(issued)
        times.append(trial.slots[0].planned_ms)
        issued.append(Issued(trial))
        if number >= 1:
            answer = answers(number - 1)
            before = issued[number - 1].trial
            choice = {True: right(before), False: wrong(before), None: None}[answer]
            issued[number - 1] = Issued(before, choice, void=answer is None)
    return times


def test_correct_answers_make_it_shorter_by_30_ms_in_two_chains_that_begin_with_the_scored_trials(plan):
    assert shown(plan, lambda _: True) == [500, 500, 500, 500, 470, 470, 440, 440, 410, 410]


def test_mistakes_make_it_longer_by_10_ms(plan):
    assert shown(plan, lambda _: False) == [500, 500, 500, 500, 510, 510, 520, 520, 530, 530]


def test_each_chain_follows_its_own_answers(plan):
    assert shown(plan, lambda number: number % 2 == 0) == [500, 500, 500, 500, 470, 510, 440, 520, 410, 530]


def test_the_range_is_never_left(plan):
    near = TimedStaircase(practice=2, scored=8, reserve=2, start_ms=110, min_ms=100, max_ms=115)
    assert shown(plan, lambda _: True, near)[2:] == [110, 110, 100, 100, 100, 100, 100, 100]
    assert shown(plan, lambda _: False, near)[2:] == [110, 110, 115, 115, 115, 115, 115, 115]


def test_a_void_trial_moves_nothing_and_its_stand_in_goes_on(plan):
    times = shown(plan, lambda number: None if number == 4 else True)
    assert times[:10] == [500, 500, 500, 500, 470, 470, 470, 440, 440, 410]
    assert times[10:] == [410]


def test_answers_to_practice_count_for_nothing(plan):
    assert shown(plan, lambda number: number >= 2)[2:4] == [500, 500]


def test_only_the_exposure_of_a_new_trial_changes(plan):
    issued = [Issued(trial, right(trial)) for trial in plan.trials[:4]]
    trial = PROTOCOL.next_trial(plan, issued)
    planned = plan.trials[4]
    assert trial != planned
    slots = tuple(dataclasses.replace(slot, planned_ms=500) for slot in trial.slots)
    assert dataclasses.replace(trial, slots=slots) == planned


def test_the_image_is_followed_by_five_masks_of_30_ms_and_the_question(plan):
    frames = PROTOCOL.schedule(plan.trials[3])
    assert [(frame.kind, frame.ms) for frame in frames] == [
        ("blank", 500), ("images", 500), *[("mask", 30)] * 5, ("question", None),
    ]  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), [
    ({"scored": 7}, r"scored = 7 must be even: exactly half of the images are real"),
    ({"start_ms": 50}, r"start_ms = 50 must lie between min_ms = 100 and max_ms = 1000"),
    ({"study": {"design": "within"}}, r"set \[study\] design = 'between'"),
])  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        make_protocol_design("timed_staircase", 20, **settings)


def test_no_exposure_tells_a_check_from_a_scored_trial_before_it_is_answered():
    study, images = make_protocol_design("timed_staircase", 60, practice=2, scored=12, checks={"share": 0.25})
    images += [
        dataclasses.replace(image, id=f"check-{image.source_id}", condition=CHECK)
        for image in images
        if image.condition == REAL
    ]
    protocol = study.protocol
    for place in allocate(study, images):
        plan = plan_session(study, images, place)
        as_scored = dataclasses.replace(
            plan, trials=tuple(dataclasses.replace(trial, phase="scored") for trial in plan.trials[2:])
        )
        times, alike = shown(plan, lambda _: True, protocol), shown(as_scored, lambda _: True, protocol)
        first = next(number for number, trial in enumerate(plan.trials) if trial.phase == "check")
        # The page holds the trial after the check before the check is answered.
        assert times[2 : first + 2] == alike[:first]
        assert times[first + 2] == times[first], "a check moves nothing"
