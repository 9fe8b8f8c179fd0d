"""What every protocol in PROTOCOLS must do; a new one is picked up by itself."""

import dataclasses
import json
from pathlib import Path

import pytest

import studies.protocols
from studies.plan import allocate, plan_session
from studies.protocols import PROTOCOLS, Issued
from studies.records import REAL
from tests.studies.designs import make_design

COUNTS = {"practice": 2, "scored": 6, "reserve": 2}


@pytest.fixture(params=PROTOCOLS)
def planned(request):
    study, images = make_design(40, protocol={"name": request.param, **COUNTS})
    return study, plan_session(study, images, allocate(study, images)[0])


def test_the_registry_key_is_the_name_and_the_module():
    for key, protocol in PROTOCOLS.items():
        assert key == protocol.name == protocol.__module__.rsplit(".", 1)[-1]
    modules = {path.stem for path in Path(studies.protocols.__file__).parent.glob("*.py")} - {
        "__init__",
        "base",
    }
    assert modules == set(PROTOCOLS)


def test_a_plan_has_practice_then_scored_trials_and_a_reserve(planned):
    study, plan = planned
    assert [trial.phase for trial in plan.trials] == ["practice"] * 2 + ["scored"] * 6
    assert len(plan.reserve) == 2
    assert all(len(trial.slots) == study.protocol.images_per_trial for trial in plan.trials)


def test_a_schedule_ends_with_a_question_and_tells_nothing_of_the_truth(planned):
    study, plan = planned
    for trial in plan.trials:
        frames = study.protocol.schedule(trial)
        assert frames[-1].kind == "question"
        assert frames[-1].buttons
        assert all(frame.ms is not None and frame.ms >= 0 for frame in frames[:-1])
        assert sorted(slot for frame in frames if frame.kind == "images" for slot in frame.slots) == list(
            range(1, len(trial.slots) + 1)
        )
        sent = json.dumps([dataclasses.asdict(frame) for frame in frames])
        for slot in trial.slots:
            assert slot.image not in sent
            assert slot.source_id not in sent
            assert slot.condition == REAL or slot.condition not in sent


def test_a_schedule_is_the_same_if_real_and_fake_change_places(planned):
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
    for trial in plan.trials:
        buttons = study.protocol.schedule(trial)[-1].buttons
        outcomes = [study.protocol.grade(trial, button.value) for button in buttons]
        assert set(outcomes) <= {0.0, 0.5, 1.0}
        assert outcomes.count(1.0) == 1
        assert len({button.value for button in buttons}) == len(buttons)


def test_an_impossible_choice_is_refused(planned):
    study, plan = planned
    with pytest.raises(ValueError, match="no choice"):
        study.protocol.grade(plan.trials[0], "neither")


def test_trials_come_in_order_and_then_end(planned):
    study, plan = planned
    issued: list[Issued] = []
    while (trial := study.protocol.next_trial(plan, issued)) is not None:
        issued.append(Issued(trial, choice="first"))
    assert tuple(item.trial for item in issued) == plan.trials


def test_void_scored_trials_are_replaced_from_the_reserve_and_practice_is_not(planned):
    study, plan = planned
    issued = [Issued(trial, None, void=trial.trial_index in (0, 3, 5)) for trial in plan.trials]
    first = study.protocol.next_trial(plan, issued)
    assert (first.trial_index, first.attempt, first.slots) == (3, 1, plan.reserve[0].slots)
    issued.append(Issued(first, None, void=True))
    second = study.protocol.next_trial(plan, issued)
    assert (second.trial_index, second.attempt, second.slots) == (5, 1, plan.reserve[1].slots)
    issued.append(Issued(second, choice="first"))
    assert study.protocol.next_trial(plan, issued) is None


def test_a_void_replacement_is_replaced_again(planned):
    study, plan = planned
    issued = [Issued(trial, "first", void=False) for trial in plan.trials[:-1]] + [
        Issued(plan.trials[-1], void=True)
    ]
    issued.append(Issued(study.protocol.next_trial(plan, issued), void=True))
    again = study.protocol.next_trial(plan, issued)
    assert (again.trial_index, again.attempt) == (plan.trials[-1].trial_index, 2)
