"""The page for everybody: a whole session in Chinese, by keyboard alone, by touch, on a phone, with little contrast to spare."""

import re
from collections.abc import Callable

import pytest

from tests.browser.conftest import Site
from tests.browser.participant import Participant
from webapp import export

pytestmark = pytest.mark.browser

CHINESE = {
    "approval": "伦理批号 1",
    "contact": "study@lab.example",
    "retention": "匿名保存十年。",
    "pay": "无报酬。",
}
ASKING = {"ask_colour_vision": True, "calibration": "card", "viewing_distance": True}
ZH = {"languages": ["zh"], "texts": {"zh": CHINESE}, **ASKING}

NOT_TRANSLATED = re.compile(r"study@lab\.example|[0-9]-zh-[0-9a-f]{10}|JavaScript|Ctrl-C|\b[A-Z2-7]{8}\b")
"""Addresses, codes and names are the same in every language."""

CONTRAST = """
() => {
  const luminance = (colour) => {
    const part = (value) => { const c = value / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(colour[0]) + 0.7152 * part(colour[1]) + 0.0722 * part(colour[2]);
  };
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest("script, noscript, style")) continue;
    const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([node.data.trim(), ratio]);
  }
  return poor;
}
"""
"""Texts whose contrast is below 4.5 (WCAG 2.2, AA)."""

UNNAMED = """
() => [...document.querySelectorAll("button, input:not([type=hidden]), select, textarea, a")]
  .filter((each) => each.checkVisibility())
  .filter((each) => !(each.labels?.length || each.ariaLabel || each.textContent.trim()))
  .map((each) => each.outerHTML)
"""


def look(person: Participant, latin: list[str]) -> None:
    """What must hold on every page."""
    text = NOT_TRANSLATED.sub("", person.page.locator("body").inner_text() + person.page.title())
    latin += re.findall(r"[A-Za-z]{2,}", text)
    assert person.page.evaluate(CONTRAST) == []
    assert person.page.evaluate(UNNAMED) == []
    assert person.page.locator("html").get_attribute("lang") == "zh-Hans"


