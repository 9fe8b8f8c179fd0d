"""What is worked out from all responses, for the dashboard: rarely, beside the requests, each response read once."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from studies.records import LiveEstimate, Response
from webapp import admin, export, logs
from webapp.hosting import HostedStudy

LiveEstimator = Callable[[Sequence[Response]], dict[str, LiveEstimate]]

REFRESH_MS = 30_000
"""Responses are read at most this often, by each worker process."""
WAIT_S = 0.5
"""A request waits so long for a snapshot that is being worked out; then it shows what there was before."""


@dataclass(frozen=True)
class Snapshot:
    """What the responses showed at one moment."""

    figures: admin.Figures | None
    """None while the first snapshot of a process is being worked out."""
    estimates: dict[str, LiveEstimate] | None
    """Fool rates by algorithm; None while they are hidden, and then nothing was computed either."""
    read_at: int


class Snapshots:
    """The newest snapshot; worked out by one thread at a time, and not more often than REFRESH_MS."""

    def __init__(self, hosted: HostedStudy, live_estimate: LiveEstimator | None) -> None:
        self.wait_s = WAIT_S
        self._hosted, self._live_estimate = hosted, live_estimate
        self._known: dict[int, Response] = {}
        self._newest = Snapshot(None, None, 0)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def newest(self, *, revealed: bool) -> Snapshot:
        """The newest snapshot; fool rates are among it only where `revealed`."""
        with self._lock:
            age, kept = self._hosted.clock() - self._newest.read_at, self._newest
            due = kept.figures is None or not 0 <= age < REFRESH_MS or (kept.estimates is None) == revealed
            if due and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._renew, args=(revealed,), daemon=True)
                self._thread.start()
            working = self._thread
        if due and working is not None:
            working.join(self.wait_s)
        found = self._newest
        return found if revealed else Snapshot(found.figures, None, found.read_at)

    def _renew(self, revealed: bool) -> None:
        hosted = self._hosted
        read_at = hosted.clock()
        try:
            there = export.settled(hosted)
            self._known = {number: row for number, row in self._known.items() if number in there}
            self._known |= export.responses_of(hosted, there - self._known.keys())
            responses = list(self._known.values())
            images, limit = len(hosted.bundle.stimuli), hosted.study.exclusions.max_void_trials
            estimates = None
            if revealed:
                estimates = self._live_estimate(responses) if self._live_estimate else {}
            self._newest = Snapshot(admin.figures(responses, images, limit), estimates, read_at)
        except Exception as error:  # noqa: BLE001  (a thread has nobody to raise to; the next request tries again)
            logs.note_fault("dashboard figures", error)
