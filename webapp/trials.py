"""A trial's life on the server: begun, ended, answered. One transaction each; a repeated request changes nothing."""

import dataclasses
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from studies.protocols import Frame
from studies.records import REAL, Choice, Trial
from webapp.hosting import HostedStudy
from webapp.identity import image_address
from webapp.progress import (
    Progress,
    Sent,
    add_event,
    load_progress,
    read_outstanding,
    read_settled,
    send_ahead,
)
from webapp.sessions import Refusal, find_session, lock_session
from webapp.tables import ResponseRow


class _Report(BaseModel):
    """Something the page reports; unknown fields are dropped, absurd values refused."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class SlotDisplay(_Report):
    """How one image was shown."""

    exposure_ms: float | None = Field(default=None, ge=0, le=1e8)
    frames: int | None = Field(default=None, ge=0, le=10**7)
    max_frame_gap_ms: float | None = Field(default=None, ge=0, le=1e8)
    onset: float | None = None
    offset: float | None = None
    fetch_ms: float | None = None
    decode_ms: float | None = None
    bytes: int | None = None


class Display(_Report):
    """How a trial was shown, as the page measured it."""

    slots: dict[Literal["1", "2"], SlotDisplay]
    """Required, so that a body of another shape is refused rather than read as an empty display."""
    refresh_hz: float | None = Field(default=None, ge=0, le=10_000)
    device_pixel_ratio: float | None = Field(default=None, ge=0, le=100)
    zoom: float | None = Field(default=None, ge=0, le=100)
    pixel_scale: int | None = Field(default=None, ge=0, le=1000)
    screen_px: str = Field(default="", pattern=r"^(\d{1,6}x\d{1,6})?$")
    window_px: str = Field(default="", pattern=r"^(\d{1,6}x\d{1,6})?$")
    void_reason: str = Field(default="", max_length=32, pattern=r"^[a-z_]*$")


class Answer(_Report):
    """What the participant chose."""

    choice: Choice
    rt_ms: float | None = Field(default=None, ge=0, le=1e10)
    input: Literal["key", "mouse", "touch", ""] = ""
    display: Display | None = None


def current_state(hosted: HostedStudy, token: str | None, page: str) -> dict[str, Any]:
    """What the page should do now.

    Raises:
        Refusal: No such session, or another page holds it.
    """
    with hosted.database.write() as db:
        session = lock_session(hosted, db, token, page)
        return state(hosted, load_progress(hosted, db, session))


def state(hosted: HostedStudy, progress: Progress) -> dict[str, Any]:
    """The page's orders: the stage, the position, and the trials to show, without their truth."""
    session, todo = progress.session, progress.outstanding
    if session.state != "active":
        return {"stage": session.state, "position": None, "trials": []}
    trials = [_order(hosted, session.page, item) for item in todo]
    stage = "practice" if todo[0].trial.phase == "practice" else "scored"
    position = {key: trials[0][key] for key in ("phase", "number", "of")}
    return {"stage": stage, "position": position, "trials": trials}


def _order(hosted: HostedStudy, page: str, sent: Sent) -> dict[str, Any]:
    trial, protocol = sent.trial, hosted.study.protocol
    practice = trial.phase == "practice"
    return {
        "id": sent.row.id,
        "phase": trial.phase,
        "number": trial.trial_index + 1 - (0 if practice else protocol.practice),
        "of": protocol.practice if practice else protocol.scored,
        "attempt": trial.attempt,
        "resume": "question" if "ended" in sent.events else "start",
        "images": {
            str(slot): "/i/" + image_address(hosted.config.secret_key, page, sent.row.id, slot)
            for slot in range(1, len(trial.slots) + 1)
        },
        "schedule": [_frame(frame, trial) for frame in protocol.schedule(trial)],
    }


def _frame(frame: Frame, trial: Trial) -> dict[str, Any]:
    order: dict[str, Any] = {"kind": frame.kind}
    if frame.ms is not None:
        order["ms"] = frame.ms
    if frame.slots:
        order["slots"] = [{"slot": slot, "side": trial.slots[slot - 1].side} for slot in frame.slots]
    if frame.kind == "question":
        order |= {"text": frame.text, "buttons": [dataclasses.asdict(button) for button in frame.buttons]}
    return order


def begun(hosted: HostedStudy, token: str | None, page: str, trial_id: int) -> None:
    """The pair is about to appear; from now on it is spent.

    Raises:
        Refusal: It is not this session's turn for that trial.
    """
    with hosted.database.write() as db:
        progress, sent = _turn(hosted, db, token, page, trial_id)
        if sent.outstanding:
            _require_first(progress, sent)
            add_event(hosted, db, sent, "begun", {})


