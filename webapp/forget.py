"""Erasing a person: the id goes, the answers go or stay without a way back to anybody, as the study says."""

import secrets
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from studies.errors import UserError
from webapp import payments
from webapp.admin import note_act
from webapp.hosting import HostedStudy
from webapp.identity import key_digest, worker_hash
from webapp.tables import (
    ArrivalRow,
    EventRow,
    InviteRow,
    MoneyActRow,
    PaymentRow,
    ResponseRow,
    SessionRow,
    StudyRow,
    TrialRow,
)


@dataclass(frozen=True)
class Traces:
    """What one kind of data holds of a person."""

    session: str
    """Its id; empty if the person never began."""
    state: str
    answers: int
    comment: bool
    arrivals: int
    payment: bool
    """Whether there is a payment row, with or without the raw id."""
    paid_cents: int
    """What was paid, as far as it is recorded."""
    owed: bool
    """A finished session whose payment is not recorded as done."""

    def __str__(self) -> str:
        answers = f"{self.answers} answer{'' if self.answers == 1 else 's'}"
        parts = [f"a session ({self.state}, {answers}{', a comment' if self.comment else ''})"] * bool(
            self.session
        )
        parts += ["a payment row"] * self.payment
        parts += [f"{self.arrivals} arrival{'' if self.arrivals == 1 else 's'}"] * bool(self.arrivals)
        return ", ".join(parts)


def find(hosted: HostedStudy, worker_id: str) -> Traces | None:
    """What the hosted data hold of a person; None if nothing.

    Raises:
        UserError: The secret key is not the one that hashed these workers, so nobody could be found.
    """
    worker = _hash(hosted, worker_id)
    with hosted.database.read() as db:
        study = db.get(StudyRow, (hosted.study.id, hosted.data))
        if study is None:
            return None
        if study.key_digest != key_digest(hosted.config.secret_key):
            raise UserError(
                f"{hosted.config.folder}: the {hosted.data} data were collected under another secret key, so no worker can "
                "be found. Use the secret.key, or the EVALKIT_SECRET_KEY, of the server."
            )
        return _traces(hosted, db, worker)


def _hash(hosted: HostedStudy, worker_id: str) -> str:
    return worker_hash(hosted.config.secret_key, worker_id)


def _traces(hosted: HostedStudy, db: Session, worker: str) -> Traces | None:
    session = db.scalar(select(SessionRow).where(*_of(SessionRow, hosted, worker)))
    payment = db.scalar(select(PaymentRow).where(*_of(PaymentRow, hosted, worker)))
    arrivals = db.scalars(
        select(func.count()).select_from(ArrivalRow).where(*_of(ArrivalRow, hosted, worker))
    ).one()
    if session is None and payment is None and not arrivals:
        return None
    answers = select(func.count()).select_from(ResponseRow).join(TrialRow)
    done = select(MoneyActRow).where(
        MoneyActRow.payment_id == (payment.id if payment else None), MoneyActRow.state == "done"
    )
    paid = db.scalars(done).all()
    return Traces(
        session=session.id if session else "",
        state=session.state if session else "",
        answers=db.scalars(answers.where(TrialRow.session_id == session.id)).one() if session else 0,
        comment=bool(session and session.comment),
        arrivals=arrivals,
        payment=payment is not None,
        paid_cents=sum(act.amount_cents for act in paid),
        owed=payment is not None
        and session is not None
        and session.state == "finished"
        and all(act.act == "bonus" for act in paid),  # which comes on top
    )


Table = type[SessionRow] | type[PaymentRow] | type[ArrivalRow]


def _of(table: Table, hosted: HostedStudy, worker: str) -> tuple[ColumnElement[bool], ...]:
    return (table.study == hosted.study.id, table.data == hosted.data, table.worker == worker)


def elsewhere(hosted: HostedStudy, worker_id: str) -> list[str]:
    """Other studies of the same scope in this database that know the person."""
    scopes = (hosted.study.scope, hosted.scope)
    query = (
        select(SessionRow.study)
        .where(
            SessionRow.scope.in_(scopes),
            SessionRow.worker == _hash(hosted, worker_id),
            SessionRow.study != hosted.study.id,
        )
        .distinct()
    )
    with hosted.database.read() as db:
        return sorted(db.scalars(query))


def erase(hosted: HostedStudy, worker_id: str) -> Traces | None:
    """Erase a person from the hosted data, in one transaction; None if there is nothing (any more)."""
    worker, mode = _hash(hosted, worker_id), hosted.study.ethics.on_request
    with hosted.database.write() as db:
        db.get(
            StudyRow, (hosted.study.id, hosted.data), with_for_update=True
        )  # nobody claims the place meanwhile
        session = db.scalar(select(SessionRow).where(*_of(SessionRow, hosted, worker)).with_for_update())
        traces = _traces(hosted, db, worker)
        if traces is None:
            return None
        payments.erase(hosted, db, worker)
        if mode == "remove":
            _remove(hosted, db, worker, session)
        else:
            _anonymise(hosted, db, worker, session)
        note_act(hosted, db, "command line", "forget", _in_words(traces, mode))
    hosted.database.scrub()
    return traces


def _in_words(traces: Traces, mode: str) -> str:
    how = "removed" if mode == "remove" else "kept without a name"
    what = f"{traces.answers} answers {how}" if traces.session else "no session"
    paid = f"; recorded as paid: {traces.paid_cents} cents" if traces.paid_cents else ""
    return f"A person was erased on request: {what}{paid}."


def _remove(hosted: HostedStudy, db: Session, worker: str, session: SessionRow | None) -> None:
    """Everything goes; the place is free again."""
    db.execute(delete(ArrivalRow).where(*_of(ArrivalRow, hosted, worker)))
    if session is None:
        return
    trials = select(TrialRow.id).where(TrialRow.session_id == session.id)
    for table in (EventRow, ResponseRow):
        db.execute(delete(table).where(table.trial_id.in_(trials)))
    db.execute(delete(TrialRow).where(TrialRow.session_id == session.id))
    db.execute(delete(InviteRow).where(InviteRow.session_id == session.id))
    db.delete(session)
    db.flush()


def _anonymise(hosted: HostedStudy, db: Session, worker: str, session: SessionRow | None) -> None:
    """The answers stay under a random name; the session gets a new id, since completion codes come from the old."""
    nobody = secrets.token_hex(16)
    db.execute(update(ArrivalRow).where(*_of(ArrivalRow, hosted, worker)).values(worker=nobody))
    if session is None:
        return
    values = {column.name: getattr(session, column.name) for column in SessionRow.__table__.columns}
    # One place has one holder: the old row lets go before the new one takes over.
    session.state, ended = "stopped", session.state == "active"
    db.flush()
    values |= {
        "id": secrets.token_hex(16),
        "worker": nobody,
        "token": secrets.token_hex(32),
        "page": "",
        "comment": "",
    }
    if ended:
        values |= {"state": "stopped", "end_reason": "forgotten"}
    db.add(SessionRow(**values))
    db.flush()
    db.execute(update(TrialRow).where(TrialRow.session_id == session.id).values(session_id=values["id"]))
    spent = {"session_id": values["id"], "code_digest": secrets.token_hex(32)}
    db.execute(update(InviteRow).where(InviteRow.session_id == session.id).values(**spent))
    db.delete(session)
    db.flush()
