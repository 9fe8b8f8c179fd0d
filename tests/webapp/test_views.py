"""The study as a browser meets it: pages, forms, cookies, headers, JSON; and what keeps a server from starting."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from studies.design import load_study
from studies.errors import UserError
from studies.stimuli import load_bundle
from tests.webapp.conftest import Hosting
from tests.webapp.people import Clock, Person, dump, row_counts, states
from webapp import export, freeze, sessions
from webapp.app import HEADERS, create_app
from webapp.config import database_url as configured_database_url
from webapp.config import load_secret_key, server_config
from webapp.db import Database
from webapp.hosting import HostedStudy, host, prepare
from webapp.identity import completion_code
from webapp.views.participant import consent_version

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite only: what is written where is tested on both databases in the other files."""
    return f"sqlite:///{tmp_path / 'database.sqlite'}"


class Browser:
    """A test client that submits forms as a browser does, and remembers its page."""

    def __init__(self, hosted: HostedStudy, **app: Any) -> None:
        self.hosted = hosted
        self.client: FlaskClient = create_app(hosted, **app).test_client()
        self.page = ""

    def get(self, path: str) -> TestResponse:
        return self.client.get(path)

    def follow(self, path: str) -> TestResponse:
        return self.client.get(path, follow_redirects=True)

    def submit(self, form: str, to: str, **fields: str) -> TestResponse:
        """Open the page with the form, fill it in, send it."""
        token = CSRF.search(self.client.get(form).text)
        assert token is not None, form
        return self.client.post(to, data={"csrf_token": token[1], **fields})

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.client.post(path, json=body or {}, headers={"X-Evalkit-Page": self.page, **headers})

    def begin(self, worker_id: str = "w1") -> dict[str, Any]:
        """From the link to the first state of the session page."""
        assert self.get(f"/?worker_id={worker_id}").location == "/consent"
        assert self.submit("/consent", "/consent", agree="yes").location == "/session"
        return self.open_page()

    def open_page(self) -> dict[str, Any]:
        state = self.post("/api/page").json
        assert state is not None
        self.page = state.pop("page")
        return dict(state)

    def finish(self, state: dict[str, Any]) -> dict[str, Any]:
        while state["trials"]:
            path = f"/api/trials/{state['trials'][0]['id']}"
            assert self.post(f"{path}/begun").json == {"ok": True}
            assert self.post(f"{path}/ended", {"slots": {"1": {"exposure_ms": 1000}}}).status_code == 200
            reply = self.post(f"{path}/answer", {"choice": "first", "rt_ms": 500, "input": "mouse"})
            assert reply.json is not None
            state = dict(reply.json)
        return state


@pytest.fixture
def browser(hosted: HostedStudy) -> Browser:
    return Browser(hosted)


def heading(reply: TestResponse) -> str:
    """What stands on top of the page, parts that the page hides left out."""
    shown = re.sub(r"<main[^>]* hidden>.*?</main>", "", reply.text, flags=re.DOTALL)
    match = re.search(r"<h1[^>]*>(.*?)</h1>", shown)
    return match[1] if match else ""


# The way of a participant


def test_a_participant_walks_from_the_link_to_the_completion_code(
    hosted: HostedStudy, browser: Browser
) -> None:
    link = browser.get("/?worker_id=w1")
    assert (link.status_code, link.location) == (303, "/consent")
    consent = browser.get("/consent")
    assert heading(consent) == "Before you begin"
    assert "IRB 1" in consent.text
    assert "study@lab.example" in consent.text
    assert row_counts(hosted)["sessions"] == 0
    state = browser.begin()
    assert browser.get("/session").status_code == 200
    assert browser.finish(state)["stage"] == "finished"
    assert browser.get("/session").location == "/done"
    assert heading(browser.get("/finish")) == "That was the last one"
    assert browser.submit("/finish", "/comment", comment="  nicely made  ").location == "/done"
    (row,) = export.sessions(hosted)
    code = completion_code(hosted.config.secret_key, row.session)
    assert re.fullmatch(r"[A-Z2-7]{8}", code)
    assert code in browser.get("/done").text
    assert (row.state, row.comment) == ("finished", "nicely made")


