"""Database rows -> records -> files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as DatabaseSession

from studies.records import (
    ASSUMED_REFRESH_HZ,
    EXPOSURE_FRAMES,
    REAL,
    Arrival,
    Response,
    Session,
    Slot,
    write_csv,
)
from webapp.freeze import iso
from webapp.hosting import HostedStudy
from webapp.progress import trial_from_json
from webapp.tables import ArrivalRow, EventRow, PlaceRow, ResponseRow, SessionRow, TrialRow

FRAME_GAP_MS = 50.0
"""A longest frame gap above this is flagged."""
SLOW_MS = 10 * 60 * 1000
"""From sending a trial to its answer; above this the trial is flagged, since its images lay open for long."""


def export(hosted: HostedStudy) -> tuple[Path, int]:
    """Write responses.csv, sessions.csv and arrivals.csv; returns the first's path and number of rows."""
    folder = hosted.config.folder / hosted.data
    with hosted.database.snapshot() as db:  # the three files tell of one moment
        rows, people, everybody = _responses(hosted, db), _sessions(hosted, db), _arrivals(hosted, db)
    folder.mkdir(exist_ok=True)
    write_csv(folder / "sessions.csv", Session, people)
    write_csv(folder / "arrivals.csv", Arrival, everybody)
    path = folder / "responses.csv"
    return path, write_csv(path, Response, rows)


def responses(hosted: HostedStudy) -> list[Response]:
    """All trials that were answered or became void, in the order in which they were sent."""
    with hosted.database.snapshot() as db:
        return _responses(hosted, db)


def _responses(hosted: HostedStudy, db: DatabaseSession) -> list[Response]:
    query = (
        select(TrialRow, SessionRow, PlaceRow, ResponseRow)
        .join(SessionRow, SessionRow.id == TrialRow.session_id)
        .join(PlaceRow, PlaceRow.id == SessionRow.place_id)
        .outerjoin(ResponseRow, ResponseRow.trial_id == TrialRow.id)
        .where(TrialRow.study == hosted.study.id, TrialRow.data == hosted.data)
        .order_by(SessionRow.started_at, SessionRow.id, TrialRow.id)
    )
    events: dict[int, dict[str, EventRow]] = {}
    for event in db.scalars(
        select(EventRow).where(EventRow.study == hosted.study.id, EventRow.data == hosted.data)
    ):
        events.setdefault(event.trial_id, {})[event.kind] = event
    return [
        _response(hosted, trial, session, place, response, events.get(trial.id, {}))
        for trial, session, place, response in db.execute(query)
        if response is not None or "void" in events.get(trial.id, {})
    ]


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
    fake = next((slot for slot in trial.slots if slot.condition != REAL), None)
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
        target=trial.target,
        choice=response.choice if response and not void else "",
        outcome=response.outcome if response and not void else None,
        rt_ms=response.rt_ms if response else None,
        void_reason=void,
        flags=" ".join(_flags(trial.slots, display, row, response)),
        input=response.input if response else "",
        issued_at=iso(row.issued_at),
        answered_at=iso(response.answered_at) if response else "",
        refresh_hz=display.get("refresh_hz"),
        device_pixel_ratio=display.get("device_pixel_ratio"),
        zoom=display.get("zoom"),
        pixel_scale=display.get("pixel_scale"),
        screen_px=display.get("screen_px", ""),
        window_px=display.get("window_px", ""),
    )


def _slot(number: int, slots: tuple[Slot, ...], display: dict[str, Any]) -> dict[str, Any]:
    shown = slots[number - 1] if number <= len(slots) else None
    measured = _measured(display, number)
    return {
        f"image_{number}": shown.image if shown else "",
        f"source_id_{number}": shown.source_id if shown else "",
        f"condition_{number}": shown.condition if shown else "",
        f"run_{number}": shown.run if shown else None,
        f"side_{number}": shown.side if shown else "",
        f"planned_ms_{number}": shown.planned_ms if shown else None,
        f"exposure_ms_{number}": measured.get("exposure_ms"),
        f"max_frame_gap_ms_{number}": measured.get("max_frame_gap_ms"),
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
        shown.get("exposure_ms") is not None
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
            comment=row.comment,
            observer=row.observer,
        )
        for row, place in db.execute(query)
    ]


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
