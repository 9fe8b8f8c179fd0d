"""Everything that can go wrong around a server, at once, under people who keep trying.

The short runs belong to `make test`; the long ones are marked and write their row into docs/reliability.md.
"""

import collections
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from benchmarks.serving import PostgreSQL, ServerProcess, study_server
from tests.made_up_study import make_study
from tests.reliability.bad_network import Faults, PatientVisitor, bad_network
from tests.reliability.figures import keep_row
from tests.webapp.conftest import Hosting
from tests.webapp.people import Clock, Person
from tests.webapp.test_views import Browser
from webapp import export
from webapp.config import ServerConfig, load_secret_key
from webapp.hosting import HostedStudy, host, prepare
from webapp.tables import ResponseRow, SessionRow


@dataclass(frozen=True)
class Ordeal:
    """How many people, and how long they are tormented."""

    people: int
    scored: int
    think_s: float
    kill_every_s: float
    restart_every_s: float
    limit_s: float


SHORT = Ordeal(people=6, scored=12, think_s=0.3, kill_every_s=1.0, restart_every_s=1.5, limit_s=150)
LONG = Ordeal(people=40, scored=40, think_s=0.4, kill_every_s=2.0, restart_every_s=10.0, limit_s=900)


class Tormentor(threading.Thread):
    """Kills a worker process every few seconds, and crashes the database where there is one to crash."""

    def __init__(self, server: ServerProcess, ordeal: Ordeal, database: PostgreSQL | None) -> None:
        super().__init__()
        self.server, self.ordeal, self.database = server, ordeal, database
        self.done = threading.Event()
        self.kills = self.restarts = 0

    def run(self) -> None:
        rng, next_restart = random.Random(2), time.monotonic() + self.ordeal.restart_every_s
        while not self.done.wait(self.ordeal.kill_every_s):
            if workers := self.server.workers():
                os.kill(rng.choice(workers).pid, signal.SIGKILL)
                self.kills += 1
            if self.database is not None and time.monotonic() > next_restart:
                self.database.control("restart", "-m", "immediate")
                self.restarts += 1
                next_restart = time.monotonic() + self.ordeal.restart_every_s

    def stop(self) -> None:
        self.done.set()
        self.join()


