"""A participant who knows the source and wants the truth of scored trials, or more than one's own session.

What other files assert already is not repeated here: the shape of orders and image answers, spent addresses, stale
pages, trials of others (test_trials.py), forms without their token, other origins, cookies (test_views.py).
"""

import base64
import collections
import http.client
import io
import json
import math
import random
import re
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.sessions import SecureCookieSessionInterface
from PIL import Image
from werkzeug.serving import make_server

from tests.webapp.conftest import Hosting
from tests.webapp.people import Person, dump, row_counts
from tests.webapp.test_views import Browser
from webapp import export
from webapp.app import create_app
from webapp.hosting import HostedStudy
from webapp.tables import SessionRow

FORBIDDEN = ("facade_", "alpha", "beta", "condition", "target", "outcome", "source_id")
"""Names of inputs and algorithms, and of the columns that hold the truth."""


@pytest.fixture
def database_url(tmp_path: Any) -> str:
    """SQLite only: what goes out does not depend on the database, and test_trials.py runs on both."""
    return f"sqlite:///{tmp_path / 'database.sqlite'}"


@pytest.fixture
def browser(hosted: HostedStudy) -> Browser:
    return Browser(hosted)


def to_the_scored_trials(browser: Browser) -> dict[str, Any]:
    """Through practice; returns the state whose first trial is scored."""
    state = browser.begin()
    while state["trials"][0]["phase"] == "practice":
        state = whole_trial(browser, state["trials"][0]["id"], "first")
    return state


def whole_trial(browser: Browser, trial: int, choice: str) -> dict[str, Any]:
    path = f"/api/trials/{trial}"
    browser.post(f"{path}/begun")
    browser.post(f"{path}/ended", {"slots": {"1": {"exposure_ms": 1000}, "2": {"exposure_ms": 1000}}})
    reply = browser.post(f"{path}/answer", {"choice": choice, "rt_ms": 500})
    assert reply.status_code == 200, reply.text
    return dict(reply.json or {})


def truth(browser: Browser, trial: int) -> int:
    """Which slot is the fake one; the attacker must not find out."""
    slots = Person(browser.hosted, "", "", "").truth(trial).slots
    return next(number for number, slot in enumerate(slots, 1) if slot.condition != "real")


def masked(reply: Any) -> str:
    """An answer of the server without what is random: addresses and numbers of trials."""
    text = re.sub(r"/i/[0-9a-f]{32}", "/i/…", reply.text)
    text = re.sub(r'"id":\s*\d+', '"id":0', text)
    headers = sorted((name, value) for name, value in reply.headers if name != "Date")
    return f"{reply.status_code} {headers} {text}"


# Answers as a question to the server


def test_a_right_and_a_wrong_answer_to_a_scored_trial_get_the_same_reply(hosted: HostedStudy) -> None:
    replies: dict[bool, set[str]] = {True: set(), False: set()}
    for right in (True, False):
        browser = Browser(hosted)
        browser.page = ""
        assert browser.get(f"/?worker_id=w{right}").location == "/consent"
        assert browser.submit("/consent", "/consent", agree="yes").location == "/session"
        state = browser.open_page()
        while state["trials"]:
            order = state["trials"][0]
            fake = truth(browser, order["id"])
            choice = ("first", "second")[fake - 1 if right else 2 - fake]
            path = f"/api/trials/{order['id']}"
            browser.post(f"{path}/begun")
            browser.post(f"{path}/ended", {"slots": {"1": {"exposure_ms": 1000}, "2": {"exposure_ms": 1000}}})
            reply = browser.post(f"{path}/answer", {"choice": choice, "rt_ms": 500})
            state = dict(reply.json or {})
            if order["phase"] == "scored":
                sides_hidden = re.sub(r'"(side|value)":\s*"\w+"', "", masked(reply))  # of the next pairs
                replies[right].add(re.sub(r"'\d+'", "", sides_hidden))  # and the length that they make
            else:
                assert state["feedback"]["correct"] is right
    assert replies[True] == replies[False]
    assert len(replies[True]) == 4  # one per scored trial: they differ by their number only
    outcomes = {row.session: set() for row in export.responses(hosted)}  # type: dict[str, set[float | None]]
    for row in export.responses(hosted):
        outcomes[row.session].add(row.outcome)
    assert sorted(outcomes.values(), key=str) == [{0.0}, {1.0}]  # the server knew


