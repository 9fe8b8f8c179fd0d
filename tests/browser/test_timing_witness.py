"""How long images stand on the screen, seen from outside the browser.

Chromium draws to a virtual X display (Xvfb), and another process reads pixels of that display some hundred times per
second (`tests/browser/x_witness.py`). It sees what the compositor really put there and when. A virtual display is no
monitor: no refresh of glass, no graphics card, no panel's own delay is in these figures.

In the corner of the same page a small box appears with each image and goes by `setTimeout`, as many experiment pages do
it; the same witness watches it.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Playwright, Route

from tests.browser.conftest import CHROMIUM_OPTIONS, Site
from tests.browser.participant import Participant
from tests.reliability.figures import keep_row

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
EXPOSURE_MS = 1000
FRAME_MS = 1000 / 60
WIDTH, HEIGHT = 1280, 800
BOX = (30, 30)
"""A point of the box in the corner of the page."""

TIMER_BOX = """
addEventListener('DOMContentLoaded', () => {
  const box = document.createElement('div');
  Object.assign(box.style, {position: 'fixed', left: '0', top: '0', width: '60px', height: '60px',
                            background: 'black', zIndex: 10, pointerEvents: 'none'});
  document.body.append(box);
  const visible = new Set();
  new MutationObserver((changes) => {
    for (const {target} of changes) {
      if (!target.matches?.('canvas.stimulus:not(.mask)')) continue;
      const now = target.style.opacity === '1';
      if (now && !visible.has(target)) {
        box.style.background = 'white';
        setTimeout(() => { box.style.background = 'black'; }, MS);
      }
      now ? visible.add(target) : visible.delete(target);
    }
  }).observe(document.body, {subtree: true, attributes: true, attributeFilter: ['style']});
});
""".replace("MS", str(EXPOSURE_MS))
"""The observer runs in the frame that shows the image, so both begin together."""


@dataclass(frozen=True)
class Seen:
    """One thing that stood on the screen for a while."""

    place: int
    start_ms: float
    """The first moment it had surely appeared, by the witness's clock."""
    low_ms: float
    """It stood at least so long: both ends lie between two looks of the witness."""
    high_ms: float

    @property
    def ms(self) -> float:
        """The middle of what is possible."""
        return (self.low_ms + self.high_ms) / 2


@contextmanager
def virtual_display() -> Iterator[str]:
    if shutil.which("Xvfb") is None:
        pytest.skip("no Xvfb here; for the witness outside the page: sudo apt-get install xvfb")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as stream:
            number = stream.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def witness(display: str, places: list[tuple[int, int]], said: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.browser.x_witness", display, *(f"{x},{y}" for x, y in places)]
    with said.open("w") as stream:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=stream)
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, process.pid, -10)  # it must see also when all else is busy
        try:
            while "ready" not in said.read_text():
                assert process.poll() is None
                time.sleep(0.05)
            yield
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def displays(said: Path, blanks: list[str]) -> list[Seen]:
    """What appeared and vanished again at each place, in order of appearing."""
    since: dict[int, tuple[float, float]] = {}
    found: list[tuple[float, Seen]] = []
    for line in said.read_text().splitlines()[1:]:
        number, pixel, before, after = line.split(",")
        place, low, high = int(number), float(before), float(after)
        if place in since:
            first, last = since.pop(place)
            found.append((first, Seen(place, last, low - last, high - first)))
        if pixel != blanks[place] and low > 0:  # what stood there from the beginning has no known onset
            since[place] = (low, high)
    return [seen for _, seen in sorted(found, key=lambda item: item[0])]


def watch(site: Site, api: Playwright, said: Path, busy: int) -> tuple[list[Seen], list[Seen]]:
    """A participant goes through all trials; returns what was seen of the images and of the timer's box."""
    with virtual_display() as display:
        browser = api.chromium.launch(
            executable_path=shutil.which("chromium"),
            headless=False,
            args=[*CHROMIUM_OPTIONS, f"--window-size={WIDTH},{HEIGHT}", "--window-position=0,0"],
            env={**os.environ, "DISPLAY": display},
        )
        try:
            page = browser.new_context(no_viewport=True).new_page()
            page.add_init_script(TIMER_BOX)
            held: list[Route] = []
            page.route(
                "**/begun", lambda route: held.append(route), times=1
            )  # no image before the witness looks
            person = Participant(page, site.url)
            person.begin()
            places = _places(page)
            with witness(display, places, said), busy_cores(busy):
                while not held:
                    page.wait_for_timeout(20)
                held[0].continue_()
                person.take_part()
        finally:
            browser.close()
    background = _most_common(said)
    seen = displays(said, [background, background, "000000"])
    return [each for each in seen if each.place < 2], [each for each in seen if each.place == 2]


