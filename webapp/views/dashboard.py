"""The researcher's page: progress per algorithm, exposures, sessions. Its address carries its key."""

import hmac
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from flask import Blueprint, abort, current_app, render_template

from studies.records import LiveEstimate, Response
from webapp import admin, export
from webapp.freeze import iso
from webapp.identity import dashboard_key
from webapp.views import hosted

blueprint = Blueprint("dashboard", __name__)

REFRESH_MS = 30_000
"""Responses are read and estimated at most this often."""


@dataclass(frozen=True)
class Snapshot:
    """What is worked out from the responses."""

    estimates: dict[str, LiveEstimate]
    exposures: admin.Exposures | None


class EstimateCache:
    """The newest snapshot; worked out by one request at a time, and not more often than REFRESH_MS."""

    def __init__(
        self,
        live_estimate: Callable[[Sequence[Response]], dict[str, LiveEstimate]] | None,
        clock: Callable[[], int],
    ) -> None:
        self._live_estimate, self._clock = live_estimate, clock
        self._snapshot, self._read_at = Snapshot({}, None), -REFRESH_MS
        self._lock = threading.Lock()

    def snapshot(self) -> Snapshot:
        """The newest snapshot."""
        with self._lock:
            if self._clock() - self._read_at >= REFRESH_MS:
                responses = export.responses(hosted())
                estimates = self._live_estimate(responses) if self._live_estimate else {}
                self._snapshot = Snapshot(estimates, admin.exposures(responses))
                self._read_at = self._clock()
            return self._snapshot


@blueprint.get("/dashboard/<key>")
def show(key: str) -> str:
    """The whole dashboard."""
    study = hosted()
    if not hmac.compare_digest(key.encode(), dashboard_key(study.config.secret_key).encode()):
        abort(404)
    snapshot = cast(EstimateCache, current_app.extensions["evalkit_estimates"]).snapshot()
    statuses = admin.condition_statuses(study)
    rows = [_row(status) for status in statuses]
    return render_template(
        "dashboard.html",
        study={
            "id": study.study.id,
            "question": study.study.question,
            "design": study.study.study.design,
            "data": study.data,
        },
        rows=rows,
        totals={key: sum(row[key] for row in rows) for key in rows[0] if key != "name"},
        estimates=snapshot.estimates,
        arrivals=admin.arrival_counts(study),
        exposures=snapshot.exposures,
        sessions=admin.session_statuses(study),
        now=iso(study.clock()),
        contact=None,
    )


def _row(status: admin.ConditionStatus) -> dict[str, Any]:
    return {
        "name": status.condition or "all, mixed",
        "quota": status.quota,
        "started": status.started,
        "finished": status.finished,
        "active": status.active,
        "left": status.stopped,
        "expired": status.expired,
        "scored": status.answers,
        "voids": status.void,
        "missing": status.missing,
    }
