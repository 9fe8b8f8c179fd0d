"""An input and two outputs: whose is whose, and no input twice."""

import pytest

from studies.errors import UserError
from studies.plan import allocate, check_pool, plan_session, summarise
from studies.protocols import InputMatch
from studies.records import INPUT, Slot, Trial
from tests.studies.designs import make_design, make_protocol_design

COUNTS = {"practice": 2, "scored": 8, "reserve": 2}


def trial(target=1):
    slots = (Slot("x", "1", "alpha", 0, "left", 1000), Slot("y", "2", "alpha", 0, "right", 1000))
    return Trial("scored", 5, 0, "match", slots, target, Slot("z", "1", INPUT, 0, "centre", 1000))


def test_the_input_comes_first_and_then_both_outputs():
    frames = InputMatch().schedule(trial())
    assert [(frame.kind, frame.ms, frame.slots) for frame in frames] == [
        ("blank", 900, ()), ("images", 1000, (0,)), ("blank", 600, ()), ("images", 1000, (1, 2)), ("blank", 100, ()),
        ("question", None, ()),
    ]  # fmt: skip


def test_the_output_of_the_input_is_right():
    assert [InputMatch().grade(trial(target=2), choice) for choice in ("first", "second")] == [0.0, 1.0]
    assert InputMatch().truth(trial(target=2)) == {1: "other", 2: "match"}


@pytest.mark.parametrize("practice_images", ["rotating", "own"])
@pytest.mark.parametrize("inputs", [24, 25, 60])
def test_no_input_is_met_twice_in_a_session_in_any_role(inputs, practice_images):
    study, images = make_protocol_design(
        "input_match", inputs, **COUNTS, study={"practice_images": practice_images}
    )
    for place in allocate(study, images):
        plan = plan_session(study, images, place)
        met = [slot.source_id for one in (*plan.trials, *plan.reserve) for slot in one.slots]
        assert len(met) == len(set(met))
        assert all(len({slot.condition for slot in one.slots}) == 1 for one in plan.trials)


def test_a_small_pool_loses_its_reserve_before_it_is_refused():
    study, images = make_protocol_design("input_match", 20, **COUNTS)
    assert summarise(study, images, allocate(study, images)).reserve == 0
    with pytest.raises(UserError, match=r"19 inputs are too few: .* need at least 20"):
        check_pool(study, 19)


def test_a_study_without_inputs_is_refused():
    with pytest.raises(UserError, match=r"protocol 'input_match' shows the inputs: set \[reference\] inputs"):
        make_design(24, protocol={"name": "input_match"})
