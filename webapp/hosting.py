"""A study as a server hosts it: settings, images, places and plans, bound to one database and one kind of data."""

import dataclasses
import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from studies.design import Study, load_study
from studies.errors import UserError
from studies.plan import Pairing, Place, allocate, plan_session
from studies.records import DataKind, SessionPlan
from studies.stimuli import FOLDER as BUNDLE_FOLDER
from studies.stimuli import Bundle, load_bundle
from webapp.config import ServerConfig
from webapp.db import Database
from webapp.identity import key_digest
from webapp.tables import (
    AdminActRow,
    ArrivalRow,
    Base,
    EventRow,
    HookRow,
    InviteRow,
    MoneyActRow,
    PaymentRow,
    PlaceRow,
    RecruitmentRow,
    ResponseRow,
    SessionRow,
    StudyRow,
    TrialRow,
)


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


@dataclass
class HostedStudy:
    """What every request needs; the same in each worker process, nothing in it changes between requests."""

    config: ServerConfig
    study: Study
    bundle: Bundle
    database: Database
    clock: Callable[[], int] = now_ms
    """Milliseconds since 1970; tests move it."""
    _plans: dict[int, SessionPlan] = field(default_factory=dict)
    _plans_lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def data(self) -> DataKind:
        """Which data this server writes."""
        return self.config.data

    @property
    def scope(self) -> str:
        """Where one worker may have one session: live and pilot share, rehearsals have their own."""
        return self.study.scope if self.data in ("live", "pilot") else f"{self.study.scope}/{self.data}"

    def reconnected(self) -> "HostedStudy":
        """The same study with connections of its own, for a worker process; nothing is read from disk again."""
        return HostedStudy(
            self.config, self.study, self.bundle, Database(self.config.database_url), self.clock
        )

    def image_bytes(self, stimulus: str) -> bytes:
        """The file of one stimulus; the same path for real and fake."""
        return (self.config.folder / BUNDLE_FOLDER / self._files[stimulus]).read_bytes()

    @cached_property
    def _files(self) -> dict[str, str]:
        return {image.id: image.file for image in self.bundle.stimuli}

    def known_plan(self, place_id: int) -> SessionPlan | None:
        """The plan of a place, if this process has worked it out already."""
        return self._plans.get(place_id)

    def plan(self, place: PlaceRow) -> SessionPlan:
        """The plan of one place; pure, so it is worked out once per process."""
        with self._plans_lock:
            if place.id not in self._plans:
                pairings = tuple(Pairing(**pairing) for pairing in place.pairings)
                drawn = Place(place.condition, place.place_index, pairings)
                self._plans[place.id] = plan_session(self.study, self.bundle.stimuli, drawn)
            return self._plans[place.id]


def host(config: ServerConfig, clock: Callable[[], int] = now_ms, *, verify: bool = True) -> HostedStudy:
    """Load the study, check its bundle and its database.

    Args:
        config: The server's settings.
        clock: Milliseconds since 1970.
        verify: Whether to read every stimulus and compare it with the manifest.

    Raises:
        UserError: study.toml, the bundle or the database is not usable (see there).
    """
    study = load_study(config.folder)
    bundle = load_bundle(config.folder, verify=verify)
    database = Database(config.database_url)
    database.upgrade()
    return HostedStudy(config, study, bundle, database, clock)


def plan_digest(study: Study, bundle: Bundle) -> str:
    """SHA-256 of all that the places depend on."""
    protocol = study.protocol
    drawn_from = {
        "study": study.study.model_dump(
            include={"seed", "question", "pairing", "design", "participants_per_condition", "practice_images"}
        ),
        "protocol": [protocol.name, protocol.practice, protocol.scored, protocol.reserve],
        "checks": study.checks_per_session,
        "conditions": sorted(study.conditions),
        "stimuli": sorted((image.id, image.digest) for image in bundle.stimuli),
    }
    return hashlib.sha256(json.dumps(drawn_from, sort_keys=True).encode()).hexdigest()


def prepare(hosted: HostedStudy) -> None:
    """Draw the places into the database, once; later starts find them there.

    Places without sessions are drawn anew when the study has changed. Preview sessions never count: they are
    dropped for it, and also when few places are left.

    Raises:
        UserError: The study has changed under sessions that do count.
    """
    study, data = hosted.study, hosted.data
    with hosted.database.write() as db:
        if _places_fit(hosted, db) and not (data == "preview" and _used_up(hosted, db)):
            if data == "pilot" and hosted.config.pilot_sessions is not None:
                _resize_pilot(hosted, db)
            return
        if data != "preview":
            _refuse_new_places(hosted, db)
        discard(db, study.id, data, _PLACES if data in ("live", "pilot") else _IN_ORDER_OF_REMOVAL)
        digest = plan_digest(study, hosted.bundle)
        key = key_digest(hosted.config.secret_key)
        db.add(StudyRow(study=study.id, data=data, plan_digest=digest, key_digest=key))
        _add_places(hosted, db, 0, hosted.config.pilot_sessions if data == "pilot" else None)