def torment(folder: Path, database_url: str, ordeal: Ordeal, database: PostgreSQL | None) -> list[Any]:
    """Run it, check all that must hold, and return the row of the table."""
    make_study(
        folder,
        inputs=2 * ordeal.scored + 16,
        study={"participants_per_condition": ordeal.people // 2},
        protocol={"practice": 2, "scored": ordeal.scored, "reserve": 3},
    )
    seen: Counter[int] = Counter()
    faults, deadline = Faults(), time.monotonic() + ordeal.limit_s
    with study_server(folder, database_url, 2) as server, bad_network(server.url, faults) as address:
        people = [PatientVisitor(address, f"w{n}", seen, deadline) for n in range(ordeal.people)]
        tormentor = Tormentor(server, ordeal, database)
        tormentor.start()
        start = time.monotonic()
        try:
            with ThreadPoolExecutor(len(people)) as pool:
                walks = [
                    pool.submit(person.take_part, random.Random(n), ordeal.think_s)
                    for n, person in enumerate(people)
                ]
                stages = [walk.result() for walk in walks]
        finally:
            tormentor.stop()
            for person in people:
                person.close()
        seconds = time.monotonic() - start
        late = PatientVisitor(server.url, "late", seen, deadline)
        assert late.open_link().status_code == 403  # every place is taken, and only once
        late.close()
    assert stages == ["finished"] * ordeal.people
    _check(folder, database_url, people, ordeal)
    assert tormentor.kills > 0
    assert seen[500] == 0
    assert min(faults.happened[what] for what in ("lost", "cut", "doubled", "late")) > 0
    if database is not None:
        assert tormentor.restarts > 0
    answers = sum(len(person.acknowledged) for person in people)
    return [ordeal.people, answers, round(seconds), tormentor.kills, tormentor.restarts, *(
        faults.happened[what] for what in ("lost", "cut", "doubled", "late")
    ), seen[503], 0, 0]  # fmt: skip


def _check(folder: Path, database_url: str, people: list[PatientVisitor], ordeal: Ordeal) -> None:
    hosted = host(ServerConfig(folder, "live", load_secret_key(folder), database_url))
    acknowledged = {trial: choice for person in people for trial, choice in person.acknowledged.items()}
    with hosted.database.read() as db:
        assert {row.trial_id: row.choice for row in db.scalars(select(ResponseRow))} == acknowledged
        holders = db.scalars(select(SessionRow.place_id)).all()
    assert len(set(holders)) == len(holders) == ordeal.people
    rows = export.sessions(hosted)
    assert {row.state for row in rows} == {"finished"}
    assert Counter(row.condition for row in rows) == dict.fromkeys(("alpha", "beta"), ordeal.people // 2)
    counted = [row for row in export.responses(hosted) if row.phase == "scored" and not row.void_reason]
    assert len({(row.session, row.trial_index) for row in counted}) == len(counted)
    hosted.database.close()


def test_killed_workers_and_a_bad_network_lose_and_double_nothing(tmp_path: Path) -> None:
    torment(tmp_path / "study", f"sqlite:///{tmp_path / 'database.sqlite'}", SHORT, None)


def test_a_crashing_postgresql_killed_workers_and_a_bad_network_lose_and_double_nothing(
    tmp_path: Path, own_postgresql: PostgreSQL
) -> None:
    torment(tmp_path / "study", own_postgresql.url, SHORT, own_postgresql)


@pytest.mark.reliability
@pytest.mark.timeout(1200)
def test_forty_people_through_killed_workers_and_a_bad_network(tmp_path: Path) -> None:
    row = torment(tmp_path / "study", f"sqlite:///{tmp_path / 'database.sqlite'}", LONG, None)
    keep_row("faults", "SQLite", row)


@pytest.mark.reliability
@pytest.mark.timeout(1200)
def test_forty_people_through_database_crashes_killed_workers_and_a_bad_network(
    tmp_path: Path, own_postgresql: PostgreSQL
) -> None:
    keep_row("faults", "PostgreSQL", torment(tmp_path / "study", own_postgresql.url, LONG, own_postgresql))


# A full disk


@contextmanager
def no_more_pages(hosted: HostedStudy) -> Iterator[None]:
    """SQLite may not grow: what a full disk looks like to it."""
    engine = hosted.database.engine

    def limit(connection: Any, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    engine.dispose()
    event.listen(engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(engine, "connect", limit)
        engine.dispose()


def answer_until_it_is_full(browser: Browser, state: dict[str, Any]) -> None:
    """Answers under a full database are refused with 503, are not stored, and are stored once there is room."""
    acknowledged: dict[int, str] = {}
    refused = 0
    with no_more_pages(browser.hosted):
        while state["trials"] and refused == 0:
            trial = state["trials"][0]["id"]
            for act, body in (("begun", {}), ("ended", DISPLAY), ("answer", ANSWER)):
                reply = browser.post(f"/api/trials/{trial}/{act}", body)
                if reply.status_code != 200:
                    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "5"), reply.text
                    refused += 1
                    break
            else:
                acknowledged[trial] = ANSWER["choice"]
                state = dict(reply.json or {})
        assert refused == 1, "it never became full"
        assert browser.get("/session").status_code == 200  # what only reads goes on
    assert stored(browser.hosted) == acknowledged
    while state["trials"]:  # the page tries the same again
        trial = state["trials"][0]["id"]
        for act, body in (("begun", {}), ("ended", DISPLAY), ("answer", ANSWER)):
            reply = browser.post(f"/api/trials/{trial}/{act}", body)
            assert reply.status_code == 200, reply.text
        acknowledged[trial] = ANSWER["choice"]
        state = dict(reply.json or {})
    assert state["stage"] == "finished"
    assert stored(browser.hosted) == acknowledged


SLOTS = {slot: {"exposure_ms": 1000.0, "fetch_ms": 12.5, "decode_ms": 1.5} for slot in "12"}
DISPLAY: dict[str, Any] = {"slots": SLOTS, "refresh_hz": 60.0, "screen_px": "1920x1080"}
ANSWER: dict[str, Any] = {"choice": "first", "rt_ms": 500.0, "display": DISPLAY}


def stored(hosted: HostedStudy) -> dict[int, str]:
    with hosted.database.read() as db:
        return {row.trial_id: row.choice for row in db.scalars(select(ResponseRow))}


def long_study(folder: Path) -> Path:
    return make_study(folder, inputs=60, protocol={"practice": 2, "scored": 40, "reserve": 3})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_may_not_grow_refuses_with_503_and_goes_on_once_it_may(
    hosting: Hosting, tmp_path: Path
) -> None:
    hosted = hosting(where=long_study(tmp_path / "long"))
    browser = Browser(hosted)
    answer_until_it_is_full(browser, browser.begin())


def test_a_database_that_is_away_is_told_by_503_on_every_kind_of_address(
    own_postgresql: PostgreSQL, folder: Path
) -> None:
    hosted = host(ServerConfig(folder, "live", load_secret_key(folder), own_postgresql.url))
    prepare(hosted)
    browser = Browser(hosted)
    state = browser.begin()
    trial = state["trials"][0]
    browser.post(f"/api/trials/{trial['id']}/begun")
    own_postgresql.control("stop", "-m", "immediate")
    replies = [
        browser.post(f"/api/trials/{trial['id']}/answer", ANSWER),
        browser.post("/api/page"),
        browser.get(trial["images"]["1"]),
        browser.get("/session"),
        browser.get("/?worker_id=w2"),
        browser.get("/ready"),
    ]
    assert [reply.status_code for reply in replies] == [503] * len(replies)
    assert all(reply.headers["Retry-After"] == "5" for reply in replies[:-1])
    assert not any("psycopg" in reply.text or "connection" in reply.text.lower() for reply in replies)
    own_postgresql.start()
    assert browser.post(f"/api/trials/{trial['id']}/answer", ANSWER).status_code == 200
    assert browser.get("/ready").status_code == 200
    hosted.database.close()


# A clock that jumps


@pytest.mark.parametrize("jump_minutes", [7, -7, 24 * 60, -24 * 60, 60 * 24 * 400])
def test_no_jump_of_the_clock_loses_an_answer_sticks_a_session_or_breaks_a_quota(
    hosted: HostedStudy, clock: Clock, jump_minutes: float
) -> None:
    people = [Person.begin(hosted, f"w{number}") for number in range(6)]
    for person in people[:3]:
        person.answer()
        clock.advance(jump_minutes)
        person.begun()
        clock.advance(-jump_minutes)
        person.ended()
        clock.advance(jump_minutes)
        person.state = person.send(person.ids[0])
    for person in people:
        person.reload()
        person.walk()
    assert [person.row.state for person in people] == ["finished"] * 6
    with hosted.database.read() as db:
        places = db.scalars(select(SessionRow.place_id)).all()
        answers = db.scalar(select(func.count()).select_from(ResponseRow))
        assert db.execute(text("SELECT 1")).scalar_one() == 1
    assert len(set(places)) == 6
    assert answers == 6 * 6
    assert collections.Counter(row.condition for row in export.sessions(hosted)) == {"alpha": 3, "beta": 3}
    assert all(row.outcome is not None for row in export.responses(hosted))
