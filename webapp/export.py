"""Database rows -> records -> files."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as DatabaseSession

from studies.records import (
    ASSUMED_REFRESH_HZ,
    EXPOSURE_FRAMES,
    NOT_GENERATED,
    AdminAct,
    Arrival,
    Response,
    Session,
    Slot,
    Trial,
    write_csv,
)
from webapp.device import Device
from webapp.freeze import iso
from webapp.hosting import HostedStudy
from webapp.progress import trial_from_json
from webapp.tables import AdminActRow, ArrivalRow, EventRow, PlaceRow, ResponseRow, SessionRow, TrialRow

FRAME_GAP_MS = 50.0
"""A longest frame gap above this is flagged."""
CLOCK_MS, CLOCK_RATE = 100.0, 1.005
"""A page may claim this much more than passed on the server: browsers round their clocks (to 100 ms at the coarsest),
and quartz and time services drift by far less than half a percent."""
MEASURED = (
    *("max_frame_gap_ms", "bytes", "fetch_ms", "decode_ms"),
    *("onset_ms", "onset_next_ms", "offset_ms", "frames", "frames_expected"),
)
"""Columns of a slot that the page measured and that are named like its report."""
_FORMULA = re.compile(r"((?:^|[;,])[\s\"]*)([=+\-@＝＋－＠])")
SLOW_MS = 10 * 60 * 1000
"""From sending a trial to its answer; above this the trial is flagged, since its images lay open for long."""


def export(hosted: HostedStudy) -> tuple[Path, int]:
    """Write responses.csv, sessions.csv, arrivals.csv and admin_acts.csv; returns the first's path and number of rows."""
    folder = hosted.config.folder / hosted.data
    with hosted.database.snapshot() as db:  # the files tell of one moment
        rows, people, everybody = _responses(hosted, db), _sessions(hosted, db), _arrivals(hosted, db)
        acts = _acts(hosted, db)
    folder.mkdir(exist_ok=True)
    write_csv(folder / "sessions.csv", Session, people)
    write_csv(folder / "arrivals.csv", Arrival, everybody)
    write_csv(folder / "admin_acts.csv", AdminAct, acts)
    path = folder / "responses.csv"
    return path, write_csv(path, Response, rows)


def responses(hosted: HostedStudy) -> list[Response]:
    """All trials that were answered or became void, in the order in which they were sent."""
    with hosted.database.snapshot() as db:
        return _responses(hosted, db)


def settled(hosted: HostedStudy) -> set[int]:
    """Numbers of the trials that were answered or became void; such a trial changes no more, but it may be erased."""
    here = (TrialRow.study == hosted.study.id, TrialRow.data == hosted.data)
    answered = select(TrialRow.id).join(ResponseRow, ResponseRow.trial_id == TrialRow.id).where(*here)
    void = select(TrialRow.id).join(EventRow, EventRow.trial_id == TrialRow.id).where(*here)
    with hosted.database.snapshot() as db:
        return {*db.scalars(answered), *db.scalars(void.where(EventRow.kind == "void"))}


def responses_of(hosted: HostedStudy, trials: Iterable[int]) -> dict[int, Response]:
    """Those of these trials that were answered or became void, by number."""
    wanted, found = sorted(trials), dict[int, Response]()
    for start in range(0, len(wanted), 200):  # other threads get their turn in between
        with hosted.database.snapshot() as db:
            found |= _numbered(hosted, db, wanted[start : start + 200])
    return found


def _responses(hosted: HostedStudy, db: DatabaseSession) -> list[Response]:
    return list(_numbered(hosted, db).values())


def _numbered(
    hosted: HostedStudy, db: DatabaseSession, only: Sequence[int] | None = None
) -> dict[int, Response]:
    query = (
        select(TrialRow, SessionRow, PlaceRow, ResponseRow)
        .join(SessionRow, SessionRow.id == TrialRow.session_id)
        .join(PlaceRow, PlaceRow.id == SessionRow.place_id)
        .outerjoin(ResponseRow, ResponseRow.trial_id == TrialRow.id)
        .where(TrialRow.study == hosted.study.id, TrialRow.data == hosted.data)
        .order_by(SessionRow.started_at, SessionRow.id, TrialRow.id)
    )
    reported = select(EventRow).where(EventRow.study == hosted.study.id, EventRow.data == hosted.data)
    if only is not None:
        query, reported = query.where(TrialRow.id.in_(only)), reported.where(EventRow.trial_id.in_(only))
    events: dict[int, dict[str, EventRow]] = {}
    for event in db.scalars(reported):
        events.setdefault(event.trial_id, {})[event.kind] = event
    return {
        trial.id: _response(hosted, trial, session, place, response, events.get(trial.id, {}))
        for trial, session, place, response in db.execute(query)
        if response is not None or "void" in events.get(trial.id, {})
    }