def test_the_code_is_shown_again_to_who_returns_with_the_cookie(browser: Browser) -> None:
    browser.finish(browser.begin())
    first = browser.get("/done").text
    again = browser.follow("/?worker_id=w1")
    assert heading(again) == "Thank you!"
    assert again.text == first
    assert browser.follow("/").text == first


def test_the_same_id_without_the_cookie_is_refused_kindly_even_when_finished(
    hosted: HostedStudy, browser: Browser
) -> None:
    browser.finish(browser.begin())
    refused = Browser(hosted).get("/?worker_id=w1")
    assert refused.status_code == 403
    assert heading(refused) == "You have already taken part"
    assert "study@lab.example" in refused.text
    (row,) = export.sessions(hosted)
    assert completion_code(hosted.config.secret_key, row.session) not in refused.text


def test_without_an_id_the_page_asks_for_one(browser: Browser, hosted: HostedStudy) -> None:
    asked = browser.get("/")
    assert asked.status_code == 200
    assert 'name="worker_id"' in asked.text
    assert "Please enter an id" not in asked.text
    for empty in ("/?worker_id=", "/?worker_id=%20%20"):
        assert "Please enter an id of at most 200 characters." in browser.get(empty).text
    assert row_counts(hosted)["arrivals"] == 0


def test_an_id_that_is_too_long_is_asked_for_again(browser: Browser, hosted: HostedStudy) -> None:
    assert "Please enter an id of at most 200 characters." in browser.get(f"/?worker_id={'x' * 201}").text
    assert row_counts(hosted)["arrivals"] == 0
    assert browser.get(f"/?worker_id={'x' * 200}").location == "/consent"


def test_the_box_must_be_ticked(browser: Browser, hosted: HostedStudy) -> None:
    browser.get("/?worker_id=w1")
    refused = browser.submit("/consent", "/consent")
    assert refused.status_code == 422
    assert "Please tick the box if you agree" in refused.text
    assert row_counts(hosted)["sessions"] == 0


def test_the_accepted_text_and_its_values_are_stored(browser: Browser, hosted: HostedStudy) -> None:
    browser.begin()
    (row,) = export.sessions(hosted)
    assert re.fullmatch(r"2-en-[0-9a-f]{10}", row.consent_version)
    assert row.consent_version == consent_version(hosted, "en")


def test_other_values_in_the_consent_are_another_version(
    hosting: Hosting, hosted: HostedStudy, folder: Path
) -> None:
    settings = (folder / "study.toml").read_text(encoding="utf-8")
    (folder / "study.toml").write_text(settings.replace('"IRB 1"', '"IRB 2"'), encoding="utf-8")
    assert consent_version(hosting("pilot"), "en") != consent_version(hosted, "en")


@pytest.mark.parametrize("path", ["/consent", "/comment", "/stop"])
def test_forms_without_their_token_are_refused(browser: Browser, hosted: HostedStudy, path: str) -> None:
    browser.begin()
    before = dump(hosted)
    refused = browser.client.post(path, data={"agree": "yes", "comment": "forged"})
    assert refused.status_code == 400
    assert heading(refused) == "That did not work"
    assert dump(hosted) == before


def test_a_consent_sent_twice_is_one_session(browser: Browser, hosted: HostedStudy) -> None:
    browser.begin()
    assert browser.submit("/consent", "/consent", agree="yes").location == "/session"
    assert states(hosted) == {"active": 1}