def test_a_whole_session_in_chinese_holds_no_english_word_and_enough_contrast(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(page=ZH, practice=2, scored=2, exposure_ms=100)
    person = come_to(site, locale="en-GB")
    latin: list[str] = []
    person.page.goto(site.url)
    look(person, latin)
    person.page.goto(f"{site.url}/?worker_id=w1")
    look(person, latin)
    person.page.check("[name=agree]")
    person.page.click(".agree button")
    person.page.wait_for_url("**/setup")
    look(person, latin)
    person.page.check("[value=no]")
    person.page.focus("#card")
    before = person.page.locator(".card-outline").bounding_box()
    person.page.keyboard.press("ArrowRight")
    after = person.page.locator(".card-outline").bounding_box()
    assert before
    assert after
    assert after["width"] == before["width"] + 1
    person.page.fill("#distance", "60")
    person.page.click(".setup .button")
    person.reach("instructions")
    look(person, latin)
    person.go_on()
    for _ in range(2):
        person.reach("question")
        look(person, latin)
        person.answer("left")
        person.reach("feedback")
        look(person, latin)
    person.reach("break")
    look(person, latin)
    person.go_on()
    person.reach("images")
    person.lose_focus()
    person.reach("notice")
    look(person, latin)
    person.page.click("#stop summary")
    look(person, latin)
    person.page.click("#stop summary")
    person.page.reload()
    person.reach("ready")
    look(person, latin)
    person.go_on()
    person.take_part()
    look(person, latin)
    person.page.click("form .button")
    person.page.wait_for_url("**/done")
    look(person, latin)
    person.page.goto(f"{site.url}/nowhere")
    look(person, latin)
    assert latin == []
    [session] = export.sessions(site.hosted)
    assert (session.language, session.colour_vision, session.viewing_distance) == ("zh", "no", "60 cm")
    assert session.device_px_per_mm == pytest.approx(321 / 85.6, abs=0.001)
    assert [problem for problem in person.problems if "404" not in problem] == []


def test_a_session_needs_nothing_but_a_keyboard(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(practice=0, scored=2)
    person = come_to(site)
    keys = person.page.keyboard
    person.page.goto(f"{site.url}/?worker_id=w1")
    keys.press("Tab")
    assert person.page.evaluate("document.activeElement.name") == "agree"
    assert person.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    keys.press("Space")
    keys.press("Tab")
    keys.press("Enter")
    person.reach("instructions")
    keys.press("Enter")  # the button has the focus already
    person.answer("right")
    person.reach("question")
    person.page.focus(".choice[data-side=left]")
    assert person.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    keys.press("Enter")
    person.page.wait_for_url("**/finish")
    assert [row.input for row in site.responses()] == ["key", "key"]


def test_the_record_of_a_trial_is_whole(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(practice=0, scored=1)
    person = come_to(site, screen={"width": 1600, "height": 1000})
    person.begin()
    person.answer()
    person.page.wait_for_url("**/finish")
    [row] = site.responses()
    for name in ("bytes", "fetch_ms", "decode_ms", "onset_ms", "onset_next_ms", "offset_ms", "frames"):
        for slot in (1, 2):
            assert getattr(row, f"{name}_{slot}") is not None, name
    assert row.frames_1 == row.frames_expected_1 == 3  # 50 ms at 60 Hz
    assert row.onset_ms_1 is not None
    assert row.onset_ms_2 is not None
    assert row.question_ms is not None
    assert row.event_ms is not None
    assert row.onset_ms_1 < row.onset_ms_2 < row.question_ms < row.event_ms
    assert row.event_ms - row.question_ms == pytest.approx(row.rt_ms, abs=0.01)
    assert row.client_ms is not None
    assert 0 < row.client_ms < 60_000
    assert row.issued_at < row.begun_at < row.ended_at <= row.answered_at
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+Z", row.client_clock)
    assert re.fullmatch(r"Headless Chrome \d+", row.ua_family)
    assert re.fullmatch(r"[0-9a-f]{12}", row.client_version)
    assert (row.hidden_ms, row.blur_count, row.fullscreen, row.flags) == (0, 0, 0, "")


def test_a_phone_is_told_kindly_before_the_consent_and_no_place_is_spent(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(size_px=256)
    screen = {"width": 390, "height": 844}
    person = come_to(site, viewport=screen, screen=screen, has_touch=True, is_mobile=True)
    person.page.goto(f"{site.url}/?worker_id=w1")
    assert person.sees("This study needs a larger screen")
    assert person.sees("608 × ")
    assert person.page.locator("[name=agree]").is_hidden()
    assert export.sessions(site.hosted) == []
    person.page.set_viewport_size({"width": 1280, "height": 800})  # the same link on a computer
    assert export.sessions(site.hosted) == []


def test_a_small_study_may_be_taken_by_touch_on_a_phone(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(practice=0, scored=2)
    screen = {"width": 390, "height": 844}
    person = come_to(site, viewport=screen, screen=screen, has_touch=True, is_mobile=True)
    person.begin()
    assert person.take_part(by="touch") == 2
    assert [row.input for row in site.responses()] == ["touch", "touch"]
    wide = person.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0


def test_nothing_moves_for_who_wants_no_movement(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    person = come_to(serve_study(practice=0), reduced_motion="reduce")
    person.begin()
    person.reach("question")
    moving = "[...document.querySelectorAll('*')].filter((each) => each.getAnimations().length).length"
    assert person.page.evaluate(moving) == 0
    assert person.page.locator("#question-text").get_attribute("aria-live") == "polite"
    assert (
        person.page.locator("canvas[aria-label], canvas[title]").count() == 0
    )  # nothing that could name an image