def _response(
    hosted: HostedStudy,
    row: TrialRow,
    session: SessionRow,
    place: PlaceRow,
    response: ResponseRow | None,
    events: dict[str, EventRow],
) -> Response:
    trial = trial_from_json(row.trial)
    display = (events.get("ended") or events["void"]).detail if events.keys() & {"ended", "void"} else {}
    void = str(events["void"].detail.get("void_reason", "void")) if "void" in events else ""
    fake = _judged(trial)
    return Response(
        study=row.study,
        data=row.data,
        session=session.id,
        worker=session.worker,
        condition=fake.condition if fake else place.condition,
        run=fake.run if fake else None,
        design=hosted.study.study.design,
        protocol=hosted.study.protocol.name,
        phase=trial.phase,
        trial_index=trial.trial_index,
        attempt=trial.attempt,
        question=trial.question,
        **_slot(1, trial.slots, display),
        **_slot(2, trial.slots, display),
        **_context(trial.context, display),
        target=trial.target,
        choice=response.choice if response and not void else "",
        outcome=response.outcome if response and not void else None,
        rt_ms=response.rt_ms if response else None,
        void_reason=void,
        flags=" ".join(
            [*_flags(trial.slots, display, row, response), *_clock(hosted, display, row, response, events)]
        ),
        input=response.input if response else "",
        issued_at=iso(row.issued_at),
        answered_at=iso(response.answered_at) if response else "",
        refresh_hz=display.get("refresh_hz"),
        device_pixel_ratio=display.get("device_pixel_ratio"),
        zoom=display.get("zoom"),
        pixel_scale=display.get("pixel_scale"),
        screen_px=display.get("screen_px", ""),
        window_px=display.get("window_px", ""),
        **_times(display, response, events),
        hidden_ms=display.get("hidden_ms"),
        blur_count=display.get("blur_count"),
        fullscreen=None if display.get("fullscreen") is None else int(display["fullscreen"]),
        ua_family=display.get("ua_family", ""),
        client_version=display.get("client_version", ""),
    )


def _times(
    display: dict[str, Any], response: ResponseRow | None, events: dict[str, EventRow]
) -> dict[str, Any]:
    answer = response.detail if response is not None else {}
    return {
        "question_ms": display.get("question_ms"),
        "event_ms": answer.get("event_ms"),
        "client_ms": _client_ms(answer),
        "client_clock": answer.get("client_clock") or display.get("client_clock", ""),
        "begun_at": iso(events["begun"].at) if "begun" in events else "",
        "ended_at": iso(events["ended"].at) if "ended" in events else "",
    }


def _client_ms(answer: dict[str, Any]) -> float | None:
    """From learning of the trial to answering it, by the page's clock; both of one load of the page."""
    if answer.get("event_ms") is None or answer.get("received_ms") is None:
        return None
    return round(float(answer["event_ms"]) - float(answer["received_ms"]), 3)


def _clock(
    hosted: HostedStudy,
    display: dict[str, Any],
    row: TrialRow,
    response: ResponseRow | None,
    events: dict[str, EventRow],
) -> Iterator[str]:
    """Whether the page claims more time than passed on the server, which nobody can shorten.

    Simulated participants answer in no time and claim made-up times; they are not asked.
    """
    if response is None or hosted.data == "simulated":
        return
    whole = _client_ms(response.detail)
    onset = _measured(display, 1).get("onset_ms")
    pairs = [(whole, response.answered_at - row.issued_at)]
    if "begun" in events and onset is not None and display.get("question_ms") is not None:
        seen = display["question_ms"] - onset + (response.rt_ms or 0.0)
        pairs.append((seen, response.answered_at - events["begun"].at))
    if any(mine is not None and mine > CLOCK_MS + CLOCK_RATE * theirs for mine, theirs in pairs):
        yield "clock"


def _judged(trial: Trial) -> Slot | None:
    """The generated image that a trial is about: of two, the one by which the protocol defines its outcome."""
    generated = [slot for slot in trial.slots if slot.condition not in NOT_GENERATED]
    if len(generated) == 2 and trial.target is not None:
        return trial.slots[trial.target - 1]
    return generated[0] if generated else None


def _context(shown: Slot | None, display: dict[str, Any]) -> dict[str, Any]:
    if shown is None:
        return {}
    return {
        "image_0": shown.image,
        "source_id_0": shown.source_id,
        "condition_0": shown.condition,
        "planned_ms_0": shown.planned_ms,
        "exposure_ms_0": _measured(display, 0).get("exposure_ms"),
    }