def test_a_consent_whose_reply_was_lost_can_be_sent_again(browser: Browser, hosted: HostedStudy) -> None:
    browser.get("/?worker_id=w1")
    token = CSRF.search(browser.get("/consent").text)
    assert token is not None
    before = browser.client.get_cookie("evalkit_small_live")
    assert before is not None
    form = {"csrf_token": token[1], "agree": "yes"}
    for _ in range(3):  # the browser never hears of the reply: its cookie is still the one from before
        browser.client.set_cookie(before.key, before.value)
        assert browser.client.post("/consent", data=form).location == "/session"
        assert browser.open_page()["trials"]
    assert states(hosted) == {"active": 1}
    browser.client.set_cookie(before.key, before.value)
    assert browser.get("/?worker_id=w1").location == "/session"  # the link does as well


def test_a_second_person_at_the_same_browser_does_not_take_over_the_first_ones_session(
    browser: Browser, hosted: HostedStudy
) -> None:
    state = browser.begin("w1")
    assert browser.get("/?worker_id=w2").location == "/consent"
    assert browser.open_page()["trials"][0]["id"] == state["trials"][0]["id"]  # w2 only looked
    assert browser.get("/?worker_id=w1").location == "/session"
    assert browser.begin("w2")["trials"][0]["id"] != state["trials"][0]["id"]
    assert browser.get("/?worker_id=w1").status_code == 403
    assert states(hosted) == {"active": 2}


def test_the_address_is_clean_after_entry(browser: Browser) -> None:
    reply = browser.follow("/?worker_id=Very-Personal")
    assert reply.request.path == "/consent"
    assert not reply.request.query_string
    assert "Very-Personal" not in reply.text


def test_stop_ends_the_session_and_names_the_pay_rule(browser: Browser, hosted: HostedStudy) -> None:
    browser.begin()
    stopped = browser.submit("/session", "/stop")
    assert heading(stopped) == "You have stopped"
    assert "About payment: As stated in the invitation" in stopped.text
    assert heading(browser.follow("/?worker_id=w1")) == "You have stopped"
    assert states(hosted) == {"stopped": 1}


def test_stop_is_offered_on_the_session_page_and_nowhere_before(browser: Browser) -> None:
    assert 'action="/stop"' not in browser.get("/").text
    browser.begin()
    assert 'action="/stop"' in browser.get("/session").text


def test_who_comes_when_all_is_full_is_told_kindly_and_may_come_again(
    browser: Browser, hosted: HostedStudy
) -> None:
    people = [Person.begin(hosted, f"filler-{number}") for number in range(6)]
    full = browser.get("/?worker_id=late")
    assert full.status_code == 403
    assert heading(full) == "All places are taken"
    assert "you are welcome to try the link later" in full.text
    sessions.stop(hosted, people[0].token)
    assert browser.begin("late")["trials"]


def test_who_consents_when_the_last_place_is_gone_is_told_kindly(
    browser: Browser, hosted: HostedStudy
) -> None:
    browser.get("/?worker_id=slow")
    for number in range(6):
        Person.begin(hosted, f"filler-{number}")
    full = browser.submit("/consent", "/consent", agree="yes")
    assert (full.status_code, heading(full)) == (403, "All places are taken")


def test_who_returns_after_the_place_went_to_somebody_else_meets_a_kind_end_page_with_the_pay_rule(
    browser: Browser, hosted: HostedStudy, clock: Clock
) -> None:
    browser.begin()
    clock.advance(31)
    Person.begin(hosted, "heir")
    assert browser.follow("/?worker_id=w1").request.path == "/session"
    assert browser.open_page()["stage"] == "expired"
    end = browser.get("/expired")  # where player.js goes in this stage
    assert end.status_code == 200
    assert heading(end) == "Your session has ended"
    assert "About payment: As stated in the invitation" in end.text


