"""How images are shown: for how long, how large, and never before the server knows."""

import io
import statistics
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Site
from tests.browser.participant import Participant

pytestmark = pytest.mark.browser

WITNESS = """
window.shown = [];
const opaque = new Map();
const look = (now) => {
  requestAnimationFrame(look);
  for (const canvas of document.querySelectorAll('canvas.stimulus:not(.mask)')) {
    const visible = getComputedStyle(canvas).opacity === '1';
    if (visible && !opaque.has(canvas)) opaque.set(canvas, now);
    if (!visible && opaque.has(canvas)) {
      window.shown.push(now - opaque.get(canvas));
      opaque.delete(canvas);
    }
  }
};
requestAnimationFrame(look);
"""
"""A frame loop of its own that reads the computed style and knows nothing of the player."""


def test_ten_displays_of_1000_ms_last_as_long_as_they_should_and_as_the_record_says(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(practice=0, scored=5, exposure_ms=1000)
    person = come_to(site, before=WITNESS)
    person.begin()
    for _ in range(4):
        person.answer()
    person.reach("question")
    seen = person.page.evaluate("window.shown")
    person.answer()

    person.page.wait_for_url("**/finish")
    rows = site.responses()
    recorded = [ms for row in rows for ms in (row.exposure_ms_1, row.exposure_ms_2)]
    assert len(seen) == len(recorded) == 10
    frame_ms = 1000 / statistics.median(row.refresh_hz or 0 for row in rows)
    assert abs(statistics.median(seen) - 1000) < 1.5 * frame_ms
    for witnessed, own, row in zip(seen, recorded, [row for row in rows for _ in (1, 2)], strict=True):
        assert own == pytest.approx(witnessed, abs=1.0)
        assert ("exposure" in row.flags.split()) == any(
            abs((ms or 0) - 1000) > 1.5 * frame_ms for ms in (row.exposure_ms_1, row.exposure_ms_2)
        )


STALL = """
let onset = null;
const stallOnce = (now) => {
  const image = document.querySelector('canvas.stimulus[data-slot="1"]');
  if (image?.style.opacity === "1") onset ??= now;
  if (onset === null || now - onset < 240) return requestAnimationFrame(stallOnce);
  while (performance.now() < now + 85);
};
requestAnimationFrame(stallOnce);
"""
"""Keeps the page busy late in the first display: too short to spoil the trial, long enough to end it late."""


def test_a_display_that_lasts_too_long_is_flagged(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(practice=0, exposure_ms=300)
    person = come_to(site, before=WITNESS + STALL)
    person.begin()
    person.answer()

    [row] = site.responses()
    assert row.exposure_ms_1 is not None
    assert 330 < row.exposure_ms_1 < 400
    assert row.flags.split() == ["exposure", "frame_gap"]
    assert person.page.evaluate("window.shown[0]") == pytest.approx(row.exposure_ms_1, abs=1.0)


def test_no_image_appears_before_the_server_has_acknowledged_the_beginning(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    person = come_to(serve_study(practice=0), before=WITNESS)
    held: list[Any] = []
    person.page.route("**/begun", lambda route: held.append(route))
    person.begin()
    person.reach("blank")

    person.page.wait_for_timeout(600)
    assert person.stage == "blank"
    assert person.page.locator("canvas.stimulus").evaluate_all(
        "all => all.map(each => each.style.opacity)"
    ) == [
        "0",
        "0",
    ]
    held[0].continue_()
    person.reach("images")


def test_keys_from_before_the_question_repeats_and_programs_do_not_answer(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(practice=0, exposure_ms=300)
    person = come_to(site)
    person.begin()
    person.reach("images")

    person.page.keyboard.down("ArrowLeft")
    person.reach("question")
    person.page.keyboard.down("ArrowLeft")
    person.page.evaluate("document.querySelector('.choice').click()")
    person.page.keyboard.up("ArrowLeft")
    person.page.keyboard.press("Control+ArrowLeft")
    person.page.wait_for_timeout(200)

    assert person.stage == "question"
    assert site.responses() == []
    person.answer("right")
    assert len(site.responses()) == 1


@pytest.mark.parametrize(
    ("presentation", "masks"), [("sequential", [["1"], ["2"]]), ("simultaneous", [["1", "2"]])]
)
def test_noise_masks_follow_the_images_in_their_places(
    serve_study: Callable[..., Site],
    come_to: Callable[..., Participant],
    presentation: str,
    masks: list[list[str]],
) -> None:
    person = come_to(
        serve_study(practice=0, presentation=presentation, mask="noise", mask_ms=1000, gap_ms=1100)
    )
    person.begin()

    for slots in masks:
        person.reach("mask")
        visible = "all => all.filter(each => each.style.opacity === '1')"
        same = f"all => ({visible})(all).map(each => [each.dataset.slot, each.matches('.mask')]).sort()"
        assert person.page.locator("canvas").evaluate_all(same) == [[slot, True] for slot in slots]
        places = person.page.locator(f'canvas[data-slot="{slots[0]}"]').evaluate_all(
            "all => all.map(each => JSON.stringify(each.getBoundingClientRect()))"
        )
        assert places[0] == places[1]
        person.leave("mask")


@pytest.mark.parametrize(
    ("density", "zoom", "pixel_scale"),
    [(1.0, 1.0, 1), (1.5, 1.0, 2), (1.1, 1.1, 1), (3.0, 1.5, 2)],
)
def test_an_image_pixel_covers_a_whole_number_of_device_pixels_at_any_zoom(
    launch_chromium: Callable[..., Browser],
    serve_study: Callable[..., Site],
    density: float,
    zoom: float,
    pixel_scale: int,
) -> None:
    # Emulated densities lay out in CSS pixels; only a browser started with this density is like a real screen.
    browser = launch_chromium(f"--force-device-scale-factor={density}", "--window-size=1281,843")
    site = serve_study(practice=0, exposure_ms=1000, size_px=33)
    page = browser.new_context(no_viewport=True).new_page()
    # Page zoom cannot be pressed here; it differs from density in the outer width alone.
    page.add_init_script(f"Object.defineProperty(window, 'outerWidth', {{get: () => innerWidth * {zoom}}})")
    person = Participant(page, site.url)
    images = keep_images(page)
    person.begin()
    person.reach("images")

    screen = Image.open(io.BytesIO(page.screenshot(scale="device"))).convert("RGB")
    page.unroute_all(behavior="ignoreErrors")
    person.reach("question", "notice")  # taking the picture may stall the screen, which spoils the trial
    if person.stage == "question":
        person.answer()
    row = site.responses()[0]
    browser.close()

    assert (row.pixel_scale, row.zoom) == (pixel_scale, zoom)
    first = images["1"]
    expected = first.resize((first.width * pixel_scale, first.height * pixel_scale), Image.Resampling.NEAREST)
    stage = screen.crop((0, round(70 * density), *screen.size))
    grey = Image.new("RGB", stage.size, (128, 128, 128))
    shown = stage.crop(ImageChops.difference(stage, grey).getbbox())
    assert shown.size == expected.size
    assert ImageChops.difference(shown, expected).getbbox() is None


def keep_images(page: Page) -> dict[str, Image.Image]:
    """slot -> image of the first trial, as soon as they have come over the network."""
    images: dict[str, Image.Image] = {}
    slots: dict[str, str] = {}

    def remember_addresses(route: Any) -> None:
        reply = route.fetch()
        slots.update({address: slot for slot, address in reply.json()["trials"][0]["images"].items()})
        route.fulfill(response=reply)

    def remember_image(route: Any) -> None:
        reply = route.fetch()
        slot = slots.get(urlsplit(route.request.url).path)
        if slot:
            images[slot] = Image.open(io.BytesIO(reply.body())).convert("RGB")
        route.fulfill(response=reply)

    page.route("**/api/page", remember_addresses)
    page.route("**/i/*", remember_image)
    return images
