"""A session from the link to the completion code."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route

from tests.browser.conftest import Site
from tests.browser.participant import Participant

pytestmark = pytest.mark.browser


def test_a_session_of_10_and_40_trials_reaches_the_completion_code(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(inputs=60, practice=10, scored=40, reserve=8)
    person = come_to(site)
    told: list[dict[str, Any]] = []
    begun: list[str] = []

    def listen(route: Route) -> None:
        reply = route.fetch()
        told.append(reply.json())
        begun.extend([route.request.url] if route.request.url.endswith("/begun") else [])
        route.fulfill(response=reply)

    person.page.route("**/api/**", listen)
    person.begin()

    answers = person.take_part(side="right")

    person.page.fill("#comment", "Some were hard.")
    person.page.click("text=Finish")
    code = person.page.inner_text("#code")
    assert len(code) >= 6
    person.page.goto(f"{site.url}/?worker_id=worker-1")
    assert person.page.inner_text("#code") == code
    rows = site.responses()
    # A busy machine may stall the screen; a scored trial that this spoils is replaced, a practice trial is not.
    stalled = [row for row in rows if row.void_reason == "frame_gap"]
    rows = [row for row in rows if row not in stalled]
    practice = 10 - sum(row.phase == "practice" for row in stalled)
    assert [row.phase for row in rows] == ["practice"] * practice + ["scored"] * 40
    assert answers == len(rows)
    assert all(
        row.choice in ("first", "second") and row.outcome in (0, 1) and not row.void_reason for row in rows
    )
    assert all((row.side_1 if row.choice == "first" else row.side_2) == "right" for row in rows)
    assert all(row.input == "key" and row.rt_ms is not None and row.rt_ms > 0 for row in rows)
    assert all(row.exposure_ms_1 and row.exposure_ms_2 and row.pixel_scale == 1 for row in rows)
    assert person.problems == []
    assert_nothing_was_told(told, practice=practice)
    # A scored trial begins with the answer before it; those after practice and after a notice report it themselves.
    assert len(begun) == 10 + 1 + len([row for row in stalled if row.phase == "scored"])


def assert_nothing_was_told(told: list[dict[str, Any]], *, practice: int) -> None:
    """Feedback came once per practice trial; the words of truth stand nowhere else, algorithms nowhere at all."""
    feedback = 0
    for reply in told:
        feedback += reply.pop("feedback", None) is not None
        text = json.dumps(reply).replace("Which image was fake?", "").replace('"asked": "fake"', "")
        assert not any(word in text for word in ("alpha", "beta", "fake", "real", "correct"))
    assert feedback == practice


def test_practice_answers_are_followed_by_feedback_and_scored_ones_are_not(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(practice=2)
    person = come_to(site)
    person.begin()

    for _ in range(2):
        person.answer("left")
        person.reach("feedback")
        [row] = site.responses()[-1:]
        told = person.page.inner_text("#verdict")
        assert told.endswith("You are correct!" if row.outcome else "The left image was real.")
        captions = sorted(text.split("\n")[0] for text in person.page.locator(".caption").all_inner_texts())
        assert captions == ["Fake", "Real"]
        assert person.page.locator(".chosen").count() == 1
    person.reach("break")
    assert person.sees("the real part begins: 4 trials")
    person.go_on()
    stages: list[str] = []
    person.page.expose_function("note", lambda stage: stages.append(stage))
    person.page.evaluate(
        "new MutationObserver(() => note(document.documentElement.dataset.stage))"
        ".observe(document.documentElement, {attributeFilter: ['data-stage']})"
    )
    person.answer("left")
    person.reach("question")
    assert "images" in stages
    assert "feedback" not in stages


@pytest.mark.parametrize(
    ("by", "options", "stored"),
    [("key", {}, "key"), ("mouse", {}, "mouse"), ("touch", {"has_touch": True}, "touch")],
)
def test_an_answer_says_what_gave_it(
    serve_study: Callable[..., Site],
    come_to: Callable[..., Participant],
    by: str,
    options: dict[str, Any],
    stored: str,
) -> None:
    site = serve_study(practice=0)
    person = come_to(site, **options)
    person.begin()

    person.answer("left", by=by)

    [row] = site.responses()
    assert row.input == stored
    assert (row.side_1 if row.choice == "first" else row.side_2) == "left"


def test_instructions_ask_the_studys_own_question_and_name_its_counts(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    person = come_to(serve_study(practice=2, exposure_ms=500))
    person.consent()

    assert person.sees("Which image was fake?")
    assert person.sees("2 practice trials")
    assert person.sees("4 trials that count")
    assert person.sees("half a second")


def test_stop_asks_once_more_and_ends_the_session(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    person = come_to(serve_study(practice=0))
    person.begin()
    person.reach("question")

    person.page.click("#stop summary")
    assert person.sees("You cannot come back later")
    person.page.click("text=Yes, stop")

    person.page.wait_for_selector("text=You have stopped")
    person.page.goto(f"{person.url}/session")
    assert person.sees("You have stopped")


def test_a_second_session_is_refused_kindly(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study()
    come_to(site).consent("worker-1")
    other = come_to(site)

    other.page.goto(f"{site.url}/?worker_id=worker-1")

    assert other.sees("You have already taken part")


def test_a_small_window_is_told_kindly_and_waited_for(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    screen = {"width": 1600, "height": 1000}  # large enough: the window may still be made larger
    person = come_to(serve_study(size_px=256), viewport={"width": 390, "height": 700}, screen=screen)
    person.consent()

    assert person.stage == "window"
    text = person.page.inner_text("[data-view=window]")
    assert re.search(r"At least\s+608 × \d+ pixels\s+Now\s+390 × 700 pixels", text)
    assert person.page.locator("[data-view=window] [data-go]").is_disabled()
    person.page.set_viewport_size({"width": 700, "height": 600})
    person.go_on()
    person.reach("instructions")


def test_a_preview_says_so_on_every_page(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(practice=0, scored=1, data="preview")
    person = come_to(site)
    person.page.goto(site.url)
    assert person.page.is_visible(".banner")
    person.begin()
    person.reach("question")
    assert person.page.is_visible(".banner")
    person.answer()
    person.page.wait_for_url("**/finish")
    assert person.page.is_visible(".banner")
