"""What the panel says of each submission, and the places that go back by it."""

from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import select

from webapp import payments, sessions
from webapp.hosting import HostedStudy
from webapp.identity import submission_digest
from webapp.recruitment.launched import remember
from webapp.recruitment.prolific import NAME
from webapp.recruitment.prolific_api import PAGE_SIZE, ProlificApi
from webapp.recruitment.prolific_study import launched_id
from webapp.tables import PaymentRow, SessionRow

RANKS = {
    "RESERVED": 1,
    "ACTIVE": 2,
    "RETURNED": 3,
    "TIMED-OUT": 3,
    "AWAITING REVIEW": 3,
    "PROCESSING": 3,
    "APPROVED": 4,
    "REJECTED": 4,
    "SCREENED OUT": 4,
}
"""A submission only moves to states of a higher rank, or of the same; what says otherwise came late."""

GIVES_BACK: dict[str, Literal["stopped", "expired"]] = {"RETURNED": "stopped", "TIMED-OUT": "expired"}
"""States of somebody whom Prolific replaces at once, and what becomes of the session here."""


@dataclass(frozen=True)
class Submission:
    """One participation, as the panel lists it; lives in memory only."""

    id: str = field(repr=False)
    state: str
    payment: int | None
    """The row of `payments`; None for somebody who never began here."""
    session: str | None
    finished: bool
    """Whether the session was finished here."""


@dataclass(frozen=True)
class Synced:
    """What a look at the panel's list found."""

    submissions: list[Submission]
    state: str
    """Of the study there."""
    changed: int
    """Submissions whose state was news."""
    given_back: int
    """Places that became free."""


def spelt(state: object) -> str:
    """A state in the panel's usual spelling; it has several."""
    text = str(state).upper().replace("_", " ").strip()[:32]
    return "TIMED-OUT" if text == "TIMED OUT" else text


def comes_later(old: str, new: str) -> bool:
    """Whether a report may replace what is known; reports come in any order."""
    return RANKS.get(new, 0) >= RANKS.get(old, 0)


def give_back(hosted: HostedStudy, session: str | None, state: str) -> bool:
    """Give the place of a returned or timed-out submission to the next; may be repeated."""
    if session is None or state not in GIVES_BACK:
        return False
    return sessions.release(hosted, session, GIVES_BACK[state], f"prolific {state.lower()}")


def sync(hosted: HostedStudy, api: ProlificApi) -> Synced:
    """Ask the panel for all submissions, keep their states, and give back the places of those who left.

    The list is the truth at this moment, so it also takes back what was reported too early.

    Raises:
        UserError: The study was not launched, or Prolific cannot be asked.
    """
    study = launched_id(hosted)
    state = str(api.get(f"studies/{study}/").get("status", ""))
    listed = list(api.listed("submissions/", study=study, page=1, page_size=PAGE_SIZE))
    asked_at = hosted.clock()
    remember(hosted, NAME, state=state)
    known, finished, active = _here(hosted)
    found: list[Submission] = []
    changed = given_back = 0
    for each in listed:
        row = known.get(submission_digest(hosted.config.secret_key, str(each["id"])))
        submission = Submission(
            id=str(each["id"]),
            state=spelt(each.get("status", "")),
            payment=row.id if row else None,
            session=row.session_id if row else None,
            finished=row is not None and row.session_id in finished,
        )
        found.append(submission)
        news = row is not None and row.panel_state != submission.state
        if (
            news and submission.session in active
        ):  # before the state is kept: a kill between the two repeats both
            given_back += give_back(hosted, submission.session, submission.state)
        changed += news
    _keep(hosted, found, asked_at)
    return Synced(found, state, changed, given_back)


def _here(hosted: HostedStudy) -> tuple[dict[str, PaymentRow], set[str | None], set[str | None]]:
    """Payments by the digest of their submission; finished sessions; active ones."""
    with hosted.database.read() as db:
        rows = payments.payments_of(hosted, db)
        here = (SessionRow.study == hosted.study.id, SessionRow.data == hosted.data)
        states = [tuple(row) for row in db.execute(select(SessionRow.id, SessionRow.state).where(*here))]
    return (
        {row.submission_digest: row for row in rows if row.submission_digest},
        {session for session, state in states if state == "finished"},
        {session for session, state in states if state == "active"},
    )


def _keep(hosted: HostedStudy, found: list[Submission], asked_at: int) -> None:
    states = {each.payment: each.state for each in found if each.payment is not None}
    with hosted.database.write() as db:
        for row in payments.payments_of(hosted, db):
            if row.id in states and row.panel_state != states[row.id]:
                row.panel_state, row.panel_state_at = states[row.id], asked_at
