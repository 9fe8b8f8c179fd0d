"""Acts that move money: each is planned, then marked as sent before it is sent, then done. What was sent is never sent
again before the panel was asked what became of it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, select, update

from studies.errors import UserError
from webapp.hosting import HostedStudy
from webapp.payouts.due import Bonus, Due, Line
from webapp.payouts.states import Submission, Synced, spelt
from webapp.recruitment.prolific_api import PanelError, PanelUnclear, PanelUnreachable, ProlificApi
from webapp.recruitment.prolific_study import launched_id
from webapp.tables import MoneyActRow

BONUSES_AT_ONCE = 200
"""Prolific's most per request."""
PAID_WITHIN_MS = 60 * 60_000
"""Prolific pays bonuses a few minutes after it was told to; before this much later their absence means nothing."""
LOOKS = 5
"""How often the state of an approval is looked at."""


@dataclass
class Outcome:
    """What became of it."""

    approved: int = 0
    screened_out: int = 0
    bonuses: int = 0
    problems: list[str] | None = None

    def problem(self, text: str) -> None:
        """Something that a person must see."""
        self.problems = [*(self.problems or []), text]


@dataclass(frozen=True)
class BonusDraft:
    """Bonuses as the panel has noted them; nothing is paid yet."""

    id: str
    bonuses: tuple[Bonus, ...]
    total_cents: float
    """What the panel will charge in all."""


def settle(hosted: HostedStudy, api: ProlificApi, synced: Synced) -> int:
    """Ask the panel what became of each act that was sent and got no answer; returns how many are settled now.

    An approval or a screen-out shows in the submission's state: it is done, or may be tried again. A bonus is done
    once the submission lists it; until then it stays as sent, for a person to look at, since Prolific pays with
    delay and pays again if it is told again.
    """
    by_payment = {each.payment: each for each in synced.submissions}
    settled = 0
    for row in _rows(hosted, "sent"):
        submission = by_payment.get(row.payment_id)
        if submission is None:
            continue
        there = api.get(f"submissions/{submission.id}/")
        state = _after(row, spelt(there.get("status", "")), _paid(there), hosted.clock())
        settled += state != "sent" and _move(hosted, [row.id], "sent", state)
    return settled


def _after(row: MoneyActRow, state: str, paid: list[int], now: int) -> str:
    if row.act == "bonus":
        return "done" if row.amount_cents in paid else "sent"
    if state == {"approve": "APPROVED", "screen_out": "SCREENED OUT"}[row.act]:
        return "done"
    if row.act == "approve":
        return "sent" if state == "PROCESSING" else "planned"
    return "planned" if now - row.at > PAID_WITHIN_MS else "sent"


def _paid(submission: dict[str, Any]) -> list[int]:
    """Bonuses that a submission has had, in cents."""
    return [round(float(cents)) for cents in submission.get("bonus_payments") or []]


def not_paid(hosted: HostedStudy, synced: Synced, names: Iterable[str]) -> int:
    """Somebody looked: these bonuses were sent and never paid. They become due again.

    Raises:
        UserError: One was sent less than an hour ago, so it may still be on its way, or was not sent at all.
    """
    by_payment = {each.payment: each for each in synced.submissions}
    count = 0
    for name in names:
        rows = [
            row
            for row in _rows(hosted, "sent")
            if row.act == "bonus" and (by_payment[row.payment_id].session or "").startswith(name)
        ]
        if len(rows) != 1:
            raise UserError(f"--bonus-not-paid {name}: no bonus of one session is unclear under this name.")
        if hosted.clock() - rows[0].at < PAID_WITHIN_MS:
            raise UserError(
                f"--bonus-not-paid {name}: it was sent less than an hour ago and may still be on its way. Look again later."
            )
        count += _move(hosted, [rows[0].id], "sent", "planned")
    return count


def bonus_draft(hosted: HostedStudy, api: ProlificApi, bonuses: Sequence[Bonus]) -> list[BonusDraft]:
    """Note bonuses on the panel, which moves no money, and learn what they will cost.

    A submission that lists a bonus of the same amount already is taken as paid and left out.
    """
    study, open_ones = launched_id(hosted), []
    for bonus in bonuses:
        if bonus.cents in _paid(api.get(f"submissions/{bonus.submission.id}/")):
            row = _plan(hosted, bonus.submission, "bonus", bonus.cents)
            _move(hosted, [row], "planned", "done")
        else:
            open_ones.append(bonus)
    drafts = []
    for start in range(0, len(open_ones), BONUSES_AT_ONCE):
        some = tuple(open_ones[start : start + BONUSES_AT_ONCE])
        lines = "\n".join(f"{each.submission.id},{each.cents // 100}.{each.cents % 100:02}" for each in some)
        # Repeatable: a note too many is never paid.
        made = api.post(
            "submissions/bonus-payments/", {"study_id": study, "csv_bonuses": lines}, repeatable=True
        )
        drafts.append(BonusDraft(str(made["id"]), some, float(made.get("total_amount") or 0)))
    return drafts


def carry_out(
    hosted: HostedStudy,
    api: ProlificApi,
    due: Due,
    drafts: Sequence[BonusDraft],
    step: Callable[[], None] = lambda: None,
) -> Outcome:
    """Do all that is due. All of it is noted first, so that the next call goes on where this one ended.

    Args:
        hosted: The study.
        api: The account.
        due: What was agreed to.
        drafts: The bonuses, as noted on the panel.
        step: Called after each act.

    Raises:
        UserError: Prolific cannot be reached; what was done stays done, the rest stays planned.
    """
    outcome, reward = Outcome(), hosted.study.recruitment.reward_cents
    approvals = [
        (line, _plan(hosted, line.submission, "approve", reward))
        for line in due.of("approve")
        if line.submission.payment
    ]
    leaving = [(each, _plan(hosted, each.submission, "screen_out", each.cents)) for each in due.screen_outs]
    noted = [
        (draft, [_plan(hosted, each.submission, "bonus", each.cents) for each in draft.bonuses])
        for draft in drafts
    ]
    for line, act in approvals:
        outcome.approved += _approve(hosted, api, line, act, outcome)
        step()
    for each, act in leaving:
        outcome.screened_out += _screen_out(hosted, api, each, act, outcome)
        step()
    for draft, rows in noted:
        outcome.bonuses += _pay_bonuses(hosted, api, draft, rows, outcome)
        step()
    return outcome


