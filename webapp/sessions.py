"""A worker's way through a study: arrive, claim a place, stay, come back, leave, comment. One transaction each."""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, bindparam, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from studies.errors import UserError
from webapp import freeze
from webapp.hosting import HostedStudy
from webapp.progress import load_progress, void_unfinished
from webapp.tables import ArrivalRow, EventRow, PlaceRow, SessionRow, StudyRow, TrialRow

MAX_COMMENT = 5000
MAX_REASON = 64
UNKNOWN_SESSION = "This browser has no session here. Open the study's link again."

FRESH_MS = 30_000
"""A lease renewed less than this ago is not renewed by a mere heartbeat: most heartbeats then write nothing."""

Welcome = Literal["consent", "resumed", "returning", "paused", "closed", "full"]
REFUSALS = {
    "full": "All places are taken at the moment.",
    "paused": "The study is paused at the moment.",
    "closed": "The study is over.",
}
"""Why somebody new may not begin."""


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
        overdue = select(SessionRow.id).where(*_overdue(hosted)).limit(1)
        if db.scalar(overdue) is not None:  # most arrivals find none, and wait for nobody
            _lock_study(hosted, db)
            _expire(hosted, db)
        session = db.scalar(
            select(SessionRow).where(SessionRow.scope == hosted.scope, SessionRow.worker == worker)
        )
        welcome: Welcome = "consent"
        if session is not None:
            known = token is not None and session.token == token_hash(token)
            welcome = "resumed" if known else "returning"
        else:
            welcome = _refused(_study(hosted, db), _free_place(hosted, db)) or "consent"
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
        Refusal: The worker had a session before, the study takes nobody new, or every place is taken.
    """
    token, now = token or new_token(), hosted.clock()
    try:
        with hosted.database.write() as db:
            row = _lock_study(hosted, db)
            known = _by_token(hosted, db, token)
            if known is not None and known.worker == worker:
                return Admission(known.id, token)
            _expire(hosted, db)
            place = _free_place(hosted, db)
            refused = _refused(row, place)
            if refused is not None or place is None:
                _note(db, arrival, refused or "full", "")
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
        raise Refusal(403, refused or "full", REFUSALS[refused or "full"])
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


def _study(hosted: HostedStudy, db: Session) -> StudyRow:
    return db.get_one(StudyRow, (hosted.study.id, hosted.data))


def _lock_study(hosted: HostedStudy, db: Session) -> StudyRow:
    return db.scalars(
        select(StudyRow)
        .where(StudyRow.study == hosted.study.id, StudyRow.data == hosted.data)
        .with_for_update()
    ).one()


def _refused(study: StudyRow, place: PlaceRow | None) -> Literal["paused", "closed", "full"] | None:
    """Why nobody new may begin, if so."""
    if study.state in ("paused", "closed"):
        return "paused" if study.state == "paused" else "closed"
    return "full" if place is None else None


def _overdue(hosted: HostedStudy) -> tuple[ColumnElement[bool], ...]:
    """Says of a session row whether its lease ran out."""
    return (
        SessionRow.study == hosted.study.id,
        SessionRow.data == hosted.data,
        SessionRow.state == "active",
        SessionRow.lease_until < hosted.clock(),
    )


def _expire(hosted: HostedStudy, db: Session) -> None:
    """Give back the places of those who showed no sign of life for a lease.

    Only under the study's lock, so that session rows are always locked after it.
    """
    # No subquery: PostgreSQL must look at the lease again if it had to wait for an answer that renewed it.
    db.execute(update(SessionRow).where(*_overdue(hosted)).values(state="expired", end_reason="lease"))


def _free_place(hosted: HostedStudy, db: Session) -> PlaceRow | None:
    """The first place in the queue that nobody holds."""
    held = exists().where(SessionRow.place_id == PlaceRow.id, SessionRow.state.in_(("active", "finished")))
    return db.scalar(
        select(PlaceRow)
        .where(PlaceRow.study == hosted.study.id, PlaceRow.data == hosted.data, ~held)
        .order_by(PlaceRow.queue_position)
        .limit(1)
    )


def _note(db: Session, arrival: int | None, outcome: str, condition: str) -> None:
    row = db.get(ArrivalRow, arrival) if arrival is not None else None
    if row is not None:
        row.outcome, row.condition = outcome, condition


def _lease_ms(hosted: HostedStudy) -> int:
    return hosted.study.study.lease_minutes * 60_000


def find_session(hosted: HostedStudy, token: str | None, db: Session | None = None) -> SessionRow | None:
    """The session of a cookie, if there is one in this study; reads only, in a transaction of its own or in `db`."""
    if token is None:
        return None
    if db is not None:
        return _by_token(hosted, db, token)
    with hosted.database.read() as own:
        return _by_token(hosted, own, token)


_BY_TOKEN = select(SessionRow).where(
    SessionRow.token == bindparam("token"),
    SessionRow.study == bindparam("study"),
    SessionRow.data == bindparam("data"),
)
_BY_TOKEN_LOCKED = _BY_TOKEN.with_for_update()


def _by_token(hosted: HostedStudy, db: Session, token: str, *, lock: bool = False) -> SessionRow | None:
    values = {"token": token_hash(token), "study": hosted.study.id, "data": hosted.data}
    return db.scalar(_BY_TOKEN_LOCKED if lock else _BY_TOKEN, values)


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
        raise Refusal(401, "unknown_session", UNKNOWN_SESSION)
    if page is not None and page != session.page:
        raise Refusal(409, "stale", "This study is open in another window.")
    renewed = hosted.clock() + _lease_ms(hosted)
    if session.state == "active" and not renewed - FRESH_MS < session.lease_until <= renewed:
        session.lease_until = renewed
    return session


def alive(hosted: HostedStudy, token: str | None, page: str) -> str:
    """The page says that somebody is there: renew the lease. No trial is looked at, and the study is not locked.

    Returns:
        The session's state; a page whose session is over learns it here.

    Raises:
        Refusal: No such session (401), or a newer page holds it (409).
    """
    lease, now = _lease_ms(hosted), hosted.clock()
    session = find_session(hosted, token)
    if session is None:
        raise Refusal(401, "unknown_session", UNKNOWN_SESSION)
    if page != session.page:
        raise Refusal(409, "stale", "This study is open in another window.")
    if session.state == "active" and session.lease_until < now + lease - FRESH_MS:
        with hosted.database.write() as db:
            db.execute(
                update(SessionRow)
                .where(SessionRow.id == session.id, SessionRow.state == "active")
                .values(lease_until=now + lease)
            )
    return session.state


def open_page(hosted: HostedStudy, token: str | None) -> str:
    """A page was loaded: it becomes the one that counts, and a pair that was on the screen is spent.

    A session whose lease ran out goes on if its place is still free and the study is not closed.

    Returns:
        The page's nonce.

    Raises:
        Refusal: No such session.
    """
    try:
        with hosted.database.write() as db:
            session = lock_session(hosted, db, token)
            session.page = secrets.token_hex(16)
            if session.state == "expired" and _study(hosted, db).state != "closed":
                session.state, session.end_reason = "active", ""
                session.lease_until = hosted.clock() + _lease_ms(hosted)
                db.flush()  # the database knows whether the place has another holder
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


def release(hosted: HostedStudy, session_id: str, state: Literal["stopped", "expired"], reason: str) -> bool:
    """Give a session's place back because somebody else says that it is over, such as the panel; may be repeated.

    Args:
        hosted: The study.
        session_id: Whose place.
        state: `stopped` is for good: who comes back meets a kind page. `expired` is as if the lease had run out:
            who comes back goes on if the place is still free.
        reason: A word that is kept with the session; no id of a person.

    Returns:
        Whether anything changed. A finished session is never touched, and a stopped one stays stopped.
    """
    with hosted.database.write() as db:
        session = db.scalar(
            select(SessionRow)
            .where(
                SessionRow.id == session_id,
                SessionRow.study == hosted.study.id,
                SessionRow.data == hosted.data,
            )
            .with_for_update()
        )
        if session is None or session.state in ("finished", "stopped", state):
            return False
        session.state, session.end_reason = state, reason[:MAX_REASON]
        return True


def stop(hosted: HostedStudy, token: str | None) -> None:
    """The participant stops: the place goes to somebody else, what was answered stays.

    Raises:
        Refusal: No such session.
    """

    def end(session: SessionRow) -> None:
        if session.state not in ("finished", "stopped"):
            session.state, session.end_reason = "stopped", "participant"

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


def keep_device(hosted: HostedStudy, token: str | None, answers: Mapping[str, object]) -> None:
    """Keep what the page asked once about device and eyes; what was kept before stays.

    Raises:
        Refusal: No such session.
    """

    def keep(session: SessionRow) -> None:
        session.device = {**answers, **session.device}

    _change(hosted, token, keep)


def count_voids(hosted: HostedStudy, session: SessionRow) -> int:
    """Trials of a session that became void, practice included."""
    void = select(func.count()).select_from(EventRow).join(TrialRow, TrialRow.id == EventRow.trial_id)
    with hosted.database.read() as db:
        return db.execute(void.where(TrialRow.session_id == session.id, EventRow.kind == "void")).scalar_one()


def _change(hosted: HostedStudy, token: str | None, change: Callable[[SessionRow], None]) -> None:
    with hosted.database.write() as db:
        change(lock_session(hosted, db, token))