def test_asking_twice_with_both_choices_tells_nothing_about_a_scored_trial(browser: Browser) -> None:
    trial = to_the_scored_trials(browser)["trials"][0]["id"]
    path = f"/api/trials/{trial}"
    whole_trial(browser, trial, "first")
    refused = browser.post(f"{path}/answer", {"choice": "second", "rt_ms": 500})
    repeated = browser.post(f"{path}/answer", {"choice": "first", "rt_ms": 9})
    assert (refused.status_code, refused.json) == (
        409,
        {"error": "answered", "message": "This trial already has another answer."},
    )
    assert repeated.status_code == 200
    for reply in (refused, repeated):
        assert "feedback" not in reply.text
        assert not any(word in reply.text for word in FORBIDDEN)


@pytest.mark.parametrize("choice", ["unsure", "real", "fake", "both", "", "first second", None, ["first"]])
def test_a_practice_trial_gives_its_feedback_only_for_an_answer_that_is_stored(
    browser: Browser, choice: Any
) -> None:
    state = browser.begin()
    path = f"/api/trials/{state['trials'][0]['id']}"
    replies = [browser.post(f"{path}/answer", {"choice": "first"})]  # not begun
    browser.post(f"{path}/begun")
    replies.append(browser.post(f"{path}/answer", {"choice": choice}))
    replies.append(
        browser.post(f"/api/trials/{state['trials'][1]['id']}/answer", {"choice": "first"})
    )  # not due
    assert [reply.status_code for reply in replies] == [409, 422, 409]
    assert not any("feedback" in reply.text or "truth" in reply.text for reply in replies)
    assert export.responses(browser.hosted) == []


def test_what_practice_tells_is_about_images_that_are_not_scored_in_the_session(hosted: HostedStudy) -> None:
    for number in range(6):
        person = Person.begin(hosted, f"w{number}").walk()
        shown: dict[str, set[str]] = {"practice": set(), "scored": set()}
        for trial in person.sent():
            shown[trial.phase] |= {slot.image for slot in trial.slots}
        assert not shown["practice"] & shown["scored"]


def test_a_pair_that_was_spoilt_on_purpose_is_gone_and_its_truth_with_it(browser: Browser) -> None:
    state = to_the_scored_trials(browser)
    first = state["trials"][0]
    path = f"/api/trials/{first['id']}"
    browser.post(f"{path}/begun")
    spoilt = browser.post(f"{path}/ended", {"slots": {}, "void_reason": "hidden"})
    answered = browser.post(f"{path}/answer", {"choice": "first"})
    assert (answered.status_code, (answered.json or {})["error"]) == (409, "void")
    assert "feedback" not in spoilt.text + answered.text
    assert all(browser.get(address).status_code == 410 for address in first["images"].values())
    shown = [browser.get(address).data for address in (spoilt.json or {})["trials"][0]["images"].values()]
    assert len(set(shown)) == 2


def test_trials_cannot_be_looked_at_begun_or_answered_ahead(browser: Browser) -> None:
    state = to_the_scored_trials(browser)
    ahead = state["trials"][1]["id"]
    before = dump(browser.hosted)
    body = {"slots": {"1": {"exposure_ms": 1000}}, "choice": "first"}
    for act in ("begun", "ended", "answer"):
        for trial, expected in ((ahead, 409), (ahead + 1, 404), (ahead + 10_000, 404)):
            assert browser.post(f"/api/trials/{trial}/{act}", body).status_code == expected
    assert dump(browser.hosted).count("begun") == before.count("begun")
    assert row_counts(browser.hosted)["responses"] == 2  # practice


# Images: everything but the pixels