def _approve(hosted: HostedStudy, api: ProlificApi, line: Line, act: int, outcome: Outcome) -> bool:
    submission = line.submission.id
    if not _move(hosted, [act], "planned", "sent"):
        return False  # done, or another process is at it
    state = refused = ""
    for look in range(LOOKS):
        try:
            answer = api.post(f"submissions/{submission}/transition/", {"action": "APPROVE"})
            state = spelt(answer.get("status", ""))
        except PanelUnclear:
            state = ""
        except PanelError as error:
            state, refused = "", f" ({error})"
        except PanelUnreachable:
            _move(hosted, [act], "sent", "planned")
            raise
        if state != "APPROVED":
            state = spelt(api.get(f"submissions/{submission}/").get("status", ""))
        if state == "APPROVED":
            _move(hosted, [act], "sent", "done")
            return True
        if state not in ("AWAITING REVIEW", "PROCESSING"):
            break
        api.wait(2.0 ** (look + 1))  # just handed in: Prolific needs a moment
    _move(hosted, [act], "sent", "planned")
    outcome.problem(f"{line.name} was not approved: it is {state} on Prolific{refused}.")
    return False


def _screen_out(hosted: HostedStudy, api: ProlificApi, each: Bonus, act: int, outcome: Outcome) -> bool:
    if not _move(hosted, [act], "planned", "sent"):
        return False
    body = {
        "submission_ids": [each.submission.id],
        "bonus_per_submission": each.cents / 100,
        "increase_places": True,  # its place here is free again, too
    }
    try:
        api.post(f"studies/{launched_id(hosted)}/screen-out-submissions/", body)
    except PanelUnclear as error:
        outcome.problem(f"{error} `evalkit study pay` asks again what became of it.")
        return False
    except PanelUnreachable:
        _move(hosted, [act], "sent", "planned")
        raise
    except PanelError as error:
        _move(hosted, [act], "sent", "planned")
        outcome.problem(str(error))
        return False
    return bool(_move(hosted, [act], "sent", "done"))


def _pay_bonuses(
    hosted: HostedStudy, api: ProlificApi, draft: BonusDraft, acts: list[int], outcome: Outcome
) -> int:
    if not _send_together(hosted, acts, draft.id):
        outcome.problem("Bonuses were not paid: another `evalkit study pay` is at them.")
        return 0
    try:
        api.post(f"bulk-bonus-payments/{draft.id}/pay/", {})  # told twice, Prolific pays twice
    except PanelUnclear as error:
        outcome.problem(f"{error} `evalkit study pay` looks later whether the bonuses have arrived.")
        return 0
    except PanelUnreachable:
        _move(hosted, acts, "sent", "planned")
        raise
    except PanelError as error:
        _move(hosted, acts, "sent", "planned")
        outcome.problem(str(error))
        return 0
    return _move(hosted, acts, "sent", "done")


def _rows(hosted: HostedStudy, state: str) -> list[MoneyActRow]:
    here = (MoneyActRow.study == hosted.study.id, MoneyActRow.data == hosted.data)
    with hosted.database.read() as db:
        return list(
            db.scalars(select(MoneyActRow).where(*here, MoneyActRow.state == state).order_by(MoneyActRow.id))
        )


def _plan(hosted: HostedStudy, submission: Submission, act: str, cents: int) -> int:
    """Note that an act is to be done; returns its number. One that was sent or done stays as it is."""
    assert submission.payment is not None, "only who began here has a payment row"
    with hosted.database.write() as db:
        row = db.scalar(
            select(MoneyActRow)
            .where(MoneyActRow.payment_id == submission.payment, MoneyActRow.act == act)
            .with_for_update()
        )
        if row is None:
            row = MoneyActRow(
                study=hosted.study.id,
                data=hosted.data,
                payment_id=submission.payment,
                act=act,
                amount_cents=cents,
                state="planned",
                at=hosted.clock(),
            )
            db.add(row)
            db.flush()
        elif row.state == "planned":
            row.amount_cents, row.at = cents, hosted.clock()
        return row.id


def _move(hosted: HostedStudy, acts: list[int], before: str, after: str) -> int:
    """Move acts from one state to the next, those that are in it; returns how many."""
    with hosted.database.write() as db:
        return _moved(
            db.execute(
                update(MoneyActRow)
                .where(MoneyActRow.id.in_(acts), MoneyActRow.state == before)
                .values(state=after, at=hosted.clock())
            )
        )


def _moved(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return int(result.rowcount)


def _send_together(hosted: HostedStudy, acts: list[int], reference: str) -> bool:
    """Mark all of them as sent, or none; another process may have been first."""
    with hosted.database.write() as db:
        wanted = select(MoneyActRow).where(MoneyActRow.id.in_(acts)).order_by(MoneyActRow.id)
        rows = list(
            db.scalars(wanted.with_for_update())
        )  # in order, so that two payers wait and do not deadlock
        if any(row.state != "planned" for row in rows):
            return False
        for row in rows:
            row.state, row.reference, row.at = "sent", reference, hosted.clock()
        return True
