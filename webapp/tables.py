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
    state: Mapped[str] = mapped_column(String(16), default="open")
    """open | paused (nobody new begins) | closed (nobody new begins, raw worker ids are gone)."""
    reveal_at: Mapped[int | None] = mapped_column(BigInteger)
    """When the dashboard may show fool rates; None until somebody chose a moment."""


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
    end_reason: Mapped[str] = mapped_column(String(64), default="")
    """Why it ended unfinished: participant | lease, or what gave its place back (the panel's word for it)."""
    page: Mapped[str] = mapped_column(String(32), default="")
    """Nonce of the newest page load; older ones are stale."""
    lease_until: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[int] = mapped_column(BigInteger)
    finished_at: Mapped[int | None] = mapped_column(BigInteger)
    consent_version: Mapped[str] = mapped_column(String(16))
    comment: Mapped[str] = mapped_column(Text, default="")
    observer: Mapped[str] = mapped_column(String(16), default="")
    recruiter: Mapped[str] = mapped_column(String(16), default="")
    """How the participant came: a key of `webapp.recruitment.RECRUITERS`."""
    language: Mapped[str] = mapped_column(String(8), default="")
    """Of the participant pages, as this session saw them."""
    device: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What the page asked or measured once per session (`webapp.device`): browser family, colour vision, calibration."""


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
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What else the page reported of the answer: times by its own clock."""


class InviteRow(Base):
    """A single-use link for one participant."""

    __tablename__ = "invites"
    __table_args__ = (UniqueConstraint("study", "data", "code_digest"),)

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    data: Mapped[str] = mapped_column(String(16))
    code_digest: Mapped[str] = mapped_column(String(64))
    """Keyed digest of the code in the link; the code itself is shown once and not kept."""
    created_at: Mapped[int] = mapped_column(BigInteger)
    session_id: Mapped[str | None] = mapped_column(ForeignKey("sessions.id"))
    """The session that it began; None while it is unused."""


class PaymentRow(Base):
    """What paying one worker needs. The only place where a raw worker id may stand, and only encrypted."""

    __tablename__ = "payments"
    __table_args__ = (UniqueConstraint("study", "data", "worker"),)

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    data: Mapped[str] = mapped_column(String(16))
    worker: Mapped[str] = mapped_column(String(32))
    """The keyed hash, as in the sessions."""
    session_id: Mapped[str | None] = mapped_column(ForeignKey("sessions.id"))
    encrypted: Mapped[str] = mapped_column(Text, default="")
    """Encrypted JSON: the raw worker id and what the panel's link carried; empty once dropped."""
    submission_digest: Mapped[str] = mapped_column(String(64), default="", index=True)
    """Keyed digest of the panel's id of this participation, to find the row of a report from the panel."""
    panel_state: Mapped[str] = mapped_column(String(32), default="")
    """The last state that the panel reported, in the panel's words."""
    panel_state_at: Mapped[int | None] = mapped_column(BigInteger)


class MoneyActRow(Base):
    """One step of paying somebody: written before it is tried, marked when it is done; never done twice."""

    __tablename__ = "money_acts"
    __table_args__ = (UniqueConstraint("payment_id", "act"),)

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    data: Mapped[str] = mapped_column(String(16))
    payment_id: Mapped[int] = mapped_column(ForeignKey("payments.id"))
    act: Mapped[str] = mapped_column(String(16))
    """approve | bonus | screen_out."""
    amount_cents: Mapped[int] = mapped_column(Integer, default=0)
    state: Mapped[str] = mapped_column(String(16))
    """planned | sent (no answer yet) | done."""
    reference: Mapped[str] = mapped_column(String(128), default="")
    """The panel's own id of this act, where it has one."""
    at: Mapped[int] = mapped_column(BigInteger)


class RecruitmentRow(Base):
    """The study on a panel."""

    __tablename__ = "recruitments"

    study: Mapped[str] = mapped_column(String(64), primary_key=True)
    data: Mapped[str] = mapped_column(String(16), primary_key=True)
    recruiter: Mapped[str] = mapped_column(String(16), primary_key=True)
    external_id: Mapped[str] = mapped_column(String(128), default="")
    """The study's id there."""
    state: Mapped[str] = mapped_column(String(32), default="")
    """In the panel's words."""
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """Ids of what was made there (groups, subscriptions); no person, no secret in clear."""
    updated_at: Mapped[int] = mapped_column(BigInteger)


class HookRow(Base):
    """A report that a panel sent by itself; kept so that a repeated one changes nothing."""

    __tablename__ = "hooks"

    event_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    data: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(64))
    at: Mapped[int] = mapped_column(BigInteger)


class AdminActRow(Base):
    """Something a researcher did to a study: who, what, when; only added."""

    __tablename__ = "admin_acts"

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    data: Mapped[str] = mapped_column(String(16))
    at: Mapped[int] = mapped_column(BigInteger)
    who: Mapped[str] = mapped_column(String(64))
    """dashboard | command line."""
    act: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text, default="")
    """In words; never an id of a person."""
