"""How far a session has come: the trials it was sent, what became of each, and which comes next."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Table, Text, bindparam, cast, exists, select
from sqlalchemy.orm import Session

from studies.protocols import Issued
from studies.records import Slot, Trial
from webapp.hosting import HostedStudy
from webapp.tables import EventRow, PlaceRow, ResponseRow, SessionRow, TrialRow

AHEAD = 2
"""Trials that the page holds at any time: the one it shows and the one it prefetches."""

# Statements stand here ready made, and of columns instead of rows: all of this runs some hundred times per second.
_ANSWERED = exists().where(ResponseRow.trial_id == TrialRow.id).correlate(TrialRow)
_VOID = exists().where(EventRow.trial_id == TrialRow.id, EventRow.kind == "void").correlate(TrialRow)
OUTSTANDING = (TrialRow.session_id == bindparam("session"), ~_ANSWERED, ~_VOID)
"""Says of a trial that it is a session's, and neither answered nor void."""
_TRIAL_TEXT = cast(TrialRow.trial, Text)
_READ_OUTSTANDING = (
    select(TrialRow.id, _TRIAL_TEXT, EventRow.kind)
    .outerjoin(EventRow, EventRow.trial_id == TrialRow.id)
    .where(*OUTSTANDING)
    .order_by(TrialRow.id)
)
_READ_SHOWN = (
    select(SessionRow.page, TrialRow.id, _TRIAL_TEXT)
    .join(TrialRow, TrialRow.session_id == SessionRow.id)
    .where(
        SessionRow.token == bindparam("token"),
        SessionRow.study == bindparam("study"),
        SessionRow.data == bindparam("data"),
        SessionRow.state == "active",
        ~_ANSWERED,
        ~_VOID,
    )
)
_READ_HISTORY = (
    select(_TRIAL_TEXT, ResponseRow.choice, _VOID)
    .outerjoin(ResponseRow, ResponseRow.trial_id == TrialRow.id)
    .where(TrialRow.session_id == bindparam("session"))
    .order_by(TrialRow.id)
)
_TRIALS, _EVENTS = TrialRow.__table__, EventRow.__table__
assert isinstance(_TRIALS, Table)
assert isinstance(_EVENTS, Table)
_ADD_TRIAL = _TRIALS.insert().returning(_TRIALS.c.id)
_ADD_EVENT = _EVENTS.insert()


@lru_cache(maxsize=50_000)
def _trial_from_text(stored: str) -> Trial:
    """As `trial_from_json`; each worker process reads a session's trials again with every answer."""
    return trial_from_json(json.loads(stored))


def trial_from_json(stored: dict[str, Any]) -> Trial:
    """The trial, truth included, as it was planned when it was sent."""
    context = stored.get("context")
    return Trial(
        **{
            **stored,
            "slots": tuple(Slot(**slot) for slot in stored["slots"]),
            "context": Slot(**context) if context else None,
        }
    )


@dataclass
class Sent:
    """One trial that was sent to the page."""

    id: int
    """Number of the trial's row."""
    trial: Trial
    events: set[str]
    """Their kinds: begun, ended, void."""
    response: ResponseRow | None

    @property
    def outstanding(self) -> bool:
        """Neither answered nor void."""
        return self.response is None and "void" not in self.events


@dataclass
class Progress:
    """A session and what its page still has to do."""

    session: SessionRow
    waiting: list[Sent]
    """Trials that were sent, in order; those settled in this transaction are still among them."""

    @property
    def outstanding(self) -> list[Sent]:
        """Neither answered nor void, in order."""
        return [item for item in self.waiting if item.outstanding]


def load_progress(hosted: HostedStudy, db: Session, session: SessionRow) -> Progress:
    """Read what a session's page has to do, and send new trials until it has enough.

    A session with nothing left to do is finished here, in the transaction that stored its last answer.
    """
    progress = Progress(session, read_outstanding(db, session))
    if session.state == "active":
        send_ahead(hosted, db, progress)
    return progress