def test_every_stage_that_the_page_may_leave_for_has_its_address(browser: Browser) -> None:
    player = (Path(freeze.__file__).parent / "static" / "player.js").read_text(encoding="utf-8")
    line = re.search(r"ADDRESS_OF_STAGE = \{([^}]*)\}", player)
    assert line is not None
    addresses = re.findall(r'"(/[a-z]+)"', line[1])
    assert len(addresses) == 3
    for address in addresses:
        assert browser.get(address).status_code == 303, address  # to the entry: there is no session


@pytest.mark.parametrize("path", ["/session", "/finish", "/done", "/expired"])
def test_pages_of_a_session_lead_to_the_entry_without_a_cookie(browser: Browser, path: str) -> None:
    reply = browser.follow(path)
    assert reply.status_code == 200
    assert reply.request.path == "/"
    assert heading(reply) == "Welcome"


def test_finish_and_done_lead_back_while_trials_are_left(browser: Browser) -> None:
    browser.begin()
    for path in ("/finish", "/done"):
        assert browser.get(path).location == "/session"


def test_a_forged_cookie_is_no_session(browser: Browser, hosted: HostedStudy) -> None:
    browser.begin()
    stranger = Browser(hosted)
    stranger.client.set_cookie("evalkit_small_live", "eyJ0b2tlbiI6ImZvcmdlZCJ9.aaaaaa.bbbbbbbb")
    assert stranger.follow("/session").request.path == "/"
    assert stranger.post("/api/page").status_code == 401


def test_a_comment_may_hold_anything_and_is_cut(browser: Browser, hosted: HostedStudy) -> None:
    browser.finish(browser.begin())
    browser.submit("/finish", "/comment", comment="a\0b <script>é</script>" + "x" * 6000)
    (row,) = export.sessions(hosted)
    assert row.comment.startswith("ab <script>é</script>x")
    assert len(row.comment) == sessions.MAX_COMMENT


def test_what_a_worker_types_is_never_taken_for_markup(browser: Browser) -> None:
    attack = "<script>alert(1)</script>"
    assert attack not in browser.get(f"/?worker_id={attack}{'x' * 200}").text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("preview", "PREVIEW: nothing of this session is counted."),
        ("simulated", "SIMULATION: this server is for simulated participants"),
    ],
)
def test_a_banner_stands_on_each_page_of_data_that_do_not_count(
    hosting: Hosting, data: str, words: str
) -> None:
    browser = Browser(hosting(data))
    seen = [browser.get("/?worker_id=")] if data == "simulated" else []
    browser.get("/?worker_id=w1")
    seen.append(browser.get("/consent"))
    state = browser.begin()
    seen.append(browser.get("/session"))
    browser.finish(state)
    seen += [browser.get(path) for path in ("/finish", "/done", "/dashboard/sign-in", "/nowhere")]
    seen.append(Browser(browser.hosted).get("/?worker_id=w1"))
    for reply in seen:
        assert words in reply.text, reply.request.path


def test_live_pages_carry_no_banner(browser: Browser) -> None:
    browser.begin()
    for path in ("/", "/consent", "/session"):
        assert 'class="banner"' not in browser.get(path).text


def test_a_preview_needs_no_id(hosting: Hosting) -> None:
    hosted = hosting("preview")
    for _ in range(2):
        assert Browser(hosted).get("/").location == "/consent"


# Headers and cookies


def test_every_answer_carries_the_security_headers(browser: Browser, hosted: HostedStudy) -> None:
    state = browser.begin()
    image = state["trials"][0]["images"]["1"]
    paths = [
        "/",
        "/consent",
        "/session",
        "/done",
        image,
        "/i/none",
        "/dashboard",
        "/dashboard/sign-in",
        "/ready",
        "/nowhere",
    ]
    replies = [browser.get(path) for path in paths]
    replies += [browser.post("/api/page"), browser.post("/stop"), Browser(hosted).post("/api/page")]
    for reply in replies:
        for name, value in HEADERS.items():
            assert reply.headers.getlist(name) == [value], (reply.request.path, name)
    assert "script-src 'self'" in HEADERS["Content-Security-Policy"]
    assert HEADERS["Cache-Control"] == "private, no-store"