def ended(
    hosted: HostedStudy, token: str | None, page: str, trial_id: int, display: Display
) -> dict[str, Any]:
    """The pair is gone from the screen; a spoilt display makes the trial void. Returns the state.

    Raises:
        Refusal: As `begun`.
    """
    with hosted.database.write() as db:
        progress, sent = _turn(hosted, db, token, page, trial_id)
        if sent.outstanding:
            _require_first(progress, sent)
            _require_begun(sent)
            if "ended" not in sent.events:  # the first report stands
                _end(hosted, db, progress, sent, display)
        return state(hosted, progress)


def _end(hosted: HostedStudy, db: Session, progress: Progress, sent: Sent, display: Display) -> None:
    detail = display.model_dump(mode="json")
    if display.void_reason:
        add_event(hosted, db, sent, "void", detail)
        send_ahead(hosted, db, progress)
    else:
        add_event(hosted, db, sent, "ended", detail)


def answer(hosted: HostedStudy, token: str | None, page: str, trial_id: int, given: Answer) -> dict[str, Any]:
    """Store an answer, send the trial after next, and return the state, in practice with feedback.

    The same answer again returns the same; the feedback is made after the answer is stored.

    Raises:
        Refusal: Another answer is stored (409), the trial is void (409) or not due (409), or the protocol knows
            no such choice (422).
    """
    with hosted.database.write() as db:
        progress, sent = _turn(hosted, db, token, page, trial_id)
        if sent.response is not None:
            if sent.response.choice != given.choice:
                raise Refusal(409, "answered", "This trial already has another answer.")
        elif "void" in sent.events:
            raise Refusal(409, "void", "This trial does not count.")
        else:
            _require_first(progress, sent)
            _require_begun(sent)
            if given.display is not None and "ended" not in sent.events:
                _end(hosted, db, progress, sent, given.display)
            if "void" not in sent.events:
                _store(hosted, db, progress, sent, given)
        reply = state(hosted, progress)
        if sent.trial.phase == "practice" and sent.response is not None:
            reply["feedback"] = _feedback(sent)
        return reply


def _store(hosted: HostedStudy, db: Session, progress: Progress, sent: Sent, given: Answer) -> None:
    try:
        outcome = hosted.study.protocol.grade(sent.trial, given.choice)
    except ValueError as error:
        raise Refusal(422, "choice", str(error)) from error
    sent.response = ResponseRow(
        study=hosted.study.id,
        data=hosted.data,
        trial_id=sent.row.id,
        choice=given.choice,
        outcome=outcome,
        rt_ms=given.rt_ms,
        input=given.input,
        answered_at=hosted.clock(),
    )
    db.add(sent.response)
    send_ahead(hosted, db, progress)


def _feedback(sent: Sent) -> dict[str, Any]:
    assert sent.response is not None
    truth = {
        str(number): "real" if slot.condition == REAL else "fake"
        for number, slot in enumerate(sent.trial.slots, 1)
    }
    return {"correct": sent.response.outcome == 1.0, "truth": truth}


def _turn(
    hosted: HostedStudy, db: Session, token: str | None, page: str, trial_id: int
) -> tuple[Progress, Sent]:
    progress = load_progress(hosted, db, lock_session(hosted, db, token, page))
    waiting = {item.row.id: item for item in progress.waiting}
    sent = waiting.get(trial_id) or read_settled(db, progress.session, trial_id)
    if sent is None:
        raise Refusal(404, "unknown_trial", "This session has no such trial.")
    if progress.session.state in ("stopped", "expired"):
        raise Refusal(409, progress.session.state, "This session is over.")
    return progress, sent


def _require_first(progress: Progress, sent: Sent) -> None:
    if progress.outstanding[0] is not sent:
        raise Refusal(409, "order", "Another trial comes first.")


def _require_begun(sent: Sent) -> None:
    if "begun" not in sent.events:
        raise Refusal(409, "not_begun", "This trial has not begun.")


def image(hosted: HostedStudy, token: str | None, address: str) -> bytes:
    """The file behind an address; works until its trial is answered or void, and writes nothing.

    Raises:
        Refusal: No session (401), or the address is spent or was never given out (410; the two look alike).
    """
    session = find_session(hosted, token)
    if session is None:
        raise Refusal(401, "unknown_session", "This browser has no session here.")
    with hosted.database.read() as db:
        outstanding = read_outstanding(db, session) if session.state == "active" else []
    for sent in outstanding:
        for slot, shown in enumerate(sent.trial.slots, 1):
            if image_address(hosted.config.secret_key, session.page, sent.row.id, slot) == address:
                return hosted.image_bytes(shown.image)
    raise Refusal(410, "spent", "This address no longer works.")
