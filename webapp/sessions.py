"""A worker's way through a study: arrive, claim a place, come back, stop, comment. One transaction each."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from studies.errors import UserError
from webapp import freeze
from webapp.hosting import HostedStudy
from webapp.progress import load_progress, void_unfinished
from webapp.tables import ArrivalRow, PlaceRow, SessionRow, StudyRow

MAX_COMMENT = 5000

Welcome = Literal["consent", "resumed", "returning", "full"]


class Refusal(Exception):  # noqa: N818  (an outcome of the protocol, not a fault)
    """A request that cannot be granted; the views turn it into a page or a JSON error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class Admission:
    """A session that just began."""

    session: str
    token: str
    """For the cookie; the database keeps only its hash."""


def token_hash(token: str) -> str:
    """What the database keeps of a cookie's token."""
    return hashlib.sha256(token.encode()).hexdigest()


def arrive(hosted: HostedStudy, worker: str, token: str | None) -> tuple[Welcome, int]:
    """Record an arrival; returns how the worker is welcomed and the arrival's number."""
    with hosted.database.write() as db:
        _lock_study(hosted, db)
        session = db.scalar(
            select(SessionRow).where(SessionRow.scope == hosted.scope, SessionRow.worker == worker)
        )
        welcome: Welcome = "consent"
        if session is not None:
            known = token is not None and session.token == token_hash(token)
            welcome = "resumed" if known else "returning"
        elif _free_place(hosted, db) is None:
            welcome = "full"
        arrival = ArrivalRow(
            study=hosted.study.id,
            data=hosted.data,
            worker=worker,
            at=hosted.clock(),
            outcome=welcome,
            condition="",
        )
        db.add(arrival)
        db.flush()
        return welcome, arrival.id


def new_token() -> str:
    """A token for a cookie."""
    return secrets.token_urlsafe(32)


def claim(
    hosted: HostedStudy,
    worker: str,
    arrival: int | None,
    consent_version: str,
    token: str | None = None,
    admitted: Callable[[Session, SessionRow], None] = lambda _db, _session: None,
) -> Admission:
    """Give a worker who consented the next free place.

    Exact however many arrive at once: the study's row is locked, the database holds one session per worker and
    one holder per place. With a `token` that the browser had before, a repeated claim (a double click, a reply that
    was lost) finds the session of the first.

    Args:
        hosted: The study.
        worker: Keyed hash of the worker id.
        arrival: Number of the arrival that led here.
        consent_version: The text that was agreed to.
        token: The cookie's token, given out before the consent.
        admitted: Called with the new session inside the same transaction: what belongs to it is kept with it or not
            at all. It may raise a Refusal.

    Raises:
        Refusal: The worker had a session before, or every place is taken.
    """
    token, now = token or new_token(), hosted.clock()
    try:
        with hosted.database.write() as db:
            row = _lock_study(hosted, db)
            known = _by_token(hosted, db, token)
            if known is not None and known.worker == worker:
                return Admission(known.id, token)
            place = _free_place(hosted, db)
            if place is None:
                _note(db, arrival, "full", "")
                # The refusal is raised outside, so that the arrival's note is kept.
                session = None
            else:
                session = SessionRow(
                    id=secrets.token_hex(16),
                    study=hosted.study.id,
                    data=hosted.data,
                    scope=hosted.scope,
                    worker=worker,
                    place_id=place.id,
                    token=token_hash(token),
                    state="active",
                    lease_until=now + _lease_ms(hosted),
                    started_at=now,
                    consent_version=consent_version,
                    observer=hosted.config.observer,
                )
                db.add(session)
                db.flush()
                admitted(db, session)
                _note(db, arrival, "admitted", place.condition)
                if row.begun_at is None:
                    row.begun_at, row.begun_with = now, freeze.record(hosted.study, hosted.bundle)
    except IntegrityError as error:
        with hosted.database.write() as db:  # what was noted with the claim went with it
            _note(db, arrival, "returning", "")
        raise Refusal(403, "returning", "You have already taken part.") from error
    if session is None:
        raise Refusal(403, "full", "All places are taken at the moment.")
    keep_freeze(hosted)
    return Admission(session.id, token)


def keep_freeze(hosted: HostedStudy) -> None:
    """Write frozen.json if the database says the study is frozen; mends a kill between the two."""
    if hosted.data != "live" or (hosted.config.folder / freeze.FROZEN).exists():
        return
    with hosted.database.read() as db:
        row = db.get(StudyRow, (hosted.study.id, hosted.data))
    if row is not None and row.begun_at is not None and row.begun_with is not None:
        freeze.write_frozen(hosted.config.folder, row.begun_with, row.begun_at)


def check_unchanged(hosted: HostedStudy) -> None:
    """Whether study.toml and the stimuli are still those that the participants of these data met.

    Raises:
        UserError: Names what changed.
    """
    if hosted.data == "live":
        keep_freeze(hosted)
        freeze.check(hosted.config.folder, hosted.study, hosted.bundle, ("design", "decisions", "stimuli"))
        return
    with hosted.database.read() as db:
        row = db.get(StudyRow, (hosted.study.id, hosted.data))
    if row is None or row.begun_with is None:
        return
    differences = freeze.changes(row.begun_with, freeze.record(hosted.study, hosted.bundle))
    if texts := [change.text for change in differences if change.part in ("design", "stimuli")]:
        raise UserError(
            f"{hosted.config.folder}: changed since the first {hosted.data} session: {'; '.join(texts)}. Change it "
            f"back, or collect {hosted.data} data anew."
        )