def test_pages_need_no_inline_script_and_nothing_from_elsewhere(browser: Browser) -> None:
    browser.begin()
    for path in ("/", "/consent", "/session"):
        text = browser.get(path).text
        for tag in re.findall(r"<script[^>]*>", text):
            assert 'src="/static/' in tag or 'type="application/json"' in tag
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text)
        assert not re.search(r"\son[a-z]+=", text)


def test_cookies_are_http_only_and_same_site_and_secure_where_asked(hosting: Hosting) -> None:
    for secure in (False, True):
        cookie = Browser(hosting(secure_cookies=secure)).get(f"/?worker_id=w{secure}").headers["Set-Cookie"]
        assert cookie.startswith("evalkit_small_live=")
        assert "; HttpOnly" in cookie
        assert "; SameSite=Lax" in cookie
        assert ("; Secure" in cookie) == secure


def test_cookies_outlive_the_browser_so_that_one_can_come_back(browser: Browser) -> None:
    assert "Expires=" in browser.get("/?worker_id=w1").headers["Set-Cookie"]


def test_images_static_files_and_json_set_no_cookie(browser: Browser, hosted: HostedStudy) -> None:
    state = browser.begin()
    image = state["trials"][0]["images"]["1"]
    for path in (image, "/static/player.js", "/static/style.css", "/ready", "/nowhere"):
        with browser.get(path) as reply:
            assert "Set-Cookie" not in reply.headers, path
    assert "Set-Cookie" not in browser.post("/api/page").headers


def test_image_answers_are_alike_for_real_and_fake(browser: Browser, hosted: HostedStudy) -> None:
    state = browser.begin()
    seen: dict[str, set[str]] = {}
    person = Person(hosted, "w1", "", "")
    while state["trials"]:
        order = state["trials"][0]
        for number, slot in enumerate(person.truth(order["id"]).slots, 1):
            reply = browser.get(order["images"][str(number)])
            assert reply.status_code == 200
            described = json.dumps(
                [sorted(reply.headers), dict(reply.headers), len(reply.data)], sort_keys=True
            )
            seen.setdefault("real" if slot.condition == "real" else "fake", set()).add(described)
        path = f"/api/trials/{order['id']}"
        browser.post(f"{path}/begun")
        state = browser.post(f"{path}/answer", {"choice": "first"}).json or {}
    assert seen["real"] == seen["fake"]
    assert len(seen["real"]) == 1


def test_image_answers_say_nothing_of_the_file(browser: Browser) -> None:
    reply = browser.get(browser.begin()["trials"][0]["images"]["1"])
    assert reply.mimetype == "image/png"
    for name in ("ETag", "Last-Modified", "Content-Disposition"):
        assert name not in reply.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
def test_requests_from_another_site_are_refused(browser: Browser, hosted: HostedStudy, origin: str) -> None:
    trial = browser.begin()["trials"][0]["id"]
    before = dump(hosted)
    for path in ("/api/page", f"/api/trials/{trial}/begun"):
        reply = browser.post(path, Origin=origin)
        assert reply.status_code == 403
        assert reply.json == {"error": "origin", "message": "This request came from another site."}
    assert dump(hosted) == before
    assert browser.post(f"/api/trials/{trial}/begun", Origin="http://localhost").status_code == 200


# JSON


