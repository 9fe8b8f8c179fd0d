"""A stand-in for Prolific, over real HTTP on this machine: studies, submissions, groups, reports, money, and faults.

Written from the documented shapes. Money is counted (`paid`), so that a test sees what was paid twice or never.
"""

import base64
import hashlib
import hmac
import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

TOKEN = "token-of-the-test"
WORKSPACE = "workspace1"
FEE = 1 / 3

Fault = Literal["drop before", "drop after", "429", "500", "500 after", "hold before", "hold after"]


class Refused(Exception):  # noqa: N818  (an outcome)
    """An error as Prolific words it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass
class _Planned:
    method: str
    path: str
    fault: Fault
    times: int
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


class FakeProlific:
    """All that Prolific would know, and the switches of a test."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.studies: dict[str, dict[str, Any]] = {}
        self.submissions: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.secrets: list[dict[str, Any]] = []
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.bulks: dict[str, dict[str, Any]] = {}
        self.workspaces = [{"id": WORKSPACE, "title": "Lab"}]
        self.paid: dict[str, list[int]] = {}
        """Submission -> every amount in cents that was really paid: reward, bonus, screen-out."""
        self.requests: list[tuple[str, str, Any]] = []
        self.authorised: list[str] = []
        self.funds_cents = 10**9
        self.review_delay = 0
        """How many tries to approve are refused since the submission was only just handed in."""
        self.slow_bonuses = False
        """Bonuses that are paid do not show yet."""
        self._planned: list[_Planned] = []
        self._ids = itertools.count(1)
        self._made: rsa.RSAPrivateKey | None = None
        self.kid = "key-1"
        self.key_fetches = 0
        self.origin = ""

    # What tests do

    @property
    def api(self) -> str:
        return f"{self.origin}/api/v1/"

    def fault(self, method: str, path: str, fault: Fault, times: int = 1) -> _Planned:
        """The next requests that fit (a pattern for the whole path) go wrong in this way."""
        planned = _Planned(method, path, fault, times)
        with self.lock:
            self._planned.append(planned)
        return planned

    def add_submission(self, participant: str, study: str, status: str = "ACTIVE") -> str:
        with self.lock:
            name = f"sub{next(self._ids):021}"
            self.submissions[name] = {
                "id": name,
                "participant": participant,
                "study_id": study,
                "status": status,
                "bonus_payments": [],
                "started_at": "2026-11-22T10:00:00Z",
            }
            return name

    def set_state(self, submission: str, status: str) -> None:
        with self.lock:
            self.submissions[submission]["status"] = status

    def link(self, submission: str) -> dict[str, str]:
        """What the participant's link carries."""
        row = self.submissions[submission]
        return {"PROLIFIC_PID": row["participant"], "STUDY_ID": row["study_id"], "SESSION_ID": submission}

    def sign(self, submission: str, audience: str, *, key: Any = None, **changes: Any) -> str:
        """The token of a secured link."""
        claims = {
            "iss": "https://www.prolific.com",
            "aud": audience,
            "sub": submission,
            "exp": int(time.time()) + changes.pop("seconds", 300),
            "prolific": {**self.link(submission), "workspace_id": WORKSPACE, **changes.pop("about", {})},
        }
        return jwt.encode(claims | changes, key or self._key, algorithm="RS256", headers={"kid": self.kid})

    @property
    def _key(self) -> rsa.RSAPrivateKey:
        if self._made is None:  # takes a moment, and few tests need it
            self._made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self._made

    def rotate_key(self) -> None:
        self._made, self.kid = None, "key-2"

    def called(self, method: str, path: str) -> list[Any]:
        """The bodies of all requests that fit."""
        return [body for m, p, body in self.requests if m == method and re.fullmatch(path, p.split("?")[0])]

    def report(
        self, url: str, submission: str, status: str, *, event: str | None = None, at: float | None = None
    ) -> requests.Response:
        """Send a report, as the webhook does."""
        body = {
            "resource_id": submission,
            "event_type": "submission.status.change",
            "participant_id": "somebody",
            "status": status,
        }
        return self.report_raw(
            url, json.dumps(body).encode(), event=event or f"event-{next(self._ids)}", at=at
        )

    def report_raw(
        self,
        url: str,
        body: bytes,
        *,
        event: str = "event",
        at: float | None = None,
        secret: str | None = None,
    ) -> requests.Response:
        moment = time.time() if at is None else at
        return requests.post(url, data=body, headers=self.signed(body, event, moment, secret), timeout=20)

    def signed(self, body: bytes, event: str, moment: float, secret: str | None = None) -> dict[str, str]:
        """The headers of a report."""
        timestamp = str(int(moment))
        key = (secret if secret is not None else self.secrets[0]["value"]).encode()
        mac = hmac.new(key, timestamp.encode() + body, hashlib.sha256).digest()
        return {
            "Content-Type": "application/json",
            "X-Prolific-Request-Timestamp": timestamp,
            "X-Prolific-Request-Signature": base64.b64encode(mac).decode(),
            "X-Event-ID": event,
            "X-Timestamp": timestamp,
        }

    # What it answers

    def take_fault(self, method: str, path: str) -> _Planned | None:
        with self.lock:
            for planned in self._planned:
                if planned.times and planned.method == method and re.fullmatch(planned.path, path):
                    planned.times -= 1
                    return planned
            return None

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[Any, dict[str, str]]:
        """Do what is asked for; one at a time.

        Raises:
            Refused: Prolific would.
        """
        with self.lock:
            for (verb, pattern), action in ROUTES.items():
                match = re.fullmatch(pattern, path)
                if verb == method and match:
                    reply = action(self, *match.groups(), query, body)
                    return reply if isinstance(reply, tuple) else (reply, {})
        raise Refused(404, f"No such thing: {path}")

    def _page(self, rows: list[Any], path: str, query: dict[str, str]) -> dict[str, Any]:
        size, page = int(query.get("page_size", 20)), int(query.get("page", 1))
        start = (page - 1) * size
        if start >= len(rows) and page > 1:
            raise Refused(404, "Invalid page.")
        others = "&".join(f"{key}={value}" for key, value in query.items() if key != "page")
        more = start + size < len(rows)
        href = f"{self.api}{path}?{others}&page={page + 1}" if more else None
        return {
            "results": rows[start : start + size],
            "_links": {"next": {"href": href}},
            "meta": {"count": len(rows)},
        }

    def _one(self, table: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
        if key not in table:
            raise Refused(404, "No object matches the given query.")
        return table[key]

    def create_study(self, _query: Any, body: Any) -> Any:
        for key in ("name", "external_study_url", "completion_codes", "total_available_places", "reward"):
            if not body.get(key):
                raise Refused(400, f"{key}: This field is required.")
        name = f"study{next(self._ids):019}"
        self.studies[name] = {**body, "id": name, "status": "UNPUBLISHED"}
        return self.studies[name]

    def change_study(self, study: str, _query: Any, body: Any) -> Any:
        row = self._one(self.studies, study)
        if body.get("total_available_places", 10**9) < row["total_available_places"]:
            raise Refused(400, "total_available_places can only be increased.")
        row.update(body)
        return row

    def move_study(self, study: str, _query: Any, body: Any) -> Any:
        row = self._one(self.studies, study)
        moves = {
            ("UNPUBLISHED", "PUBLISH"): "ACTIVE",
            ("ACTIVE", "PAUSE"): "PAUSED",
            ("PAUSED", "START"): "ACTIVE",
            ("ACTIVE", "STOP"): "AWAITING REVIEW",
            ("PAUSED", "STOP"): "AWAITING REVIEW",
        }
        after = moves.get((row["status"], body["action"]))
        if after is None:
            raise Refused(400, f"The study is {row['status']}, so {body['action']} is not possible.")
        row["status"] = after
        return row

    def list_submissions(self, query: dict[str, str], _body: Any) -> Any:
        rows = [
            {
                "id": row["id"],
                "participant_id": row["participant"],
                "study_id": row["study_id"],
                "status": row["status"],
            }
            for row in self.submissions.values()
            if row["study_id"] == query["study"]
        ]
        return self._page(rows, "submissions/", query)

    def move_submission(self, submission: str, _query: Any, body: Any) -> Any:
        row = self._one(self.submissions, submission)
        if body["action"] != "APPROVE" or row["status"] != "AWAITING REVIEW":
            raise Refused(400, f"You can't approve a submission that is {row['status']}.")
        if self.review_delay:
            self.review_delay -= 1
            raise Refused(400, "The submission is still being processed.")
        self._pay(submission, self.studies[row["study_id"]]["reward"])
        row["status"] = "APPROVED"
        return row

    def _pay(self, submission: str, cents: int) -> None:
        if cents > self.funds_cents:
            raise Refused(400, "Not enough funds in the workspace.")
        self.funds_cents -= cents
        self.paid.setdefault(submission, []).append(cents)

    def note_bonuses(self, _query: Any, body: Any) -> Any:
        lines = [line.split(",") for line in body["csv_bonuses"].splitlines()]
        wrong = [name for name, _ in lines if name not in self.submissions]
        if wrong:
            raise Refused(400, f"Unknown ids: {', '.join(wrong)}")
        amounts = {name: round(float(amount) * 100) for name, amount in lines}
        bulk = f"bulk{next(self._ids)}"
        total = sum(amounts.values())
        self.bulks[bulk] = amounts
        return {"id": bulk, "amount": total, "fees": total * FEE, "total_amount": total * (1 + FEE)}

    def pay_bonuses(self, bulk: str, _query: Any, _body: Any) -> Any:
        for name, cents in self._one(self.bulks, bulk).items():  # told twice, it pays twice
            self._pay(name, cents)
            if not self.slow_bonuses:
                self.submissions[name]["bonus_payments"].append(cents)
        return {}

    def screen_out(self, study: str, _query: Any, body: Any) -> Any:
        for name in body["submission_ids"]:
            row = self._one(self.submissions, name)
            if row["status"] not in ("ACTIVE", "AWAITING REVIEW"):
                raise Refused(400, f"Submission is {row['status']}.")
            self._pay(name, round(body["bonus_per_submission"] * 100))
            row["status"] = "SCREENED OUT"
        if body.get("increase_places"):
            self.studies[study]["total_available_places"] += len(body["submission_ids"])
        return {}

    def create_group(self, _query: Any, body: Any) -> Any:
        name = f"group{next(self._ids)}"
        self.groups[name] = {"id": name, **body}
        return self.groups[name]

    def create_secret(self, _query: Any, body: Any) -> Any:
        self.secrets[:] = [{"id": f"secret{next(self._ids)}", "value": f"s3cret-{next(self._ids)}", **body}]
        return self.secrets[0]

    def subscribe(self, _query: Any, body: Any) -> Any:
        name = f"subscription{next(self._ids)}"
        handshake = f"handshake-{next(self._ids)}"
        self.subscriptions[name] = {"id": name, **body, "is_enabled": False, "handshake": handshake}
        shown = {key: value for key, value in self.subscriptions[name].items() if key != "handshake"}
        return shown, {"X-Hook-Secret": handshake}

    def confirm(self, subscription: str, _query: Any, body: Any) -> Any:
        row = self._one(self.subscriptions, subscription)
        if body.get("secret") != row["handshake"]:
            raise Refused(400, "The secret is not the one of the subscription.")
        row["is_enabled"] = True
        return {"id": subscription, "is_enabled": True}

    def list_subscriptions(self, query: dict[str, str], _body: Any) -> Any:
        wanted = query.get("is_enabled") == "true"
        return {"results": [row for row in self.subscriptions.values() if row["is_enabled"] == wanted]}

    def unsubscribe(self, subscription: str, _query: Any, _body: Any) -> Any:
        self._one(self.subscriptions, subscription)
        del self.subscriptions[subscription]
        return {}

    def keys(self) -> Any:
        self.key_fetches += 1
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**jwk, "kid": self.kid, "alg": "RS256", "use": "sig"}]}


