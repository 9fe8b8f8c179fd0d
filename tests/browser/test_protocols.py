"""Each protocol's session in Chromium, as people meet it: its own words, nothing on top of anything else."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Site
from tests.browser.participant import WAIT_MS, Participant

pytestmark = pytest.mark.browser

WITH_INPUTS = {"reference": {"inputs": "images/inputs"}}
SESSIONS: dict[str, dict[str, Any]] = {
    "yes_no": {"exposure_ms": 0},
    "timed_staircase": {"start_ms": 100, "masks": 5, "mask_ms": 30},
    "preference": {
        "exposure_ms": 0,
        "shown_before": "input",
        "before_ms": 100,
        "tables": {"study": {"design": "within"}, **WITH_INPUTS},
    },
    "input_match": {"input_ms": 100, "exposure_ms": 100, "tables": WITH_INPUTS},
}
"""The settings of the four that are not `two_afc`, which test_whole_session walks through."""

ASKED = {
    "yes_no": "Is this image real or fake?",
    "timed_staircase": "Was this image real or fake?",
    "preference": "Which image is better?",
    "input_match": "Which image was made from the first picture?",
}
COMPUTER: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "screen": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 3,
}

CLASHES = """
() => {
  const seen = [...document.querySelectorAll("canvas.stimulus, .choice, #question-text, .caption, #verdict, #top")]
    .filter((each) => each.checkVisibility() && getComputedStyle(each).opacity === "1" && each.getClientRects().length)
    .map((each) => ({ name: each.id || each.className + (each.dataset.slot ?? each.textContent), box: each.getBoundingClientRect() }));
  const textOf = (each) => each.name;
  const clashes = [];
  for (const [number, one] of seen.entries()) {
    const { left, right, top, bottom } = one.box;
    if (left < 0 || top < 0 || right > innerWidth || bottom > innerHeight) clashes.push(`${textOf(one)} leaves the window`);
    for (const other of seen.slice(number + 1)) {
      const apart = right <= other.box.left || other.box.right <= left || bottom <= other.box.top || other.box.bottom <= top;
      if (!apart) clashes.push(`${textOf(one)} on ${textOf(other)}`);
    }
  }
  return clashes;
}
"""
"""What overlaps or is cut off on the stage."""

OFF_THE_PIXELS = """
() => [...document.querySelectorAll("canvas.stimulus")]
  .flatMap((each) => { const { x, y, width, height } = each.getBoundingClientRect(); return [x, y, width, height]; })
  .map((value) => value * devicePixelRatio)
  .filter((value) => Math.abs(value - Math.round(value)) > 0.01)
"""
"""Edges of images and masks that lie between two device pixels."""

SHOWN = """
() => [...document.querySelectorAll("canvas.stimulus:not(.mask)")]
  .filter((each) => each.style.opacity === "1").map((each) => each.dataset.slot).sort()