def test_json_errors_have_a_code_and_a_message(browser: Browser, hosted: HostedStudy) -> None:
    unknown = Browser(hosted).post("/api/page")
    assert unknown.status_code == 401
    assert unknown.json == {
        "error": "unknown_session",
        "message": "This browser has no session here. Open the study's link again.",
    }
    trial = browser.begin()["trials"][0]["id"]
    browser.page = "an older page"
    stale = browser.post(f"/api/trials/{trial}/begun")
    assert stale.status_code == 409
    assert stale.json == {"error": "stale", "message": "This study is open in another window."}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "body: Input should be a valid dictionary or instance of Answer"),
        ("no json", "body: Input should be a valid dictionary or instance of Answer"),
        ("{}", "choice: Field required"),
        ('{"choice": "left"}', "choice: Input should be 'first', 'second', 'real', 'fake' or 'unsure'"),
        (
            '{"choice": "first", "rt_ms": -1}',
            "rt_ms: Input should be greater than or equal to 0",
        ),
        ('{"choice": "first", "rt_ms": NaN}', "rt_ms: Input should be a finite number"),
        (
            '{"choice": "first", "display": {"slots": {}, "refresh_hz": Infinity}}',
            "display.refresh_hz: Input should be a finite number",
        ),
        (
            '{"choice": "first", "display": {"slots": {}, "void_reason": "<b>"}}',
            "display.void_reason: String should match pattern '^[a-z_]*$'",
        ),
    ],
)
def test_answers_that_make_no_sense_are_refused_and_nothing_is_stored(
    browser: Browser, hosted: HostedStudy, body: str, message: str
) -> None:
    path = f"/api/trials/{browser.begin()['trials'][0]['id']}"
    browser.post(f"{path}/begun")
    before = dump(hosted)
    headers = {"X-Evalkit-Page": browser.page}
    reply = browser.client.post(f"{path}/answer", data=body, headers=headers, content_type="application/json")
    assert reply.status_code == 422
    assert reply.json == {"error": "invalid", "message": message}
    assert dump(hosted) == before


def test_an_oversized_body_is_refused(browser: Browser, hosted: HostedStudy) -> None:
    path = f"/api/trials/{browser.begin()['trials'][0]['id']}/answer"
    before = dump(hosted)
    reply = browser.post(path, {"choice": "first", "junk": "x" * 70_000})
    assert reply.status_code == 413
    assert (reply.json or {})["error"] == "request_entity_too_large"
    assert dump(hosted) == before
    browser.get("/?worker_id=w1")
    assert browser.client.post("/comment", data={"comment": "x" * 70_000}).status_code == 413


@pytest.mark.parametrize("number", ["0", "99", str(2**63 - 1), str(2**63), "9" * 40])
def test_a_trial_number_out_of_the_blue_is_unknown(browser: Browser, number: str) -> None:
    browser.begin()
    assert browser.post(f"/api/trials/{number}/begun").status_code == 404


def test_ready_says_whether_the_database_answers(browser: Browser) -> None:
    assert browser.get("/ready").json["ready"] is True


# What keeps a server from starting: hosting, configuration, freeze


def message(call: Any, *arguments: Any) -> str:
    with pytest.raises(UserError) as error:
        call(*arguments)
    text = str(error.value)
    assert "\n" not in text
    return text


def start(folder: Path) -> None:
    """What `serve` checks before the first participant."""
    hosted = host(server_config(folder, "live"))
    try:
        freeze.check(folder, hosted.study, hosted.bundle)
        prepare(hosted)
    finally:
        hosted.database.close()


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "study.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_missing_key_file_is_named(folder: Path) -> None:
    (folder / "secret.key").unlink()
    assert message(server_config, folder, "live") == (
        f"{folder}/secret.key: missing. It hashes worker ids; without the first key, returning workers are not "
        "recognised. Bring the file back, or set EVALKIT_SECRET_KEY."
    )


def test_a_short_key_is_refused_wherever_it_comes_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "secret.key").write_text("short\n", encoding="ascii")
    assert (
        message(server_config, folder, "live") == f"{folder}/secret.key: at least 32 characters are needed."
    )
    monkeypatch.setenv("EVALKIT_SECRET_KEY", "short too")
    assert message(server_config, folder, "live") == "EVALKIT_SECRET_KEY: at least 32 characters are needed."
    monkeypatch.setenv("EVALKIT_SECRET_KEY", "k" * 32)
    assert load_secret_key(folder) == "k" * 32


