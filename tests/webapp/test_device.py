"""What is asked and recorded of browser, eyes and screen; absurd values are refused."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.conftest import Hosting, make_named_study
from tests.webapp.people import Clock, Person
from webapp import export
from webapp.app import create_app
from webapp.device import Device, browser_family
from webapp.hosting import HostedStudy

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
ALL = {"ask_colour_vision": True, "calibration": "card", "viewing_distance": True}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite only: nothing here depends on the database."""
    return f"sqlite:///{tmp_path / 'database.sqlite'}"


@pytest.mark.parametrize(
    ("header", "family"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox 145"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36", "Chrome 141"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36 Edg/141.0.1", "Edge 141"),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15", "Safari 18"),
        ("Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Version/17.4 Mobile/15E148 Safari/604.1", "Safari 17"),
        ("Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 CriOS/141.0 Mobile/15E148 Safari/604.1", "Chrome 141"),
        ("Mozilla/5.0 (Linux; Android 14) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36", "Samsung Internet 27"),
        ("Mozilla/5.0 Chrome/141.0.0.0 Safari/537.36 OPR/120.0", "Opera 120"),
        ("Mozilla/5.0 (X11) HeadlessChrome/141.0 Safari/537.36", "Headless Chrome 141"),
        ("curl/8.9", "other"),
        ("Chrome/" + "9" * 5000, "Chrome 9999"),
        ("", "other"),
    ],
)  # fmt: skip
def test_of_the_browser_only_family_and_major_version_are_kept(header: str, family: str) -> None:
    assert browser_family(header) == family


def test_a_card_tells_the_pixels_of_a_millimetre_whatever_the_zoom() -> None:
    plain = Device(card_css_px=342.4, device_pixel_ratio=1)
    zoomed = Device(card_css_px=171.2, device_pixel_ratio=2)
    assert plain.device_px_per_mm == zoomed.device_px_per_mm == 4.0
    assert Device(card_css_px=342.4).device_px_per_mm is None


class Visitor:
    """A browser whose session has begun."""

    def __init__(self, hosted: HostedStudy) -> None:
        self.client = create_app(hosted).test_client()
        self.client.get("/?worker_id=w1")
        self.submit("/consent", "/consent", agree="yes")

    def submit(self, form: str, to: str, **fields: str) -> Any:
        token = CSRF.search(self.client.get(form).text)
        assert token is not None
        return self.client.post(to, data={"csrf_token": token[1], **fields})


def test_what_the_study_asks_is_asked_once_after_the_consent_and_exported(
    hosting: Hosting, tmp_path: Path
) -> None:
    hosted = hosting(where=make_named_study(tmp_path / "asking", page=ALL))
    person = Visitor(hosted)
    assert person.client.get("/session").location == "/setup"
    page = person.client.get("/setup").text
    assert "Do you have a colour vision deficiency?" in page
    given = {"colour_vision": "undisclosed", "card_css_px": "342.4", "device_pixel_ratio": "1.5"}
    reply = person.submit("/setup", "/setup", **given, distance="1", distance_unit="arm")
    assert reply.location == "/session"
    assert person.client.get("/session").status_code == 200
    assert person.client.get("/setup").location == "/session"
    [row] = export.sessions(hosted)
    assert (row.colour_vision, row.device_px_per_mm, row.viewing_distance) == ("undisclosed", 6.0, "1 arm")
    assert row.recruiter == "direct"


def test_nobody_need_answer(hosting: Hosting, tmp_path: Path) -> None:
    hosted = hosting(where=make_named_study(tmp_path / "asking", page=ALL))
    person = Visitor(hosted)
    assert (
        person.submit("/setup", "/setup", distance="", distance_unit="cm", card_css_px="").location
        == "/session"
    )
    [row] = export.sessions(hosted)
    assert (row.colour_vision, row.device_px_per_mm, row.viewing_distance) == ("", None, "")


def test_only_what_the_study_names_is_asked(hosting: Hosting, tmp_path: Path) -> None:
    hosted = hosting(where=make_named_study(tmp_path / "asking", page={"viewing_distance": True}))
    page = Visitor(hosted).client.get("/setup").text
    assert 'name="distance"' in page
    assert 'name="colour_vision"' not in page
    assert 'id="calibration"' not in page


def test_a_study_that_asks_nothing_goes_straight_to_the_trials(hosted: HostedStudy) -> None:
    person = Visitor(hosted)
    assert person.client.get("/session").status_code == 200
    assert person.client.get("/setup").location == "/session"


