"""What goes wrong in browsers: hidden pages, reloads, other windows, lost connections."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import APIResponse, Route

from tests.browser.conftest import Site
from tests.browser.participant import Participant
from webapp import export

pytestmark = pytest.mark.browser

LONG = {"practice": 0, "exposure_ms": 400}
"""Displays long enough to be interrupted."""


def test_a_trial_during_which_the_page_was_hidden_is_void_and_replaced(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG)
    person = come_to(site)
    person.begin()
    person.reach("images")

    person.hide(True)
    person.reach("notice")
    assert person.page.locator("canvas.stimulus").evaluate_all(
        "all => all.every(each => each.style.opacity === '0')"
    )
    person.hide(False)
    assert person.sees("The page was not visible")
    assert person.take_part() == 4

    rows = site.responses()
    assert [(row.trial_index, row.attempt, row.void_reason) for row in rows] == [
        (0, 0, "hidden"),
        (1, 0, ""),
        (2, 0, ""),
        (3, 0, ""),
        (0, 1, ""),
    ]
    assert rows[0].choice == ""


def test_a_page_hidden_before_the_first_image_shows_it_after_a_new_blank(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG, first_blank_ms=2500)
    person = come_to(site)
    person.begin()
    person.reach("blank")
    person.page.wait_for_timeout(1500)

    person.hide(True)
    person.hide(False)
    person.page.wait_for_timeout(1500)
    assert person.stage == "blank"
    person.answer()

    assert [row.void_reason for row in site.responses()] == [""]


def test_a_window_resized_during_a_display_makes_the_trial_void_and_at_the_question_it_does_not(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG)
    person = come_to(site)
    person.begin()
    person.reach("images")
    person.page.set_viewport_size({"width": 1100, "height": 700})
    person.reach("notice")
    assert person.sees("The window changed its size")
    person.go_on()

    person.reach("question")
    person.page.set_viewport_size({"width": 900, "height": 600})
    person.answer(by="mouse")

    assert [row.void_reason for row in site.responses()] == ["resized", ""]


@pytest.mark.parametrize(
    ("event", "reason", "words"),
    [
        ("window.dispatchEvent(new Event('blur'))", "blurred", "Another window came to the front"),
        ("document.dispatchEvent(new Event('fullscreenchange'))", "fullscreen", "The page left full screen"),
        (
            "() => { const end = performance.now() + 250; while (performance.now() < end); }",
            "frame_gap",
            "Your device paused for a moment",
        ),
    ],
)
def test_what_disturbs_a_display_makes_it_void_and_is_told_kindly(
    serve_study: Callable[..., Site],
    come_to: Callable[..., Participant],
    event: str,
    reason: str,
    words: str,
) -> None:
    site = serve_study(**LONG)
    person = come_to(site)
    person.begin()
    person.reach("images")

    person.page.evaluate(event)
    person.reach("notice")
    assert person.sees(words)
    assert person.take_part() == 4
    rows = site.responses()
    assert [(row.trial_index, row.attempt, row.void_reason) for row in (rows[0], rows[-1])] == [
        (0, 0, reason),
        (0, 1, ""),
    ]
    assert rows[0].blur_count == (1 if reason == "blurred" else 0)


def test_a_window_in_front_before_the_first_image_or_at_the_question_spoils_nothing(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG, first_blank_ms=800)
    person = come_to(site)
    person.begin()
    person.reach("blank")
    person.lose_focus()
    person.reach("question")
    person.lose_focus()
    person.answer()

    [row] = site.responses()
    assert (row.void_reason, row.blur_count) == ("", 1)


def test_a_device_that_keeps_disturbing_is_named_once_and_the_session_is_flagged_and_goes_on(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG, reserve=5)
    limit = site.hosted.study.exclusions.max_void_trials
    assert limit == 5
    person = come_to(site)
    person.begin()
    told = []
    for _ in range(limit + 1):
        person.reach("images")
        person.lose_focus()
        person.reach("notice")
        told.append(person.page.locator("[data-field=disturbed]").is_visible())
        person.go_on()
    assert told == [False] * (limit - 1) + [True, False]
    person.take_part()
    [session] = export.sessions(site.hosted)
    assert (session.state, session.flags) == ("finished", "disturbed")


def test_a_reload_during_a_display_spends_the_pair(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG)
    person = come_to(site)
    person.begin()
    person.reach("images")

    person.page.reload()
    person.reach("ready")
    assert person.sees("Trial 2 of 4")
    person.go_on()
    person.answer()

    first, second = site.responses()
    assert first.void_reason
    assert not second.void_reason
    assert {first.image_1, first.image_2}.isdisjoint({second.image_1, second.image_2})


def test_a_reload_at_the_question_asks_it_again_without_images(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG)
    person = come_to(site)
    person.begin()
    person.reach("question")

    person.page.reload()
    person.reach("ready")
    assert person.sees("You have already seen the images of this one")
    person.go_on()
    person.reach("question")
    assert person.page.locator("canvas.stimulus").count() == 0
    person.answer()

    [row] = site.responses()
    assert row.choice
    assert row.exposure_ms_1 == pytest.approx(400, abs=50)


def test_a_second_window_takes_over_and_the_first_one_freezes(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG)
    first = come_to(site)
    first.begin()
    first.reach("question")
    second = Participant(first.page.context.new_page(), site.url)
    second.page.goto(f"{site.url}/session")
    second.reach("ready")

    first.page.bring_to_front()
    first.page.keyboard.press("ArrowLeft")
    first.reach("stale")
    assert site.responses() == []
    first.page.get_by_role("button", name="Continue here").click()
    first.reach("ready")
    first.go_on()
    assert first.take_part() == 4


def test_no_answer_is_lost_while_the_server_cannot_be_reached(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG)
    person = come_to(site)
    person.begin()
    person.reach("question")
    person.page.wait_for_timeout(200)

    person.page.route("**/answer", lambda route: route.abort())
    person.page.keyboard.press("ArrowLeft")
    person.page.wait_for_selector("#trouble:not([hidden])")
    assert site.responses() == []
    person.page.unroute("**/answer")
    person.leave("question")

    [row] = site.responses()
    assert (row.side_1 if row.choice == "first" else row.side_2) == "left"
    person.page.wait_for_selector("#trouble", state="hidden")


def test_an_answer_whose_confirmation_was_lost_counts_once(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG)
    person = come_to(site)
    person.begin()
    lost: list[APIResponse] = []

    def lose_the_first_reply(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch())
            route.abort()

    person.page.route("**/answer", lose_the_first_reply)
    person.answer()
    person.answer()

    assert [row.trial_index for row in site.responses()] == [0, 1]


def test_an_answer_that_was_not_sent_survives_a_reload(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG)
    person = come_to(site)
    person.begin()
    person.reach("question")
    person.page.wait_for_timeout(200)

    person.page.route("**/answer", lambda route: route.abort())
    person.page.keyboard.press("ArrowRight")
    person.page.wait_for_selector("#trouble:not([hidden])")
    person.page.unroute("**/answer")
    person.page.reload()
    person.reach("ready")

    [row] = site.responses()
    assert (row.side_1 if row.choice == "first" else row.side_2) == "right"
    assert person.sees("Trial 2 of 4")


def test_images_that_cannot_be_shown_spend_their_pair_and_the_session_goes_on(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(**LONG)
    person = come_to(site)
    addresses: set[str] = set()

    def remember_addresses(route: Route) -> None:
        reply = route.fetch()
        addresses.update(reply.json()["trials"][0]["images"].values())
        route.fulfill(response=reply)

    def break_the_first_pair(route: Route) -> None:
        if urlsplit(route.request.url).path in addresses:
            route.fulfill(status=200, content_type="image/png", body=b"no image")
        else:
            route.continue_()

    person.page.route("**/api/page", remember_addresses)
    person.page.route("**/i/*", break_the_first_pair)
    person.begin()

    person.reach("notice")
    assert person.sees("The images could not be shown")
    assert person.take_part() == 4

    assert site.responses()[0].void_reason == "display_failed"