def test_neither_key_nor_database_is_shown_when_the_settings_are_printed(folder: Path) -> None:
    config = server_config(folder, "live")
    assert config.secret_key not in repr(config)
    assert "sqlite" not in repr(config)


@pytest.mark.parametrize("scheme", ["mysql", "postgresql", "postgres"])
def test_a_database_of_another_kind_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("EVALKIT_DATABASE_URL", f"{scheme}://me:hidden@host/study")
    text = message(configured_database_url, folder)
    assert text.startswith("EVALKIT_DATABASE_URL: only postgresql+psycopg://USER:PASSWORD@HOST/DATABASE or")
    assert f"not {scheme}://." in text
    assert "hidden" not in text


def test_an_address_that_cannot_be_read_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALKIT_DATABASE_URL", "postgresql+psycopg://me:hidden@host:port/study")
    text = message(configured_database_url, folder)
    assert text.startswith("EVALKIT_DATABASE_URL: not a database address that can be read: ")
    assert "hidden" not in text


def test_a_database_that_does_not_answer_is_named_without_its_password(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALKIT_DATABASE_URL", "postgresql+psycopg://me:hidden@127.0.0.1:1/study")
    text = message(start, folder)
    assert "the database cannot be opened: connection failed" in text
    assert "hidden" not in text


def test_a_file_that_is_no_database_is_named(folder: Path) -> None:
    (folder / "study.sqlite").write_text("This is a letter, not a database. " * 40, encoding="utf-8")
    text = message(start, folder)
    assert text == f"sqlite:///{folder}/study.sqlite: the database cannot be opened: file is not a database."
    assert (folder / "study.sqlite").read_text(encoding="utf-8").startswith("This is a letter")


@pytest.mark.parametrize("version", ["0999", None])
def test_a_database_of_another_version_is_refused_and_left_alone(folder: Path, version: str | None) -> None:
    path = folder / "study.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE sessions (id TEXT)")
        if version:
            connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
            connection.execute("INSERT INTO alembic_version VALUES (?)", [version])
    connection.close()
    text = message(start, folder)
    assert (
        f"the database was made by another version of evalkit (schema {version}, this version needs" in text
    )
    with sqlite3.connect(path) as connection:
        names = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    connection.close()
    assert names == {"sessions"} | ({"alembic_version"} if version else set())


def test_opening_a_database_again_keeps_what_is_in_it(hosted: HostedStudy, hosting: Hosting) -> None:
    Person.begin(hosted, "w1").walk()
    before = dump(hosted)
    hosting()
    Database(hosted.config.database_url).upgrade()
    assert dump(hosted) == before


def test_a_design_changed_after_the_first_live_session_is_refused(folder: Path, hosting: Hosting) -> None:
    Person.begin(hosting(), "w1")
    change(folder, "exposure_ms = 1000", "exposure_ms = 500")
    study, bundle = load_study(folder), load_bundle(folder)
    assert message(freeze.check, folder, study, bundle) == (
        f"{folder}: changed since the study was frozen by its first live session: protocol.exposure_ms: 1000 -> 500. "
        f'Change it back, or record why: evalkit study amend {folder} --reason "...".'
    )


def test_every_part_of_the_freeze_is_named(folder: Path, hosting: Hosting, monkeypatch: Any) -> None:
    Person.begin(hosting(), "w1")
    change(folder, "exposure_ms = 1000", "exposure_ms = 500")
    monkeypatch.setattr(freeze, "page_digest", lambda _: "another page")
    study, bundle = load_study(folder), load_bundle(folder)
    text = message(freeze.check, folder, study, bundle)
    assert (
        "by its first live session: protocol.exposure_ms: 1000 -> 500; the participant page, which comes with "
        "evalkit (another version of it?). Change" in text
    )