def _slot(number: int, slots: tuple[Slot, ...], display: dict[str, Any]) -> dict[str, Any]:
    shown = slots[number - 1] if number <= len(slots) else None
    measured = _measured(display, number)
    return {
        f"image_{number}": shown.image if shown else "",
        f"source_id_{number}": shown.source_id if shown else "",
        f"condition_{number}": shown.condition if shown else "",
        f"run_{number}": shown.run if shown else None,
        f"side_{number}": shown.side if shown else "",
        f"planned_ms_{number}": (shown.planned_ms or None) if shown else None,
        f"exposure_ms_{number}": measured.get("exposure_ms"),
        **{f"{key}_{number}": measured.get(key) for key in MEASURED},
    }


def _measured(display: dict[str, Any], number: int) -> dict[str, Any]:
    measured: dict[str, Any] = display.get("slots", {}).get(str(number), {})
    return measured


def _flags(
    slots: tuple[Slot, ...], display: dict[str, Any], row: TrialRow, response: ResponseRow | None
) -> Iterator[str]:
    frame_ms = 1000.0 / (display.get("refresh_hz") or ASSUMED_REFRESH_HZ)
    measured = [(slot, _measured(display, number)) for number, slot in enumerate(slots, 1)]
    if any(
        slot.planned_ms
        and shown.get("exposure_ms") is not None
        and abs(shown["exposure_ms"] - slot.planned_ms) > EXPOSURE_FRAMES * frame_ms
        for slot, shown in measured
    ):
        yield "exposure"
    if any((shown.get("max_frame_gap_ms") or 0.0) > FRAME_GAP_MS for _, shown in measured):
        yield "frame_gap"
    if response is not None and response.answered_at - row.issued_at > SLOW_MS:
        yield "slow"


def sessions(hosted: HostedStudy) -> list[Session]:
    """All sessions that began, in that order."""
    with hosted.database.snapshot() as db:
        return _sessions(hosted, db)


def _sessions(hosted: HostedStudy, db: DatabaseSession) -> list[Session]:
    query = (
        select(SessionRow, PlaceRow)
        .join(PlaceRow)
        .where(SessionRow.study == hosted.study.id, SessionRow.data == hosted.data)
        .order_by(SessionRow.started_at, SessionRow.id)
    )
    limit, void = hosted.study.exclusions.max_void_trials, _scored_voids(hosted, db)
    return [
        Session(
            study=row.study,
            data=row.data,
            session=row.id,
            worker=row.worker,
            condition=place.condition,
            place_index=place.place_index,
            state=row.state,
            started_at=iso(row.started_at),
            finished_at=iso(row.finished_at) if row.finished_at is not None else "",
            consent_version=row.consent_version,
            comment=_plain_text(row.comment),
            observer=row.observer,
            recruiter=row.recruiter,
            language=row.language,
            flags="disturbed" if limit is not None and void.get(row.id, 0) >= max(1, limit) else "",
            **_device(row),
        )
        for row, place in db.execute(query)
    ]


def _plain_text(typed: str) -> str:
    """What somebody typed, with an apostrophe wherever a spreadsheet would run it as a formula.

    Also after a semicolon: it begins a new cell where the comma is the decimal sign.
    """
    return _FORMULA.sub(r"\1'\2", typed)


def _device(row: SessionRow) -> dict[str, Any]:
    device = Device.model_validate(row.device)
    return {
        "colour_vision": device.colour_vision,
        "device_px_per_mm": device.device_px_per_mm,
        "viewing_distance": device.viewing_distance,
    }


def _scored_voids(hosted: HostedStudy, db: DatabaseSession) -> dict[str, int]:
    """Session -> scored trials that became void."""
    query = (
        select(TrialRow.session_id, func.count())
        .join(EventRow, EventRow.trial_id == TrialRow.id)
        .where(TrialRow.study == hosted.study.id, TrialRow.data == hosted.data, EventRow.kind == "void")
        .where(TrialRow.trial["phase"].as_string() == "scored")
        .group_by(TrialRow.session_id)
    )
    return {row[0]: row[1] for row in db.execute(query)}


def arrivals(hosted: HostedStudy) -> list[Arrival]:
    """Everyone who opened the participant link, in that order."""
    with hosted.database.snapshot() as db:
        return _arrivals(hosted, db)


def _arrivals(hosted: HostedStudy, db: DatabaseSession) -> list[Arrival]:
    query = select(ArrivalRow).where(ArrivalRow.study == hosted.study.id, ArrivalRow.data == hosted.data)
    return [
        Arrival(row.study, row.data, iso(row.at), row.worker, row.outcome, row.condition)
        for row in db.scalars(query.order_by(ArrivalRow.id))
    ]


def _acts(hosted: HostedStudy, db: DatabaseSession) -> list[AdminAct]:
    query = select(AdminActRow).where(AdminActRow.study == hosted.study.id, AdminActRow.data == hosted.data)
    return [
        AdminAct(row.study, row.data, iso(row.at), row.who, row.act, row.detail)
        for row in db.scalars(query.order_by(AdminActRow.id))
    ]