def read_outstanding(db: Session, session: SessionRow) -> list[Sent]:
    """The trials of a session that are neither answered nor void, in order; reads only."""
    found: dict[int, Sent] = {}
    for number, trial, kind in db.execute(_READ_OUTSTANDING, {"session": session.id}):
        if number not in found:
            found[number] = Sent(number, _trial_from_text(trial), set(), None)
        if kind is not None:
            found[number].events.add(kind)
    return list(found.values())


def read_shown(hosted: HostedStudy, db: Session, token_hash: str) -> list[tuple[str, int, Trial]]:
    """What images a session's page may fetch: the page's nonce, and each outstanding trial; reads only."""
    values = {"token": token_hash, "study": hosted.study.id, "data": hosted.data}
    return [
        (page, number, _trial_from_text(trial)) for page, number, trial in db.execute(_READ_SHOWN, values)
    ]


def read_settled(db: Session, session: SessionRow, trial_id: int) -> Sent | None:
    """A trial of this session that is answered or void already; None if there is no such trial."""
    row = db.get(TrialRow, trial_id)
    if row is None or row.session_id != session.id:
        return None
    events = db.scalars(select(EventRow.kind).where(EventRow.trial_id == trial_id))
    response = db.scalar(select(ResponseRow).where(ResponseRow.trial_id == trial_id))
    return Sent(row.id, trial_from_json(row.trial), set(events), response)


def send_ahead(hosted: HostedStudy, db: Session, progress: Progress) -> None:
    """Send trials until AHEAD are outstanding; with none left at all the session is finished."""
    if len(progress.outstanding) < AHEAD:
        db.flush()
        history = _history(db, progress.session)
        place = progress.session.place_id
        plan = hosted.known_plan(place) or hosted.plan(db.get_one(PlaceRow, place))
        while len(progress.outstanding) < AHEAD:
            trial = hosted.study.protocol.next_trial(plan, history)
            if trial is None:
                break
            progress.waiting.append(_send(hosted, db, progress.session, trial))
            history.append(Issued(trial))
    if not progress.outstanding:
        progress.session.state = "finished"
        progress.session.finished_at = hosted.clock()


def _send(hosted: HostedStudy, db: Session, session: SessionRow, trial: Trial) -> Sent:
    row = {
        "study": hosted.study.id,
        "data": hosted.data,
        "session_id": session.id,
        "trial_index": trial.trial_index,
        "attempt": trial.attempt,
        "trial": dataclasses.asdict(trial),
        "issued_at": hosted.clock(),
    }
    return Sent(db.execute(_ADD_TRIAL, row).scalar_one(), trial, set(), None)


def _history(db: Session, session: SessionRow) -> list[Issued]:
    """Every trial sent so far with what became of it: all that a protocol may know."""
    return [
        Issued(_trial_from_text(trial), choice, is_void)  # type: ignore[arg-type]  # the column holds choices
        for trial, choice, is_void in db.execute(_READ_HISTORY, {"session": session.id})
    ]


def add_event(hosted: HostedStudy, db: Session, sent: Sent, kind: str, detail: dict[str, Any]) -> None:
    """Store what the page reported; a kind that was reported before stays as it was."""
    if kind in sent.events:
        return
    row = {
        "study": hosted.study.id,
        "data": hosted.data,
        "trial_id": sent.id,
        "kind": kind,
        "at": hosted.clock(),
        "detail": detail,
    }
    db.execute(_ADD_EVENT, row)
    sent.events.add(kind)


def void_unfinished(hosted: HostedStudy, db: Session, progress: Progress) -> None:
    """A pair that was on the screen when the page went away is spent."""
    spent: Sequence[Sent] = [
        s for s in progress.outstanding if "begun" in s.events and "ended" not in s.events
    ]
    for sent in spent:
        add_event(hosted, db, sent, "void", {"void_reason": "reload"})
    if spent:
        send_ahead(hosted, db, progress)
