"""How many requests a browser or an address may send: generous, against floods only.

Kept in the memory of each worker process, so the limits of all together are as many times higher; the proxy's limits
come first (docs/deployment.md). An honest session sends about one request per second. 500 people behind one address
arrive with some thousand requests in all, and from then on each is counted by its own session.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from typing import cast

from flask import current_app, request

from webapp.sessions import Refusal
from webapp.views import cookie_token, hosted

FREE = ("static", "serving", "dashboard", "sign_in")
"""Not counted here: cheap, or counted elsewhere."""
MOST_KEPT = 20_000


class Buckets:
    """So many requests at once, and so many per second after that, for each key."""

    def __init__(
        self, at_once: float, per_second: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._at_once, self._per_second, self._clock = at_once, per_second, clock
        self._left: dict[bytes, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, key: str) -> bool:
        """One request; False if there were too many."""
        hidden, now = hashlib.blake2b(key.encode(), digest_size=16).digest(), self._clock()
        with self._lock:
            left, before = self._left.get(hidden, (self._at_once, now))
            left = min(self._at_once, left + (now - before) * self._per_second)
            self._left[hidden] = (max(0.0, left - 1), now)
            if len(self._left) > MOST_KEPT:
                self._forget(now)
            return left >= 1

    def _forget(self, now: float) -> None:
        """Drop those whose bucket is full again; if floods keep all of them, the oldest half."""
        full = self._at_once / self._per_second
        self._left = {key: value for key, value in self._left.items() if now - value[1] < full}
        if len(self._left) > MOST_KEPT:
            newest = sorted(self._left.items(), key=lambda item: item[1][1])[MOST_KEPT // 2 :]
            self._left = dict(newest)


class Limits:
    """The two limits of a server process."""

    def __init__(self) -> None:
        self.sessions = Buckets(at_once=300, per_second=50)
        """By session, which one browser has."""
        self.strangers = Buckets(at_once=5000, per_second=50)
        """By address, for those without a session: arriving, consenting, guessing."""


def refuse_floods() -> None:
    """For `before_request`.

    Raises:
        Refusal: Too many requests (429).
    """
    counted = hosted().data in ("live", "pilot") and request.endpoint != "static"
    if not counted or request.blueprint in FREE:
        return
    limits, token = cast(Limits, current_app.extensions["evalkit_limits"]), cookie_token()
    kept = limits.sessions.take(token) if token else limits.strangers.take(request.remote_addr or "")
    if not kept:
        raise Refusal(429, "too_many", "Too many requests at once. Please wait a moment and go on.")
