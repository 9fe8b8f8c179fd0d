"""Single-use links: made by the researcher, used by the transaction that begins a session."""

import secrets
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from studies.errors import UserError
from webapp.hosting import HostedStudy
from webapp.identity import invite_digest
from webapp.tables import InviteRow, StudyRow


@dataclass(frozen=True)
class Batch:
    """The links that one command made."""

    created_at: int
    """Milliseconds since 1970, UTC."""
    made: int
    used: int
    """How many of them began a session."""


def create(hosted: HostedStudy, count: int) -> list[str]:
    """Make so many codes of 128 random bits; they are returned once and kept as keyed digests only.

    Raises:
        UserError: The study is closed.
    """
    codes, now = [secrets.token_hex(16) for _ in range(count)], hosted.clock()
    with hosted.database.write() as db:
        study = db.get(StudyRow, (hosted.study.id, hosted.data))  # none before the first start
        if study is not None and study.state == "closed":
            raise UserError(
                f"{hosted.config.folder}: the {hosted.data} study is closed, so a link would open nothing."
            )
        db.add_all(
            InviteRow(
                study=hosted.study.id, data=hosted.data, code_digest=_digest(hosted, code), created_at=now
            )
            for code in codes
        )
    return codes


def batches(hosted: HostedStudy) -> list[Batch]:
    """What was made so far, oldest first, and how much of it is used."""
    query = (
        select(InviteRow.created_at, func.count(), func.count(InviteRow.session_id))
        .where(InviteRow.study == hosted.study.id, InviteRow.data == hosted.data)
        .group_by(InviteRow.created_at)
        .order_by(InviteRow.created_at)
    )
    with hosted.database.read() as db:
        return [Batch(*row) for row in db.execute(query)]


def is_known(hosted: HostedStudy, code: str) -> bool:
    """Whether a link with this code was ever made for these data; reads only."""
    with hosted.database.read() as db:
        return db.scalar(select(InviteRow.id).where(*_this(hosted, code))) is not None


def use(hosted: HostedStudy, db: Session, code: str, session_id: str) -> bool:
    """Spend a link on a session inside the transaction that begins it; False if it is unknown or spent already."""
    unused = update(InviteRow).where(*_this(hosted, code), InviteRow.session_id.is_(None))
    spent = db.execute(unused.values(session_id=session_id).returning(InviteRow.id))
    return spent.first() is not None


def _this(hosted: HostedStudy, code: str) -> tuple[ColumnElement[bool], ...]:
    return (
        InviteRow.study == hosted.study.id,
        InviteRow.data == hosted.data,
        InviteRow.code_digest == _digest(hosted, code),
    )


def _digest(hosted: HostedStudy, code: str) -> str:
    return invite_digest(hosted.config.secret_key, code)