def _places(page: Any) -> list[tuple[int, int]]:
    """On the display: a point of the left and of the right image where no text comes, and one of the timer's box."""
    page.wait_for_function("() => document.querySelectorAll('canvas.stimulus').length >= 2")
    assert page.evaluate("devicePixelRatio") == 1
    left, top = page.evaluate("[screenX, screenY + outerHeight - innerHeight]")  # bars stand above the page
    corners = page.evaluate(
        """() => [...document.querySelectorAll('canvas.stimulus')].slice(0, 2)
            .map((canvas) => canvas.getBoundingClientRect()).map((box) => [box.left + 8, box.top + 8])"""
    )
    return [(round(left + x), round(top + y)) for x, y in [*sorted(corners), BOX]]


def _most_common(said: Path) -> str:
    """The grey between the images, to which every place returns."""
    pixels = [line.split(",")[1] for line in said.read_text().splitlines()[1:] if line[0] in "01"]
    return max(set(pixels), key=pixels.count)


@dataclass(frozen=True)
class Recorded:
    """One display in the page's own words."""

    onset_ms: float
    exposure_ms: float
    void: bool
    flagged: bool


def recorded(site: Site) -> list[Recorded]:
    """Every display that the page recorded, in order."""
    return [
        Recorded(onset, ms, bool(row.void_reason), bool(row.flags or row.void_reason))
        for row in site.responses()
        for onset, ms in ((row.onset_ms_1, row.exposure_ms_1), (row.onset_ms_2, row.exposure_ms_2))
        if onset is not None and ms is not None
    ]


def pairs(images: list[Seen], own: list[Recorded]) -> list[tuple[Seen, Recorded]]:
    """What was seen beside what was recorded, by their onsets; the first of both is the same."""
    shift = images[0].start_ms - own[0].onset_ms
    found = []
    for record in own:
        seen = min(images, key=lambda each: abs(each.start_ms - shift - record.onset_ms))
        if abs(seen.start_ms - shift - record.onset_ms) < 300:
            found.append((seen, record))
    return found


def summary(seen: list[Seen]) -> list[str]:
    errors = [each.ms - EXPOSURE_MS for each in seen]
    within = sum(abs(error) <= 1.25 * FRAME_MS for error in errors) / len(errors)
    blur = statistics.median((each.high_ms - each.low_ms) / 2 for each in seen)
    return [
        str(len(errors)),
        f"{statistics.fmean(errors):+.1f}",
        f"{statistics.stdev(errors):.1f}",
        f"{max(errors, key=abs):+.1f}",
        f"{100 * within:.1f} %",
        f"±{blur:.1f}",
    ]


def check(both: list[tuple[Seen, Recorded]]) -> list[Seen]:
    """Displays seen too long or too short that the page did not flag: beyond doubt, by more than two frames."""
    return [
        seen
        for seen, record in both
        if not record.flagged
        and (seen.low_ms > EXPOSURE_MS + 2 * FRAME_MS or seen.high_ms < EXPOSURE_MS - 2 * FRAME_MS)
    ]


def study(serve_study: Callable[..., Site], trials: int) -> Site:
    quick = {"blank_ms": 100, "first_blank_ms": 100, "gap_ms": 100, "question_delay_ms": 17}
    return serve_study(
        inputs=trials + 20,
        size_px=256,
        practice=0,
        scored=trials,
        reserve=0,
        exposure_ms=EXPOSURE_MS,
        **quick,
    )


def test_twenty_images_stand_on_a_virtual_display_for_as_long_as_the_page_says(
    serve_study: Callable[..., Site], playwright_api: Playwright, tmp_path: Path
) -> None:
    site = study(serve_study, 10)
    images, boxes = watch(site, playwright_api, tmp_path / "seen.csv", busy=0)
    both = pairs(images, recorded(site))
    assert len(both) == len(recorded(site)) >= 15
    assert len({seen.start_ms for seen, _ in both}) == len(both)
    assert check(both) == []
    assert len(boxes) >= 10
    differences = [seen.ms - record.exposure_ms for seen, record in both]
    assert abs(statistics.median(differences)) < FRAME_MS


@pytest.mark.reliability
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("busy", [0, os.cpu_count() or 2], ids=["idle", "all cores busy"])
def test_two_hundred_images_on_a_virtual_display(
    serve_study: Callable[..., Site], playwright_api: Playwright, tmp_path: Path, busy: int
) -> None:
    site = study(serve_study, 100)
    images, boxes = watch(site, playwright_api, tmp_path / "seen.csv", busy)
    both = pairs(images, recorded(site))
    counted = [seen for seen, record in both if not record.void]
    starts = [seen.start_ms for seen in counted]
    beside = [box for box in boxes if any(abs(box.start_ms - start) < 60 for start in starts)]
    flagged = sum(record.flagged and not record.void for _, record in both)
    void = sum(record.void for _, record in both)
    missed = check(both)
    name = "all cores busy" if busy else "idle"
    keep_row("timing", f"this page, {name}", [*summary(counted), flagged, void, len(missed)])
    keep_row("timing", f"setTimeout, {name}", [*summary(beside), "–", "–", "–"])
    assert missed == []
    differences = [seen.ms - record.exposure_ms for seen, record in both]
    assert abs(statistics.median(differences)) < FRAME_MS