def test_metrics_may_change_after_the_freeze(folder: Path, hosting: Hosting) -> None:
    Person.begin(hosting(), "w1")
    change(folder, "names = []", 'names = ["fid"]')
    freeze.check(folder, load_study(folder), load_bundle(folder))


def test_an_amended_study_is_accepted_until_the_next_change(
    folder: Path, hosting: Hosting, clock: Clock
) -> None:
    Person.begin(hosting(), "w1")
    change(folder, "exposure_ms = 1000", "exposure_ms = 500")
    study, bundle = load_study(folder), load_bundle(folder)
    assert freeze.amend(folder, study, bundle, " too easy ", clock.now) == [
        "protocol.exposure_ms: 1000 -> 500"
    ]
    freeze.check(folder, study, bundle)
    (record,) = freeze.amendments(folder)
    assert (record["reason"], record["at"]) == ("too easy", freeze.iso(clock.now))
    assert record["digest"] == freeze.record(study, bundle)["digest"]
    change(folder, "exposure_ms = 500", "exposure_ms = 250")
    assert "protocol.exposure_ms: 500 ->" in message(freeze.check, folder, load_study(folder), bundle)
    change(folder, "exposure_ms = 250", "exposure_ms = 1000")  # back to the first: no longer what is in force
    assert "protocol.exposure_ms: 500 ->" in message(freeze.check, folder, load_study(folder), bundle)


def test_an_amendment_needs_a_frozen_and_changed_study_and_a_reason(
    folder: Path, hosting: Hosting, clock: Clock
) -> None:
    study, bundle = load_study(folder), load_bundle(folder)
    assert "not frozen yet, so there is nothing to amend" in message(
        freeze.amend, folder, study, bundle, "why", clock.now
    )
    Person.begin(hosting(), "w1")
    assert "nothing changed since the freeze" in message(
        freeze.amend, folder, study, bundle, "why", clock.now
    )
    change(folder, "exposure_ms = 1000", "exposure_ms = 500")
    changed = load_study(folder)
    assert "--reason: say in a sentence why" in message(
        freeze.amend, folder, changed, bundle, "  ", clock.now
    )
    assert freeze.amendments(folder) == []


def test_an_image_changed_after_the_build_is_named(folder: Path) -> None:
    path = sorted((folder / "stimuli").glob("*.png"))[5]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert message(start, folder) == (
        f"{path}: changed after the bundle was built. Run `evalkit study build {folder}` again."
    )


def test_an_image_missing_from_the_bundle_is_named(folder: Path) -> None:
    path = sorted((folder / "stimuli").glob("*.png"))[5]
    path.unlink()
    assert message(start, folder).startswith(f"{path}: missing from the bundle.")


def test_a_study_that_was_not_built_says_how_to_build_it(folder: Path) -> None:
    (folder / "stimuli" / "manifest.json").unlink()
    text = message(start, folder)
    assert text == f"{folder}: no stimulus bundle yet. Run `evalkit study build {folder}`."
    assert not (folder / "study.sqlite").exists()


def test_a_consent_page_that_changed_meanwhile_is_shown_once_more(browser: Browser) -> None:
    browser.get("/?worker_id=w1")
    reply = browser.submit("/consent", "/consent", agree="yes", consent_version="0-of-yesterday")
    assert reply.status_code == 422
    assert "This page has changed since you opened it. Please read it once more." in reply.text
    assert browser.submit("/consent", "/consent", agree="yes").status_code == 303


def test_who_declines_at_the_consent_page_holds_no_place(browser: Browser, hosted: HostedStudy) -> None:
    browser.get("/?worker_id=w1")
    assert "No, thank you" in browser.get("/consent").text
    reply = browser.submit("/consent", "/stop")
    assert reply.status_code == 200
    assert "You have stopped" in reply.text
    assert row_counts(hosted)["sessions"] == 0
