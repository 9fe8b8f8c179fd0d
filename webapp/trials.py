"""A trial's life on the server: begun, ended, answered. One transaction each; a repeated request changes nothing."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.orm import Session

from studies.protocols import Frame, Protocol
from studies.records import Choice, Trial
from webapp.hosting import HostedStudy
from webapp.identity import image_address
from webapp.languages import say
from webapp.progress import (
    Progress,
    Sent,
    add_event,
    load_progress,
    read_settled,
    read_shown,
    send_ahead,
)
from webapp.sessions import UNKNOWN_SESSION, Refusal, find_session, lock_session, token_hash
from webapp.tables import ResponseRow, SessionRow

ROUNDING_MS = 1.0
"""By how much times that belong together may disagree."""
Milliseconds = Annotated[float | None, Field(default=None, ge=0, le=1e8)]
"""A time that somebody may have spent: up to a day or so."""
Moment = Annotated[float | None, Field(default=None, ge=0, le=1e10)]
"""A time by the page's clock, which begins with the page load."""
Count = Annotated[int | None, Field(default=None, ge=0, le=10**8)]
ClientClock = Annotated[str, Field(pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z)?$")]
"""The device's own date and time; recorded, never trusted."""


class _Report(BaseModel):
    """Something the page reports; unknown fields are dropped, absurd values refused."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class SlotDisplay(_Report):
    """How one image was shown."""

    exposure_ms: Milliseconds = None
    frames: Count = None
    frames_expected: Count = None
    max_frame_gap_ms: Milliseconds = None
    onset_ms: Moment = None
    """The frame that showed the image; the one after is `onset_next_ms`."""
    onset_next_ms: Moment = None
    offset_ms: Moment = None
    fetch_ms: Milliseconds = None
    decode_ms: Milliseconds = None
    bytes: Count = None

    @model_validator(mode="after")
    def _time_goes_forward(self) -> Self:
        moments = [each for each in (self.onset_ms, self.onset_next_ms, self.offset_ms) if each is not None]
        if moments != sorted(moments):
            raise ValueError("onset_ms, onset_next_ms and offset_ms must not go back in time")
        if None not in (self.exposure_ms, self.onset_ms, self.offset_ms) and (
            self.exposure_ms > self.offset_ms - self.onset_ms + ROUNDING_MS  # type: ignore[operator]  # none is None
        ):
            raise ValueError("exposure_ms is longer than from onset_ms to offset_ms")
        return self


class Display(_Report):
    """How a trial was shown, as the page measured it."""

    slots: dict[Literal["0", "1", "2"], SlotDisplay]
    """Required, so that a body of another shape is refused rather than read as an empty display."""
    refresh_hz: float | None = Field(default=None, ge=0, le=10_000)
    device_pixel_ratio: float | None = Field(default=None, ge=0, le=100)
    zoom: float | None = Field(default=None, ge=0, le=100)
    pixel_scale: int | None = Field(default=None, ge=0, le=1000)
    screen_px: str = Field(default="", pattern=r"^(\d{1,6}x\d{1,6})?$")
    window_px: str = Field(default="", pattern=r"^(\d{1,6}x\d{1,6})?$")
    hidden_ms: Milliseconds = None
    blur_count: int | None = Field(default=None, ge=0, le=10_000)
    fullscreen: bool | None = None
    received_ms: Moment = None
    """When the page learned of the trial, by its clock."""
    question_ms: Moment = None
    client_clock: ClientClock = ""
    client_version: str = Field(default="", pattern=r"^[0-9a-f]{0,64}$")
    ua_family: str = Field(default="", max_length=40)
    """What the server read in the browser's header; nothing that the page says."""
    void_reason: str = Field(default="", max_length=32, pattern=r"^[a-z_]*$")


class Answer(_Report):
    """What the participant chose."""

    choice: Choice
    rt_ms: float | None = Field(default=None, ge=0, le=1e10)
    input: Literal["key", "mouse", "touch", ""] = ""
    event_ms: Moment = None
    """The key press or click, by the page's clock."""
    received_ms: Moment = None
    """As in the display; after a reload the display is another page load's."""
    client_clock: ClientClock = ""
    begins: int | None = None
    """The trial that the page shows next without waiting for anybody: begun with this answer, by the same request."""
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
    trials = [_order(hosted, session, item) for item in todo]
    stage = "practice" if todo[0].trial.phase == "practice" else "scored"
    position = {key: trials[0][key] for key in ("phase", "number", "of")}
    return {"stage": stage, "position": position, "trials": trials}


def _order(hosted: HostedStudy, session: SessionRow, sent: Sent) -> dict[str, Any]:
    trial, protocol = sent.trial, hosted.study.protocol
    practice = trial.phase == "practice"
    language = session.language or hosted.study.page.languages[0]
    return {
        "id": sent.id,
        "phase": "practice" if practice else "scored",  # a check is called scored too
        "number": trial.trial_index + 1 - (0 if practice else protocol.practice),
        "of": protocol.practice if practice else hosted.study.main_trials,
        "attempt": trial.attempt,
        "asked": trial.question,
        "resume": "question" if "ended" in sent.events else "start",
        "begun": "begun" in sent.events,
        "images": {
            str(slot): "/i/" + image_address(hosted.config.secret_key, session.page, sent.id, slot)
            for slot in trial.shown
        },
        "schedule": [_frame(frame, trial, language) for frame in protocol.schedule(trial)],
    }


def _frame(frame: Frame, trial: Trial, language: str) -> dict[str, Any]:
    order: dict[str, Any] = {"kind": frame.kind}
    if frame.ms is not None:
        order["ms"] = frame.ms
    if frame.slots:
        order["slots"] = [{"slot": slot, "side": trial.slot(slot).side} for slot in frame.slots]
    if frame.kind == "question":
        order |= {
            "text": say(frame.text, language) if frame.text else "",
            "buttons": [
                {"value": button.value, "label": say(button.label, language), "side": button.side}
                for button in frame.buttons
            ],
        }
    return order


def begun(hosted: HostedStudy, token: str | None, page: str, trial_id: int) -> None:
    """The pair is about to appear; from now on it is spent.

    Raises:
        Refusal: It is not this session's turn for that trial.
    """
    with hosted.database.write(lasting=False) as db:
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
    with hosted.database.write(lasting=False) as db:
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
                if given.begins is not None and [item.id for item in progress.outstanding[:1]] == [
                    given.begins
                ]:
                    add_event(hosted, db, progress.outstanding[0], "begun", {})
    reply = state(
        hosted, progress
    )  # others may write meanwhile; and feedback goes out after the answer is on disk
    told = hosted.study.protocol.gives_feedback
    if sent.trial.phase == "practice" and told and sent.response is not None:
        reply["feedback"] = _feedback(hosted.study.protocol, sent)
    return reply


def _store(hosted: HostedStudy, db: Session, progress: Progress, sent: Sent, given: Answer) -> None:
    try:
        protocol = hosted.study.protocol
        judge = protocol.passes if sent.trial.phase == "check" else protocol.grade
        outcome = judge(sent.trial, given.choice)
    except ValueError as error:
        raise Refusal(422, "choice", str(error)) from error
    sent.response = ResponseRow(
        study=hosted.study.id,
        data=hosted.data,
        trial_id=sent.id,
        choice=given.choice,
        outcome=outcome,
        rt_ms=given.rt_ms,
        input=given.input,
        answered_at=hosted.clock(),
        detail=given.model_dump(include={"event_ms", "received_ms", "client_clock"}, exclude_none=True),
    )
    db.add(sent.response)
    send_ahead(hosted, db, progress)


def _feedback(protocol: Protocol, sent: Sent) -> dict[str, Any]:
    assert sent.response is not None
    truth = {str(number): kind for number, kind in protocol.truth(sent.trial).items()}
    return {"correct": sent.response.outcome == 1.0, "truth": truth}


def _turn(
    hosted: HostedStudy, db: Session, token: str | None, page: str, trial_id: int
) -> tuple[Progress, Sent]:
    progress = load_progress(hosted, db, lock_session(hosted, db, token, page))
    waiting = {item.id: item for item in progress.waiting}
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
    with hosted.database.read() as db:
        shown = read_shown(hosted, db, token_hash(token)) if token else []
        if not shown and find_session(hosted, token, db) is None:
            raise Refusal(401, "unknown_session", UNKNOWN_SESSION)
    for page, number, trial in shown:
        for slot, stimulus in trial.shown.items():
            if image_address(hosted.config.secret_key, page, number, slot) == address:
                return hosted.image_bytes(stimulus.image)
    raise Refusal(410, "spent", "This address no longer works.")
