"""Reports that Prolific sends: forged, repeated, late, odd; and the places that go back by them."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.serving import make_server

from tests.webapp.conftest import Hosting
from tests.webapp.fake_prolific import FakeProlific
from tests.webapp.on_prolific import HOOK, api, begin, panel_states, published, recruit
from tests.webapp.people import Clock, arrive, dump, row_counts, states
from webapp import payouts
from webapp.app import create_app
from webapp.hosting import HostedStudy


@pytest.fixture
def hosted(folder: Path, hosting: Hosting, prolific: FakeProlific, clock: Clock) -> HostedStudy:
    recruit(folder)
    clock.now = round(time.time() * 1000)
    return hosting()


@pytest.fixture
def url(hosted: HostedStudy) -> Iterator[str]:
    """The address of the endpoint, on a real server."""
    server = make_server("127.0.0.1", 0, create_app(hosted), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}{HOOK}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("state", "session"), [("RETURNED", "stopped"), ("TIMED-OUT", "expired"), ("TIMED_OUT", "expired")]
)
def test_who_leaves_on_the_panel_gives_the_place_back_at_once(
    hosted: HostedStudy, prolific: FakeProlific, url: str, state: str, session: str
) -> None:
    study = published(hosted, prolific)
    leaver, submission = begin(hosted, prolific, "leaver", study)
    for number in range(5):
        begin(hosted, prolific, f"p{number}", study)
    assert arrive(hosted, "newcomer") == "full"
    assert prolific.report(url, submission, state).json() == {"outcome": "done"}
    assert leaver.row.state == session
    assert arrive(hosted, "newcomer") == "consent"


def test_a_finished_session_keeps_its_place_whatever_is_reported(
    hosted: HostedStudy, prolific: FakeProlific, url: str
) -> None:
    study = published(hosted, prolific)
    person, submission = begin(hosted, prolific, "p", study)
    person.walk()
    for state in ("RETURNED", "TIMED-OUT"):
        assert prolific.report(url, submission, state).status_code == 200
    assert person.row.state == "finished"


def test_a_report_is_taken_once_and_a_late_one_changes_nothing(
    hosted: HostedStudy, prolific: FakeProlific, url: str
) -> None:
    study = published(hosted, prolific)
    _person, submission = begin(hosted, prolific, "p", study)
    now = time.time()
    assert prolific.report(url, submission, "RETURNED", event="e1", at=now).json() == {"outcome": "done"}
    before = dump(hosted)
    assert prolific.report(url, submission, "RETURNED", event="e1", at=now).json() == {"outcome": "known"}
    assert prolific.report(url, submission, "ACTIVE", event="e1", at=now).json() == {"outcome": "known"}
    assert dump(hosted) == before
    for number, state in enumerate(("RESERVED", "ACTIVE")):
        prolific.report(url, submission, state, event=f"late-{number}", at=now + 1)
    prolific.report(url, submission, "TIMED-OUT", event="earlier", at=now - 60)
    assert panel_states(hosted) == ["RETURNED"]
    assert states(hosted) == {"stopped": 1}


def test_the_same_report_many_times_at_once_counts_once(
    hosted: HostedStudy, prolific: FakeProlific, url: str
) -> None:
    study = published(hosted, prolific)
    _person, submission = begin(hosted, prolific, "p", study)
    outcomes: list[str] = []

    def send() -> None:
        outcomes.append(prolific.report(url, submission, "AWAITING REVIEW", event="e1").json()["outcome"])

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done"] + ["known"] * 5
    assert row_counts(hosted)["hooks"] == 1


def test_a_forged_or_old_report_is_refused_and_changes_nothing(
    hosted: HostedStudy, prolific: FakeProlific, url: str, clock: Clock
) -> None:
    study = published(hosted, prolific)
    _person, submission = begin(hosted, prolific, "p", study)
    body = json.dumps(
        {"resource_id": submission, "event_type": "submission.status.change", "status": "RETURNED"}
    ).encode()
    now, before = clock.now // 1000, dump(hosted)
    good = prolific.signed(body, "e", now)
    forged = [
        {},
        prolific.signed(body, "e", now, secret="guess"),
        prolific.signed(body, "e", now, secret=""),
        prolific.signed(body, "e", now - 301),
        prolific.signed(body, "e", now + 301),
        good | {"X-Prolific-Request-Timestamp": str(int(now) + 1)},
        good | {"X-Prolific-Request-Timestamp": "soon"},
        good | {"X-Prolific-Request-Timestamp": "9" * 300},
        good | {"X-Prolific-Request-Signature": ""},
        good | {"X-Prolific-Request-Signature": "é".encode().decode("latin-1")},
    ]
    for headers in forged:
        assert requests.post(url, data=body, headers=headers, timeout=20).status_code == 401, headers
    assert requests.post(url, data=body + b" ", headers=good, timeout=20).status_code == 401
    assert requests.post(url, data=b"x" * 70_000, headers=good, timeout=20).status_code == 413
    assert dump(hosted) == before
    assert requests.post(url, data=body, headers=good, timeout=20).json() == {"outcome": "done"}


def test_before_the_launch_no_report_is_believed(
    hosted: HostedStudy, prolific: FakeProlific, url: str
) -> None:
    for secret in ("", "anything"):
        assert prolific.report_raw(url, b"{}", secret=secret).status_code == 401


def test_odd_but_signed_reports_are_acknowledged_and_never_a_fault(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(hosted, prolific)
    _person, submission = begin(hosted, prolific, "p", study)
    client, before = create_app(hosted).test_client(), dump(hosted)
    anything = st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=20) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=6,
    )
    fields = {
        "event_type": anything | st.just("submission.status.change") | st.just("study.progress.change"),
        "resource_id": anything | st.just(submission) | st.just("sub\0"),
        "status": anything,
    }
    reports = st.fixed_dictionaries({}, optional=fields) | anything

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.binary(max_size=60) | reports.map(lambda report: json.dumps(report).encode()), st.text(max_size=20)
    )
    def send(body: bytes, event: str) -> None:
        headers = prolific.signed(body, "x", time.time()) | {
            "X-Event-ID": event.encode("utf-8", "replace")
            .decode("latin-1")
            .replace("\r", "")
            .replace("\n", "")
        }
        assert client.post(HOOK, data=body, headers=headers).status_code == 200

    send()
    send_deep = b"[" * 60_000
    assert (
        client.post(HOOK, data=send_deep, headers=prolific.signed(send_deep, "d", time.time())).status_code
        == 200
    )
    assert dump(hosted) == before


def test_reports_of_other_studies_in_the_workspace_leave_no_trace(
    hosted: HostedStudy, prolific: FakeProlific, url: str
) -> None:
    published(hosted, prolific)
    before = dump(hosted)
    elsewhere = prolific.add_submission("p", "another-study")
    assert prolific.report(url, elsewhere, "RETURNED").json() == {"outcome": "ignored"}
    body = {"event_type": "study.status.change", "resource_id": "another-study", "status": "PAUSED"}
    reply = prolific.report_raw(url, json.dumps(body).encode(), event="shared")
    assert reply.json() == {"outcome": "ignored"}
    assert dump(hosted) == before  # the other study may keep its reports in this database


def test_polling_finds_what_no_report_told_and_its_word_is_the_last(
    hosted: HostedStudy, prolific: FakeProlific, url: str
) -> None:
    study = published(hosted, prolific)
    people = {name: begin(hosted, prolific, name, study) for name in ("gone", "late", "back", "here")}
    prolific.add_submission("never came", study, "RETURNED")
    for name, state in (("gone", "RETURNED"), ("late", "TIMED-OUT")):
        prolific.set_state(people[name][1], state)
    prolific.report(url, people["back"][1], "AWAITING REVIEW")  # and is ACTIVE again in the list
    synced = payouts.sync(hosted, api(prolific))
    assert (len(synced.submissions), synced.state, synced.given_back) == (5, "ACTIVE", 2)
    assert panel_states(hosted) == ["RETURNED", "TIMED-OUT", "ACTIVE", "ACTIVE"]
    assert states(hosted) == {"stopped": 1, "expired": 1, "active": 2}
    again = payouts.sync(hosted, api(prolific))
    assert (again.changed, again.given_back) == (0, 0)


def test_whoever_the_panel_replaces_the_quota_stays_exact(
    hosted: HostedStudy, prolific: FakeProlific, url: str
) -> None:
    """Prolific fills a place again as soon as somebody leaves, without telling first: here, four times over."""
    study = published(hosted, prolific)
    finished = 0
    for number in range(24):
        if arrive(hosted, f"p{number}") != "consent":
            continue
        person, submission = begin(hosted, prolific, f"p{number}", study)
        if number % 4:
            prolific.report(url, submission, "RETURNED" if number % 2 else "TIMED-OUT")
        else:
            person.walk()
            finished += 1
    assert finished == states(hosted)["finished"] == 6
    assert "active" not in states(hosted)
    assert arrive(hosted, "too late") == "full"
