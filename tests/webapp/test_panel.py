"""Panels that only need links: who comes, where they go back to, and what a made-up link cannot do."""

import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from studies.design import PanelLink, Recruitment
from studies.errors import UserError
from tests.webapp.coming import Comer, headings, recruit
from tests.webapp.conftest import Hosting
from tests.webapp.people import dump, row_counts
from webapp import identity, payments
from webapp.app import HEADERS
from webapp.hosting import HostedStudy
from webapp.recruitment import EntryRefused, Recruiter, Visitor, WayBack, recruiter_of

PAGE = (Path(__file__).parents[2] / "docs/recruitment.md").read_text(encoding="utf-8")


def shape(title: str) -> dict[str, Any]:
    """The ready-made settings under a heading of docs/recruitment.md."""
    section = PAGE[PAGE.index(f"\n### {title}\n") :]
    block = re.search(r"```toml\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return dict(tomllib.loads(block[1])["recruitment"])


def panel(**settings: Any) -> Recruiter:
    return recruiter_of(Recruitment(name="panel", panel=PanelLink(**settings)))


def ready_made(title: str) -> Recruiter:
    return recruiter_of(Recruitment.model_validate(shape(title)))


MTURK = {
    "workerId": "A1WORKER",
    "assignmentId": "3ASSIGNMENT",
    "hitId": "3HIT",
    "turkSubmitTo": "https://workersandbox.mturk.com",
}


def test_cloudresearch_connect_goes_in_and_back() -> None:
    connect = ready_made("CloudResearch Connect")
    visitor = connect.visitor({"participantId": "P", "assignmentId": "A", "projectId": "J"})
    assert visitor == Visitor("P", "A", {"projectId": "J"})
    assert connect.way_back(visitor, "CODE") == WayBack(
        "https://connect.cloudresearch.com/THE-LINK-OF-YOUR-PROJECT"
    )
    assert connect.participant_link("https://s.example") == (
        "https://s.example/?participantId=PARTICIPANTID&assignmentId=ASSIGNMENTID&projectId=PROJECTID"
    )


def test_sona_goes_in_and_back() -> None:
    sona = ready_made("SONA")
    visitor = sona.visitor({"sona_id": "55123"})
    assert visitor == Visitor("55123")
    back = sona.way_back(visitor, "CODE")
    assert back is not None
    assert back.url.startswith("https://yourschool.sona-systems.com/webstudy_credit.aspx?")
    assert parse_qs(urlsplit(back.url).query)["survey_code"] == ["55123"]
    assert sona.way_back(None, "CODE") is None


def test_a_lab_portal_gets_every_value_quoted_wherever_it_stands() -> None:
    portal = ready_made("A lab's own portal")
    nasty = "a/b?c=d&e#f %2F ü"
    visitor = portal.visitor({"person": "me", "visit": nasty, "visit_page": "../admin?x"})
    assert isinstance(visitor, Visitor)
    back = portal.way_back(visitor, "CODE+/=")
    assert back is not None
    parts = urlsplit(back.url)
    assert (parts.netloc, parts.path) == ("portal.lab.example", "/finished/..%2Fadmin%3Fx")
    assert parse_qs(parts.query) == {"visit": [nasty], "code": ["CODE+/="]}
    assert not parts.fragment


def test_the_mechanical_turk_shape_goes_in_and_back_by_a_form() -> None:
    mturk = ready_made("The Mechanical-Turk shape")
    visitor = mturk.visitor(MTURK)
    assert isinstance(visitor, Visitor)
    assert (visitor.worker_id, visitor.submission) == ("A1WORKER", "3ASSIGNMENT")
    assert mturk.way_back(visitor, "CODE") == WayBack(
        "https://workersandbox.mturk.com/mturk/externalSubmit",
        {"assignmentId": "3ASSIGNMENT", "hitId": "3HIT", "code": "CODE"},
    )
    preview = {**MTURK, "assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE"}
    assert mturk.visitor(preview) == "preview"
    assert mturk.visitor({"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE", "hitId": "3HIT"}) == "preview"


@pytest.mark.parametrize(
    "submit_to",
    [
        "https://evil.example",
        "http://www.mturk.com",
        "https://www.mturk.com.evil.example",
        "https://www.mturk.com@evil.example",
        "https://www.mturk.com:8443",
        "https://evil.example\\@www.mturk.com",
        "https://www.mturk.com/?next=",
        "https://www.mturk.com#",
        "//www.mturk.com",
        "javascript:alert(1)//www.mturk.com",
        "https://www.mturk.com/;script-src *",
        "www.mturk.com",
    ],
)
def test_a_link_cannot_choose_another_place_to_go_back_to(submit_to: str) -> None:
    mturk = ready_made("The Mechanical-Turk shape")
    with pytest.raises(EntryRefused) as refused:
        mturk.visitor({**MTURK, "turkSubmitTo": submit_to})
    assert refused.value.code == "incomplete"
    forged = Visitor("w", "a", {"hitId": "h", "turkSubmitTo": submit_to})
    assert mturk.way_back(forged, "CODE") is None


@pytest.mark.parametrize("missing", ["assignmentId", "hitId", "turkSubmitTo"])
def test_a_link_that_lacks_what_the_way_back_needs_is_refused(missing: str) -> None:
    query = {name: value for name, value in MTURK.items() if name != missing}
    with pytest.raises(EntryRefused, match=f"lacks {missing}"):
        ready_made("The Mechanical-Turk shape").visitor(query)


def test_a_way_back_that_needs_no_id_outlives_the_ids() -> None:
    assert panel(completion="https://p.example/done?c={code}").way_back(None, "A B") == WayBack(
        "https://p.example/done?c=A%20B"
    )
    assert panel().way_back(Visitor("w"), "CODE") is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"completion": "http://p.example/"}, "an https address, with {placeholders} after the host only"),
        ({"completion": "https://{worker}.p.example/"}, "an https address"),
        ({"completion": "https://p.example/{worker"}, "an https address"),
        ({"completion": "javascript:alert(1)"}, "an https address"),
        ({"completion": "https://user@p.example/"}, "an https address"),
        ({"completion": "https://p.example/{wroker}"}, "{wroker} is not known; allowed are code, worker."),
        ({"completion": "https://p.example/{worker.__class__}"}, "{worker.__class__} is not known"),
        ({"completion": "https://p.example/{submission}"}, "{submission} is not known"),
        ({"completion": "{to}/x", "keep": ("to",)}, "name the hosts that it may choose"),
        ({"completion": "{worker}/x", "hosts": ("p.example",)}, "name the hosts"),
        ({"completion": "{to}{worker}", "keep": ("to",), "hosts": ("p.example",)}, "after {to} comes a /"),
        ({"completion": "{to}.evil/x", "keep": ("to",), "hosts": ("p.example",)}, "after {to} comes a /"),
        ({"submit": "post"}, "say in `completion` where the form is posted to"),
        ({"worker": "a b"}, "named by letters, digits, _ and -"),
        ({"worker": "id", "submission": "id"}, "each parameter of the link has one meaning"),
        ({"keep": ("code",)}, "none named code, worker, submission"),
        ({"keep": tuple("abcdefg")}, "at most 6"),
        ({"preview": "assignmentId"}, "write PARAMETER=VALUE"),
    ],
)
def test_settings_that_make_no_round_trip_are_refused_with_what_is_allowed(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as error:
        panel(**settings)
    assert str(error.value).startswith("study.toml: [recruitment] panel")


def mturk_link(**changes: str) -> str:
    query = {**MTURK, **changes}
    return "/?" + "&".join(f"{name}={value}" for name, value in query.items())


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite only: what is written where is tested on both databases in test_payments.py."""
    return f"sqlite:///{tmp_path / 'database.sqlite'}"


@pytest.fixture
def hosted(hosting: Hosting, folder: Path) -> HostedStudy:
    recruit(folder, recruitment=shape("The Mechanical-Turk shape"))
    return hosting()


def test_a_whole_round_trip_by_a_form_leaves_raw_ids_only_where_the_form_needs_them(
    hosted: HostedStudy,
) -> None:
    comer = Comer(hosted)
    assert comer.come(mturk_link()) == "/consent"
    for secret in MTURK.values():
        assert secret not in comer.cookie_in_clear()
    assert "also kept encrypted" in comer.seen[-1].text
    assert comer.agree().location == "/session"
    assert "visitor" not in comer.cookie_in_clear()
    done = comer.finish()
    everything_else = "".join(reply.text + str(reply.headers) for reply in comer.seen if reply is not done)
    assert not [secret for secret in MTURK.values() if secret in everything_else]
    kept = dump(hosted)
    assert not [secret for secret in MTURK.values() if secret in kept]
    with hosted.database.read() as db:
        (row,) = payments.payments_of(hosted, db)
    code = identity.completion_code(hosted.config.secret_key, str(row.session_id))
    form = re.search(r'<form[^>]*action="([^"]+)"[^>]*>(.*?)</form>', done.text, re.DOTALL)
    assert form is not None
    assert form[1] == "https://workersandbox.mturk.com/mturk/externalSubmit"
    fields = re.findall(r'name="([^"]+)" value="([^"]+)"', form[2])
    assert fields == [("assignmentId", "3ASSIGNMENT"), ("hitId", "3HIT"), ("code", code)]
    assert "A1WORKER" not in done.text
    assert code in done.text.split("<form")[0]


def test_only_the_done_page_lets_a_form_go_to_the_panel_and_to_nowhere_else(hosted: HostedStudy) -> None:
    def form_action(reply: Any) -> list[str]:
        policy = reply.headers["Content-Security-Policy"]
        return [part.strip() for part in policy.split(";") if "form-action" in part]

    comer = Comer(hosted).begin(mturk_link())
    done = comer.finish()
    assert form_action(done) == ["form-action https://workersandbox.mturk.com"]
    others = [reply for reply in comer.seen if reply is not done]
    assert {*map(str, map(form_action, others))} == {"[\"form-action 'self'\"]"}
    strict = HEADERS["Content-Security-Policy"].split("; ")
    assert set(done.headers["Content-Security-Policy"].split("; ")) - {*strict} == {*form_action(done)}


def test_a_preview_describes_the_study_and_records_nothing(hosted: HostedStudy) -> None:
    before = row_counts(hosted)
    comer = Comer(hosted)
    reply = comer.get("/?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=3HIT")
    assert (reply.status_code, headings(reply)) == (200, ["About this study"])
    assert "IRB 1" in reply.text
    assert "study@lab.example" in reply.text
    assert "please accept the study first" in reply.text
    assert "<form" not in reply.text
    assert row_counts(hosted) == before
    assert "Set-Cookie" not in reply.headers


def test_a_visitor_without_ids_or_with_half_a_link_meets_a_kind_page_and_no_row(hosted: HostedStudy) -> None:
    assert Comer(hosted).come("/") == "Please use the link you were given"
    assert Comer(hosted).come("/?worker_id=w1") == "Please use the link you were given"
    assert Comer(hosted).come("/?workerId=w1") == "A part of the link is missing"
    assert (
        Comer(hosted).come(mturk_link(turkSubmitTo="https://evil.example")) == "A part of the link is missing"
    )
    assert row_counts(hosted)["arrivals"] == row_counts(hosted)["payments"] == 0


def test_the_done_page_comes_again_and_still_shows_the_code_when_the_ids_are_dropped(
    hosted: HostedStudy,
) -> None:
    comer = Comer(hosted).begin(mturk_link())
    done = comer.finish()
    assert comer.get(mturk_link(), follow_redirects=True).text == done.text
    with hosted.database.write() as db:
        assert payments.drop_ids(hosted, db) == 1
    later = comer.get(mturk_link(), follow_redirects=True)
    code = re.search(r'id="code"[^>]*>([^<]+)<', done.text)
    assert code is not None
    assert code[1] in later.text
    assert "mturk.com" not in later.text
    assert "form-action 'self'" in later.headers["Content-Security-Policy"]


def test_a_way_back_by_an_address_goes_through_a_page_of_ours_that_names_nobody(
    hosting: Hosting, folder: Path
) -> None:
    recruit(folder, recruitment=shape("A lab's own portal"))
    hosted = hosting()
    comer = Comer(hosted).begin("/?person=RAW+ID&visit=v%2F7&visit_page=p1")
    assert comer.get("/back").location == "/session"  # not before the end
    done = comer.finish()
    assert "portal.lab.example" in done.text
    assert not [secret for secret in ("RAW ID", "v/7", "v%2F7") if secret in done.text]
    assert "form-action 'self'" in done.headers["Content-Security-Policy"]
    back = urlsplit(comer.get("/back").location)
    assert (back.scheme, back.netloc, back.path) == ("https", "portal.lab.example", "/finished/p1")
    assert parse_qs(back.query)["visit"] == ["v/7"]
    assert Comer(hosted).get("/back", follow_redirects=True).status_code == 403


def test_the_preview_server_takes_the_panels_links_and_plain_ones(hosting: Hosting, folder: Path) -> None:
    recruit(folder, recruitment=shape("The Mechanical-Turk shape"))
    preview = hosting("preview")
    assert "externalSubmit" in Comer(preview).begin(mturk_link()).finish().text
    assert "externalSubmit" not in Comer(preview).begin("/").finish().text


def test_a_simulation_of_a_panel_study_comes_by_plain_links_and_keeps_no_ids(
    hosting: Hosting, folder: Path
) -> None:
    recruit(folder, recruitment=shape("The Mechanical-Turk shape"))
    simulated = hosting("simulated")
    Comer(simulated).begin("/?worker_id=simulated-1")
    assert row_counts(simulated)["payments"] == 0


def test_ids_that_would_not_fit_into_a_cookie_are_refused_before_anything_is_promised(
    hosted: HostedStudy,
) -> None:
    long = "名" * 200
    comer = Comer(hosted)
    assert comer.come(mturk_link(workerId=long, assignmentId=long, hitId=long)) == "/consent"
    assert max(len(cookie.value) for cookie in comer.client._cookies.values()) < 4000
