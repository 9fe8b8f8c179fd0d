"""kill -9 of master and workers at every point of a trial's life: what was acknowledged is stored, all can go on.

One server is killed under many participants, each at another point, and started again: first in practice, then
among the scored trials.
"""

import collections
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from evalkit.cli.server import free_port
from tests.end_to_end.pausing_server import AFTER_COMMIT_MS, BEFORE_COMMIT_MS
from tests.end_to_end.visitor import Visitor
from tests.made_up_study import make_study
from webapp import export
from webapp.config import ServerConfig, load_secret_key
from webapp.db import Database
from webapp.hosting import HostedStudy, host
from webapp.tables import EventRow, ResponseRow

ROOT = Path(__file__).parents[2]
PLACES = 8
MakeVisitor = Callable[[str, str], Visitor]


class Server:
    """The server's processes, which share one process group."""

    def __init__(self, folder: Path, port: int, database_url: str, markers: Path) -> None:
        arguments = ["-m", "tests.end_to_end.pausing_server", str(folder), str(port), str(markers)]
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=os.environ | {"EVALKIT_DATABASE_URL": database_url},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if line.startswith("Ctrl-C"):  # it listens
                return
        pytest.fail("".join(said))

    def kill(self) -> None:
        """kill -9 of master and workers; returns once all are gone."""
        os.killpg(self.process.pid, signal.SIGKILL)
        assert self.process.stderr is not None
        self.process.stderr.read()  # the pipe closes when the last of them is dead
        self.process.stderr.close()
        self.process.wait()


