"""A real HTTP proxy that loses, repeats and reorders what goes through it, and a participant's page that copes.

The page tries again what it got no answer to, as `webapp/static/api.js` does.
"""

import collections
import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.end_to_end.visitor import Visitor

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}


@dataclass
class Faults:
    """How often what goes wrong."""

    lost: float = 0.04
    """The request never arrives."""
    cut: float = 0.06
    """The server did its work; its reply is lost."""
    doubled: float = 0.08
    """The request arrives twice, at the same time."""
    late: float = 0.08
    """An older request of the same browser arrives once more, after a newer one."""
    seed: int = 1
    happened: Counter[str] = field(default_factory=Counter)
    """What did go wrong."""


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream: str, faults: Faults) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream, self.faults = urlsplit(upstream).netloc, faults
        self.rng = random.Random(faults.seed)
        self.older: dict[str, collections.deque[tuple[Any, ...]]] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is what this is about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Proxy

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._pass_on()

    do_POST = do_GET  # noqa: N815

    def _pass_on(self) -> None:
        faults, draw = self.server.faults, self.server.rng.random
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        request = (self.command, self.path, body, headers)
        if draw() < faults.lost:
            self._break_off("lost")
            return
        try:
            reply = self._twice(request) if draw() < faults.doubled else self._send(request)
            if self.command == "POST" and self.path.startswith("/api/trials/"):
                self._repeat_older(request)
        except (OSError, http.client.HTTPException):  # the server died under it
            self._break_off("")
            return
        if draw() < faults.cut:
            self._break_off("cut")
            return
        status, headers_back, content = reply
        self.send_response_only(status)
        for name, value in headers_back:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send(self, request: tuple[Any, ...]) -> tuple[int, list[tuple[str, str]], bytes]:
        method, path, body, headers = request
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.getheaders(), reply.read()
        finally:
            connection.close()

    def _twice(self, request: tuple[Any, ...]) -> tuple[int, list[tuple[str, str]], bytes]:
        """At the same time for a trial's requests; one after the other where the newer one counts."""
        self.server.faults.happened["doubled"] += 1
        if not self.path.startswith("/api/trials/"):
            self._send(request)
            return self._send(request)
        other = threading.Thread(target=self._send_and_forget, args=(request,))
        other.start()
        try:
            return self._send(request)
        finally:
            other.join()

    def _send_and_forget(self, request: tuple[Any, ...]) -> None:
        try:
            self._send(request)
        except (OSError, http.client.HTTPException):
            return

    def _repeat_older(self, request: tuple[Any, ...]) -> None:
        browser = self.headers.get("Cookie", "")
        older = self.server.older.setdefault(browser, collections.deque(maxlen=6))
        if older and self.server.rng.random() < self.server.faults.late:
            self.server.faults.happened["late"] += 1
            self._send_and_forget(self.server.rng.choice(list(older)))
        older.append(request)

    def _break_off(self, what: str) -> None:
        if what:
            self.server.faults.happened[what] += 1
        self.close_connection = True
        self.connection.close()


@contextmanager
def bad_network(upstream: str, faults: Faults) -> Iterator[str]:
    """The address of a proxy before `upstream`."""
    proxy = _Proxy(upstream, faults)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


class GaveUpError(Exception):
    """The server did not come back in time."""


class PatientHttp(requests.Session):
    """Tries again until there is an answer, as the participant page does."""

    def __init__(self, seen: Counter[int], deadline: float) -> None:
        super().__init__()
        self.seen, self.deadline = seen, deadline

    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        wait = 0.1
        while time.monotonic() < self.deadline:
            try:
                reply = super().request(*arguments, **options)
            except requests.RequestException:
                self.seen[0] += 1
            else:
                self.seen[reply.status_code] += 1
                if reply.status_code < 500 and reply.status_code not in (408, 429):
                    return reply
            time.sleep(wait)
            wait = min(2 * wait, 1.0)
        raise GaveUpError(f"{arguments}")


class PatientVisitor(Visitor):
    """Somebody who goes through a whole session whatever happens."""

    def __init__(self, base_url: str, worker_id: str, seen: Counter[int], deadline: float) -> None:
        super().__init__(base_url, worker_id)
        self.http.close()
        self.http = PatientHttp(seen, deadline)

    def take_part(self, rng: random.Random, think_s: float) -> str:
        """From the link to the end; returns the stage."""
        self.begin()
        while self.state["trials"]:
            time.sleep(rng.expovariate(1 / think_s))
            if not self._one_trial(rng.choice(["first", "second"])):
                self.open_page()  # the server knows better where we are
        return str(self.state["stage"])

    def _one_trial(self, choice: str) -> bool:
        trial, resume = self.trial, self.state["trials"][0]["resume"]
        path = f"/api/trials/{trial}"
        for address in self.state["trials"][0]["images"].values() if resume == "start" else ():
            if self.http.get(self.base_url + address, timeout=60).status_code != 200:
                return False
        body = {"slots": {"1": {"exposure_ms": 1000.0}, "2": {"exposure_ms": 1000.0}}, "refresh_hz": 60}
        requests_to_send = [("begun", {}), ("ended", body)] if resume == "start" else []
        for act, what in requests_to_send:
            if self.post(f"{path}/{act}", what).status_code != 200:
                return False
        reply = self.post(f"{path}/answer", {"choice": choice, "rt_ms": 500.0})
        if reply.status_code != 200:
            return False
        self.acknowledged[trial] = choice
        self.state = reply.json()
        return True
