"""The dashboard over the test client: signing in, panels, the hidden fool rate, acts, files."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from studies.records import AdminAct, LiveEstimate, Response, read_csv
from tests.made_up_study import make_study
from tests.webapp.conftest import Hosting
from tests.webapp.people import Clock, Person, arrive
from webapp import admin
from webapp.admin import password
from webapp.app import create_app
from webapp.hosting import HostedStudy
from webapp.views.dashboard import PANELS

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
PASSWORD = "correct horse battery"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite only: what is written where is tested on both databases in the other files."""
    return f"sqlite:///{tmp_path / 'database.sqlite'}"


class Researcher:
    """A browser of somebody who runs the study."""

    def __init__(self, hosted: HostedStudy, **app: Any) -> None:
        self.hosted = hosted
        self.app = create_app(hosted, **app)
        self.app.extensions[
            "evalkit_snapshots"
        ].wait_s = 60.0  # the test waits for what is worked out beside it
        self.http = self.app.test_client()
        self.token = ""

    def get(self, path: str = "/dashboard", **options: Any) -> TestResponse:
        reply = self.http.get(path, **options)
        found = CSRF.search(reply.text) if reply.mimetype == "text/html" else None
        self.token = found[1] if found else self.token
        return reply

    def post(self, path: str, **form: str) -> TestResponse:
        return self.http.post(path, data={"csrf_token": self.token, **form})

    def sign_in(self, given: str = PASSWORD) -> TestResponse:
        self.get("/dashboard/sign-in")
        reply = self.post("/dashboard/sign-in", password=given)
        self.get()
        return reply

    def text(self, path: str = "/dashboard") -> str:
        """What stands there, without its tags."""
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", self.get(path).text))


@pytest.fixture
def researcher(hosted: HostedStudy) -> Researcher:
    """Signed in."""
    password.store_password(hosted.config.folder, PASSWORD)
    someone = Researcher(hosted)
    assert someone.sign_in().location == "/dashboard"
    return someone


# Signing in


def test_nothing_of_the_dashboard_is_shown_without_the_password(hosted: HostedStudy) -> None:
    password.store_password(hosted.config.folder, PASSWORD)
    stranger = Researcher(hosted)
    stranger.get("/dashboard/sign-in")
    for path in ("", *(f"/panels/{name}" for name in PANELS), "/files/responses.csv"):
        reply = stranger.get(f"/dashboard{path}")
        assert (reply.status_code, reply.location) == (303, "/dashboard/sign-in")
    for path in ("state", "reveal", "export"):
        assert stranger.post(f"/dashboard/{path}", state="paused").location == "/dashboard/sign-in"
    asked_by_htmx = stranger.get("/dashboard/panels/places", headers={"HX-Request": "true"})
    assert (asked_by_htmx.status_code, asked_by_htmx.headers["HX-Redirect"]) == (401, "/dashboard/sign-in")
    assert stranger.sign_in("wrong").status_code == 403
    assert stranger.get().status_code == 303
    assert admin.running(hosted).state == "open"


def test_the_sixth_try_within_a_minute_is_refused_even_with_the_right_password(
    hosted: HostedStudy, clock: Clock
) -> None:
    password.store_password(hosted.config.folder, PASSWORD)
    guesses = [Researcher(hosted).sign_in(f"guess {number}").status_code for number in range(5)]
    assert guesses == [403] * 5
    late = Researcher(hosted).sign_in()
    assert (late.status_code, late.headers["Retry-After"]) == (429, "60")
    clock.advance(1.1)
    patient = Researcher(hosted)
    assert patient.sign_in().status_code == 303
    assert "5 tries to sign in failed" in patient.text()


def test_the_cookie_is_the_dashboards_own(researcher: Researcher) -> None:
    [cookie] = researcher.post("/dashboard/sign-out").headers.getlist("Set-Cookie")
    assert cookie.startswith("evalkit_small_live_dashboard=")
    researcher.get("/dashboard/sign-in")
    cookie = researcher.post("/dashboard/sign-in", password=PASSWORD).headers["Set-Cookie"]
    for part in ("Path=/dashboard", "HttpOnly", "SameSite=Strict"):
        assert part in cookie
    assert "Expires" not in cookie
    assert "Set-Cookie" not in researcher.get("/health").headers


def test_cookies_are_secure_where_asked(hosting: Hosting) -> None:
    hosted = hosting(secure_cookies=True)
    password.store_password(hosted.config.folder, PASSWORD)
    assert "Secure" in Researcher(hosted).get("/dashboard/sign-in").headers["Set-Cookie"]


def test_a_participants_cookie_opens_no_dashboard(researcher: Researcher) -> None:
    inside = researcher.http.get_cookie("evalkit_small_live_dashboard", path="/dashboard")
    assert inside is not None
    other = Researcher(researcher.hosted)
    other.http.set_cookie("evalkit_small_live", inside.value)
    assert other.get().status_code == 303
    other.http.get("/?worker_id=w1")
    participant = other.http.get_cookie("evalkit_small_live")
    assert participant is not None
    other.http.set_cookie("evalkit_small_live_dashboard", participant.value, path="/dashboard")
    assert other.get().status_code == 303