def _add_places(hosted: HostedStudy, db: Session, begin: int, end: int | None) -> None:
    """Places from one position of the queue up to another; the first blocks are even over the algorithms."""
    for position, place in enumerate(allocate(hosted.study, hosted.bundle.stimuli)[begin:end], begin):
        db.add(
            PlaceRow(
                study=hosted.study.id,
                data=hosted.data,
                condition=place.condition,
                place_index=place.index,
                queue_position=position,
                pairings=[dataclasses.asdict(pairing) for pairing in place.pairings],
            )
        )


def _resize_pilot(hosted: HostedStudy, db: Session) -> None:
    """Add the next places of the queue, or take away the last ones that nobody ever held."""
    wanted = hosted.config.pilot_sessions
    assert wanted is not None
    here = (PlaceRow.study == hosted.study.id, PlaceRow.data == hosted.data)
    present = db.execute(select(func.count()).select_from(PlaceRow).where(*here)).scalar_one()
    if present < wanted:
        _add_places(hosted, db, present, wanted)
        return
    used = select(func.max(PlaceRow.queue_position)).join(SessionRow).where(*here)
    keep = max(wanted, (db.scalar(used) or 0) + 1)
    db.execute(delete(PlaceRow).where(*here, PlaceRow.queue_position >= keep))


def check_places(hosted: HostedStudy) -> None:
    """Whether sessions that count can go on under the study as it is now.

    Raises:
        UserError: The places were drawn from another design or other images.
    """
    with hosted.database.write() as db:
        if not _places_fit(hosted, db):
            _refuse_new_places(hosted, db)


def _places_fit(hosted: HostedStudy, db: Session) -> bool:
    row = db.get(StudyRow, (hosted.study.id, hosted.data), with_for_update=True)
    if row is not None and row.key_digest != key_digest(hosted.config.secret_key):
        raise UserError(
            f"{hosted.config.folder}: the database already holds a study {hosted.study.id!r} made with another "
            "secret key. Bring that study's secret.key, or give this study another [study] id."
        )
    return row is not None and row.plan_digest == plan_digest(hosted.study, hosted.bundle)


def _used_up(hosted: HostedStudy, db: Session) -> bool:
    """Whether more than half of the places have been taken at some time."""
    return 2 * _count_sessions(db, hosted.study.id, hosted.data) > hosted.study.sessions_planned


def _refuse_new_places(hosted: HostedStudy, db: Session) -> None:
    if _count_sessions(db, hosted.study.id, hosted.data):
        raise UserError(
            f"{hosted.config.folder}: the design or the images changed after the first {hosted.data} session, so its "
            "places no longer fit. Change them back, or make a new study for the new design."
        )


_IN_ORDER_OF_REMOVAL = (
    *(MoneyActRow, PaymentRow, InviteRow, HookRow, RecruitmentRow, AdminActRow),
    *(TrialRow, SessionRow, PlaceRow, ArrivalRow, StudyRow),
)
"""Whoever refers to another one goes first."""
_PLACES = (PlaceRow, ArrivalRow, StudyRow)
"""What is drawn anew; links that were sent out, the study on a panel and the audit log stay."""


def discard(db: Session, study: str, data: str, tables: Sequence[type[Base]] = _IN_ORDER_OF_REMOVAL) -> None:
    """Remove one study's rows of one kind of data, by default all of them; only for data that do not count."""
    trials = select(TrialRow.id).where(TrialRow.study == study, TrialRow.data == data)
    db.execute(delete(EventRow).where(EventRow.trial_id.in_(trials)))
    db.execute(delete(ResponseRow).where(ResponseRow.trial_id.in_(trials)))
    for table in tables:
        columns = table.__table__.c
        db.execute(delete(table).where(columns.study == study, columns.data == data))
    db.expire_all()


def was_served(hosted: HostedStudy) -> bool:
    """Whether a server of these data has been started at some time, so that people may come."""
    with hosted.database.read() as db:
        return db.get(StudyRow, (hosted.study.id, hosted.data)) is not None


def count_sessions(hosted: HostedStudy) -> int:
    """Sessions that have begun, whatever became of them."""
    with hosted.database.read() as db:
        return _count_sessions(db, hosted.study.id, hosted.data)


def _count_sessions(db: Session, study: str, data: str) -> int:
    query = (
        select(func.count()).select_from(SessionRow).where(SessionRow.study == study, SessionRow.data == data)
    )
    return db.execute(query).scalar_one()
