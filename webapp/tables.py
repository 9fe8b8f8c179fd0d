"""The database tables: one row per arrival, place, session, trial, event and response.

Trials, events and responses are only added; sessions change state. Times are milliseconds since 1970, UTC.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables."""


_BigKey = BigInteger().with_variant(Integer, "sqlite")


class StudyRow(Base):
    """One study and one kind of data; the row that a claim locks, and the freeze."""

    __tablename__ = "studies"

    study: Mapped[str] = mapped_column(String(64), primary_key=True)
    data: Mapped[str] = mapped_column(String(16), primary_key=True)
    plan_digest: Mapped[str] = mapped_column(String(64))
    """Digest of what the places were drawn from."""
    key_digest: Mapped[str] = mapped_column(String(64))
    """Which secret key hashed the workers: two folders must not share a study by accident."""
    begun_at: Mapped[int | None] = mapped_column(BigInteger)
    """When the first session began."""
    begun_with: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """The study of that moment (`webapp.freeze.record`); for live data this is the freeze."""


class PlaceRow(Base):
    """One slot of the quota with its list of inputs."""

    __tablename__ = "places"
    __table_args__ = (UniqueConstraint("study", "data", "condition", "place_index"),)

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    data: Mapped[str] = mapped_column(String(16))
    condition: Mapped[str] = mapped_column(String(64))
    place_index: Mapped[int] = mapped_column(Integer)
    queue_position: Mapped[int] = mapped_column(Integer)
    """The order in which places are handed out."""
    pairings: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """`studies.plan.Pairing` of each trial."""


class ArrivalRow(Base):
    """Somebody opened the participant link."""

    __tablename__ = "arrivals"

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    data: Mapped[str] = mapped_column(String(16))
    worker: Mapped[str] = mapped_column(String(32))
    at: Mapped[int] = mapped_column(BigInteger)
    outcome: Mapped[str] = mapped_column(String(16))
    condition: Mapped[str] = mapped_column(String(64), default="")


class SessionRow(Base):
    """One worker's way through one place."""

    __tablename__ = "sessions"
    __table_args__ = (
        UniqueConstraint("scope", "worker"),
        Index(
            "one_holder_per_place",
            "place_id",
            unique=True,
            sqlite_where=text("state IN ('active', 'finished')"),
            postgresql_where=text("state IN ('active', 'finished')"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    data: Mapped[str] = mapped_column(String(16))
    scope: Mapped[str] = mapped_column(String(96))
    """Where one worker may have one session."""
    worker: Mapped[str] = mapped_column(String(32))
    place_id: Mapped[int] = mapped_column(ForeignKey("places.id"))
    token: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the cookie's token."""
    state: Mapped[str] = mapped_column(String(16))
    page: Mapped[str] = mapped_column(String(32), default="")
    """Nonce of the newest page load; older ones are stale."""
    lease_until: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[int] = mapped_column(BigInteger)
    finished_at: Mapped[int | None] = mapped_column(BigInteger)
    consent_version: Mapped[str] = mapped_column(String(16))
    comment: Mapped[str] = mapped_column(Text, default="")
    observer: Mapped[str] = mapped_column(String(16), default="")


class TrialRow(Base):
    """One trial sent to one session; a replacement is a row of its own."""

    __tablename__ = "trials"
    __table_args__ = (UniqueConstraint("session_id", "trial_index", "attempt"),)

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    data: Mapped[str] = mapped_column(String(16))
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id"), index=True)
    trial_index: Mapped[int] = mapped_column(Integer)
    attempt: Mapped[int] = mapped_column(Integer)
    trial: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`studies.records.Trial`, the truth of it included."""
    issued_at: Mapped[int] = mapped_column(BigInteger)


class EventRow(Base):
    """What the page reported of a trial: begun (before onset), ended, void."""

    __tablename__ = "trial_events"
    __table_args__ = (UniqueConstraint("trial_id", "kind"),)

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    data: Mapped[str] = mapped_column(String(16))
    trial_id: Mapped[int] = mapped_column(ForeignKey("trials.id"))
    kind: Mapped[str] = mapped_column(String(8))
    at: Mapped[int] = mapped_column(BigInteger)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)


class ResponseRow(Base):
    """One answer."""

    __tablename__ = "responses"
    __table_args__ = (UniqueConstraint("trial_id"),)

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    data: Mapped[str] = mapped_column(String(16))
    trial_id: Mapped[int] = mapped_column(ForeignKey("trials.id"))
    choice: Mapped[str] = mapped_column(String(8))
    outcome: Mapped[float] = mapped_column(Float)
    rt_ms: Mapped[float | None] = mapped_column(Float)
    input: Mapped[str] = mapped_column(String(8))
    answered_at: Mapped[int] = mapped_column(BigInteger)