def test_it_ends_by_signing_out_after_12_hours_and_with_a_new_password(
    researcher: Researcher, clock: Clock
) -> None:
    researcher.post("/dashboard/sign-out")
    assert researcher.get().status_code == 303
    researcher.sign_in()
    clock.advance(12 * 60 - 1)
    assert researcher.get().status_code == 200
    clock.advance(2)
    assert researcher.get().status_code == 303
    researcher.sign_in()
    password.store_password(researcher.hosted.config.folder, "another one")
    assert researcher.get().status_code == 303


def test_every_form_carries_a_token_and_none_is_taken_without(researcher: Researcher) -> None:
    text = researcher.get().text
    assert len(CSRF.findall(text)) == text.count("<form ")
    for path in ("state", "reveal", "export", "sign-out", "sign-in"):
        reply = researcher.http.post(f"/dashboard/{path}", data={"state": "paused"})
        assert reply.status_code == 400
        assert "token" in reply.text
    assert admin.acts(researcher.hosted)[0].act == "signed in"


# Panels


def test_the_panels_show_what_happened(researcher: Researcher, clock: Clock) -> None:
    hosted = researcher.hosted
    people = [Person.begin(hosted, f"w{number}") for number in range(4)]
    people[0].walk()
    people[1].walk(3)
    people[1].spoil("hidden")
    arrive(hosted, "w0")
    clock.advance(1)
    text = researcher.text()
    for person in people:
        assert person.session[:8] in text
        assert person.worker_id not in text
        assert person.row.worker not in text
    # finished / quota, active, left, expired, started, scored answers, void, missing
    [match] = re.findall(r"All ((?:\d+ /? ?){9})", text)
    assert match.split() == ["1", "/", "6", "3", "0", "0", "4", "5", "1", "0"]
    for words in ("admitted 4", "returning 1", "hidden 1", "median +0.0", "None shown"):
        assert words in text


def test_each_panel_is_a_fragment_that_renews_itself(researcher: Researcher) -> None:
    Person.begin(researcher.hosted, "w1").walk()
    whole = researcher.get().text
    for name in PANELS:
        part = researcher.get(f"/dashboard/panels/{name}").text
        assert part.strip().startswith("<section")
        assert f'hx-get="/dashboard/panels/{name}' in part
        assert 'hx-trigger="every 10s"' in part
        assert f'id="panel-{name}"' in whole
    assert researcher.get("/dashboard/panels/acts").status_code == 404


def test_plots_say_what_they_show_and_need_no_inline_style_or_script(
    researcher: Researcher, clock: Clock
) -> None:
    Person.begin(researcher.hosted, "w1").walk()
    clock.advance(1)
    text = researcher.get().text
    drawn = re.findall(r'<svg class="(?:plot|strip)".*?</svg>', text, re.DOTALL)
    assert len(drawn) == 5
    for each in drawn:
        assert re.search(r"<title id=.*?>[^<]+</title>", each)
        assert re.search(r"<desc id=.*?>[^<]+</desc>", each)
    assert " style=" not in text
    assert not re.search(r"\son[a-z]+=", text)
    assert re.findall(r"<script[^>]*>", text) == ['<script src="/static/vendor/htmx.min.js" defer>']


def test_an_empty_study_says_so(researcher: Researcher) -> None:
    text = researcher.text()
    for words in (
        "Nobody has begun yet.",
        "No image shown yet.",
        "No answer yet.",
        "Nobody has opened the link yet.",
    ):
        assert words in text


