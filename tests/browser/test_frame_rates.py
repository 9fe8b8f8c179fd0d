"""The schedule at any refresh rate: the page's own module in Chromium, driven by a made-up frame clock."""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Site
from tests.browser.participant import Participant

pytestmark = pytest.mark.browser

PLAY = """
async ({ schedule, moments, frameMs, slots }) => {
  const { Display } = await import("/static/display.js");
  let listener = null;
  const clock = { frameMs, onFrame: (each) => { listener = each; } };
  const place = () => ({ left: 0, top: 0, width: 8, height: 8 });
  const geometry = { imagePx: [8, 8], pixelScale: 1, fits: true, place };
  const stage = document.createElement("div");
  document.body.append(stage);
  const display = new Display(stage, clock, geometry);
  const bitmaps = new Map();
  for (const slot of slots) bitmaps.set(slot, await createImageBitmap(new ImageData(8, 8)));
  display.load(bitmaps, schedule);
  const costs = Object.fromEntries(slots.map((slot) => [slot, { fetch_ms: 1, decode_ms: 1, bytes: 1 }]));
  let asked = null;
  let record = null;
  const kinds = [];
  display.play(schedule, costs, Promise.resolve(), (_, now) => { asked = now; }, (kind) => kinds.push(kind))
    .then((each) => { record = each; });
  for (let turn = 0; turn < 10; turn += 1) await null;
  const seen = [];
  let last = moments[0];
  for (const now of moments) {
    listener(now, now - last);
    last = now;
    const visible = [...stage.querySelectorAll("canvas")].filter((each) => each.style.opacity === "1");
    seen.push(visible.map((each) => each.dataset.slot + (each.matches(".mask") ? "m" : "")).sort().join("+"));
    for (let turn = 0; turn < 5; turn += 1) await null;
    if (record) break;
  }
  stage.remove();
  return { seen, asked, record, kinds };
}
"""
"""Plays a schedule on frames at these moments; says what was in view after each frame, by the canvases themselves."""

FRAMES = 900


