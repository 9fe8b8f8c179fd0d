"""Arbitrary bodies at every address that takes one: no 5xx, and what the database holds stays sound.

Derandomised: the same bodies in every run. Addresses that are added to the server are found by themselves.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.webapp.conftest import Hosting, make_named_study
from tests.webapp.people import Person
from webapp.app import create_app
from webapp.hosting import HostedStudy
from webapp.progress import AHEAD
from webapp.tables import EventRow, ResponseRow, SessionRow, TrialRow

SETTINGS = settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["\0", "\ud800", "\udfff\ud800", "\u202e", "first", "second", "real", "true", "1e999", "x" * 5000]
    ),
)
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([10**30, -(10**30), 2**63, 2**64, 10**400, 1e308, -0.0, float("nan"), float("inf")]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
DISPLAY: dict[str, Any] = {
    "slots": {"1": {"exposure_ms": 1000.0, "frames": 60}, "2": {"exposure_ms": 1000.0, "frames": 60}},
    "refresh_hz": 60.0,
    "screen_px": "1920x1080",
    "void_reason": "",
}
ANSWER: dict[str, Any] = {"choice": "first", "rt_ms": 640.0, "input": "key", "display": DISPLAY}
FIELDS = ["slots", "refresh_hz", "device_pixel_ratio", "zoom", "screen_px", "window_px", "void_reason"]
FIELDS += ["choice", "rt_ms", "input", "display", "client", "language", "device", "comment", "extra", "\0"]
SLOT_FIELDS = [
    "exposure_ms",
    "frames",
    "max_frame_gap_ms",
    "onset",
    "offset",
    "fetch_ms",
    "decode_ms",
    "bytes",
    "x",
]


@st.composite
def nearly_right(draw: st.DrawFn) -> Any:
    """A body that would do, with some fields made something else."""
    body = json.loads(json.dumps(ANSWER | DISPLAY))
    for field in draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3)):
        body[field] = draw(values)
    if draw(st.booleans()) and isinstance(body["slots"], dict):
        body["slots"][draw(st.sampled_from(["1", "2", "3", "", "\0"]))] = draw(values)
        if isinstance(slot := body["slots"].get("1"), dict):
            slot[draw(st.sampled_from(SLOT_FIELDS))] = draw(values)
    return body


def as_json(value: Any) -> bytes:
    """With the literals NaN and Infinity, and surrogates as escapes."""
    return json.dumps(value).encode()


bodies = st.one_of(
    st.just(as_json(ANSWER | DISPLAY)),
    nearly_right().map(as_json),
    nearly_right().map(as_json),
    values.map(as_json),
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"",
            b"null",
            b"[" * 30_000 + b"]" * 30_000,
            b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
            b'{"choice": ' + b"[" * 30_000,
            b'{"choice": "first", "choice": "second", "rt_ms": 1, "rt_ms": {}}',
            b'{"slots": {"1": {}, "1": 3, "2": {}}, "slots": {}}',
            b'{"choice": "first", "rt_ms": NaN}',
            b'{"choice": "first", "rt_ms": -Infinity}',
            b'{"choice": "first", "rt_ms": 1e999}',
            b'{"choice": "first", "rt_ms": ' + b"9" * 5000 + b"}",
            b'{"choice": "fir\\u0000st"}',
            b'{"choice": "\\ud800"}',
            b'{"slots": {}, "screen_px": "1x1\\n"}',
            b"\xef\xbb\xbf{}",
            b"\xff\xfe{\x00}\x00",
            b'{"choice": "\xff\xfe"}',
            b"%00=%ff&comment=%ed%a0%80",
        ]
    ),
)
kinds = st.one_of(
    st.just("application/json"),
    st.sampled_from(
        ["application/json; charset=latin-1", "text/plain", "", "application/x-www-form-urlencoded"]
    ),
    st.sampled_from(["multipart/form-data", "multipart/form-data; boundary=", "\x7f"]),
)


class Fuzzed:
    """A server, and a participant in whose name strange requests are made."""

    def __init__(self, hosted: HostedStudy) -> None:
        self.hosted, self.app = hosted, create_app(hosted)
        self.client = self.app.test_client()
        self.statuses: Counter[int] = Counter()
        self.people = 0
        self.next_participant()

    def next_participant(self) -> None:
        self.people += 1
        self.person = Person.begin(self.hosted, f"fuzz-{self.people}")
        with self.client.session_transaction() as cookie:
            cookie["token"] = self.person.token

    def load_page(self) -> None:
        if not self.person.reload()["trials"]:  # all is answered
            self.next_participant()

    def post(self, path: str, body: bytes, kind: str) -> None:
        """To the address, with each trial that the page holds in the place of `<trial>`."""
        headers = {"X-Evalkit-Page": self.person.page}
        for trial in self.person.ids:
            address = path.replace("<trial>", str(trial))
            reply = self.client.post(address, data=body, content_type=kind, headers=headers)
            self.statuses[reply.status_code] += 1
            assert reply.status_code < 500, (address, body[:300], kind, reply.text[:300])

    def assert_it_goes_on(self) -> None:
        self.load_page()
        self.person.walk()
        assert self.person.row.state == "finished"


def assert_sound(hosted: HostedStudy) -> None:
    """What must hold of the rows whatever came in."""
    with hosted.database.read() as db:
        sessions = {row.id: row for row in db.scalars(select(SessionRow))}
        trials = {row.id: row for row in db.scalars(select(TrialRow))}
        kinds: dict[int, set[str]] = {trial: set() for trial in trials}
        for event in db.scalars(select(EventRow)):
            kinds[event.trial_id].add(event.kind)
            json.dumps(event.detail, allow_nan=False)
        answered = {row.trial_id: row for row in db.scalars(select(ResponseRow))}
    assert {row.state for row in sessions.values()} <= {"active", "finished", "stopped", "expired"}
    assert all(found <= {"begun", "ended", "void"} for found in kinds.values())
    for trial, row in answered.items():
        assert "begun" in kinds[trial]
        assert "void" not in kinds[trial]
        assert row.choice in ("first", "second")
        assert row.outcome in (0.0, 1.0)
        assert row.rt_ms is None or 0 <= row.rt_ms <= 1e10
    for session in sessions.values():
        mine = [trial for trial, row in trials.items() if row.session_id == session.id]
        outstanding = [trial for trial in mine if trial not in answered and "void" not in kinds[trial]]
        assert len(outstanding) <= AHEAD
        assert bool(outstanding) == (session.state == "active") or session.state in ("stopped", "expired")


@pytest.fixture
def fuzzed(hosting: Hosting, tmp_path: Path) -> Fuzzed:
    protocol = {"practice": 1, "scored": 12, "reserve": 4}
    study = {"participants_per_condition": 20}
    return Fuzzed(
        hosting(where=make_named_study(tmp_path / "many", inputs=40, study=study, protocol=protocol))
    )


@pytest.mark.parametrize("act", ["begun", "ended", "answer"])
def test_no_body_breaks_a_trial(fuzzed: Fuzzed, act: str) -> None:
    @SETTINGS
    @given(bodies, kinds, st.booleans())
    def strange_requests(body: bytes, kind: str, begun: bool) -> None:
        fuzzed.load_page()
        if begun:
            fuzzed.person.begun()
            if act == "answer":
                fuzzed.client.post(
                    f"/api/trials/{fuzzed.person.ids[0]}/ended",
                    json=DISPLAY,
                    headers={"X-Evalkit-Page": fuzzed.person.page},
                )
        fuzzed.post(f"/api/trials/<trial>/{act}", body, kind)

    strange_requests()
    assert_sound(fuzzed.hosted)
    expected = {200, 409} if act == "begun" else {200, 409, 422}
    assert expected <= set(fuzzed.statuses)  # both what is taken and what is refused was among it
    fuzzed.assert_it_goes_on()


def test_no_body_breaks_any_other_address_that_takes_one(fuzzed: Fuzzed) -> None:
    rules = [
        re.sub(r"<[^>]*>", "1", rule.rule)
        for rule in fuzzed.app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and "/api/trials/" not in rule.rule and rule.rule != "/stop"
    ]
    assert {"/api/page", "/consent", "/comment"} <= set(rules)

    @settings(SETTINGS, max_examples=20)
    @given(bodies, kinds)
    def strange_requests(body: bytes, kind: str) -> None:
        for rule in rules:
            fuzzed.load_page()
            fuzzed.post(rule, body, kind)

    strange_requests()
    assert_sound(fuzzed.hosted)
    fuzzed.assert_it_goes_on()
