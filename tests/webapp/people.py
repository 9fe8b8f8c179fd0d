"""People who walk through a hosted study by the server's own functions, and a clock that the test moves."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from studies.records import SessionPlan, Trial
from webapp import sessions, trials
from webapp.hosting import HostedStudy
from webapp.identity import worker_hash
from webapp.progress import trial_from_json
from webapp.tables import Base, PlaceRow, SessionRow, TrialRow
from webapp.trials import Answer, Display

MINUTE = 60_000


class Clock:
    """Milliseconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now

    def advance(self, minutes: float) -> None:
        self.now += round(minutes * MINUTE)


def display(void_reason: str = "", exposure_ms: float = 1000.0) -> Display:
    """What a page reports of a trial."""
    slots = {number: {"exposure_ms": exposure_ms, "max_frame_gap_ms": 16.7, "frames": 60} for number in "12"}
    values = {
        "slots": slots,
        "refresh_hz": 60.0,
        "device_pixel_ratio": 2.0,
        "zoom": 1.25,
        "pixel_scale": 3,
        "screen_px": "1920x1080",
        "window_px": "1280x720",
        "void_reason": void_reason,
    }
    return Display.model_validate(values)


def hashed(hosted: HostedStudy, worker_id: str) -> str:
    return worker_hash(hosted.config.secret_key, worker_id)


def arrive(hosted: HostedStudy, worker_id: str, token: str | None = None) -> str:
    """Open the link; returns the welcome."""
    return sessions.arrive(hosted, hashed(hosted, worker_id), token)[0]


def refusal(call: Any, *arguments: Any) -> tuple[int, str, str]:
    """Status, code and message with which a call is refused."""
    try:
        call(*arguments)
    except sessions.Refusal as error:
        return error.status, error.code, error.message
    raise AssertionError("it was granted")


@dataclass
class Person:
    """Somebody with a session, whose page is open."""

    hosted: HostedStudy
    worker_id: str
    session: str
    token: str
    page: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    """The server's last word."""

    @classmethod
    def begin(cls, hosted: HostedStudy, worker_id: str) -> Person:
        """Arrive, consent, open the page."""
        worker = hashed(hosted, worker_id)
        welcome, arrival = sessions.arrive(hosted, worker, None)
        assert welcome == "consent", welcome
        admission = sessions.claim(hosted, worker, arrival, "1-test")
        person = cls(hosted, worker_id, admission.session, admission.token)
        person.reload()
        return person

    def reload(self) -> dict[str, Any]:
        self.page = sessions.open_page(self.hosted, self.token)
        self.state = trials.current_state(self.hosted, self.token, self.page)
        return self.state

    @property
    def orders(self) -> list[dict[str, Any]]:
        return list(self.state["trials"])

    @property
    def ids(self) -> list[int]:
        return [order["id"] for order in self.orders]

    @property
    def stage(self) -> str:
        return str(self.state["stage"])

    def begun(self, trial: int | None = None) -> None:
        trials.begun(self.hosted, self.token, self.page, trial or self.ids[0])

    def ended(self, trial: int | None = None, void_reason: str = "") -> dict[str, Any]:
        return trials.ended(self.hosted, self.token, self.page, trial or self.ids[0], display(void_reason))

    def send(self, trial: int, choice: str = "first", **more: Any) -> dict[str, Any]:
        """Only the answer; the state that is kept does not move."""
        given = Answer.model_validate({"choice": choice, "rt_ms": 640.0, "input": "key", **more})
        return trials.answer(self.hosted, self.token, self.page, trial, given)

    def answer(self, choice: str = "first") -> dict[str, Any]:
        """A whole trial: begun, ended, answered."""
        trial = self.ids[0]
        self.begun(trial)
        self.ended(trial)
        self.state = self.send(trial, choice)
        return self.state

    def spoil(self, reason: str = "hidden") -> dict[str, Any]:
        """A trial during which the page was hidden."""
        trial = self.ids[0]
        self.begun(trial)
        self.state = self.ended(trial, reason)
        return self.state

    def walk(self, answers: int | None = None) -> Person:
        """Answer so many trials, or all that are left."""
        while self.orders and answers != 0:
            self.answer()
            answers = None if answers is None else answers - 1
        return self

    def image(self, address: str) -> bytes:
        return trials.image(self.hosted, self.token, address.removeprefix("/i/"))

    @property
    def row(self) -> SessionRow:
        with self.hosted.database.read() as db:
            return db.get_one(SessionRow, self.session)

    @property
    def place(self) -> PlaceRow:
        with self.hosted.database.read() as db:
            return db.get_one(PlaceRow, self.row.place_id)

    @property
    def plan(self) -> SessionPlan:
        return self.hosted.plan(self.place)

    def sent(self) -> list[Trial]:
        """Every trial that was sent, with its truth, in order."""
        with self.hosted.database.read() as db:
            query = select(TrialRow).where(TrialRow.session_id == self.session).order_by(TrialRow.id)
            return [trial_from_json(row.trial) for row in db.scalars(query)]

    def truth(self, trial: int) -> Trial:
        with self.hosted.database.read() as db:
            return trial_from_json(db.get_one(TrialRow, trial).trial)


def row_counts(hosted: HostedStudy) -> dict[str, int]:
    """Rows in each table."""
    with hosted.database.read() as db:
        return {
            table.name: db.execute(select(func.count()).select_from(table)).scalar_one()
            for table in Base.metadata.sorted_tables
        }


def dump(hosted: HostedStudy) -> str:
    """Everything in the database, as text."""
    with hosted.database.read() as db:
        return "\n".join(
            repr(row) for table in Base.metadata.sorted_tables for row in db.execute(select(table))
        )


def states(hosted: HostedStudy) -> dict[str, int]:
    """Sessions by state."""
    with hosted.database.read() as db:
        query = select(SessionRow.state).where(
            SessionRow.study == hosted.study.id, SessionRow.data == hosted.data
        )
        return dict(collections.Counter(db.scalars(query)))
