"""Many people at the same moment: no place is given out twice, none is lost, nobody meets an error."""

import collections
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from evalkit.cli.server import background_server
from tests.end_to_end.visitor import Visitor
from tests.made_up_study import make_study
from webapp import export, freeze, sessions
from webapp.config import ServerConfig, load_secret_key
from webapp.hosting import HostedStudy, host, prepare
from webapp.identity import worker_hash

PLACES, ARRIVALS = 40, 50

MakeVisitor = Callable[[str, str], Visitor]


@pytest.fixture
def hosted(tmp_path: Path, database_url: str) -> Iterator[HostedStudy]:
    """2 algorithms x 20 places."""
    folder = make_study(tmp_path / "crowded", study={"participants_per_condition": PLACES // 2})
    hosted = host(ServerConfig(folder, "live", load_secret_key(folder), database_url))
    prepare(hosted)
    yield hosted
    hosted.database.close()


def all_at_once(jobs: list[Callable[[], object]]) -> list[object]:
    """Run all jobs from one starting gun on; returns what each returned."""
    gun = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> object:
        gun.wait(60)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def per_condition(hosted: HostedStudy) -> dict[str, int]:
    return dict(collections.Counter(row.condition for row in export.sessions(hosted)))


def test_fifty_arrivals_at_once_for_forty_places_give_exactly_forty_balanced_sessions(
    hosted: HostedStudy, visitor: MakeVisitor
) -> None:
    with background_server(hosted.config, workers=2) as base_url:
        crowd = [visitor(base_url, f"w{number}") for number in range(ARRIVALS)]
        links = all_at_once([each.open_link for each in crowd])
        assert {reply.status_code for reply in links if isinstance(reply, requests.Response)} == {200}
        replies = all_at_once([each.consent for each in crowd])
        assert all(isinstance(reply, requests.Response) for reply in replies)
        codes = collections.Counter(reply.status_code for reply in replies)
        assert codes == {200: PLACES, 403: ARRIVALS - PLACES}
        for reply in replies:
            assert isinstance(reply, requests.Response)
            if reply.status_code == 403:
                assert "All places are taken" in reply.text
                assert "you are welcome to try the link later" in reply.text
            else:
                assert reply.url == f"{base_url}/session"
        admitted = [each for each, reply in zip(crowd, replies, strict=True) if reply.status_code == 200]
        states = all_at_once([each.open_page for each in admitted])
        assert all(len(state["trials"]) == 2 for state in states if isinstance(state, dict))
        late = visitor(base_url, "late").open_link()
        assert (late.status_code, "All places are taken" in late.text) == (403, True)
    rows = export.sessions(hosted)
    assert len(rows) == len({row.worker for row in rows}) == PLACES
    assert per_condition(hosted) == {"alpha": PLACES // 2, "beta": PLACES // 2}
    assert len({(row.condition, row.place_index) for row in rows}) == PLACES
    outcomes = collections.Counter(row.outcome for row in export.arrivals(hosted))
    assert outcomes == {"admitted": PLACES, "full": ARRIVALS - PLACES + 1}


def claim(hosted: HostedStudy, worker_id: str, token: str | None = None) -> str:
    worker = worker_hash(hosted.config.secret_key, worker_id)
    try:
        return sessions.claim(hosted, worker, None, "1", token).session
    except sessions.Refusal as refusal:
        return refusal.code


def test_twenty_threads_that_claim_at_once_get_twenty_places_in_balance(hosted: HostedStudy) -> None:
    got = all_at_once([lambda number=number: claim(hosted, f"w{number}") for number in range(20)])
    assert len(set(got)) == 20
    assert per_condition(hosted) == {"alpha": 10, "beta": 10}
    places = {(row.condition, row.place_index) for row in export.sessions(hosted)}
    assert places == {(name, index) for name in ("alpha", "beta") for index in range(10)}


def test_two_hundred_claims_at_once_fill_a_hundred_places_of_four_algorithms_exactly(
    tmp_path: Path, database_url: str
) -> None:
    more = {name: {"images": [f"images/{of}"]} for name, of in (("gamma", "alpha"), ("delta", "beta"))}
    folder = make_study(tmp_path / "huge", study={"participants_per_condition": 25}, conditions=more)
    hosted = host(ServerConfig(folder, "live", load_secret_key(folder), database_url))
    prepare(hosted)
    got = all_at_once([lambda number=number: claim(hosted, f"w{number}") for number in range(200)])
    assert got.count("full") == 100
    assert len(set(got)) == 101
    assert per_condition(hosted) == dict.fromkeys(("alpha", "beta", "gamma", "delta"), 25)
    assert len({(row.condition, row.place_index) for row in export.sessions(hosted)}) == 100
    hosted.database.close()


def test_the_last_places_are_not_given_out_twice(hosted: HostedStudy) -> None:
    for number in range(PLACES - 3):
        claim(hosted, f"early-{number}")
    got = all_at_once([lambda number=number: claim(hosted, f"w{number}") for number in range(12)])
    assert got.count("full") == 9
    assert per_condition(hosted) == {"alpha": 20, "beta": 20}


def test_first_sessions_that_begin_at_once_freeze_the_study_once(hosted: HostedStudy) -> None:
    folder, digests, rounds = hosted.config.folder, freeze.record(hosted.study, hosted.bundle), 6
    for _ in range(rounds):
        all_at_once([lambda at=at: freeze.write_frozen(folder, digests, at) for at in range(10)])
        assert freeze.in_force(folder)["parts"] == digests["parts"]
        (folder / freeze.FROZEN).unlink()
    assert not list(folder.glob(".frozen*"))


def test_one_worker_who_arrives_ten_times_at_once_gets_one_session(hosted: HostedStudy) -> None:
    got = all_at_once([lambda: claim(hosted, "the same")] * 10)
    assert got.count("returning") == 9
    assert len(export.sessions(hosted)) == 1
    assert claim(hosted, "another") not in ("full", "returning")


def test_a_consent_that_one_browser_sends_ten_times_at_once_is_granted_ten_times_over_one_session(
    hosted: HostedStudy,
) -> None:
    token = sessions.new_token()
    got = all_at_once([lambda: claim(hosted, "double click", token)] * 10)
    assert len(set(got)) == 1
    (row,) = export.sessions(hosted)
    assert got[0] == row.session


def test_a_double_click_on_the_last_place_is_not_told_that_all_is_full(hosted: HostedStudy) -> None:
    for number in range(PLACES - 1):
        claim(hosted, f"early-{number}")
    token = sessions.new_token()
    got = all_at_once([lambda: claim(hosted, "double click", token)] * 5)
    assert len(set(got)) == 1
    assert got[0] not in ("full", "returning")


def test_the_same_answer_sent_ten_times_at_once_is_stored_once(
    hosted: HostedStudy, visitor: MakeVisitor
) -> None:
    with background_server(hosted.config, workers=2) as base_url:
        person = visitor(base_url, "w1").begin()
        person.begun()
        person.ended()
        path, body = f"/api/trials/{person.trial}/answer", {"choice": "first", "rt_ms": 1}
        replies = all_at_once([lambda: person.post(path, body)] * 10)
        texts = {reply.text for reply in replies if isinstance(reply, requests.Response)}
        assert len(texts) == 1
        assert "feedback" in texts.pop()
        person.state = replies[0].json()
        contrary = [{"choice": choice, "rt_ms": 1} for choice in ("first", "second")] * 4
        person.begun()
        person.ended()
        path = f"/api/trials/{person.trial}/answer"
        both = all_at_once([lambda body=body: person.post(path, body) for body in contrary])
        codes = collections.Counter(reply.status_code for reply in both)
        assert codes == {200: 4, 409: 4}
    assert len(export.responses(hosted)) == 2
