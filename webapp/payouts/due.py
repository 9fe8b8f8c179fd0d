"""What is due to whom: decided from finished sessions, never from how well somebody answered."""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import select

from studies.errors import UserError, did_you_mean
from webapp.hosting import HostedStudy
from webapp.payouts.states import Submission, Synced
from webapp.recruitment.prolific_study import fixed_code
from webapp.tables import MoneyActRow, StudyRow

MOST_CENTS = 100_000
"""Of one bonus; a larger one is more likely a slip than meant."""
SHORTEST_NAME = 8

Kind = Literal["approve", "look", "waiting", "left", "paid", "refused"]


@dataclass(frozen=True)
class Line:
    """One submission, and what is to become of it."""

    submission: Submission
    kind: Kind
    why: str

    @property
    def name(self) -> str:
        """What it is called on the screen: the session here, else the submission there."""
        return self.submission.session[:8] if self.submission.session else self.submission.id


@dataclass(frozen=True)
class Bonus:
    """An amount for one submission."""

    submission: Submission
    cents: int


@dataclass(frozen=True)
class Due:
    """All that is to be done, and what is not."""

    lines: list[Line]
    bonuses: list[Bonus]
    screen_outs: list[Bonus]
    unclear: list[MoneyActRow] = field(default_factory=list)
    """Sent, and the panel does not show them; never sent again by themselves."""

    def of(self, kind: Kind) -> list[Line]:
        """The lines of one kind."""
        return [line for line in self.lines if line.kind == kind]


def due(
    hosted: HostedStudy,
    synced: Synced,
    bonuses: dict[str, int] | None = None,
    screen_outs: dict[str, int] | None = None,
    also: tuple[str, ...] = (),
) -> Due:
    """What is to be paid now.

    Args:
        hosted: The study.
        synced: What the panel says (`sync`), after `settle`.
        bonuses: Session or submission -> cents.
        screen_outs: The same, for submissions whose session did not finish.
        also: Sessions or submissions to approve although they did not finish here.

    Raises:
        UserError: The study is closed, a name is unknown, or what is asked for was done in another way.
    """
    _refuse_closed(hosted)
    with hosted.database.read() as db:
        query = select(MoneyActRow).where(
            MoneyActRow.study == hosted.study.id, MoneyActRow.data == hosted.data
        )
        acts = {(row.payment_id, row.act): row for row in db.scalars(query)}
    approved = {_began_here(_named(name, synced, "--approve"), "--approve").id for name in also}
    out = _amounts("screen_out", screen_outs or {}, synced, acts, "--screen-out")
    for each in out:
        if each.submission.finished:
            raise UserError(
                f"--screen-out: {_called(each.submission)} finished the study here, and is paid in full."
            )
    leaving = {each.submission.id for each in out}
    lines = [_line(each, approved, leaving) for each in synced.submissions]
    return Due(
        lines=lines,
        bonuses=_amounts("bonus", bonuses or {}, synced, acts, "--bonus"),
        screen_outs=out,
        unclear=[row for row in acts.values() if row.state == "sent"],
    )


def _refuse_closed(hosted: HostedStudy) -> None:
    """Closing drops what leads from a submission to its session, so nobody could be told apart."""
    with hosted.database.read() as db:
        row = db.get(StudyRow, (hosted.study.id, hosted.data))
    if row is not None and row.state == "closed":
        raise UserError(
            f"{hosted.config.folder}: the {hosted.data} study is closed, and what led from submissions to sessions is "
            "erased, so nobody can be paid from here any more. What is still due, approve on Prolific: its code "
            f"{fixed_code(hosted)} was shown only to those who finished."
        )


