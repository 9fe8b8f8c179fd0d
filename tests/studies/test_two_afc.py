"""The original tool's times, masks, and both questions."""

import pytest

from studies.protocols import TwoAFC
from studies.records import Slot, Trial


def trial(index=5, question="fake"):
    slots = (Slot("x", "1", "real", 0, "right", 1000), Slot("y", "2", "cgan", 0, "left", 1000))
    return Trial("scored", index, 0, question, slots, 2 if question == "fake" else 1)


def onsets(protocol, at):
    """(kind, slots, start) of each frame, from the trial's begin."""
    time, found = 0, []
    for frame in protocol.schedule(at):
        found.append((frame.kind, frame.slots, time))
        time += frame.ms or 0
    return found


def test_the_times_are_those_of_the_original_tool():
    # index_template.html of phillipi/AMT_Real_vs_Fake: 900 on, 1900 off, 2500 on, 3500 off, prompt at 3600
    assert onsets(TwoAFC(), trial()) == [
        ("blank", (), 0), ("images", (1,), 900), ("blank", (), 1900), ("images", (2,), 2500), ("blank", (), 3500),
        ("question", (), 3600),
    ]  # fmt: skip


def test_the_very_first_trial_waits_300_ms_longer():
    assert [start for _, _, start in onsets(TwoAFC(), trial(index=0))] == [0, 1200, 2200, 2800, 3800, 3900]


def test_simultaneous_images_share_one_frame():
    kinds = onsets(TwoAFC(presentation="simultaneous"), trial())
    assert kinds == [("blank", (), 0), ("images", (1, 2), 900), ("blank", (), 1900), ("question", (), 2000)]


def test_a_mask_follows_each_image_and_the_second_onset_stays():
    assert onsets(TwoAFC(mask="noise"), trial()) == [
        ("blank", (), 0), ("images", (1,), 900), ("mask", (1,), 1900), ("blank", (), 2050), ("images", (2,), 2500),
        ("mask", (2,), 3500), ("blank", (), 3650), ("question", (), 3750),
    ]  # fmt: skip


@pytest.mark.parametrize(("question", "choice", "outcome"), [
    ("fake", "second", 1.0), ("fake", "first", 0.0), ("real", "first", 1.0), ("real", "second", 0.0),
])  # fmt: skip
def test_the_answer_is_graded_by_the_question(question, choice, outcome):
    assert TwoAFC().grade(trial(question=question), choice) == outcome


def test_the_buttons_stand_where_the_images_stood():
    buttons = TwoAFC().schedule(trial())[-1].buttons
    assert [(str(button.label), button.side, button.value) for button in buttons] == [
        ("Left", "left", "second"),
        ("Right", "right", "first"),
    ]