def test_no_way_to_ask_for_an_image_tells_the_two_of_a_pair_apart(browser: Browser) -> None:
    state = to_the_scored_trials(browser)
    ways: list[tuple[str, dict[str, str]]] = [
        ("GET", {}),
        ("HEAD", {}),
        ("OPTIONS", {}),
        ("GET", {"Range": "bytes=0-99"}),
        ("GET", {"If-None-Match": "*"}),
        ("GET", {"If-Modified-Since": "Mon, 01 Jan 2035 00:00:00 GMT"}),
        ("GET", {"Accept-Encoding": "gzip, deflate, br"}),
        ("GET", {"Accept": "image/webp"}),
        ("POST", {}),
        ("PROPFIND", {}),
    ]
    while state["trials"]:
        order = state["trials"][0]
        for method, headers in ways:
            replies = [
                browser.client.open(order["images"][slot], method=method, headers=headers) for slot in "12"
            ]
            seen = [
                (
                    reply.status_code,
                    sorted(item for item in reply.headers if item[0] != "Date"),
                    len(reply.data),
                )
                for reply in replies
            ]
            assert seen[0] == seen[1], (method, headers)
        state = whole_trial(browser, order["id"], "first")


def test_numbers_and_places_of_pairs_tell_nothing(hosted: HostedStudy) -> None:
    """Which slot and which side is fake is even within each session, and addresses are noise."""
    digits: dict[bool, list[str]] = {True: [], False: []}
    for number in range(6):
        person = Person.begin(hosted, f"w{number}")
        seen: collections.Counter[tuple[str, bool]] = collections.Counter()
        while person.orders:
            order = person.orders[0]
            sides = {s["slot"]: s["side"] for f in order["schedule"] for s in f.get("slots", ())}
            for slot, shown in enumerate(person.truth(order["id"]).slots, 1):
                fake = shown.condition != "real"
                digits[fake].append(order["images"][str(slot)][3:])
                if order["phase"] == "scored":
                    seen[f"slot {slot}", fake] += 1
                    seen[sides[slot], fake] += 1
            person.answer()
        assert set(seen.values()) == {2}  # 4 scored trials: each slot and each side is fake in two of them
    means = [statistics.fmean(int(char, 16) for char in "".join(digits[fake])) for fake in (True, False)]
    characters = sum(len(address) for address in digits[True])
    assert abs(means[0] - means[1]) < 5 * math.sqrt(2 * 21.25 / characters)  # 21.25: variance of a hex digit


@contextmanager
def over_http(hosted: HostedStudy) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(hosted), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


REPEATS = 120


def response_time_auc(hosted: HostedStudy, worker: str) -> float:
    """How often a fake image took longer than a real one: 0.5 if the time tells nothing.

    Real and fake in random turn, over one real connection.
    """
    browser = Browser(hosted)
    assert browser.get(f"/?worker_id={worker}").location == "/consent"
    browser.submit("/consent", "/consent", agree="yes")
    order = browser.open_page()["trials"][0]
    cookie = browser.client.get_cookie(f"evalkit_small_{hosted.data}")
    assert cookie is not None
    fake = str(truth(browser, order["id"]))
    turns = ["1", "2"] * REPEATS
    random.Random(3).shuffle(turns)
    times: dict[bool, list[float]] = {True: [], False: []}
    with over_http(hosted) as url:
        for slot in turns:
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
            connection.connect()
            start = time.perf_counter()
            connection.request(
                "GET", order["images"][slot], headers={"Cookie": f"{cookie.key}={cookie.value}"}
            )
            reply = connection.getresponse()
            assert len(reply.read()) > 0
            times[slot == fake].append(time.perf_counter() - start)
            assert reply.status == 200
            connection.close()
    wins = sum((f > r) + 0.5 * (f == r) for f in times[True] for r in times[False])
    return wins / REPEATS**2


CHANCE = 4.5 * math.sqrt((2 * REPEATS + 1) / (12 * REPEATS**2))
"""4.5 standard errors of the AUC of two samples from one distribution: 0.17 for 120 + 120 requests."""


def test_the_time_an_image_takes_tells_nothing(hosted: HostedStudy) -> None:
    assert abs(response_time_auc(hosted, "w1") - 0.5) < CHANCE