@contextmanager
def running(folder: Path, port: int, database_url: str, markers: Path) -> Iterator[Server]:
    """A server that lives until the block ends, and then dies at once."""
    server = Server(folder, port, database_url, markers)
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_study(
        tmp_path / "small",
        inputs=20,
        study={"participants_per_condition": PLACES // 2},
        protocol={"practice": 2, "scored": 3, "reserve": 2},
    )


@pytest.fixture
def hosted(folder: Path, database_url: str) -> Iterator[HostedStudy]:
    """The test's own look into the same database."""
    hosted = host(ServerConfig(folder, "live", load_secret_key(folder), database_url))
    yield hosted
    hosted.database.close()


def hang(job: Callable[[], object], marker: Path) -> threading.Thread:
    """Send a request that never gets a reply; returns once the server stands still in it."""
    failed: list[BaseException] = []

    def send() -> None:
        try:
            job()
        except requests.ConnectionError as error:
            failed.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    deadline = time.monotonic() + 60
    while not marker.exists():
        assert thread.is_alive(), "it got a reply"
        assert time.monotonic() < deadline, f"the server never came to {marker.name!r}"
        thread.join(0.02)
    marker.unlink()
    return thread


def stored(database: Database) -> dict[int, str]:
    """Trial -> choice, as they are on disk."""
    with database.read() as db:
        return {row.trial_id: row.choice for row in db.scalars(select(ResponseRow))}


def void_reason(database: Database, trial: int) -> str:
    with database.read() as db:
        event = db.scalar(select(EventRow).where(EventRow.trial_id == trial, EventRow.kind == "void"))
        return str(event.detail["void_reason"]) if event else ""


class Crowd:
    """Participants, each named after the point at which the server dies under them."""

    def __init__(self, make: Callable[[str], Visitor]) -> None:
        names = ("page", "begun", "ended", "answered", "after commit", "before commit")
        self.at = {name: make(name).begin() for name in names}
        self.orders: dict[str, list[dict[str, object]]] = {}

    def go_to_their_points(self, markers: Path) -> list[threading.Thread]:
        """Everybody to the own point of the own current trial; the last two wait for a reply."""
        for name, person in self.at.items():
            self.orders[name] = person.state["trials"]
            if name != "page":
                person.begun()
            if name not in ("page", "begun"):
                person.ended()
        self.at["answered"].answer()
        waiting = []
        for name, pause_ms in (("after commit", AFTER_COMMIT_MS), ("before commit", BEFORE_COMMIT_MS)):
            person = self.at[name]
            path, body = f"/api/trials/{person.trial}/answer", {"choice": "second", "rt_ms": pause_ms}
            waiting.append(hang(lambda p=person, path=path, body=body: p.post(path, body), markers / name))
        return waiting

    def check_what_is_on_disk(self, database: Database) -> None:
        expected: dict[int, str] = {}
        for person in self.at.values():
            expected |= person.acknowledged
        committed = self.at["after commit"]
        assert stored(database) == expected | {committed.trial: "second"}

    def reload(self, database: Database) -> None:
        """Everybody loads the page again and finds what DESIGN 4 promises."""
        for name, person in self.at.items():
            current, following = (self.orders[name] + [{"id": None}])[:2]
            first = person.open_page()["trials"][0]
            resumes = {"page": (current, "start"), "ended": (current, "question")}
            resumes["before commit"] = (current, "question")
            trial, resume = resumes.get(name, (following, "start"))
            assert (first["id"], first["resume"]) == (trial["id"], resume), name
            assert void_reason(database, int(str(current["id"]))) == ("reload" if name == "begun" else ""), (
                name
            )
            old = [address for order in self.orders[name] for address in order["images"].values()]
            assert person.http.get(person.base_url + old[0], timeout=60).status_code == 410
            assert person.http.get(person.base_url + first["images"]["1"], timeout=60).status_code == 200

    def repeat_the_unanswered(self) -> None:
        """Who got no reply sends the same again: it is stored once, another choice is refused."""
        committed, lost = self.at["after commit"], self.at["before commit"]
        for person, name in ((committed, "after commit"), (lost, "before commit")):
            trial = int(str(self.orders[name][0]["id"]))
            path = f"/api/trials/{trial}/answer"
            reply = person.post(path, {"choice": "second", "rt_ms": 700})
            assert reply.status_code == 200, name
            person.acknowledged[trial] = "second"
            person.state = reply.json()
            assert ("feedback" in person.state) == (self.orders[name][0]["phase"] == "practice")
            contrary = person.post(path, {"choice": "first", "rt_ms": 700})
            assert (contrary.status_code, contrary.json()["error"]) == (409, "answered")


def test_whatever_the_moment_of_death_nothing_acknowledged_is_lost_and_all_finish_in_an_exact_quota(
    folder: Path, hosted: HostedStudy, database_url: str, tmp_path: Path, visitor: MakeVisitor
) -> None:
    markers = tmp_path / "markers"
    markers.mkdir()
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    with running(folder, port, database_url, markers):
        crowd = Crowd(lambda name: visitor(base_url, name))
        newcomer = visitor(base_url, "consent")
        newcomer.open_link()
        (markers / "consent").touch()
        waiting = [hang(newcomer.consent, markers / "after claim")]
        waiting += crowd.go_to_their_points(markers)
    for thread in waiting:
        thread.join(60)
    crowd.check_what_is_on_disk(hosted.database)

    with running(folder, port, database_url, markers):
        crowd.reload(hosted.database)
        crowd.repeat_the_unanswered()
        assert newcomer.consent().url == f"{base_url}/session"  # the reply was lost, the session was not
        newcomer.open_page()
        people = [*crowd.at.values(), newcomer]
        for person in people:  # on to the scored trials
            while person.state["trials"][0]["phase"] == "practice":
                person.whole_trial()
        waiting = crowd.go_to_their_points(markers)
    for thread in waiting:
        thread.join(60)
    assert newcomer.acknowledged.items() <= stored(hosted.database).items()

    with running(folder, port, database_url, markers):
        crowd.reload(hosted.database)
        crowd.repeat_the_unanswered()
        newcomer.open_page()
        last = visitor(base_url, "last").begin()
        late = visitor(base_url, "late").open_link()
        assert (late.status_code, "All places are taken" in late.text) == (403, True)
        people.append(last)
        assert [person.finish() for person in people] == ["finished"] * PLACES

    rows = export.sessions(hosted)
    assert {row.state for row in rows} == {"finished"}
    assert collections.Counter(row.condition for row in rows) == {"alpha": PLACES // 2, "beta": PLACES // 2}
    acknowledged = {trial: choice for person in people for trial, choice in person.acknowledged.items()}
    assert stored(hosted.database) == acknowledged
    responses = export.responses(hosted)
    voids = [(row.phase, row.trial_index, row.attempt) for row in responses if row.void_reason]
    assert sorted(voids) == [("practice", 0, 0), ("scored", 2, 0)]
    assert [(row.trial_index, row.attempt) for row in responses if row.attempt] == [(2, 1)]
    assert sum(row.phase == "scored" and not row.void_reason for row in responses) == PLACES * 3
