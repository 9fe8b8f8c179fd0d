"""What paying one worker needs: the only place for raw worker ids, encrypted, and emptied when the study is closed."""

import json

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from webapp.hosting import HostedStudy
from webapp.identity import payment_key, submission_digest
from webapp.recruitment.base import Visitor
from webapp.tables import MoneyActRow, PaymentRow, SessionRow

MAX_SEALED = 2800
"""Longest sealed visitor; it travels in a cookie, of which browsers keep 4096 bytes."""


def seal(hosted: HostedStudy, visitor: Visitor) -> str:
    """A visitor, encrypted; what a cookie carries between entry and consent."""
    plain = {
        "worker": visitor.worker_id,
        "submission": visitor.submission,
        "kept": dict(visitor.kept),
        "invite": visitor.invite,
    }
    return _cipher(hosted).encrypt(json.dumps(plain, ensure_ascii=False).encode()).decode()


def unseal(hosted: HostedStudy, sealed: object) -> Visitor | None:
    """The visitor again; None if it is no sealed visitor of this study's key."""
    if not isinstance(sealed, str) or not sealed:
        return None
    try:
        plain = json.loads(_cipher(hosted).decrypt(sealed.encode()))
    except InvalidToken:
        return None
    return Visitor(plain["worker"], plain["submission"], plain["kept"], plain["invite"])


def _cipher(hosted: HostedStudy) -> Fernet:
    return Fernet(payment_key(hosted.config.secret_key))


def remember(hosted: HostedStudy, db: Session, session: SessionRow, visitor: Visitor) -> None:
    """Keep who has to be paid, inside the transaction that begins the session."""
    db.add(
        PaymentRow(
            study=hosted.study.id,
            data=hosted.data,
            worker=session.worker,
            session_id=session.id,
            encrypted=seal(hosted, visitor),
            submission_digest=_digest(hosted, visitor.submission),
        )
    )
    db.flush()


def _digest(hosted: HostedStudy, submission: str) -> str:
    return submission_digest(hosted.config.secret_key, submission) if submission else ""


def visitor_of(hosted: HostedStudy, session_id: str) -> Visitor | None:
    """Who is behind a session; None if that was never kept, or is dropped."""
    with hosted.database.read() as db:
        sealed = db.scalar(select(PaymentRow.encrypted).where(PaymentRow.session_id == session_id))
    return unseal(hosted, sealed)


def find_submission(hosted: HostedStudy, db: Session, submission: str) -> PaymentRow | None:
    """The row of a participation that the panel names by its own id."""
    if not submission:
        return None
    query = select(PaymentRow).where(
        PaymentRow.study == hosted.study.id,
        PaymentRow.data == hosted.data,
        PaymentRow.submission_digest == _digest(hosted, submission),
    )
    return db.scalars(query.order_by(PaymentRow.id)).first()


def payments_of(hosted: HostedStudy, db: Session) -> list[PaymentRow]:
    """All rows of these data, in the order in which the sessions began."""
    query = select(PaymentRow).where(PaymentRow.study == hosted.study.id, PaymentRow.data == hosted.data)
    return list(db.scalars(query.order_by(PaymentRow.id)))


def drop_ids(hosted: HostedStudy, db: Session) -> int:
    """Empty what names people, at the close of these data; returns how many rows held something."""
    held = [row for row in payments_of(hosted, db) if row.encrypted or row.submission_digest]
    for row in held:
        row.encrypted = row.submission_digest = ""
    db.flush()
    return len(held)


def erase(hosted: HostedStudy, db: Session, worker_hash: str) -> None:
    """Remove a worker's row, and with it what was done to pay it."""
    here = (
        PaymentRow.study == hosted.study.id,
        PaymentRow.data == hosted.data,
        PaymentRow.worker == worker_hash,
    )
    rows = select(PaymentRow.id).where(*here)
    db.execute(delete(MoneyActRow).where(MoneyActRow.payment_id.in_(rows)))
    db.execute(delete(PaymentRow).where(*here))