def test_the_attack_on_times_would_see_ten_milliseconds(
    hosted: HostedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the test above can fail."""
    real = {image.id for image in hosted.bundle.stimuli if image.condition == "real"}
    served = hosted.image_bytes

    def slower(stimulus: str) -> bytes:
        time.sleep(0 if stimulus in real else 0.010)
        return served(stimulus)

    monkeypatch.setattr(hosted, "image_bytes", slower)
    assert response_time_auc(hosted, "w1") - 0.5 > CHANCE


def test_files_carry_no_text_and_one_encoding(browser: Browser) -> None:
    state = browser.begin()
    chunks = set()
    while state["trials"]:
        order = state["trials"][0]
        for address in order["images"].values():
            data = browser.get(address).data
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                assert not image.getexif()
            names = re.findall(rb"(IHDR|IDAT|IEND|tEXt|zTXt|iTXt|tIME|eXIf|iCCP|pHYs|gAMA|caBX)", data)
            chunks.add(tuple(name for name in names if name != b"IDAT"))
        state = whole_trial(browser, order["id"], "first")
    assert len(chunks) == 1
    assert not {b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf", b"caBX"} & set(next(iter(chunks)))


# Cookies, sessions of others, other servers


def cookie_of(browser: Browser) -> str:
    cookie = browser.client.get_cookie(f"evalkit_small_{browser.hosted.data}")
    assert cookie is not None
    return cookie.value


def with_cookie(hosted: HostedStudy, value: str) -> Browser:
    stranger = Browser(hosted)
    stranger.client.set_cookie(f"evalkit_small_{hosted.data}", value)
    return stranger


def test_a_cookie_of_which_one_letter_was_changed_is_no_cookie(browser: Browser) -> None:
    browser.begin()
    value = cookie_of(browser)
    rng = random.Random(1)
    for position in rng.sample(range(len(value) - 1), 25):  # the last letter holds spare bits
        letter = rng.choice([each for each in "ABCxyz019_-" if each != value[position]])
        changed = value[:position] + letter + value[position + 1 :]
        assert with_cookie(browser.hosted, changed).post("/api/page").status_code == 401, position


def test_the_cookie_holds_nothing_about_trials_and_no_worker_id(browser: Browser) -> None:
    browser.begin("prolific-id-of-a-person")
    payload = cookie_of(browser).split(".")[0 if not cookie_of(browser).startswith(".") else 1]
    opened = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    if cookie_of(browser).startswith("."):
        import zlib

        opened = zlib.decompress(opened)
    text = opened.decode()
    assert '"token"' in text  # it could be read
    assert "prolific-id-of-a-person" not in text
    assert not any(word in text for word in FORBIDDEN)


def test_a_cookie_signed_with_another_key_is_no_cookie(browser: Browser, hosting: Hosting) -> None:
    browser.begin()
    token = json.dumps({"token": "x"})
    for key in ("", "secret", "0" * 64, browser.hosted.study.id):
        app = create_app(browser.hosted)
        app.secret_key = key or "dev"
        serializer = SecureCookieSessionInterface().get_signing_serializer(app)
        assert serializer is not None
        forged = str(serializer.dumps(json.loads(token)))
        assert with_cookie(browser.hosted, forged).post("/api/page").status_code == 401


def test_the_cookie_of_a_preview_opens_nothing_on_the_live_server(hosting: Hosting) -> None:
    """A preview asks nobody for an id: what it signed must not count as a worker who was let in."""
    live, preview = hosting("live"), Browser(hosting("preview"))
    preview.get("/")
    preview.get("/consent")
    moved = with_cookie(live, cookie_of(preview))
    assert moved.get("/consent").location == "/"
    assert row_counts(live)["sessions"] == 0


def test_the_session_of_somebody_else_opens_by_no_number(browser: Browser) -> None:
    theirs = Person.begin(browser.hosted, "victim")
    order = theirs.orders[0]
    browser.begin("attacker")
    before = dump(browser.hosted)
    for page in (browser.page, theirs.page, "", "0" * 32):
        browser.page = page
        for act in ("begun", "ended", "answer"):
            reply = browser.post(f"/api/trials/{order['id']}/{act}", {"choice": "first", "slots": {}})
            assert reply.status_code in (404, 409), reply.text
        for address in order["images"].values():
            assert browser.get(address).status_code == 410
    assert dump(browser.hosted).replace(" ", "").count("'begun'") == before.count("'begun'")
    assert theirs.reload()["trials"][0]["id"] == order["id"]


# What one can type


NASTY = [
    "x'; DROP TABLE sessions; --",
    'x" OR 1=1 --',
    "{{1543*2087}}{{config}}{% for x in y %}",
    "${1543*2087} <%= 1543*2087 %> #{1543*2087}",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "x\r\nSet-Cookie: admin=1\r\n\r\n<html>",
    "x\nLocation: https://evil.example",
    "../../../../etc/passwd\0.png",
    "%(x)s %s %n {0.__class__} %00",
    '=HYPERLINK("http://evil")',
    "\u202e\ufeff\u0000\U0001f600 e\u0301",
    "A" * 200,
]


def assert_unharmed(browser: Browser, reply: Any, typed: str) -> None:
    assert reply.status_code < 500
    assert "Set-Cookie: admin" not in str(reply.headers)
    assert "admin" not in reply.headers.getlist("Set-Cookie").__str__()
    assert urlsplit(reply.headers.get("Location", "/")).netloc in ("", "localhost")
    assert str(1543 * 2087) not in reply.text  # long enough that no random token holds it
    if "<" in typed:
        assert typed not in reply.text


@pytest.mark.parametrize("typed", NASTY)
def test_whatever_is_typed_as_an_id_is_an_id_like_any_other(browser: Browser, typed: str) -> None:
    reply = browser.client.get("/", query_string={"worker_id": typed, "next": typed, "lang": typed})
    assert_unharmed(browser, reply, typed)
    if reply.location == "/consent":
        consent = browser.get("/consent")
        assert_unharmed(browser, consent, typed)
        assert browser.submit("/consent", "/consent", agree="yes").location == "/session"
        assert_unharmed(browser, browser.get("/session"), typed)
        assert typed not in dump(browser.hosted)
        with browser.hosted.database.read() as db:
            row = db.query(SessionRow).one()
        assert re.fullmatch(r"[0-9a-f]{32}", row.worker)


@pytest.mark.parametrize("typed", NASTY)
def test_whatever_is_typed_as_a_comment_is_kept_as_one_line_and_never_run(
    browser: Browser, typed: str
) -> None:
    browser.finish(browser.begin())
    reply = browser.submit("/finish", "/comment", comment=typed)
    assert_unharmed(browser, reply, typed)
    with browser.hosted.database.read() as db:
        assert db.query(SessionRow).one().comment == " ".join(typed.replace("\0", "").split())
    (row,) = export.sessions(browser.hosted)
    assert not row.comment.startswith(("=", "+", "-", "@"))  # no formula for a spreadsheet
    for path in ("/done", "/finish", "/session"):
        assert_unharmed(browser, browser.get(path), typed)


@pytest.mark.parametrize("typed", NASTY)
def test_headers_and_form_fields_that_nobody_asked_for_do_nothing(browser: Browser, typed: str) -> None:
    browser.get("/?worker_id=w1")
    clean = (
        typed.replace("\r", "")
        .replace("\n", "")
        .replace("\0", "")
        .encode("latin-1", "replace")
        .decode("latin-1")
    )
    headers = {
        "X-Evalkit-Page": clean,
        "X-Forwarded-Host": clean,
        "User-Agent": clean,
        "Accept-Language": clean,
    }
    for path in ("/", "/consent", "/session", "/finish"):
        assert_unharmed(browser, browser.client.get(path, headers=headers), typed)
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/consent").text)
    assert token is not None
    fields = {
        "csrf_token": token[1],
        "agree": "yes",
        "state": "finished",
        "condition": typed,
        "worker": typed,
    }
    assert_unharmed(browser, browser.client.post("/consent", data=fields, headers=headers), typed)
    assert browser.post("/api/page", {"session": typed, "state": "finished"}).status_code == 200
    (row,) = export.sessions(browser.hosted)
    assert row.state == "active"


# Files, methods, pages of the researcher


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/%2e%2e/secret.key",
        "/static/....//app.py",
        "/static//etc/passwd",
        "/static/..\\app.py",
        "/static/js%00.js",
        "/i/../secret.key",
        "/i/..%2f..%2fsecret.key",
        "/i/%2e%2e%2fstudy.toml",
        "/../study.toml",
        "//etc/passwd",
        "/stimuli/manifest.json",
        "/study.sqlite",
        "/secret.key",
    ],
)
def test_no_path_leads_to_a_file_that_is_no_page(hosted: HostedStudy, path: str) -> None:
    with over_http(hosted) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        connection.request("GET", path)  # as it stands: a browser would tidy it up
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
    assert reply.status in (301, 308, 400, 401, 404, 405, 410)
    assert hosted.config.secret_key.encode() not in body
    assert b"root:" not in body
    assert b"def create_app" not in body


def test_no_page_of_the_researcher_opens_without_its_key(browser: Browser) -> None:
    """Whatever pages there are by now: each rule that is no participant's is asked with made-up values."""
    app = create_app(browser.hosted)
    browser.begin()
    asked = 0
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("dashboard."):
            continue
        with app.test_request_context():
            path = rule.build(dict.fromkeys(rule.arguments, 1), append_unknown=False)
        address = path[1] if path else rule.rule
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            before = dump(browser.hosted)
            reply = browser.client.open(address, method=method)
            asked += 1
            assert reply.status_code in (301, 302, 303, 400, 401, 403, 404, 405), (method, address)
            assert not any(word in reply.text for word in ("alpha", "beta", "worker"))
            assert dump(browser.hosted) == before
    assert asked > 0


@pytest.mark.parametrize("path", ["/api/page", "/api/trials/1/begun", "/api/trials/1/answer", "/stop"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE"])
def test_nothing_is_changed_by_another_method(browser: Browser, path: str, method: str) -> None:
    browser.begin()
    before = dump(browser.hosted)
    assert browser.client.open(path, method=method).status_code == 405
    assert dump(browser.hosted) == before


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b'{"choice": "first"}'),
        ("application/x-www-form-urlencoded", b"choice=first"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="choice"\r\n\r\nfirst\r\n--x--',
        ),
        ("application/xml", b"<choice>first</choice>"),
        ("application/octet-stream", b"\x80\x04."),
        ("", b'{"choice": "first"}'),
    ],
)
def test_a_form_of_another_site_cannot_pass_for_an_answer(browser: Browser, kind: str, body: bytes) -> None:
    """A page elsewhere may send these kinds without asking; JSON it may not."""
    trial = browser.begin()["trials"][0]["id"]
    browser.post(f"/api/trials/{trial}/begun")
    headers = {"X-Evalkit-Page": browser.page}
    reply = browser.client.post(f"/api/trials/{trial}/answer", data=body, content_type=kind, headers=headers)
    assert reply.status_code in (415, 422)
    assert export.responses(browser.hosted) == []


def test_an_answer_needs_the_header_that_another_site_cannot_send(browser: Browser) -> None:
    trial = browser.begin()["trials"][0]["id"]
    page, browser.page = browser.page, ""
    assert browser.post(f"/api/trials/{trial}/begun").status_code == 409
    browser.page = page.upper()
    assert browser.post(f"/api/trials/{trial}/begun").status_code == 409
    assert row_counts(browser.hosted)["trial_events"] == 0


def test_bodies_without_end_are_cut_off(browser: Browser) -> None:
    trial = browser.begin()["trials"][0]["id"]
    browser.post(f"/api/trials/{trial}/begun")
    for path, fields in (
        (f"/api/trials/{trial}/answer", {}),
        ("/comment", {}),
        ("/consent", {}),
        ("/stop", {}),
    ):
        headers = {"X-Evalkit-Page": browser.page, **fields}
        reply = browser.client.post(
            path, data=b'{"choice": "' + b"x" * 200_000, content_type="application/json", headers=headers
        )
        assert reply.status_code in (400, 413, 422), path
    (row,) = export.sessions(browser.hosted)
    assert row.state == "active"
