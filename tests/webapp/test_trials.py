"""A trial's life on the server: sent, begun, ended, answered or void; and that nothing tells the truth too early."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.conftest import Hosting, make_named_study
from tests.webapp.people import Person, dump, refusal, row_counts
from webapp import export, sessions, trials
from webapp.hosting import HostedStudy

PRACTICE, SCORED = 2, 4


@pytest.fixture
def person(hosted: HostedStudy) -> Person:
    return Person.begin(hosted, "w1")


def test_a_whole_session_shows_its_plan_in_order_and_finishes(hosted: HostedStudy, person: Person) -> None:
    seen, planned = [], person.plan.trials
    while person.orders:
        order = person.orders[0]
        seen.append((order["phase"], order["number"], order["of"], order["attempt"], order["resume"]))
        assert person.state["position"] == {key: order[key] for key in ("phase", "number", "of")}
        assert person.stage == order["phase"]
        person.answer()
    practice = [("practice", number, PRACTICE, 0, "start") for number in (1, 2)]
    assert seen == practice + [("scored", number, SCORED, 0, "start") for number in (1, 2, 3, 4)]
    assert person.state == {"stage": "finished", "position": None, "trials": []}
    assert tuple(person.sent()) == planned
    assert person.row.state == "finished"
    assert person.row.finished_at == hosted.clock()


def test_the_page_holds_two_trials_and_the_answer_to_one_sends_the_one_after_next(person: Person) -> None:
    for left in (6, 5, 4, 3, 2, 1):
        ids = person.ids
        assert len(ids) == min(2, left)
        person.answer()
        assert person.ids[:1] == ids[1:]
    assert person.ids == []


def test_practice_answers_get_feedback_and_scored_answers_never_do(person: Person) -> None:
    for _ in range(PRACTICE):
        trial = person.truth(person.ids[0])
        reply = person.answer("first")
        truth = {str(n): "real" if s.condition == "real" else "fake" for n, s in enumerate(trial.slots, 1)}
        assert reply["feedback"] == {"correct": trial.target == 1, "truth": truth}
    for _ in range(SCORED):
        assert set(person.answer("first")) == {"stage", "position", "trials"}


def test_the_same_answer_twice_changes_nothing(hosted: HostedStudy, person: Person) -> None:
    trial = person.ids[0]
    first = person.answer("second")
    before = row_counts(hosted)
    again = person.send(trial, "second", rt_ms=1.0)
    assert again == first
    assert row_counts(hosted) == before
    assert export.responses(hosted)[0].rt_ms == 640.0


def test_another_answer_to_the_same_trial_is_refused(hosted: HostedStudy, person: Person) -> None:
    trial = person.ids[0]
    person.answer("second")
    before = dump(hosted)
    expected = (409, "answered", "This trial already has another answer.")
    assert refusal(person.send, trial, "first") == expected
    assert dump(hosted) == before


def test_the_last_answer_may_be_repeated_after_the_end(hosted: HostedStudy, person: Person) -> None:
    person.walk(5)
    trial = person.ids[0]
    last = person.answer("first")
    before = row_counts(hosted)
    assert person.send(trial, "first") == last
    assert refusal(person.send, trial, "second")[:2] == (409, "answered")
    assert row_counts(hosted) == before
    assert person.row.state == "finished"


def test_an_answer_before_the_trial_has_begun_is_refused(hosted: HostedStudy, person: Person) -> None:
    before = row_counts(hosted)
    expected = (409, "not_begun", "This trial has not begun.")
    assert refusal(person.send, person.ids[0]) == expected
    assert refusal(person.ended) == expected
    assert row_counts(hosted) == before


def test_an_answer_may_begin_the_next_trial_in_the_same_transaction(person: Person) -> None:
    person.walk(PRACTICE)
    first, second = person.ids
    person.begun(first)
    person.ended(first)
    reply = person.send(first, begins=second)
    assert [(order["id"], order["begun"]) for order in reply["trials"][:1]] == [(second, True)]
    assert person.send(first, begins=second) == reply  # the answer again, its reply was lost
    person.state = reply
    person.ended(second)  # it needs no report of its own
    person.state = person.send(second)
    assert person.orders[0]["begun"] is False
    assert refusal(person.ended)[1] == "not_begun"


def test_a_trial_that_began_with_an_answer_and_was_left_is_spent(person: Person) -> None:
    person.walk(PRACTICE)
    first, second = person.ids
    person.begun(first)
    person.ended(first)
    person.state = person.send(first, begins=second)
    person.reload()
    assert second not in person.ids
    rows = [row for row in export.responses(person.hosted) if row.void_reason]
    assert [(row.phase, row.void_reason) for row in rows] == [("scored", "reload")]


def test_an_answer_begins_no_trial_but_the_next_one(person: Person) -> None:
    other = Person.begin(person.hosted, "w2")
    for number in (other.ids[0], 10_000, person.ids[0]):
        trial = person.ids[0]
        person.begun(trial)
        person.ended(trial)
        person.state = person.send(trial, begins=number)
        assert not any(order["begun"] for order in person.orders)
    assert not any(order["begun"] for order in other.reload()["trials"])


def test_trials_out_of_order_are_refused(hosted: HostedStudy, person: Person) -> None:
    before, later = row_counts(hosted), person.ids[1]
    expected = (409, "order", "Another trial comes first.")
    assert refusal(person.begun, later) == expected
    assert refusal(person.ended, later) == expected
    assert refusal(person.send, later) == expected
    assert row_counts(hosted) == before


def test_a_trial_of_somebody_else_is_unknown(hosted: HostedStudy, person: Person) -> None:
    other = Person.begin(hosted, "w2")
    expected = (404, "unknown_trial", "This session has no such trial.")
    assert refusal(person.begun, other.ids[0]) == expected
    assert refusal(person.send, other.ids[0]) == expected
    assert refusal(person.begun, 10_000) == expected


def test_a_choice_that_the_protocol_does_not_know_is_refused(hosted: HostedStudy, person: Person) -> None:
    trial = person.ids[0]
    person.begun()
    person.ended()
    assert refusal(person.send, trial, "unsure") == (422, "choice", "two_afc has no choice 'unsure'")
    assert row_counts(hosted)["responses"] == 0
    assert person.send(trial, "first")["feedback"]


def test_an_answer_that_brings_its_display_needs_no_separate_report(
    hosted: HostedStudy, person: Person
) -> None:
    trial = person.ids[0]
    person.begun()
    person.send(trial, "first", display={"slots": {"1": {"exposure_ms": 990}}, "refresh_hz": 75})
    row = export.responses(hosted)[0]
    assert (row.exposure_ms_1, row.refresh_hz) == (990.0, 75.0)


def test_an_answer_whose_display_was_spoilt_makes_the_trial_void_and_is_not_stored(
    hosted: HostedStudy, person: Person
) -> None:
    trial = person.ids[0]
    person.begun()
    reply = person.send(trial, "first", display={"slots": {}, "void_reason": "hidden"})
    assert "feedback" not in reply
    assert trial not in [order["id"] for order in reply["trials"]]
    assert row_counts(hosted)["responses"] == 0
    expected = (409, "void", "This trial does not count.")
    assert refusal(person.send, trial) == expected


def test_a_hidden_page_makes_a_trial_void_and_the_reserve_replaces_it_after_the_last_planned_one(
    hosted: HostedStudy, person: Person
) -> None:
    person.walk(3)
    lost = person.truth(person.ids[0])
    person.spoil()
    assert [lost.trial_index, 4] == [3, person.truth(person.ids[0]).trial_index]
    person.walk()
    stand_in = person.sent()[-1]
    assert (stand_in.trial_index, stand_in.attempt, stand_in.phase) == (3, 1, "scored")
    assert stand_in.slots == person.plan.reserve[0].slots
    assert not {slot.image for slot in stand_in.slots} & {
        slot.image for trial in person.plan.trials for slot in trial.slots
    }
    rows = export.responses(hosted)
    assert [(row.trial_index, row.attempt, row.void_reason) for row in rows] == [
        (0, 0, ""),
        (1, 0, ""),
        (2, 0, ""),
        (3, 0, "hidden"),
        (4, 0, ""),
        (5, 0, ""),
        (3, 1, ""),
    ]
    assert person.row.state == "finished"


def test_a_replacement_shows_the_number_of_the_trial_that_it_replaces(person: Person) -> None:
    person.walk(3)
    number = person.orders[0]["number"]
    person.spoil()
    person.walk(2)
    (order,) = person.orders
    assert (order["phase"], order["number"], order["of"], order["attempt"]) == ("scored", number, 4, 1)


def test_a_void_trial_beyond_the_reserve_stays_missing_and_the_session_still_finishes(
    hosted: HostedStudy, person: Person
) -> None:
    from webapp.admin import condition_statuses

    person.walk(PRACTICE)
    person.spoil()
    person.spoil()
    person.walk()
    rows = export.responses(hosted)
    assert [(r.trial_index, r.attempt) for r in rows if not r.void_reason and r.phase == "scored"] == [
        (4, 0),
        (5, 0),
        (2, 1),
    ]
    assert person.row.state == "finished"
    (status,) = [s for s in condition_statuses(hosted) if s.started]
    assert (status.answers, status.void, status.missing, status.finished) == (3, 2, 1, 1)


def test_a_spoilt_replacement_has_no_further_one_when_the_reserve_is_used_up(person: Person) -> None:
    person.walk(PRACTICE)
    person.spoil()
    person.walk(3)
    assert person.truth(person.ids[0]).attempt == 1
    assert person.spoil()["stage"] == "finished"


def test_a_spoilt_replacement_is_replaced_with_the_next_attempt(hosting: Hosting, tmp_path: Path) -> None:
    person = Person.begin(
        hosting(where=make_named_study(tmp_path / "two", protocol={"scored": 3, "reserve": 2})), "w1"
    )
    person.walk(PRACTICE)
    person.spoil()
    person.walk(2)
    person.spoil()
    last = person.truth(person.ids[0])
    assert (last.trial_index, last.attempt) == (2, 2)
    assert last.slots == person.plan.reserve[1].slots
    assert person.walk().stage == "finished"


def test_a_void_practice_trial_is_not_replaced(person: Person) -> None:
    person.spoil()
    person.walk()
    assert [(trial.trial_index, trial.attempt) for trial in person.sent()] == [(i, 0) for i in range(6)]
    assert person.row.state == "finished"


def test_a_session_of_nothing_but_void_trials_still_finishes(hosted: HostedStudy, person: Person) -> None:
    spoilt = 0
    while person.orders:
        person.spoil()
        spoilt += 1
    assert spoilt == PRACTICE + SCORED + 1
    assert person.row.state == "finished"
    assert all(row.void_reason == "hidden" and row.choice == "" for row in export.responses(hosted))


def test_after_a_reload_an_ended_pair_resumes_at_its_question(person: Person) -> None:
    trial, later = person.ids
    person.begun()
    person.ended()
    person.reload()
    assert person.ids == [trial, later]
    assert [order["resume"] for order in person.orders] == ["question", "start"]
    assert person.send(trial, "first")["feedback"]


def test_after_a_reload_a_pair_not_yet_begun_is_issued_again_under_new_addresses(person: Person) -> None:
    before = person.orders
    person.reload()
    assert [order["id"] for order in person.orders] == [order["id"] for order in before]
    assert [order["resume"] for order in person.orders] == ["start", "start"]
    for old, new in zip(before, person.orders, strict=True):
        for slot in ("1", "2"):
            assert old["images"][slot] != new["images"][slot]
            spent = (410, "spent", "This address no longer works.")
            assert refusal(person.image, old["images"][slot]) == spent
            assert person.image(new["images"][slot])


def test_after_a_reload_a_pair_begun_and_unfinished_is_void_and_never_returns(
    hosted: HostedStudy, person: Person
) -> None:
    person.walk(3)
    lost = person.ids[0]
    images = {slot.image for slot in person.truth(lost).slots}
    person.begun()
    old = person.orders
    person.reload()
    assert lost not in person.ids
    assert person.ids[0] == old[1]["id"]
    assert refusal(person.send, lost) == (409, "void", "This trial does not count.")
    after = len(person.sent())
    person.walk()
    for trial in person.sent()[after:]:
        assert not images & {slot.image for slot in trial.slots}
    row = next(row for row in export.responses(hosted) if row.void_reason)
    assert (row.trial_index, row.void_reason, row.choice, row.outcome) == (3, "reload", "", None)


def test_many_reloads_without_a_display_cost_nothing(hosted: HostedStudy, person: Person) -> None:
    before = row_counts(hosted)
    for _ in range(5):
        person.reload()
    assert row_counts(hosted) == before


def test_a_reload_after_each_of_many_begun_pairs_ends_in_a_finished_session(person: Person) -> None:
    shown: list[int] = []
    while person.orders:
        shown.append(person.ids[0])
        person.begun()
        person.reload()
    assert len(shown) == len(set(shown)) == PRACTICE + SCORED + 1
    assert person.row.state == "finished"


def test_a_stale_page_is_refused(hosted: HostedStudy, person: Person) -> None:
    old = Person(hosted, "w1", person.session, person.token, person.page, person.state)
    person.reload()
    before = dump(hosted)
    expected = (409, "stale", "This study is open in another window.")
    assert refusal(old.begun) == expected
    assert refusal(old.ended) == expected
    assert refusal(old.send, old.ids[0]) == expected
    assert refusal(trials.current_state, hosted, old.token, old.page) == expected
    assert dump(hosted) == before
    old.reload()
    assert refusal(person.begun) == expected


def test_nobody_without_a_session_gets_anything(hosted: HostedStudy, person: Person) -> None:
    for token in (None, "", "guessed"):
        assert refusal(sessions.open_page, hosted, token)[:2] == (401, "unknown_session")
        assert refusal(trials.begun, hosted, token, person.page, person.ids[0])[:2] == (
            401,
            "unknown_session",
        )
    assert refusal(trials.image, hosted, None, "0" * 32)[:2] == (401, "unknown_session")


def test_a_token_of_one_kind_of_data_opens_nothing_in_another(hosting: Hosting) -> None:
    person = Person.begin(hosting("preview"), "w1")
    live = hosting("live")
    assert sessions.find_session(live, person.token) is None
    assert refusal(sessions.open_page, live, person.token)[:2] == (401, "unknown_session")


def test_an_image_address_works_until_its_trial_is_answered(person: Person) -> None:
    first, second = person.orders
    addresses = [*first["images"].values()]
    for _ in range(2):
        for address in addresses:
            assert person.image(address).startswith(b"\x89PNG")
    person.begun()
    person.ended()
    assert person.image(addresses[0])
    person.send(first["id"])
    for address in addresses:
        assert refusal(person.image, address) == (410, "spent", "This address no longer works.")
    assert person.image(second["images"]["1"])


def test_an_image_address_of_a_void_trial_no_longer_works(person: Person) -> None:
    addresses = [*person.orders[0]["images"].values()]
    person.spoil()
    for address in addresses:
        assert refusal(person.image, address)[:2] == (410, "spent")


def test_an_address_shows_the_image_of_its_slot(hosted: HostedStudy, person: Person) -> None:
    for order in person.orders:
        for number, slot in enumerate(person.truth(order["id"]).slots, 1):
            assert person.image(order["images"][str(number)]) == hosted.image_bytes(slot.image)


def test_another_sessions_address_looks_like_one_that_was_never_given_out(
    hosted: HostedStudy, person: Person
) -> None:
    other = Person.begin(hosted, "w2")
    address = person.orders[0]["images"]["1"]
    assert refusal(other.image, address) == refusal(other.image, "/i/" + "0" * 32)
    assert refusal(other.image, address)[0] == 410


@pytest.mark.parametrize("ending", ["stop", "finish"])
def test_no_address_works_after_the_session(hosted: HostedStudy, person: Person, ending: str) -> None:
    person.walk(5)
    address = person.orders[0]["images"]["1"]
    if ending == "stop":
        sessions.stop(hosted, person.token)
    else:
        person.walk()
    assert refusal(person.image, address)[:2] == (410, "spent")


def test_serving_an_image_writes_nothing(hosted: HostedStudy, person: Person) -> None:
    before = dump(hosted)
    for order in person.orders:
        for address in order["images"].values():
            person.image(address)
    refusal(person.image, "0" * 32)
    assert dump(hosted) == before


def test_addresses_are_new_for_every_page_and_never_shared(hosted: HostedStudy) -> None:
    addresses: list[str] = []
    for number in range(4):
        somebody = Person.begin(hosted, f"w{number}")
        for _ in range(3):
            somebody.reload()
            addresses += [a for order in somebody.orders for a in order["images"].values()]
    assert len(addresses) == len(set(addresses)) == 4 * 3 * 4


def test_events_that_come_twice_or_late_change_nothing(hosted: HostedStudy, person: Person) -> None:
    trial = person.ids[0]
    person.begun()
    before = dump(hosted)
    person.begun()
    assert dump(hosted) == before
    person.ended()
    before = dump(hosted)
    person.ended(void_reason="hidden")  # the first report stands
    person.begun()
    assert dump(hosted) == before
    person.state = person.send(trial)
    before = dump(hosted)
    person.begun(trial)
    person.ended(trial)
    person.ended(trial, "hidden")
    assert dump(hosted) == before
    assert export.responses(hosted)[0].void_reason == ""


def test_a_late_event_of_a_void_trial_changes_nothing(hosted: HostedStudy, person: Person) -> None:
    trial = person.ids[0]
    person.spoil("resized")
    before = dump(hosted)
    person.begun(trial)
    assert person.ended(trial) == person.state
    assert dump(hosted) == before
    assert export.responses(hosted)[0].void_reason == "resized"


def test_a_finished_session_stays_as_it_is(hosted: HostedStudy, person: Person) -> None:
    person.walk()
    before = row_counts(hosted)
    for _ in range(2):
        assert person.reload() == {"stage": "finished", "position": None, "trials": []}
    assert row_counts(hosted) == before


# What goes out to the page


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every key and every value of a JSON answer, as text, with where it stands."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}.{key}", str(key)
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{path}[]")
    else:
        yield path, str(value)


def assert_tells_nothing(reply: dict[str, Any], forbidden: set[str]) -> None:
    for path, text in leaves(json.loads(json.dumps(reply))):
        for word in forbidden:
            assert word not in text, f"{path} tells {word!r}"
        if not path.endswith(("schedule[].text", "asked")):  # the study's question, the same in every trial
            assert "real" not in text.lower(), f"{path} = {text}"
            assert "fake" not in text.lower(), f"{path} = {text}"


@pytest.mark.parametrize("question", ["fake", "real"])
def test_nothing_that_goes_out_tells_real_from_fake_before_a_practice_answer_or_ever_in_scored_trials(
    hosting: Hosting, tmp_path: Path, question: str
) -> None:
    hosted = hosting(where=make_named_study(tmp_path / "asked", study={"question": question}))
    secrets = {word for s in hosted.bundle.stimuli for word in (s.id, s.source_id, s.digest, s.file)}
    secrets |= {"alpha", "beta", "condition", "target", "outcome", "source", "run", hosted.study.id}
    texts = set()
    person = Person.begin(hosted, "w1")
    assert_tells_nothing(person.reload(), secrets)
    while person.orders:
        order = person.orders[0]
        person.begun()
        assert_tells_nothing(person.ended(), secrets)
        texts |= {frame["text"] for frame in order["schedule"] if "text" in frame}
        assert order["asked"] == question
        reply = person.send(order["id"])
        person.state = dict(reply)
        feedback = reply.pop("feedback", None)
        assert (feedback is not None) == (order["phase"] == "practice")
        assert_tells_nothing(reply, secrets)
    assert texts == {f"Which image was {question}?"}


def test_orders_of_real_first_and_fake_first_have_the_same_shape(hosted: HostedStudy) -> None:
    shapes: dict[bool, set[str]] = {True: set(), False: set()}
    for number in range(6):
        person = Person.begin(hosted, f"w{number}")
        while person.orders:
            order = dict(person.orders[0])
            fake_first = person.truth(order["id"]).slots[0].condition != "real"
            if order["number"] > 1:  # the very first has a longer blank
                sides = [s["side"] for f in order["schedule"] for s in f.get("slots", ())]
                shapes[fake_first].add(json.dumps([order["schedule"], sides], sort_keys=True))
            person.answer()
    assert shapes[True] == shapes[False]
    assert len(shapes[True]) == 2  # left first, right first


def test_files_of_real_and_fake_images_are_equally_long(hosted: HostedStudy) -> None:
    lengths = {len(hosted.image_bytes(stimulus.id)) for stimulus in hosted.bundle.stimuli}
    assert lengths == {hosted.bundle.file_length_bytes}