ROUTES: dict[tuple[str, str], Callable[..., Any]] = {
    ("GET", r"workspaces/"): lambda fake, _query, _body: {"results": fake.workspaces},
    ("GET", r"studies/"): lambda fake, query, _body: fake._page(
        list(fake.studies.values()), "studies/", query
    ),
    ("POST", r"studies/"): FakeProlific.create_study,
    ("GET", r"studies/(\w+)/"): lambda fake, study, _query, _body: fake._one(fake.studies, study),
    ("PATCH", r"studies/(\w+)/"): FakeProlific.change_study,
    ("POST", r"studies/(\w+)/transition/"): FakeProlific.move_study,
    ("POST", r"studies/(\w+)/screen-out-submissions/"): FakeProlific.screen_out,
    ("GET", r"submissions/"): FakeProlific.list_submissions,
    ("GET", r"submissions/(\w+)/"): lambda fake, name, _query, _body: fake._one(fake.submissions, name),
    ("POST", r"submissions/bonus-payments/"): FakeProlific.note_bonuses,
    ("POST", r"submissions/(\w+)/transition/"): FakeProlific.move_submission,
    ("POST", r"bulk-bonus-payments/(\w+)/pay/"): FakeProlific.pay_bonuses,
    ("GET", r"participant-groups/"): lambda fake, _query, _body: {"results": list(fake.groups.values())},
    ("POST", r"participant-groups/"): FakeProlific.create_group,
    ("GET", r"hooks/secrets/"): lambda fake, _query, _body: {"results": fake.secrets},
    ("POST", r"hooks/secrets/"): FakeProlific.create_secret,
    ("GET", r"hooks/subscriptions/"): FakeProlific.list_subscriptions,
    ("POST", r"hooks/subscriptions/"): FakeProlific.subscribe,
    ("POST", r"hooks/subscriptions/(\w+)/"): FakeProlific.confirm,
    ("DELETE", r"hooks/subscriptions/(\w+)/"): FakeProlific.unsubscribe,
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeProlific

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _handle(self) -> None:
        fake, parts = self.server.fake, urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        if parts.path == "/ready":
            return self._reply(200, {"ready": True})
        if parts.path == "/.well-known/study/jwks.json":
            return self._reply(200, fake.keys())
        path = parts.path.removeprefix("/api/v1/")
        with fake.lock:
            fake.requests.append((self.command, path + (f"?{parts.query}" if parts.query else ""), body))
        if self.headers.get("Authorization") != f"Token {TOKEN}":
            return self._reply(
                401, {"error": {"status": 401, "detail": "Authentication credentials are wrong."}}
            )
        planned = fake.take_fault(self.command, path)
        fault = planned.fault if planned else None
        if fault == "429":
            return self._reply(429, {"error": {"title": "Too many requests"}}, {"Retry-After": "7"})
        if fault == "500":
            return self._reply(503, {"error": {"title": "Service unavailable"}})
        if planned and fault == "hold before":
            planned.reached.set()
            planned.go_on.wait(30)
        if fault in ("drop before", "hold before"):
            return None
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        try:
            reply, headers = fake.answer(self.command, path, query, body)
        except Refused as error:
            return self._reply(error.status, {"error": {"status": error.status, "detail": error.detail}})
        if planned and fault == "hold after":
            planned.reached.set()
            planned.go_on.wait(30)
        if fault in ("drop after", "hold after"):
            return None
        if fault == "500 after":
            return self._reply(502, {})
        return self._reply(200, reply, headers)

    do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815  (the names of http.server)

    def _reply(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        """Quiet."""


@contextmanager
def running_prolific() -> Iterator[FakeProlific]:
    """A fake that listens until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.fake = FakeProlific()
    server.fake.origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