def test_answers_are_read_at_most_every_30_seconds_and_each_once(
    researcher: Researcher, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webapp import export

    asked: list[int] = []
    read = export.responses_of

    def counted(hosted: HostedStudy, trials: set[int]) -> dict[int, Response]:
        asked.append(len(trials))
        return read(hosted, trials)

    monkeypatch.setattr(export, "responses_of", counted)
    clock.advance(1)
    person = Person.begin(researcher.hosted, "w1").walk(2)
    researcher.get()
    person.walk(1)
    researcher.get()
    clock.advance(0.6)
    researcher.get()
    assert asked == [2, 1]


# The fool rate


def estimator(asked: list[int]) -> Callable[[Sequence[Response]], dict[str, LiveEstimate]]:
    def estimate(responses: Sequence[Response]) -> dict[str, LiveEstimate]:
        asked.append(len(responses))
        return {"alpha": LiveEstimate(0.321, 0.1, 0.6, 4, "made up")}

    return estimate


def test_the_fool_rate_is_neither_computed_nor_sent_before_its_moment(
    hosted: HostedStudy, clock: Clock
) -> None:
    password.store_password(hosted.config.folder, PASSWORD)
    asked: list[int] = []
    someone = Researcher(hosted, live_estimate=estimator(asked))
    someone.sign_in()
    for number in range(5):
        Person.begin(hosted, f"w{number}").walk()
        clock.advance(1)
        text = someone.text()
        assert "until the study is complete" in text
        assert "32.1" not in text
    assert asked == []
    Person.begin(hosted, "w5").walk()
    assert "32.1 %" in someone.text()
    assert asked == [36]


def test_an_early_look_needs_the_studys_name_and_is_exported(hosted: HostedStudy, clock: Clock) -> None:
    password.store_password(hosted.config.folder, PASSWORD)
    asked: list[int] = []
    someone = Researcher(hosted, live_estimate=estimator(asked))
    someone.sign_in()
    Person.begin(hosted, "w1").walk()
    someone.post("/dashboard/reveal", when="now")
    someone.post("/dashboard/reveal", when="now", confirm="Small")
    someone.post("/dashboard/reveal", when="at", at="2020-01-01T00:00")
    assert "Not changed" in someone.text()
    assert asked == []
    someone.post("/dashboard/reveal", when="now", confirm="small")
    assert "32.1 %" in someone.text()
    assert "decide nothing by it" in someone.text()
    someone.post("/dashboard/export")
    acts = read_csv(hosted.config.folder / "live" / "admin_acts.csv", AdminAct)
    assert "reveal early" in [act.act for act in acts]


def test_before_the_first_session_a_moment_may_be_chosen_freely(researcher: Researcher) -> None:
    researcher.post("/dashboard/reveal", when="at", at="2036-05-01T12:30")
    assert "until 2036-05-01 12:30:00 UTC" in researcher.text()
    researcher.post("/dashboard/reveal", when="at", at="soon")
    assert "give the moment as date and time" in researcher.text()
    researcher.post("/dashboard/reveal", when="complete")
    assert "until the study is complete" in researcher.text()


# Acts and files


def test_pause_resume_and_close_work_and_are_listed(researcher: Researcher) -> None:
    researcher.post("/dashboard/state", state="paused")
    assert admin.running(researcher.hosted).state == "paused"
    researcher.post("/dashboard/state", state="open")
    researcher.post("/dashboard/state", state="closed")
    assert "Not closed" in researcher.text()
    researcher.post("/dashboard/state", state="closed", confirm="small")
    text = researcher.text()
    assert "The study is closed, for good." in text
    for act in ("pause", "resume", "close"):
        assert f"dashboard {act}" in text
    researcher.post("/dashboard/state", state="open")
    assert "A closed study is not reopened" in researcher.text()
    assert researcher.post("/dashboard/state", state="ajar").status_code == 422


def test_an_export_is_offered_as_files_and_noted(researcher: Researcher) -> None:
    Person.begin(researcher.hosted, "w1").walk()
    assert researcher.get("/dashboard/files/responses.csv").status_code == 404
    researcher.post("/dashboard/export")
    assert "6 responses exported." in researcher.text()
    for name in ("responses.csv", "sessions.csv", "arrivals.csv", "admin_acts.csv"):
        reply = researcher.get(f"/dashboard/files/{name}")
        assert reply.mimetype == "text/csv"
        assert f"filename={name}" in reply.headers["Content-Disposition"]
        assert reply.headers["Cache-Control"] == "private, no-store"
    for name in ("study.toml", "..%2fsecret.key", "../secret.key", "estimates.jsonl"):
        assert researcher.get(f"/dashboard/files/{name}").status_code == 404
    assert "Before the fool rates were due" in admin.acts(researcher.hosted)[0].detail


def test_the_session_list_is_paged(researcher: Researcher, monkeypatch: pytest.MonkeyPatch) -> None:
    from webapp.views import dashboard

    monkeypatch.setattr(dashboard, "SESSIONS_PER_PAGE", 2)
    people = [Person.begin(researcher.hosted, f"w{number}") for number in range(3)]
    pages = [researcher.text(f"/dashboard/panels/sessions?page={number}") for number in (1, 2)]
    for person in people:
        assert sum(person.session[:8] in page for page in pages) == 1
    assert "Older" in pages[0]
    assert "Newer" in pages[1]
    assert "Older" not in pages[1]
    assert researcher.get("/dashboard/panels/sessions?page=x").status_code == 200


# Other protocols


@pytest.mark.parametrize(
    ("protocol", "study", "asked", "unsaid"),
    [
        ("preference", {"design": "within"}, "“Which image is better?”", "Labeled real"),
        ("yes_no", {}, "“Is this image real or fake?”", "Answers on the left"),
    ],
)
def test_a_study_is_shown_with_its_own_question_and_without_what_it_does_not_have(
    hosting: Hosting, tmp_path: Path, protocol: str, study: dict[str, str], asked: str, unsaid: str
) -> None:
    hosted = hosting(
        where=make_study(tmp_path / "other", study=study, protocol={"name": protocol, "exposure_ms": 0})
    )
    password.store_password(hosted.config.folder, PASSWORD)
    someone = Researcher(hosted)
    someone.sign_in()
    text = someone.text()
    assert asked in text
    assert "Which image was" not in text
    assert unsaid not in text
    assert "stay until the answer" in text
    assert ("it has no fool rate" in text) == (protocol == "preference")
    assert ("When to show the fool rate" in text) == (protocol == "yes_no")
