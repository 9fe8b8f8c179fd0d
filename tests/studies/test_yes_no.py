"""One image at a time: half real, judged by what it is, for as long as one wants or for a time."""

from collections import Counter

import pytest

from studies.errors import UserError
from studies.plan import allocate, plan_session
from studies.protocols import PROTOCOLS, YesNo
from studies.records import REAL, Slot, Trial
from tests.studies.designs import make_protocol_design


def trial(condition="cgan", planned_ms=0):
    return Trial("scored", 5, 0, "real_or_fake", (Slot("x", "1", condition, 0, "centre", planned_ms),), None)


def test_without_a_time_the_image_stays_beside_the_question():
    blank, question = YesNo().schedule(trial())
    assert (blank.kind, blank.ms) == ("blank", 500)
    assert (question.kind, question.slots, question.ms) == ("question", (1,), None)
    assert str(question.text) == "Is this image real or fake?"


def test_with_a_time_the_image_goes_before_the_question():
    frames = YesNo(exposure_ms=250).schedule(trial(planned_ms=250))
    assert [(frame.kind, frame.ms, frame.slots) for frame in frames] == [
        ("blank", 500, ()), ("images", 250, (1,)), ("blank", 100, ()), ("question", None, ()),
    ]  # fmt: skip
    assert str(frames[-1].text) == "Was this image real or fake?"


@pytest.mark.parametrize(("condition", "choice", "outcome"), [
    ("cgan", "fake", 1.0), ("cgan", "real", 0.0), (REAL, "real", 1.0), (REAL, "fake", 0.0),
])  # fmt: skip
def test_an_answer_is_right_if_it_says_what_the_image_is(condition, choice, outcome):
    assert YesNo().grade(trial(condition), choice) == outcome


def test_exactly_half_of_every_session_is_real_and_every_input_comes_once_as_often_real_as_fake():
    study, images = make_protocol_design(
        "yes_no", 30, practice=4, scored=20, reserve=2, study={"participants_per_condition": 12}
    )
    roles = Counter()
    for place in allocate(study, images):
        plan = plan_session(study, images, place)
        scored = [one.slots[0] for one in plan.trials if one.phase == "scored"]
        assert sum(slot.condition == REAL for slot in scored) == 10
        assert sum(one.slots[0].condition == REAL for one in plan.trials if one.phase == "practice") == 2
        sources = [one.slots[0].source_id for one in (*plan.trials, *plan.reserve)]
        assert len(sources) == len(set(sources)) == 26
        roles.update((place.condition, slot.source_id, slot.condition == REAL) for slot in scored)
    for condition in ("alpha", "beta"):
        for number in range(30):
            # 12 places x 20 trials / 30 inputs = 8 views of each
            assert roles[condition, f"i{number}", True] == roles[condition, f"i{number}", False] == 4


def test_a_bonus_is_known_to_this_protocol_only():
    assert YesNo(bonus_per_correct_cents=2).bonus_per_correct_cents == 2
    assert YesNo().bonus_per_correct_cents == 0
    assert [name for name, protocol in PROTOCOLS.items() if protocol.pays_per_correct] == ["yes_no"]


@pytest.mark.parametrize(("settings", "message"), [
    ({"scored": 41}, "scored = 41 must be even"),
    ({"exposure_ms": 5}, r"exposure_ms = 5: 0 \(until the answer\) or at least 17, one frame"),
    ({"study": {"design": "within"}}, r"set \[study\] design = 'between'"),
])  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        make_protocol_design("yes_no", 20, **settings)
