"""How long a place is kept: signs of life, places given back by others, and what a paused or closed study does."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.webapp.conftest import Hosting
from tests.webapp.people import Clock, Person, arrive, dump, hashed, refusal, states
from webapp import export, sessions
from webapp.app import create_app
from webapp.config import ServerConfig, load_secret_key
from webapp.hosting import HostedStudy, host, prepare
from webapp.tables import SessionRow, StudyRow
from webapp.views.api import PAGE_HEADER

PLACES = 6


def fill(hosted: HostedStudy, count: int = PLACES) -> list[Person]:
    return [Person.begin(hosted, f"filler-{number}") for number in range(count)]


def alive(person: Person) -> str:
    return sessions.alive(person.hosted, person.token, person.page)


def set_state(hosted: HostedStudy, state: str) -> None:
    with hosted.database.write() as db:
        db.get_one(StudyRow, (hosted.study.id, hosted.data)).state = state


# Heartbeat


def test_a_heartbeat_keeps_the_place_of_somebody_who_reads_for_long(
    hosted: HostedStudy, clock: Clock
) -> None:
    reader, silent = fill(hosted)[:2]
    for _ in range(60):
        clock.advance(1)
        assert alive(reader) == "active"
    late = Person.begin(hosted, "late")
    assert late.row.place_id == silent.row.place_id
    assert (reader.row.state, silent.row.state, silent.row.end_reason) == ("active", "expired", "lease")
    assert reader.walk().stage == "finished"


def test_a_heartbeat_right_after_an_answer_writes_nothing(hosted: HostedStudy, clock: Clock) -> None:
    person = Person.begin(hosted, "w1").walk(1)
    before = dump(hosted)
    clock.advance(0.25)
    assert alive(person) == "active"
    assert dump(hosted) == before
    clock.advance(0.5)
    alive(person)
    assert person.row.lease_until == clock.now + 30 * 60_000


def test_heartbeats_and_answers_do_not_wait_for_those_who_claim(
    folder: Path, empty_postgresql: str, clock: Clock
) -> None:
    hosted = host(ServerConfig(folder, "live", load_secret_key(folder), empty_postgresql), clock)
    prepare(hosted)
    person = Person.begin(hosted, "w1")
    clock.advance(5)
    with hosted.database.write() as db:
        sessions._lock_study(hosted, db)  # as a claim holds it; whoever needed it would wait for ever
        assert alive(person) == "active"
        person.walk(1)
        person.reload()
    hosted.database.close()


def test_a_heartbeat_of_an_older_window_is_refused_and_keeps_nothing(
    hosted: HostedStudy, clock: Clock
) -> None:
    person = Person.begin(hosted, "w1")
    older = person.page
    person.reload()
    lease = person.row.lease_until
    clock.advance(5)
    assert refusal(sessions.alive, hosted, person.token, older)[:2] == (409, "stale")
    assert refusal(sessions.alive, hosted, "no such token", person.page)[:2] == (401, "unknown_session")
    assert person.row.lease_until == lease


def test_a_heartbeat_does_not_bring_an_expired_session_back_by_itself(
    hosted: HostedStudy, clock: Clock
) -> None:
    person = Person.begin(hosted, "w1")
    clock.advance(31)
    arrive(hosted, "w2")
    assert alive(person) == "expired"
    person.reload()
    assert alive(person) == "active"


def test_images_and_the_entry_link_are_no_signs_of_life(hosted: HostedStudy, clock: Clock) -> None:
    person = Person.begin(hosted, "w1")
    lease = person.row.lease_until
    clock.advance(10)
    person.image(person.orders[0]["images"]["1"])
    assert arrive(hosted, "w1", person.token) == "resumed"
    assert person.row.lease_until == lease


def test_the_page_says_over_http_that_it_is_there(hosted: HostedStudy, clock: Clock) -> None:
    person = Person.begin(hosted, "w1")
    client: FlaskClient = create_app(hosted).test_client()
    with client.session_transaction() as cookie:
        cookie["token"] = person.token
    clock.advance(7)
    reply = client.post("/api/alive", headers={PAGE_HEADER: person.page}, json={})
    assert (reply.status_code, reply.json) == (200, {"stage": "active"})
    assert person.row.lease_until == clock.now + 30 * 60_000
    assert client.post("/api/alive", json={}).status_code == 409
    elsewhere = {PAGE_HEADER: person.page, "Origin": "https://elsewhere.example"}
    assert client.post("/api/alive", headers=elsewhere, json={}).status_code == 403


# Places given back by others


def test_a_released_place_goes_with_its_list_to_the_next_and_its_owner_cannot_take_it_back(
    hosted: HostedStudy,
) -> None:
    gone = Person.begin(hosted, "w1").walk(3)
    assert sessions.release(hosted, gone.session, "stopped", "RETURNED") is True
    heir = Person.begin(hosted, "w2")
    assert heir.row.place_id == gone.row.place_id
    assert gone.reload() == {"stage": "stopped", "position": None, "trials": []}
    assert gone.row.end_reason == "RETURNED"
    assert heir.walk().stage == "finished"
    assert len([row for row in export.sessions(hosted) if row.state == "finished"]) == 1


def test_who_was_released_in_the_middle_of_a_trial_is_refused_and_what_was_answered_stays(
    hosted: HostedStudy,
) -> None:
    person = Person.begin(hosted, "w1").walk(3)
    trial = person.ids[0]
    person.begun()
    sessions.release(hosted, person.session, "stopped", "RETURNED")
    assert refusal(person.send, trial) == (409, "stopped", "This session is over.")
    assert len(export.responses(hosted)) == 3


def test_a_session_released_as_expired_goes_on_while_its_place_is_free(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1").walk(3)
    assert sessions.release(hosted, person.session, "expired", "TIMED-OUT")
    person.reload()
    assert (person.row.state, person.row.end_reason) == ("active", "")
    assert person.walk().stage == "finished"


def test_a_release_said_again_changes_nothing(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1")
    sessions.release(hosted, person.session, "stopped", "RETURNED")
    before = dump(hosted)
    assert sessions.release(hosted, person.session, "stopped", "other") is False
    assert sessions.release(hosted, person.session, "expired", "other") is False
    assert dump(hosted) == before


def test_a_finished_session_is_never_released(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1").walk()
    before = dump(hosted)
    for state in ("stopped", "expired"):
        assert sessions.release(hosted, person.session, state, "late") is False
    assert dump(hosted) == before


def test_an_expired_session_that_is_released_as_stopped_does_not_come_back(
    hosted: HostedStudy, clock: Clock
) -> None:
    person = Person.begin(hosted, "w1")
    clock.advance(31)
    arrive(hosted, "w2")
    assert sessions.release(hosted, person.session, "stopped", "RETURNED")
    assert person.reload()["stage"] == "stopped"


def test_a_release_knows_only_sessions_of_its_own_data(hosting: Hosting) -> None:
    live, preview = hosting("live"), hosting("preview")
    person = Person.begin(live, "w1")
    assert sessions.release(preview, person.session, "stopped", "x") is False
    assert sessions.release(live, "no such session", "stopped", "x") is False
    assert person.row.state == "active"


def test_who_was_replaced_meets_a_kind_page_and_not_that_they_stopped(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1")
    sessions.release(hosted, person.session, "stopped", "RETURNED")
    client = create_app(hosted).test_client()
    with client.session_transaction() as cookie:
        cookie["token"] = person.token
    page = client.get("/session").get_data(as_text=True)
    assert "your place went to somebody else" in page
    assert hosted.study.ethics.pay in page
    assert "You have stopped" not in page


# Paused and closed


@pytest.mark.parametrize("state", ["paused", "closed"])
def test_a_study_that_takes_nobody_new_refuses_arrivals_and_claims_and_lets_running_sessions_finish(
    hosted: HostedStudy, state: str
) -> None:
    running, reading = Person.begin(hosted, "w1").walk(2), hashed(hosted, "reads the consent")
    _, arrival = sessions.arrive(hosted, reading, None)
    set_state(hosted, state)
    assert arrive(hosted, "new") == state
    assert refusal(sessions.claim, hosted, reading, arrival, "1")[:2] == (403, state)
    assert arrive(hosted, "w1", running.token) == "resumed"
    running.reload()
    assert running.walk().stage == "finished"
    assert [row.outcome for row in export.arrivals(hosted)] == ["admitted", state, state, "resumed"]
    assert states(hosted) == {"finished": 1}


def test_a_paused_study_goes_on_where_it_was(hosted: HostedStudy) -> None:
    set_state(hosted, "paused")
    assert arrive(hosted, "w1") == "paused"
    set_state(hosted, "open")
    assert Person.begin(hosted, "w1").walk().stage == "finished"


def test_a_consent_sent_again_after_the_pause_finds_the_session_of_the_first(hosted: HostedStudy) -> None:
    worker, token = hashed(hosted, "w1"), sessions.new_token()
    first = sessions.claim(hosted, worker, None, "1", token)
    set_state(hosted, "paused")
    assert sessions.claim(hosted, worker, None, "1", token) == first


@pytest.mark.parametrize(("state", "stage"), [("paused", "practice"), ("closed", "expired")])
def test_an_expired_session_may_go_on_in_a_pause_but_not_after_the_close(
    hosted: HostedStudy, clock: Clock, state: str, stage: str
) -> None:
    person = Person.begin(hosted, "w1")
    clock.advance(31)
    arrive(hosted, "w2")
    set_state(hosted, state)
    assert person.reload()["stage"] == stage


@pytest.mark.parametrize(
    ("state", "title"), [("paused", "The study is taking a break"), ("closed", "The study is over")]
)
def test_a_study_that_takes_nobody_new_says_so_kindly(hosted: HostedStudy, state: str, title: str) -> None:
    set_state(hosted, state)
    reply = create_app(hosted).test_client().get("/?worker_id=w1")
    page = reply.get_data(as_text=True)
    assert reply.status_code == 403
    assert title in page
    assert "Thank you for your interest" in page


def test_the_reason_of_a_stop_is_the_participants_own(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1")
    sessions.stop(hosted, person.token)
    with hosted.database.read() as db:
        assert db.get_one(SessionRow, person.session).end_reason == "participant"
