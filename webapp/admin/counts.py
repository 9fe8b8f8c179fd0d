"""Counts of a running study: places per algorithm, arrivals, sessions one by one. Reads only."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from webapp.freeze import iso
from webapp.hosting import HostedStudy
from webapp.tables import ArrivalRow, EventRow, PlaceRow, ResponseRow, SessionRow, TrialRow


@dataclass(frozen=True)
class ConditionStatus:
    """How far one algorithm has come (in a within design: the whole study)."""

    condition: str
    quota: int
    finished: int
    active: int
    stopped: int
    expired: int
    answers: int
    """Scored answers."""
    void: int
    """Void trials, practice included."""
    missing: int
    """Scored trials of finished sessions that stayed without an answer."""

    @property
    def started(self) -> int:
        """Sessions that began, whatever became of them."""
        return self.finished + self.active + self.stopped + self.expired


@dataclass(frozen=True)
class SessionStatus:
    """One line of the session list."""

    id: str
    """The whole id; pages show its beginning."""
    algorithm: str
    state: str
    started_at: str
    seen_at: str
    """The last sign of life."""
    minutes: float | None
    """From the first page to the last answer; None while it is not finished."""
    done: int
    """Answers, practice included."""
    voids: int


def condition_statuses(hosted: HostedStudy) -> list[ConditionStatus]:
    """One status per algorithm, in the order of study.toml."""
    here = (SessionRow.study == hosted.study.id, SessionRow.data == hosted.data)
    with hosted.database.read() as db:
        quota = _counts(
            db.execute(
                select(PlaceRow.condition, func.count())
                .where(PlaceRow.study == hosted.study.id, PlaceRow.data == hosted.data)
                .group_by(PlaceRow.condition)
            ).all()
        )
        joined = select(PlaceRow.condition, SessionRow.state, func.count()).join_from(SessionRow, PlaceRow)
        states = {
            (condition, state): count
            for condition, state, count in db.execute(
                joined.where(*here).group_by(PlaceRow.condition, SessionRow.state)
            )
        }
        trials = (
            select(PlaceRow.condition, func.count())
            .join_from(TrialRow, SessionRow)
            .join(PlaceRow)
            .where(*here)
        )
        scored = trials.join(ResponseRow, ResponseRow.trial_id == TrialRow.id).where(
            TrialRow.trial["phase"].as_string() == "scored"
        )
        answers = _counts(db.execute(scored.group_by(PlaceRow.condition)).all())
        kept = _counts(
            db.execute(scored.where(SessionRow.state == "finished").group_by(PlaceRow.condition)).all()
        )
        void = _counts(
            db.execute(
                trials.join(EventRow, EventRow.trial_id == TrialRow.id)
                .where(EventRow.kind == "void")
                .group_by(PlaceRow.condition)
            ).all()
        )
    names = list(hosted.study.conditions) if hosted.study.study.design == "between" else [""]
    return [
        ConditionStatus(
            condition=name,
            quota=quota.get(name, 0),
            answers=answers.get(name, 0),
            void=void.get(name, 0),
            missing=max(
                0, states.get((name, "finished"), 0) * hosted.study.protocol.scored - kept.get(name, 0)
            ),
            **{state: states.get((name, state), 0) for state in ("finished", "active", "stopped", "expired")},
        )
        for name in names
    ]


def _counts(rows: Iterable[Any]) -> dict[str, int]:
    return dict(tuple(row) for row in rows)


def session_statuses(hosted: HostedStudy, limit: int = 50, skip: int = 0) -> list[SessionStatus]:
    """Sessions, the newest first."""
    answers = (
        select(func.count())
        .select_from(ResponseRow)
        .join(TrialRow)
        .where(TrialRow.session_id == SessionRow.id)
    )
    void = (
        select(func.count())
        .select_from(EventRow)
        .join(TrialRow)
        .where(TrialRow.session_id == SessionRow.id, EventRow.kind == "void")
    )
    query = (
        select(SessionRow, PlaceRow.condition, answers.scalar_subquery(), void.scalar_subquery())
        .join(PlaceRow)
        .where(SessionRow.study == hosted.study.id, SessionRow.data == hosted.data)
        .order_by(SessionRow.started_at.desc(), SessionRow.id)
        .limit(limit)
        .offset(skip)
    )
    lease_ms = hosted.study.study.lease_minutes * 60_000
    with hosted.database.read() as db:
        return [
            SessionStatus(
                id=row.id,
                algorithm=condition,
                state=row.state,
                started_at=in_words(row.started_at),
                seen_at=in_words(row.lease_until - lease_ms),
                minutes=None if row.finished_at is None else (row.finished_at - row.started_at) / 60_000,
                done=given,
                voids=spoilt,
            )
            for row, condition, given, spoilt in db.execute(query)
        ]


def in_words(at_ms: int) -> str:
    """A moment as people read it, UTC, to the second."""
    return iso(at_ms)[:19].replace("T", " ")


def arrival_counts(hosted: HostedStudy) -> dict[str, int]:
    """Arrivals by what became of them."""
    with hosted.database.read() as db:
        outcomes = db.scalars(
            select(ArrivalRow.outcome).where(
                ArrivalRow.study == hosted.study.id, ArrivalRow.data == hosted.data
            )
        )
        return dict(Counter(outcomes))
