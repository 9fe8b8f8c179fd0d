"""The first step: from a link to the consent, at a clean address, under nobody's name."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from studies.design import load_study
from studies.errors import UserError
from tests.webapp.coming import Comer, headings, recruit
from tests.webapp.conftest import Hosting
from tests.webapp.people import hashed, row_counts, states
from webapp.app import create_app
from webapp.hosting import HostedStudy
from webapp.identity import invite_digest, payment_key, submission_digest, worker_hash
from webapp.recruitment import RECRUITERS, EntryRefused, Preview, Visitor
from webapp.recruitment.direct import Direct
from webapp.tables import ArrivalRow, SessionRow


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite only: what is written where is tested on both databases in the other files."""
    return f"sqlite:///{tmp_path / 'database.sqlite'}"


class Refusing(Direct):
    """Refuses whoever brings `refuse`, as a recruiter that wants proof does."""

    def visitor(self, query: Mapping[str, str]) -> Visitor | Preview | None:
        if code := query.get("refuse"):
            raise EntryRefused(code, "The proof <b>does not hold</b>.")
        return super().visitor(query)


@pytest.fixture
def refusing(hosting: Hosting, folder: Path, monkeypatch: pytest.MonkeyPatch) -> HostedStudy:
    monkeypatch.setitem(RECRUITERS, "direct", Refusing)
    return hosting()


def test_the_link_leads_to_a_clean_address_that_no_cache_keeps_and_no_referrer_tells(
    hosted: HostedStudy,
) -> None:
    reply = Comer(hosted).get("/?worker_id=RAW+ID")
    assert (reply.status_code, reply.location) == (303, "/consent")
    assert "RAW" not in reply.text + str(reply.headers)
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in reply.headers["Cache-Control"]


def test_the_arrival_and_the_session_say_who_by_a_keyed_hash_and_how_by_a_name(hosted: HostedStudy) -> None:
    Comer(hosted).begin("/?worker_id=w1")
    with hosted.database.read() as db:
        session, arrival = db.query(SessionRow).one(), db.query(ArrivalRow).one()
    assert session.worker == arrival.worker == hashed(hosted, "w1")
    assert (session.recruiter, session.language) == ("direct", "en")


def test_a_refused_entry_meets_a_kind_page_with_its_reason_and_leaves_no_row(refusing: HostedStudy) -> None:
    comer = Comer(refusing)
    reply = comer.get("/?worker_id=w1&refuse=odd")
    assert (reply.status_code, headings(reply)) == (403, ["That did not work"])
    assert "The proof &lt;b&gt;does not hold&lt;/b&gt;." in reply.text
    assert "study@lab.example" in reply.text
    assert row_counts(refusing)["arrivals"] == 0
    assert comer.come("/?refuse=incomplete") == "A part of the link is missing"


def test_who_has_a_session_in_this_browser_goes_on_even_if_the_link_is_no_longer_accepted(
    refusing: HostedStudy,
) -> None:
    comer = Comer(refusing).begin("/?worker_id=w1")
    assert comer.come("/?worker_id=w1&refuse=ended") == "/session"
    assert Comer(refusing).come("/?worker_id=w1&refuse=ended") == "You cannot begin any more"


def test_who_declines_does_not_end_the_session_of_somebody_else_in_the_same_browser(
    hosted: HostedStudy,
) -> None:
    comer = Comer(hosted).begin("/?worker_id=w1")
    assert comer.come("/?worker_id=w2") == "/consent"
    page = comer.get("/consent").text
    no = re.search(r'<form[^>]*action="/stop">.*?</form>', page, re.DOTALL)
    assert no is not None
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', no[0]))
    assert comer.client.post("/stop", data=fields).status_code == 200
    assert states(hosted) == {"active": 1}
    assert comer.come("/?worker_id=w1") == "/session"
    assert comer.client.post("/stop", data={"csrf_token": fields["csrf_token"]}).status_code == 200
    assert states(hosted) == {"stopped": 1}


def test_a_preview_begins_whatever_the_link_says(hosting: Hosting, folder: Path) -> None:
    recruit(folder, recruitment={"invites_only": True})
    preview = hosting("preview")
    Comer(preview).begin("/")
    Comer(preview).begin("/")
    assert row_counts(preview)["sessions"] == 2


def test_the_consent_without_an_arrival_leads_back_to_the_entry(hosted: HostedStudy) -> None:
    comer = Comer(hosted)
    comer.client.set_cookie("another", "cookie")
    assert comer.get("/consent").location == "/"


def test_a_browser_that_keeps_no_cookies_is_told_so_instead_of_going_in_circles(hosted: HostedStudy) -> None:
    client = create_app(hosted).test_client(use_cookies=False)
    moved = client.get("/?worker_id=w1")
    reply = client.get(moved.location)
    assert (reply.status_code, moved.location) == (403, "/consent")
    assert "Please allow cookies" in reply.text
    assert row_counts(hosted)["sessions"] == 0


def test_the_cookie_holds_a_hash_and_no_id(hosted: HostedStudy) -> None:
    comer = Comer(hosted)
    comer.come("/?worker_id=RAW-ID")
    assert "RAW" not in comer.cookie_in_clear()
    assert hashed(hosted, "RAW-ID") in comer.cookie_in_clear()


def test_consent_pages_say_that_an_id_is_kept_encrypted_only_where_it_is(
    hosting: Hosting, folder: Path
) -> None:
    told = "also kept encrypted"
    comer = Comer(hosting())
    comer.come("/?worker_id=w1")
    assert told not in comer.seen[-1].text
    recruit(folder, recruitment={"name": "panel"})
    comer = Comer(hosting())
    comer.come("/?worker_id=w1")
    assert told in comer.seen[-1].text


def test_the_consent_page_says_what_forgetting_means(hosting: Hosting, folder: Path) -> None:
    def told() -> str:
        comer = Comer(hosting())
        comer.come("/?worker_id=w1")
        return " ".join(comer.seen[-1].text.split())

    assert "forget you: your answers are then removed." in told()
    recruit(folder, ethics={"on_request": "anonymise"})
    assert "your id is then removed, and your answers stay without any name." in told()


def test_a_study_whose_panel_cannot_work_is_refused_when_the_server_starts(
    hosting: Hosting, folder: Path
) -> None:
    recruit(folder, recruitment={"name": "panel", "panel": {"completion": "http://p.example/"}})
    assert load_study(folder).recruitment.panel.completion == "http://p.example/"
    with pytest.raises(UserError, match=r"panel\.completion = 'http://p\.example/': an https address"):
        create_app(hosting())


def test_each_derived_value_has_a_purpose_of_its_own() -> None:
    key, text = "k" * 64, "the same text"
    derived = {
        worker_hash(key, text),
        invite_digest(key, text)[:32],
        submission_digest(key, text)[:32],
        payment_key(key).decode(),
    }
    assert len(derived) == 4
    assert invite_digest(key, text) != invite_digest("j" * 64, text)
