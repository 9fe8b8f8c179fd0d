"""Drives observers through the real server over real HTTP, as a browser would.

The truth is read from the database, and only for observers that may know it.
"""

import io
import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import requests
from PIL import Image

from studies.records import Trial
from studies.simulate import Observer, Seen
from webapp.db import Database
from webapp.progress import trial_from_json
from webapp.tables import TrialRow
from webapp.views.api import PAGE_HEADER

TIMEOUT_S = 60
_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
_LANGUAGE = re.compile(r'name="language" value="([^"]+)"')
REFRESH_HZ = 60.0


@dataclass
class SimulatedParticipant:
    """One observer behind one HTTP client."""

    base_url: str
    worker_id: str
    observer: Observer
    rng: random.Random
    database: Database | None = None
    """Where the truth stands; needed by observers that know it."""

    def __post_init__(self) -> None:
        self.http = requests.Session()

    def take_part(self, max_trials: int | None = None) -> str:
        """Go through the whole study.

        Args:
            max_trials: Leave silently after so many answers; None stays to the end.

        Returns:
            `finished`, `left`, or the reason of a refusal (`returning`, `full`).
        """
        return self.enter() or self.go_through(max_trials)

    def go_through(self, max_trials: int | None = None) -> str:
        """From the open session page to the end; `finished` or `left`."""
        reply = self._post("/api/page", {})
        self.http.headers[PAGE_HEADER] = reply["page"]
        answers = 0
        while reply["trials"]:
            if max_trials is not None and answers >= max_trials:
                return "left"
            reply = self._trial(reply["trials"][0])
            answers += 1
        assert reply["stage"] == "finished", reply
        page = self.http.get(self.base_url + "/finish", timeout=TIMEOUT_S).text
        self._form("/comment", page, comment="")
        self.http.close()
        return "finished"

    def enter(self) -> str:
        """Open the link and consent; returns why not, or nothing."""
        link = self.http.get(self.base_url + "/", params={"worker_id": self.worker_id}, timeout=TIMEOUT_S)
        if link.status_code == 200 and link.url.endswith("/language"):
            offered = _LANGUAGE.findall(link.text)
            link = self._form("/language", link.text, language=self.rng.choice(offered))
        if link.status_code == 200 and link.url.endswith("/consent"):
            link = self._form("/consent", link.text, agree="yes")
        if link.status_code == 200:
            return ""
        return "full" if "places" in link.text else "returning"

    def _form(self, path: str, page: str, **fields: str) -> requests.Response:
        match = _CSRF.search(page)
        assert match is not None, page
        data = {"csrf_token": match[1], **fields}
        return self.http.post(self.base_url + path, data=data, timeout=TIMEOUT_S)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = self.http.post(self.base_url + path, json=body, timeout=TIMEOUT_S)
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer

    def _trial(self, order: dict[str, Any]) -> dict[str, Any]:
        shown = self._look(order)
        context, seen = shown.pop("0", None), list(shown.values())
        path = f"/api/trials/{order['id']}"
        choice, rt_ms = self.observer.choose(order["asked"], seen, self.rng, context)
        self._post(f"{path}/begun", {})
        body = {"choice": choice, "rt_ms": rt_ms, "input": "key", "display": self._display(order, rt_ms)}
        reply = self._post(f"{path}/answer", body)
        if "feedback" in reply:
            truth = reply["feedback"]["truth"]
            self.observer.learn(seen, [truth[slot] for slot in sorted(truth)])
        return reply

    def _look(self, order: dict[str, Any]) -> dict[str, Seen]:
        """Every picture by its slot, the context first."""
        views = {str(slot["slot"]): (slot["side"], ms) for slot, ms in _views(order)}
        truth = self._truth(order["id"]) if self.observer.knows else None
        return {
            slot: Seen(
                side=views[slot][0],
                image=self._fetch(address) if self.observer.sees else None,
                condition=truth.slot(int(slot)).condition if truth else None,
                is_target=truth is not None and truth.target == int(slot),
                planned_ms=views[slot][1],
            )
            for slot, address in sorted(order["images"].items())
        }

    def _fetch(self, address: str) -> Image.Image:
        reply = self.http.get(self.base_url + address, timeout=TIMEOUT_S)
        reply.raise_for_status()
        with Image.open(io.BytesIO(reply.content)) as image:
            return image.convert("RGB")

    def _truth(self, trial_id: int) -> Trial:
        assert self.database is not None, "an observer that knows needs the database"
        with self.database.read() as db:
            return trial_from_json(db.get_one(TrialRow, trial_id).trial)

    def _display(self, order: dict[str, Any], rt_ms: float) -> dict[str, Any]:
        """A display on a made-up 60 Hz screen that rarely drops a frame."""
        frame_ms = 1000.0 / REFRESH_HZ
        slots = {}
        for shown, ms in _views(order):
            late = 1 if self.rng.random() < 0.01 else 0
            frames = round((ms or rt_ms) / frame_ms) + late
            slots[str(shown["slot"])] = {
                "exposure_ms": round(frames * frame_ms, 1),
                "frames": frames,
                "max_frame_gap_ms": round(frame_ms * (1 + late), 1),
            }
        return {
            "slots": slots,
            "refresh_hz": REFRESH_HZ,
            "device_pixel_ratio": 1,
            "zoom": 1,
            "pixel_scale": 1,
            "screen_px": "1920x1080",
            "window_px": "1280x720",
        }


def _views(order: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    """Each slot that is shown, with its time; 0 where it stays until the answer."""
    for frame in order["schedule"]:
        if frame["kind"] in ("images", "question"):
            for slot in frame.get("slots", ()):
                yield slot, frame.get("ms", 0)


def run_participants(
    participants: list[SimulatedParticipant], *, at_once: int = 8, done: Callable[[], None] = lambda: None
) -> list[str]:
    """Let them all take part, some at the same time; returns what became of each, in order.

    They enter one after the other, so that who gets which place is the same whenever their seeds are.

    Args:
        participants: Who takes part.
        at_once: How many at the same time.
        done: Called after each one.
    """
    outcomes = [""] * len(participants)
    free = threading.Semaphore(at_once)

    def settled(_: object) -> None:
        free.release()
        done()

    with ThreadPoolExecutor(at_once) as pool:
        waiting = {}
        try:
            for index, person in enumerate(participants):
                free.acquire()
                outcomes[index] = person.enter()
                if outcomes[index]:
                    free.release()
                    done()
                    continue
                future = pool.submit(person.go_through)
                future.add_done_callback(settled)
                waiting[future] = index
            for future in as_completed(waiting):
                outcomes[waiting[future]] = future.result()
        except BaseException:  # Ctrl-C too: nobody new begins
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return outcomes
