"""What a pilot tells for planning the study and for paying its participants. No fool rate: that would be peeking."""

import datetime
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from studies.design import Study
from studies.records import Arrival, Response, Session


@dataclass(frozen=True)
class PlanningFigures:
    """Figures of one kind of data; None where there is nothing to count yet."""

    sessions_begun: int
    sessions_finished: int
    dropout_share: float | None
    """Of the sessions that are over: those that nobody finished."""
    left_at_consent_share: float | None
    """Of the people who were offered a place: those who never began."""
    median_minutes: float | None
    """From consent to the last answer, of finished sessions."""
    longest_minutes: float | None
    reward_cents_per_hour: float | None
    """What `[recruitment] reward_cents` comes to at the median duration; None without a reward."""
    void_share: float | None
    """Of the trials that were answered or became void: the void ones, practice and checks included."""
    median_rt_ms: float | None
    """Of scored trials that count."""
    checks_answered: int
    failed_checks_share: float | None
    """Of the attention checks that were answered."""


def planning_figures(
    study: Study, responses: Sequence[Response], sessions: Sequence[Session], arrivals: Sequence[Arrival]
) -> PlanningFigures:
    """Work the figures out from the records of one kind of data."""
    over = [row for row in sessions if row.state != "active"]
    finished = [row for row in over if row.state == "finished"]
    minutes = [_minutes(row) for row in finished]
    median, reward = _median(minutes), study.recruitment.reward_cents
    kept = [row for row in responses if not row.void_reason]
    checks = [row.outcome for row in kept if row.phase == "check" and row.outcome is not None]
    offered = {row.worker for row in arrivals if row.outcome in ("consent", "admitted")}
    return PlanningFigures(
        sessions_begun=len(sessions),
        sessions_finished=len(finished),
        dropout_share=_share(len(over) - len(finished), len(over)),
        left_at_consent_share=_share(len(offered - {row.worker for row in sessions}), len(offered)),
        median_minutes=median,
        longest_minutes=max(minutes, default=None),
        reward_cents_per_hour=60 * reward / median if reward and median else None,
        void_share=_share(len(responses) - len(kept), len(responses)),
        median_rt_ms=_median([row.rt_ms for row in kept if row.phase == "scored" and row.rt_ms is not None]),
        checks_answered=len(checks),
        failed_checks_share=_share(sum(outcome < 1 for outcome in checks), len(checks)),
    )


def _minutes(session: Session) -> float:
    begun, ended = map(datetime.datetime.fromisoformat, (session.started_at, session.finished_at))
    return (ended - begun).total_seconds() / 60


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def in_words(figures: PlanningFigures, currency: str) -> list[str]:
    """The figures as lines for a person; those that are not known yet are left out."""
    lines = [f"{figures.sessions_finished} of {figures.sessions_begun} sessions finished"]
    if figures.median_minutes is not None and figures.longest_minutes is not None:
        pay = figures.reward_cents_per_hour
        per_hour = f", which is {pay / 100:.2f} {currency} per hour" if pay is not None else ""
        lines.append(
            f"Duration: median {figures.median_minutes:.1f} min, longest {figures.longest_minutes:.1f} min{per_hour}"
        )
    if figures.median_rt_ms is not None:
        lines.append(f"Response time: median {figures.median_rt_ms:.0f} ms")
    shares = {
        "Left at the consent page": figures.left_at_consent_share,
        "Sessions not finished": figures.dropout_share,
        "Void trials": figures.void_share,
        "Failed attention checks": figures.failed_checks_share,
    }
    return lines + [f"{name}: {share:.1%}" for name, share in shares.items() if share is not None]
