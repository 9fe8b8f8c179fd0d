"""Two algorithms, one input: pairs, sides and the picture before; graded by the first-named."""

from collections import Counter

import pytest

from studies.errors import UserError
from studies.plan import allocate, plan_session
from studies.protocols import Preference
from studies.records import INPUT, REAL, Slot, Trial
from tests.studies.designs import make_design, make_protocol_design

COUNTS = {"practice": 2, "scored": 12, "reserve": 3}


def trial(target=1, context=None):
    slots = (Slot("x", "1", "alpha", 0, "right", 0), Slot("y", "1", "beta", 0, "left", 0))
    return Trial("scored", 5, 0, "better", slots, target, context)


def test_the_outcome_is_about_the_first_named_algorithm():
    protocol = Preference()
    assert [protocol.grade(trial(target=1), choice) for choice in ("first", "second")] == [1.0, 0.0]
    assert [protocol.grade(trial(target=2), choice) for choice in ("first", "second")] == [0.0, 1.0]
    assert "first in study.toml" in protocol.outcome


def test_every_two_algorithms_meet_equally_often_and_each_input_stays_with_itself():
    study, images = make_design(
        24,
        conditions=("alpha", "beta", "gamma"),
        study={"design": "within", "participants_per_condition": 12},
        protocol={"name": "preference", **COUNTS},
    )
    first_shown = Counter()
    for place in allocate(study, images):
        plan = plan_session(study, images, place)
        scored = [one for one in plan.trials if one.phase == "scored"]
        pairs = Counter(frozenset(slot.condition for slot in one.slots) for one in scored)
        assert set(pairs.values()) == {4}
        assert len(pairs) == 3
        assert all(one.slots[0].source_id == one.slots[1].source_id for one in scored)
        for one in scored:
            named = one.slots[one.target - 1].condition
            assert named == min(slot.condition for slot in one.slots)  # they are in alphabetical order here
            first_shown[named, one.target == 1] += 1
    assert first_shown["alpha", True] == first_shown["alpha", False]


def test_images_until_the_answer_stand_with_the_question_after_the_picture_before():
    protocol = Preference(criterion="closer", shown_before="input")
    context = Slot("z", "1", INPUT, 0, "centre", 1000)
    frames = protocol.schedule(trial(context=context))
    assert [(frame.kind, frame.ms, frame.slots) for frame in frames] == [
        ("blank", 700, ()), ("images", 1000, (0,)), ("blank", 500, ()), ("question", None, (1, 2)),
    ]  # fmt: skip
    assert str(frames[-1].text) == "Which image is closer to the first picture?"


def test_timed_images_come_in_turn_or_at_once():
    in_turn = Preference(presentation="sequential", exposure_ms=400).schedule(trial())
    assert [frame.slots for frame in in_turn if frame.kind == "images"] == [(1,), (2,)]
    at_once = Preference(exposure_ms=400).schedule(trial())
    assert [frame.slots for frame in at_once if frame.kind == "images"] == [(1, 2)]


@pytest.mark.parametrize(("shown_before", "condition"), [("input", INPUT), ("reference", REAL)])
def test_the_picture_before_is_the_input_or_the_real_image(shown_before, condition):
    study, images = make_protocol_design("preference", 24, **COUNTS, shown_before=shown_before)
    plan = plan_session(study, images, allocate(study, images)[0])
    assert {one.context.condition for one in plan.trials} == {condition}
    assert all(one.context.source_id == one.slots[0].source_id for one in plan.trials)


@pytest.mark.parametrize(("settings", "message"), [
    ({"criterion": "closer"}, "criterion = 'closer' needs a picture to be close to: set shown_before = 'input'"),
    ({"presentation": "sequential"}, r"exposure_ms = 0 \(until the answer\) needs presentation = 'simultaneous'"),
    ({"study": {"design": "between"}}, r"set \[study\] design = 'within'"),
])  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        make_protocol_design("preference", 24, **settings)


def test_one_algorithm_or_missing_inputs_are_refused():
    within = {"study": {"design": "within"}}
    with pytest.raises(UserError, match=r"add a second \[conditions\.NAME\]"):
        make_design(24, conditions=("alpha",), protocol={"name": "preference"}, **within)
    with pytest.raises(UserError, match=r"set \[reference\] inputs to their folder"):
        make_design(24, protocol={"name": "preference", "shown_before": "input"}, **within)