@pytest.mark.parametrize(
    "answers",
    [
        {"colour_vision": "maybe"},
        {"card_css_px": "1"},
        {"card_css_px": "nan"},
        {"device_pixel_ratio": "-1"},
        {"distance": "1e9"},
        {"distance": "far"},
        {"distance": "60", "distance_unit": "miles"},
    ],
)
def test_absurd_answers_are_asked_again(hosting: Hosting, tmp_path: Path, answers: dict[str, str]) -> None:
    hosted = hosting(where=make_named_study(tmp_path / "asking", page=ALL))
    person = Visitor(hosted)
    refused = person.submit("/setup", "/setup", **answers)
    assert refused.status_code == 422
    assert "one of them cannot be right" in refused.text
    assert person.client.get("/session").location == "/setup"


# The display record


def report(client: Any, trial: int, page: str, **display: Any) -> int:
    body = {"slots": {"1": display.pop("slot", {})}, **display}
    header = {"X-Evalkit-Page": page, "User-Agent": "Mozilla/5.0 Firefox/145.0"}
    status: int = client.post(f"/api/trials/{trial}/ended", json=body, headers=header).status_code
    return status


@pytest.mark.parametrize(
    "display",
    [
        {"slot": {"exposure_ms": -1}},
        {"slot": {"exposure_ms": 1e9}},
        {"slot": {"exposure_ms": 500, "onset_ms": 100, "offset_ms": 300}},
        {"slot": {"onset_ms": 200, "offset_ms": 100}},
        {"slot": {"onset_ms": 200, "onset_next_ms": 100}},
        {"slot": {"bytes": -5}},
        {"slot": {"bytes": 10**30}},
        {"slot": {"frames": 1.5}},
        {"slot": {"fetch_ms": "NaN"}},
        {"blur_count": 10**9},
        {"hidden_ms": -1},
        {"client_clock": "yesterday"},
        {"client_version": "<script>"},
        {"question_ms": 1e300},
        {"void_reason": "Because!"},
    ],
)
def test_absurd_measurements_are_refused_and_break_nothing(hosted: HostedStudy, display: Any) -> None:
    person = Visitor(hosted)
    state = person.client.post("/api/page").json
    assert state is not None
    trial, header = state["trials"][0]["id"], {"X-Evalkit-Page": state["page"]}
    assert person.client.post(f"/api/trials/{trial}/begun", json={}, headers=header).status_code == 200
    assert report(person.client, trial, state["page"], **display) == 422
    assert report(person.client, trial, state["page"], slot={"exposure_ms": 1000.0}) == 200


def test_the_browser_is_named_by_its_header_not_by_what_the_page_says(hosted: HostedStudy) -> None:
    person = Visitor(hosted)
    state = person.client.post("/api/page").json
    assert state is not None
    trial, header = state["trials"][0]["id"], {"X-Evalkit-Page": state["page"]}
    person.client.post(f"/api/trials/{trial}/begun", json={}, headers=header)
    assert report(person.client, trial, state["page"], ua_family="Netscape 4", void_reason="hidden") == 200
    [row] = export.responses(hosted)
    assert row.ua_family == "Firefox 145"


def told(person: Person, clock: Clock, *, passed_ms: int, rt_ms: float, claimed_ms: float) -> str:
    """One trial during which so much time passed on the server, of which the page claims so much; its flags."""
    trial = person.ids[0]
    person.begun()
    clock.now += passed_ms
    slots = {"1": {"exposure_ms": 1000.0, "onset_ms": 400.0, "offset_ms": 1400.0}}
    person.state = person.send(
        trial,
        rt_ms=rt_ms,
        received_ms=0.0,
        event_ms=claimed_ms,
        display={"slots": slots, "question_ms": 1500.0},
    )
    return export.responses(person.hosted)[-1].flags


@pytest.mark.parametrize(
    ("passed_ms", "rt_ms", "claimed_ms", "flags"),
    [
        (5000, 500.0, 5000.0, ""),
        (5000, 500.0, 5124.0, ""),  # 100 ms and half a percent are the clocks' own
        (5000, 500.0, 5126.0, "clock"),
        (60_000, 500.0, 5000.0, ""),  # the network may take as long as it likes
        (400, 500.0, 400.0, "clock"),  # a second of images and question in 400 ms
    ],
)
def test_a_page_that_claims_more_time_than_passed_is_flagged(
    hosted: HostedStudy, clock: Clock, passed_ms: int, rt_ms: float, claimed_ms: float, flags: str
) -> None:
    person = Person.begin(hosted, "w1")
    assert told(person, clock, passed_ms=passed_ms, rt_ms=rt_ms, claimed_ms=claimed_ms) == flags


def test_simulated_participants_live_in_made_up_time(hosting: Hosting, clock: Clock) -> None:
    person = Person.begin(hosting("simulated", observer="known"), "w1")
    assert told(person, clock, passed_ms=1, rt_ms=500.0, claimed_ms=9000.0) == ""