"""


def begin(site: Site, come_to: Callable[..., Participant], **options: Any) -> tuple[Participant, list[str]]:
    """A participant who stands at the instructions, and the addresses that their browser asks for."""
    person, asked = come_to(site, **options), []
    person.page.on("request", lambda request: asked.append(request.url))
    person.consent()
    return person, asked


@pytest.mark.parametrize(
    ("name", "window"), [*((name, COMPUTER) for name in SESSIONS), ("preference", PHONE)]
)
def test_a_session_goes_through_with_its_own_words_and_nothing_on_top_of_anything(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant], name: str, window: dict[str, Any]
) -> None:
    site = serve_study(name=name, practice=1, scored=2, reserve=2, **SESSIONS[name])
    person, asked = begin(site, come_to, **window)
    words = [person.page.inner_text("main")]
    assert ASKED[name] in words[0]
    person.go_on()
    stays = name in ("yes_no", "preference")
    while True:
        person.page.wait_for_function(
            "() => location.pathname === '/finish'"
            " || ['question', 'break', 'notice'].includes(document.documentElement?.dataset.stage)",
            timeout=WAIT_MS,
        )
        if person.page.url.endswith("/finish"):
            break
        words.append(person.page.inner_text("body"))
        if person.stage != "question":
            person.go_on()
            continue
        assert person.page.inner_text("#question-text") == ASKED[name]
        assert person.page.evaluate(CLASHES) == []
        assert person.page.evaluate(OFF_THE_PIXELS) == []
        assert bool(person.page.evaluate(SHOWN)) == stays
        person.answer("right", by="touch" if window is PHONE else "key")
    person.page.click("form .button")
    person.page.wait_for_url("**/done")
    words.append(person.page.inner_text("body"))
    rows = [row for row in site.responses() if not row.void_reason]
    assert [row.phase for row in rows][-2:] == ["scored", "scored"]
    if name in ("preference", "input_match"):
        assert not re.search(r"\b(real|fake)\b", " ".join(words).replace("the real part", ""), re.IGNORECASE)
    assert [address for address in asked if not address.startswith((site.url, "blob:"))] == []
    assert person.problems == []


@pytest.mark.parametrize(
    ("name", "slots", "captions", "window"),
    [
        ("input_match", ["1", "2"], {"Made from this picture", "Made from another picture"}, PHONE),
        ("yes_no", ["1"], {"Real", "Fake"}, COMPUTER),
    ],
)
def test_feedback_shows_what_it_is_about_and_no_picture_over_another(
    serve_study: Callable[..., Site],
    come_to: Callable[..., Participant],
    name: str,
    slots: list[str],
    captions: set[str],
    window: dict[str, Any],
) -> None:
    site = serve_study(size_px=96, name=name, practice=4, scored=2, reserve=0, **SESSIONS[name])
    person, _asked = begin(site, come_to, **window)
    person.go_on()
    person.page.wait_for_function(
        "() => ['question', 'notice'].includes(document.documentElement?.dataset.stage)"
    )
    while person.stage == "notice":  # a busy machine spoilt it
        person.go_on()
        person.page.wait_for_function(
            "() => ['question', 'notice'].includes(document.documentElement?.dataset.stage)"
        )
    person.answer("left", by="touch" if window is PHONE else "key")
    person.reach("feedback")
    person.page.wait_for_selector(".caption")

    assert person.page.evaluate(SHOWN) == slots
    assert person.page.evaluate(CLASHES) == []
    told = {text.split("\n")[0] for text in person.page.locator(".caption").all_inner_texts()}
    assert told == captions if len(slots) > 1 else told < captions


def test_practice_of_a_preference_has_no_feedback_and_nobody_is_told_to_guess(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(name="preference", practice=1, scored=2, reserve=0, **SESSIONS["preference"])
    person, _asked = begin(site, come_to)
    assert person.sees("follow your first impression")
    assert not re.search("guess|whether you were right", person.page.inner_text("main"))
    person.go_on()
    person.page.wait_for_function(
        "() => ['question', 'notice'].includes(document.documentElement?.dataset.stage)"
    )
    if person.stage == "question":
        person.answer()
        person.reach("break")
        assert person.page.locator(".caption").count() == 0


def test_masks_of_a_staircase_cover_their_image_exactly(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(name="timed_staircase", practice=0, scored=2, reserve=0, masks=2, mask_ms=1000)
    person, _asked = begin(site, come_to, viewport={"width": 1281, "height": 801})
    person.go_on()
    person.reach("mask")
    places = person.page.locator("canvas.stimulus").evaluate_all(
        "all => all.map((each) => JSON.stringify(each.getBoundingClientRect()))"
    )
    assert len(places) == 3
    assert len(set(places)) == 1
    noise = person.page.locator("canvas.mask").evaluate_all("all => all.map((each) => each.toDataURL())")
    assert len(set(noise)) == 2  # it flickers: each field has noise of its own


@pytest.mark.parametrize(("width", "upright"), [(1280, False), (360, True)])
def test_the_card_outline_is_whole_at_any_size_of_the_slider(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant], width: int, upright: bool
) -> None:
    site = serve_study(page={"calibration": "card"})
    person = come_to(site, viewport={"width": width, "height": 800})
    person.page.goto(f"{site.url}/?worker_id=w1")
    person.page.check("[name=agree]")
    person.page.click(".agree button")
    person.page.wait_for_url("**/setup")
    person.page.focus("#card")
    person.page.keyboard.press("End")
    outline, card = (
        person.page.locator(".card-outline").bounding_box(),
        person.page.locator("main").bounding_box(),
    )
    assert outline
    assert card
    assert (outline["height"] > outline["width"]) == upright
    assert outline["x"] + outline["width"] <= card["x"] + card["width"]
    longer = max(outline["width"], outline["height"])
    assert longer == float(person.page.input_value("[name=card_css_px]"))
    assert min(outline["width"], outline["height"]) / longer == pytest.approx(53.98 / 85.6, abs=0.005)


def test_instructions_that_were_scrolled_make_a_low_window_no_higher(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(size_px=128, practice=0)
    person, _asked = begin(site, come_to, viewport={"width": 600, "height": 330})
    person.page.set_viewport_size({"width": 600, "height": 300})
    person.page.evaluate("window.scrollTo(0, 300)")
    person.go_on()
    person.reach("window")  # too low, however far one has scrolled
