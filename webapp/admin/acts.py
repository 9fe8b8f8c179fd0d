"""What researchers do to a running study, and the audit log of it."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from studies.errors import UserError
from webapp import payments
from webapp.freeze import iso
from webapp.hosting import HostedStudy
from webapp.tables import AdminActRow, MoneyActRow, PaymentRow, PlaceRow, SessionRow, StudyRow

State = Literal["open", "paused", "closed"]
Who = Literal["dashboard", "command line"]

STATES: tuple[State, ...] = get_args(State)
ACT_OF = {"open": "resume", "paused": "pause", "closed": "close"}
"""What the audit log calls the step into a state."""


@dataclass(frozen=True)
class Act:
    """One line of the audit log."""

    at: str
    """ISO 8601, UTC."""
    who: str
    act: str
    detail: str


@dataclass(frozen=True)
class Running:
    """Where a study stands, apart from its numbers."""

    state: State
    begun: bool
    """Whether a first session has begun."""
    reveal_at: int | None
    """The moment that was chosen for showing fool rates; None = when the study is complete."""
    revealed: bool
    """Whether the dashboard may show fool rates now."""
    complete: bool
    """Every place is finished, or the study is closed."""
    active: int
    """Sessions that are in the middle, as far as their lease tells."""
    ids: int
    """Raw worker ids that are still kept, encrypted."""
    unpaid: int
    """Of those, finished sessions without a payment that is recorded as done."""


def note_act(hosted: HostedStudy, db: Session, who: Who, act: str, detail: str = "") -> None:
    """Write one line into the audit log, in the transaction of the act itself.

    Args:
        hosted: The study.
        db: An open transaction that may write.
        who: Where the act came from.
        act: A word for it.
        detail: In words; never an id of a person.
    """
    db.add(
        AdminActRow(
            study=hosted.study.id, data=hosted.data, at=hosted.clock(), who=who, act=act, detail=detail
        )
    )


def record_act(hosted: HostedStudy, who: Who, act: str, detail: str = "") -> None:
    """Write one line into the audit log, in a transaction of its own."""
    with hosted.database.write() as db:
        note_act(hosted, db, who, act, detail)


def set_state(hosted: HostedStudy, state: State, who: Who, detail: str = "") -> bool:
    """Pause, resume or close a study; returns whether that changed anything.

    Closing also drops the raw worker ids, in the same transaction, and is for good.

    Raises:
        UserError: The study is closed already, or shall be closed while people are in the middle of it.
    """
    with hosted.database.write() as db:
        row = _lock(hosted, db)
        if row.state == state:
            return False
        if row.state == "closed":
            raise UserError(
                f"{hosted.study.id}: the {hosted.data} study is closed, and its worker ids are gone. A closed study is "
                "not reopened; make a new one."
            )
        if state == "closed":
            _refuse_while_active(hosted, db)
            dropped = payments.drop_ids(hosted, db)
            detail = " ".join(part for part in (detail, f"{dropped} raw worker ids dropped.") if part)
        row.state = state
        note_act(hosted, db, who, ACT_OF[state], detail)
    if state == "closed":
        hosted.database.scrub()
    return True


def _refuse_while_active(hosted: HostedStudy, db: Session) -> None:
    if active := _active(hosted, db):
        raise UserError(
            f"{hosted.study.id}: {active} session(s) are in the middle, and the way back to the panel needs their ids. "
            f"Pause the study, wait until they are done (at most {hosted.study.study.lease_minutes} minutes), then "
            "close it."
        )


def choose_reveal(hosted: HostedStudy, at: int | None, who: Who) -> None:
    """Settle from when on fool rates may be shown; None = when the study is complete."""
    with hosted.database.write() as db:
        row = _lock(hosted, db)
        if row.reveal_at == at:
            return
        row.reveal_at = at
        now = hosted.clock()
        when = "when the study is complete" if at is None else "now" if at <= now else f"from {iso(at)} on"
        early = ", chosen after the first session" if row.begun_at is not None and at is not None else ""
        act = "reveal early" if at is not None and row.begun_at is not None else "choose reveal"
        note_act(hosted, db, who, act, f"Fool rates are shown {when}{early}.")


def running(hosted: HostedStudy) -> Running:
    """Where the study stands now."""
    with hosted.database.read() as db:
        row = db.get_one(StudyRow, (hosted.study.id, hosted.data))
        here = (SessionRow.study == hosted.study.id, SessionRow.data == hosted.data)
        finished = _count(db, select(SessionRow.id).where(*here, SessionRow.state == "finished"))
        places = _count(
            db, select(PlaceRow.id).where(PlaceRow.study == hosted.study.id, PlaceRow.data == hosted.data)
        )
        complete = finished >= places or row.state == "closed"
        due = row.reveal_at is not None and row.reveal_at <= hosted.clock()
        kept = select(PaymentRow.id).where(
            PaymentRow.study == hosted.study.id, PaymentRow.data == hosted.data, PaymentRow.encrypted != ""
        )
        paid = select(MoneyActRow.payment_id).where(
            MoneyActRow.state == "done",
            MoneyActRow.act != "bonus",  # which comes on top
        )
        owed = kept.join(SessionRow, SessionRow.id == PaymentRow.session_id).where(
            SessionRow.state == "finished", PaymentRow.id.not_in(paid)
        )
        return Running(
            state=row.state if row.state in STATES else "open",
            begun=row.begun_at is not None,
            reveal_at=row.reveal_at,
            revealed=hosted.data != "live" or complete or due,
            complete=complete,
            active=_active(hosted, db),
            ids=_count(db, kept),
            unpaid=_count(db, owed),
        )


def acts(hosted: HostedStudy, limit: int = 100) -> list[Act]:
    """The audit log, newest first; tries to sign in are told apart (`failed_sign_ins`)."""
    query = (
        select(AdminActRow)
        .where(
            AdminActRow.study == hosted.study.id,
            AdminActRow.data == hosted.data,
            AdminActRow.act != "sign-in tried",
        )
        .order_by(AdminActRow.id.desc())
        .limit(limit)
    )
    with hosted.database.read() as db:
        return [Act(iso(row.at), row.who, row.act, row.detail) for row in db.scalars(query)]


def _active(hosted: HostedStudy, db: Session) -> int:
    return _count(
        db,
        select(SessionRow.id).where(
            SessionRow.study == hosted.study.id,
            SessionRow.data == hosted.data,
            SessionRow.state == "active",
            SessionRow.lease_until >= hosted.clock(),
        ),
    )


def _count(db: Session, query: Select[Any]) -> int:
    return db.execute(select(func.count()).select_from(query.subquery())).scalar_one()


def _lock(hosted: HostedStudy, db: Session) -> StudyRow:
    return db.get_one(StudyRow, (hosted.study.id, hosted.data), with_for_update=True)