def _line(submission: Submission, approved: set[str], leaving: set[str]) -> Line:
    state = submission.state
    if state == "APPROVED":
        return Line(submission, "paid", "paid")
    if state == "SCREENED OUT":
        return Line(submission, "paid", "screened out")
    if state == "REJECTED":
        return Line(submission, "refused", "rejected on Prolific")
    if state == "AWAITING REVIEW":
        if submission.finished or submission.id in approved:
            return Line(submission, "approve", "finished here" if submission.finished else "you say so")
        if submission.id in leaving:
            return Line(submission, "waiting", "to be screened out")
        why = "not finished here" if submission.session else "never began here"
        return Line(submission, "look", f"handed in on Prolific, {why}: ask, --approve, or --screen-out")
    if submission.finished and state in ("RETURNED", "TIMED-OUT"):
        return Line(submission, "look", f"finished here, but {state} on Prolific: write to the participant")
    if state in ("RETURNED", "TIMED-OUT"):
        return Line(submission, "left", state.lower())
    return Line(
        submission,
        "waiting",
        "finished here, not yet back on Prolific" if submission.finished else state.lower(),
    )


def _amounts(
    act: str, asked: dict[str, int], synced: Synced, acts: dict[tuple[int, str], MoneyActRow], option: str
) -> list[Bonus]:
    """What is asked for now, and what was planned before and never sent."""
    wanted: dict[int, Bonus] = {}
    for submission in synced.submissions:
        row = acts.get((submission.payment or 0, act))
        if row is not None and row.state == "planned" and submission.payment is not None:
            wanted[submission.payment] = Bonus(submission, row.amount_cents)
    for name, cents in asked.items():
        submission = _began_here(_named(name, synced, option), option)
        assert submission.payment is not None
        row = acts.get((submission.payment, act))
        if row is not None and row.state != "planned":
            if row.amount_cents == cents:
                continue
            raise UserError(
                f"{option}: {_called(submission)} was given {row.amount_cents} cents before, and each participant gets "
                f"one. Take it out of the file; what is to come on top is paid on Prolific."
            )
        wanted[submission.payment] = Bonus(submission, cents)
    return list(wanted.values())


def _began_here(submission: Submission, option: str) -> Submission:
    if submission.payment is None:
        raise UserError(
            f"{option}: submission {submission.id} never began here, so nothing can be noted of it. Pay it on Prolific."
        )
    return submission


def _called(submission: Submission) -> str:
    return f"session {submission.session[:8]}" if submission.session else f"submission {submission.id}"


def _named(name: str, synced: Synced, option: str) -> Submission:
    def fits(each: Submission) -> bool:
        session = each.session or ""
        return name in (each.id, session) or (len(name) >= SHORTEST_NAME and session.startswith(name))

    found = [each for each in synced.submissions if fits(each)]
    if len(found) != 1:
        known = [each.session[:8] for each in synced.submissions if each.session]
        raise UserError(
            f"{option}: {name!r} is {'several sessions; write more of it' if found else 'no session or submission of this study'}."
            f"{'' if found else did_you_mean(name[:8], known)}"
        )
    return found[0]


def read_amounts(path: Path) -> dict[str, int]:
    """A file of lines `session or submission,cents`; a first line of words is a heading.

    Raises:
        UserError: It cannot be read; names the line and what is allowed.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file. Write lines `session,cents`.")
    amounts: dict[str, int] = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for number, row in enumerate(csv.reader(stream), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells) or (number == 1 and len(cells) == 2 and cells[1].isalpha()):
                continue
            if len(cells) != 2 or not cells[1].isascii() or not cells[1].isdigit():
                raise UserError(
                    f"{path}, line {number}: {','.join(row)!r}: write `session,cents`, whole cents."
                )
            name, cents = cells[0], int(cells[1])
            if not 0 < cents <= MOST_CENTS:
                raise UserError(f"{path}, line {number}: {cents} cents: allowed are 1 to {MOST_CENTS}.")
            if name in amounts:
                raise UserError(
                    f"{path}, line {number}: {name} stands there twice. Each participant gets one amount."
                )
            amounts[name] = cents
    return amounts