@pytest.fixture(scope="module")
def page(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A page of the server, from which the module is loaded."""
    from tests.browser.conftest import serve
    from tests.made_up_study import make_study

    with serve(make_study(tmp_path_factory.mktemp("rates") / "study")) as site:
        context = chromium.new_context()
        opened = context.new_page()
        opened.goto(site.url)
        yield opened
        context.close()


def frames(hz: float, jitter: float = 0.0, seed: int = 1) -> list[float]:
    """Times of the frames of a screen; jitter as a share of a frame."""
    rng, moments = random.Random(seed), [5000.0]
    for _ in range(FRAMES):
        moments.append(moments[-1] + 1000 / hz * (1 + rng.uniform(-jitter, jitter)))
    return moments


def two_images(ms: float) -> list[dict[str, Any]]:
    return [
        {"kind": "blank", "ms": 100},
        {"kind": "images", "ms": ms, "slots": [{"slot": 1, "side": "left"}]},
        {"kind": "blank", "ms": 100},
        {"kind": "images", "ms": ms, "slots": [{"slot": 2, "side": "right"}]},
        {"kind": "blank", "ms": 17},
        {"kind": "question", "text": "?", "buttons": []},
    ]


def play(page: Page, schedule: list[dict[str, Any]], moments: list[float], hz: float, *slots: str) -> Any:
    given = {"schedule": schedule, "moments": moments, "frameMs": 1000 / hz, "slots": list(slots or "12")}
    played = page.evaluate(PLAY, given)
    assert played["record"] is not None, "the trial did not end"
    return played


def exposures(played: Any, moments: list[float]) -> dict[str, float]:
    """How long each image was in view, by the canvases."""
    shown: dict[str, float] = {}
    for (now, after), visible in zip(pairwise(moments), played["seen"], strict=False):
        for slot in filter(None, visible.split("+")):
            shown[slot] = shown.get(slot, 0.0) + after - now
    return shown


@pytest.mark.parametrize("hz", [60, 75, 90, 120, 144, 165, 240])
@pytest.mark.parametrize("ms", [1000, 500, 100, 33])
def test_an_exposure_is_the_nearest_number_of_frames_at_every_rate(page: Page, hz: int, ms: int) -> None:
    moments = frames(hz)
    played = play(page, two_images(ms), moments, hz)
    for slot, shown in exposures(played, moments).items():
        entry = played["record"]["slots"][slot]
        assert shown == pytest.approx(ms, abs=500 / hz + 0.001)  # half a frame
        assert entry["exposure_ms"] == pytest.approx(shown, abs=0.002)
        for count in (entry["frames"], entry["frames_expected"]):
            assert count == pytest.approx(ms * hz / 1000, abs=0.5)
        assert entry["onset_next_ms"] - entry["onset_ms"] == pytest.approx(1000 / hz, abs=0.002)
        assert entry["offset_ms"] - entry["onset_ms"] == pytest.approx(entry["exposure_ms"], abs=0.002)


@pytest.mark.parametrize("hz", [60, 75, 144, 240])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_frames_that_come_unevenly_move_the_end_by_no_more_than_their_unevenness(
    page: Page, hz: int, seed: int
) -> None:
    moments = frames(hz, jitter=0.2, seed=seed)
    played = play(page, two_images(500), moments, hz)
    for slot, shown in exposures(played, moments).items():
        assert shown == pytest.approx(500, abs=(0.5 + 0.2) * 1000 / hz)
        assert played["record"]["slots"][slot]["exposure_ms"] == pytest.approx(shown, abs=0.002)


def test_a_screen_of_variable_rate_ends_at_the_first_frame_that_is_near_enough(page: Page) -> None:
    rng, moments = random.Random(7), [5000.0]
    while len(moments) < FRAMES:
        moments.append(moments[-1] + 1000 / rng.uniform(48, 144))
    played = play(page, two_images(500), moments, 96)
    for shown in exposures(played, moments).values():
        assert 500 - 500 / 96 <= shown <= 500 - 500 / 96 + 1000 / 48


def test_an_image_planned_for_less_than_half_a_frame_is_still_shown_for_one(page: Page) -> None:
    moments = frames(60)
    played = play(page, two_images(3), moments, 60)
    assert exposures(played, moments) == {"1": pytest.approx(1000 / 60), "2": pytest.approx(1000 / 60)}


@pytest.mark.parametrize(("gap", "void"), [(99.0, ""), (101.0, "frame_gap")])
def test_a_screen_that_stands_still_while_an_image_is_on_it_spoils_the_trial(
    page: Page, gap: float, void: str
) -> None:
    moments = frames(60)
    late = [now + (gap - 1000 / 60 if number > 30 else 0) for number, now in enumerate(moments)]
    played = play(page, two_images(1000), late, 60)
    assert played["record"]["void_reason"] == void
    assert played["record"]["slots"]["1"]["max_frame_gap_ms"] == pytest.approx(gap, abs=0.01)
    assert (played["asked"] is None) == bool(void)


def test_a_screen_that_stands_still_between_the_images_spoils_nothing(page: Page) -> None:
    moments = frames(60)
    late = [now + (300 if number > 14 else 0) for number, now in enumerate(moments)]
    played = play(page, two_images(100), late, 60)  # the gap falls into the blank between the two
    assert played["record"]["void_reason"] == ""
    assert all(slot["max_frame_gap_ms"] < 20 for slot in played["record"]["slots"].values())


def test_any_schedule_is_played_as_it_stands(page: Page) -> None:
    centre = [{"slot": 1, "side": "centre"}]
    schedule = [
        {"kind": "blank", "ms": 50},
        {"kind": "images", "ms": 50, "slots": [{"slot": 0, "side": "centre"}]},
        {"kind": "images", "ms": 100, "slots": centre},
        *({"kind": "mask", "ms": 50, "slots": centre} for _ in range(3)),
        {"kind": "question", "text": "?", "buttons": []},
    ]
    moments = frames(60)
    played = play(page, schedule, moments, 60, "0", "1")
    order = [
        visible
        for visible, before in zip(played["seen"][1:], played["seen"], strict=False)
        if visible != before
    ]
    assert order == ["0", "1", "1m", ""]
    assert played["kinds"] == ["blank", "images", "images", "mask", "mask", "mask"]
    shown = exposures(played, moments)
    assert {slot: round(ms) for slot, ms in shown.items()} == {"0": 50, "1": 100, "1m": 150}


def test_three_buttons_masks_and_an_image_in_the_centre_are_shown_and_answered_with_the_down_key(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study(practice=0)
    person = come_to(site)
    centre = [{"slot": 1, "side": "centre"}]
    buttons = [
        {"value": "first", "label": "Left one", "side": "left"},
        {"value": "second", "label": "Cannot tell", "side": "centre"},
        {"value": "first", "label": "Right one", "side": "right"},
    ]

    def change(route: Any) -> None:
        reply = route.fetch()
        state = reply.json()
        state["trials"][0]["schedule"] = [
            {"kind": "images", "ms": 50, "slots": centre},
            *({"kind": "mask", "ms": 100, "slots": centre} for _ in range(3)),
            {
                "kind": "question",
                "text": "Which one?",
                "buttons": buttons,
                "slots": [{"slot": 2, "side": "centre"}],
            },
        ]
        route.fulfill(response=reply, json=state)

    person.page.route("**/api/page", change)
    person.begin()
    person.reach("question")
    assert person.page.locator("#question-text").inner_text() == "Which one?"
    boxes = [each.bounding_box() for each in person.page.locator(".choice").all()]
    assert [box["x"] for box in boxes if box] == sorted(box["x"] for box in boxes if box)
    image = person.page.locator('canvas[data-slot="2"]').bounding_box()
    text = person.page.locator("#question-text").bounding_box()
    assert image
    assert text
    assert image["y"] + image["height"] <= text["y"]  # the image stays in view, nothing covers it
    assert all(box and text["y"] + text["height"] <= box["y"] for box in boxes)
    person.page.wait_for_timeout(300)

    person.page.keyboard.press("ArrowDown")
    person.leave("question")
    [row] = site.responses()
    assert (row.choice, row.input) == ("second", "key")
    assert row.exposure_ms_2 is not None
    assert row.exposure_ms_2 == pytest.approx(row.rt_ms, abs=60)
    assert row.frames_expected_2 is None
