"""How far a session has come: the trials it was sent, what became of each, and which comes next."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from studies.protocols import Issued
from studies.records import Slot, Trial
from webapp.hosting import HostedStudy
from webapp.tables import EventRow, PlaceRow, ResponseRow, SessionRow, TrialRow

AHEAD = 2
"""Trials that the page holds at any time: the one it shows and the one it prefetches."""


def trial_from_json(stored: dict[str, Any]) -> Trial:
    """The trial, truth included, as it was planned when it was sent."""
    return Trial(**{**stored, "slots": tuple(Slot(**slot) for slot in stored["slots"])})


@dataclass
class Sent:
    """One trial that was sent to the page."""

    row: TrialRow
    trial: Trial
    events: dict[str, EventRow]
    """By kind: begun, ended, void."""
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
    answered = exists().where(ResponseRow.trial_id == TrialRow.id)
    void = exists().where(EventRow.trial_id == TrialRow.id, EventRow.kind == "void")
    query = select(TrialRow).where(TrialRow.session_id == session.id, ~answered, ~void).order_by(TrialRow.id)
    rows = db.scalars(query).all()
    events: dict[int, dict[str, EventRow]] = {row.id: {} for row in rows}
    for event in db.scalars(select(EventRow).where(EventRow.trial_id.in_(events))):
        events[event.trial_id][event.kind] = event
    return [Sent(row, trial_from_json(row.trial), events[row.id], None) for row in rows]


def read_settled(db: Session, session: SessionRow, trial_id: int) -> Sent | None:
    """A trial of this session that is answered or void already; None if there is no such trial."""
    row = db.get(TrialRow, trial_id)
    if row is None or row.session_id != session.id:
        return None
    events = db.scalars(select(EventRow).where(EventRow.trial_id == trial_id))
    response = db.scalar(select(ResponseRow).where(ResponseRow.trial_id == trial_id))
    return Sent(row, trial_from_json(row.trial), {event.kind: event for event in events}, response)


def send_ahead(hosted: HostedStudy, db: Session, progress: Progress) -> None:
    """Send trials until AHEAD are outstanding; with none left at all the session is finished."""
    if len(progress.outstanding) < AHEAD:
        db.flush()
        history = _history(db, progress.session)
        plan = hosted.plan(db.get_one(PlaceRow, progress.session.place_id))
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
    row = TrialRow(
        study=hosted.study.id,
        data=hosted.data,
        session_id=session.id,
        trial_index=trial.trial_index,
        attempt=trial.attempt,
        trial=dataclasses.asdict(trial),
        issued_at=hosted.clock(),
    )
    db.add(row)
    db.flush()
    return Sent(row, trial, {}, None)


def _history(db: Session, session: SessionRow) -> list[Issued]:
    """Every trial sent so far with what became of it: all that a protocol may know."""
    void = exists().where(EventRow.trial_id == TrialRow.id, EventRow.kind == "void")
    query = (
        select(TrialRow.trial, ResponseRow.choice, void)
        .outerjoin(ResponseRow, ResponseRow.trial_id == TrialRow.id)
        .where(TrialRow.session_id == session.id)
        .order_by(TrialRow.id)
    )
    return [Issued(trial_from_json(trial), choice, is_void) for trial, choice, is_void in db.execute(query)]


def add_event(hosted: HostedStudy, db: Session, sent: Sent, kind: str, detail: dict[str, Any]) -> None:
    """Store what the page reported; a kind that was reported before stays as it was."""
    if kind in sent.events:
        return
    event = EventRow(
        study=hosted.study.id,
        data=hosted.data,
        trial_id=sent.row.id,
        kind=kind,
        at=hosted.clock(),
        detail=detail,
    )
    db.add(event)
    sent.events[kind] = event


def void_unfinished(hosted: HostedStudy, db: Session, progress: Progress) -> None:
    """A pair that was on the screen when the page went away is spent."""
    spent: Sequence[Sent] = [
        s for s in progress.outstanding if "begun" in s.events and "ended" not in s.events
    ]
    for sent in spent:
        add_event(hosted, db, sent, "void", {"void_reason": "reload"})
    if spent:
        send_ahead(hosted, db, progress)
