"""Reports that Prolific sends by itself: signed, possibly repeated, in any order."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from cryptography.fernet import InvalidToken
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp import payments
from webapp.hosting import HostedStudy
from webapp.payouts.states import RANKS, comes_later, give_back, spelt
from webapp.recruitment.launched import launched
from webapp.recruitment.prolific import NAME
from webapp.recruitment.prolific_study import hook_cipher
from webapp.tables import HookRow, PaymentRow, RecruitmentRow

SIGNATURE = "X-Prolific-Request-Signature"
TIMESTAMP = "X-Prolific-Request-Timestamp"
EVENT = "X-Event-ID"
HAPPENED = "X-Timestamp"
HEADERS = (SIGNATURE, TIMESTAMP, EVENT, HAPPENED)
"""What of a request is looked at, beside its body."""
OLDEST_MS = 5 * 60_000


class Forged(Exception):  # noqa: N818  (an outcome, not a fault)
    """The report proves nothing: no signature, a wrong one, or an old one."""


def receive(hosted: HostedStudy, headers: Mapping[str, str], body: bytes) -> str:
    """Take in a report; a repeated one changes nothing, and neither does one that came too late.

    Args:
        hosted: The study.
        headers: Those of HEADERS that the request has.
        body: Exactly as it was received.

    Returns:
        "done", "known" (had it before) or "ignored" (nothing that this study can use).

    Raises:
        Forged: The signature is missing, wrong, or older than five minutes.
    """
    _check(hosted, headers, body)
    report = _read(body)
    event = _event_id(headers, body)
    happened = _moment(headers.get(HAPPENED, "")) or _moment(headers.get(TIMESTAMP, "")) or hosted.clock()
    if report.get("event_type") == "study.status.change":
        row = launched(hosted, NAME)
        if row is None or report.get("resource_id") != row.external_id:
            return "ignored"  # and not kept: in a shared database it is another study's to keep
        return _once(hosted, event, "study.status.change", lambda db: _study_changed(hosted, db, report))
    if report.get("event_type") != "submission.status.change":
        return "ignored"
    submission, state = report.get("resource_id"), spelt(report.get("status"))
    if not isinstance(submission, str) or state not in RANKS:
        return "ignored"
    with hosted.database.read() as db:
        payment_row = payments.find_submission(hosted, db, submission)
        if db.get(HookRow, event) is not None:
            return "known"
    if payment_row is None:  # of another study in the workspace, or of somebody who never began here
        return "ignored"
    if _is_news(payment_row, state, happened):
        # Before it is kept: if the process dies in between, the report comes again and does both.
        give_back(hosted, payment_row.session_id, state)
    payment = payment_row.id
    return _once(
        hosted,
        event,
        "submission.status.change",
        lambda db: _submission_changed(db, payment, state, happened),
    )


def _check(hosted: HostedStudy, headers: Mapping[str, str], body: bytes) -> None:
    row = launched(hosted, NAME)
    sealed = str(row.detail.get("hook_secret", "")) if row else ""
    try:
        secret = hook_cipher(hosted).decrypt(sealed.encode()) if sealed else b""
    except InvalidToken:
        secret = b""
    if not secret:
        raise Forged("No reports are expected.")
    timestamp = headers.get(TIMESTAMP, "")
    mac = hmac.new(secret, timestamp.encode("utf-8", "replace") + body, hashlib.sha256).digest()
    given = headers.get(SIGNATURE, "").encode("utf-8", "replace")
    if not hmac.compare_digest(base64.b64encode(mac), given):
        raise Forged("The signature is wrong.")
    moment = _moment(timestamp)
    if moment is None or abs(hosted.clock() - moment) > OLDEST_MS:
        raise Forged("The report is too old.")


def _moment(text: str) -> int | None:
    """Milliseconds since 1970, from seconds or milliseconds; None if it is neither."""
    if not re.fullmatch(r"[0-9]{9,14}(\.[0-9]{1,6})?", text):
        return None
    value = float(text)
    return int(value) if value > 1e11 else int(value * 1000)


def _read(body: bytes) -> dict[str, Any]:
    try:
        report = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}


def _event_id(headers: Mapping[str, str], body: bytes) -> str:
    given = headers.get(EVENT, "")
    if re.fullmatch(r"[A-Za-z0-9_\-.:]{1,100}", given):
        return given
    return hashlib.sha256(given.encode("utf-8", "replace") + body).hexdigest()


def _once(hosted: HostedStudy, event: str, kind: str, change: Any) -> str:
    """Make a change together with the note that this event made it."""
    try:
        with hosted.database.write() as db:
            if db.get(HookRow, event) is not None:
                return "known"
            row = HookRow(
                event_id=event, study=hosted.study.id, data=hosted.data, kind=kind, at=hosted.clock()
            )
            db.add(row)
            db.flush()
            change(db)
    except IntegrityError:  # the same event at the same moment, in another process
        return "known"
    return "done"


def _is_news(row: PaymentRow, state: str, happened: int) -> bool:
    """Whether a report says something newer than what is known."""
    if RANKS.get(row.panel_state, 0) == RANKS[state]:
        return row.panel_state_at is None or happened >= row.panel_state_at
    return comes_later(row.panel_state, state)


def _submission_changed(db: Session, payment: int, state: str, happened: int) -> None:
    row = db.get(PaymentRow, payment, with_for_update=True)
    if row is not None and _is_news(row, state, happened):
        row.panel_state, row.panel_state_at = state, happened


def _study_changed(hosted: HostedStudy, db: Session, report: dict[str, Any]) -> None:
    row = db.get(RecruitmentRow, (hosted.study.id, hosted.data, NAME), with_for_update=True)
    state = report.get("status")
    if row is not None and report.get("resource_id") == row.external_id and isinstance(state, str):
        cleaned = "".join(character for character in state if character.isprintable())
        row.state, row.updated_at = cleaned[:32], hosted.clock()