def _lock_study(hosted: HostedStudy, db: Session) -> StudyRow:
    return db.scalars(
        select(StudyRow)
        .where(StudyRow.study == hosted.study.id, StudyRow.data == hosted.data)
        .with_for_update()
    ).one()


def _free_place(hosted: HostedStudy, db: Session) -> PlaceRow | None:
    """The first place in the queue that nobody holds, after giving back those whose lease ran out.

    Only under the study's lock, so that session rows are always locked after it.
    """
    here = (SessionRow.study == hosted.study.id, SessionRow.data == hosted.data)
    db.execute(
        update(SessionRow)
        .where(*here, SessionRow.state == "active", SessionRow.lease_until < hosted.clock())
        .values(state="expired")
    )
    held = select(SessionRow.place_id).where(*here, SessionRow.state.in_(("active", "finished")))
    return db.scalar(
        select(PlaceRow)
        .where(PlaceRow.study == hosted.study.id, PlaceRow.data == hosted.data, PlaceRow.id.not_in(held))
        .order_by(PlaceRow.queue_position)
        .limit(1)
    )


def _note(db: Session, arrival: int | None, outcome: str, condition: str) -> None:
    row = db.get(ArrivalRow, arrival) if arrival is not None else None
    if row is not None:
        row.outcome, row.condition = outcome, condition


def _lease_ms(hosted: HostedStudy) -> int:
    return hosted.study.study.lease_minutes * 60_000


def find_session(hosted: HostedStudy, token: str | None) -> SessionRow | None:
    """The session of a cookie, if there is one in this study; reads only."""
    if token is None:
        return None
    with hosted.database.read() as db:
        return _by_token(hosted, db, token)


def _by_token(hosted: HostedStudy, db: Session, token: str, *, lock: bool = False) -> SessionRow | None:
    query = select(SessionRow).where(
        SessionRow.token == token_hash(token),
        SessionRow.study == hosted.study.id,
        SessionRow.data == hosted.data,
    )
    return db.scalar(query.with_for_update() if lock else query)


def lock_session(hosted: HostedStudy, db: Session, token: str | None, page: str | None = None) -> SessionRow:
    """The session of a cookie, locked for this transaction, with its lease renewed.

    Args:
        hosted: The study.
        db: An open transaction.
        token: The cookie's token.
        page: The page's nonce; None where the page does not matter.

    Raises:
        Refusal: No such session (401), or a newer page holds it (409).
    """
    session = _by_token(hosted, db, token, lock=True) if token else None
    if session is None:
        raise Refusal(
            401, "unknown_session", "This browser has no session here. Open the study's link again."
        )
    if page is not None and page != session.page:
        raise Refusal(409, "stale", "This study is open in another window.")
    if session.state == "active":
        session.lease_until = hosted.clock() + _lease_ms(hosted)
    return session


def open_page(hosted: HostedStudy, token: str | None) -> str:
    """A page was loaded: it becomes the one that counts, and a pair that was on the screen is spent.

    A session whose lease ran out goes on if its place is still free.

    Returns:
        The page's nonce.

    Raises:
        Refusal: No such session.
    """
    try:
        with hosted.database.write() as db:
            _lock_study(hosted, db)
            session = lock_session(hosted, db, token)
            session.page = secrets.token_hex(16)
            if session.state == "expired":
                session.state = "active"
                session.lease_until = hosted.clock() + _lease_ms(hosted)
                db.flush()
            if session.state == "active":
                void_unfinished(hosted, db, load_progress(hosted, db, session))
            return session.page
    except IntegrityError:
        return _reopen_expired(hosted, token)


def _reopen_expired(hosted: HostedStudy, token: str | None) -> str:
    """The place went to somebody else meanwhile: the page may open, to say so."""
    with hosted.database.write() as db:
        session = lock_session(hosted, db, token)
        session.page = secrets.token_hex(16)
        return session.page


def stop(hosted: HostedStudy, token: str | None) -> None:
    """The participant stops: the place goes to somebody else, what was answered stays.

    Raises:
        Refusal: No such session.
    """

    def end(session: SessionRow) -> None:
        if session.state != "finished":
            session.state = "stopped"

    _change(hosted, token, end)


def comment(hosted: HostedStudy, token: str | None, text: str) -> None:
    """Keep the comment of a finished session.

    Raises:
        Refusal: No such session.
    """

    def keep(session: SessionRow) -> None:
        session.comment = " ".join(text.replace("\0", "").split())[
            :MAX_COMMENT
        ]  # one line; PostgreSQL has no NUL

    _change(hosted, token, keep)


def _change(hosted: HostedStudy, token: str | None, change: Callable[[SessionRow], None]) -> None:
    with hosted.database.write() as db:
        change(lock_session(hosted, db, token))
