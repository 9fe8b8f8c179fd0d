"""What a participant does in the browser, in a participant's words."""

import re
from typing import Any

from playwright.sync_api import Page

WAIT_MS = 20_000


class Participant:
    """Somebody who takes part in the study at `url`."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.problems: list[str] = []
        """Uncaught errors and everything the browser complained about, blocked scripts and styles among it."""
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on(
            "console", lambda message: self.problems.append(message.text) if message.type == "error" else None
        )

    def consent(self, worker: str = "worker-1") -> None:
        """Follow the link, agree, and arrive at the instructions (or where the session stands)."""
        self.page.goto(f"{self.url}/?worker_id={worker}")
        self.page.check("[name=agree]")
        self.page.click("text=Agree and continue")
        self.reach("instructions", "window")

    def begin(self, worker: str = "worker-1") -> None:
        """Agree, read the instructions, start."""
        self.consent(worker)
        self.go_on()

    @property
    def stage(self) -> str | None:
        """What is on the screen."""
        found: str | None = self.page.evaluate("document.documentElement?.dataset.stage ?? null")
        return found

    def reach(self, *stages: str) -> None:
        """Wait until one of these is on the screen."""
        self.page.wait_for_function(
            "stages => stages.includes(document.documentElement?.dataset.stage)", arg=stages, timeout=WAIT_MS
        )

    def leave(self, stage: str) -> None:
        """Wait until this is no longer on the screen."""
        self.page.wait_for_function(
            "stage => document.documentElement?.dataset.stage !== stage", arg=stage, timeout=WAIT_MS
        )

    def go_on(self) -> None:
        """Press the one button of the page shown."""
        self.page.click("[data-view]:not([hidden]) [data-go]")

    def answer(self, side: str = "left", *, by: str = "key") -> None:
        """Wait for the question, answer it, and wait until the page has moved on."""
        self.reach("question")
        if by == "key":
            self.page.keyboard.press(f"Arrow{side.capitalize()}")
        elif by == "touch":
            self.page.tap(f".choice[data-side={side}]")
        else:
            self.page.click(f".choice[data-side={side}]")
        self.leave("question")

    def take_part(self, **how: Any) -> int:
        """Answer everything up to the end; returns the number of answers."""
        answers = 0
        while True:
            self.page.wait_for_function(
                "() => location.pathname === '/finish'"
                " || ['question', 'break', 'notice'].includes(document.documentElement?.dataset.stage)",
                timeout=WAIT_MS,
            )
            if self.page.url.endswith("/finish"):
                return answers
            if self.stage == "question":
                self.answer(**how)
                answers += 1
            else:
                self.go_on()

    def hide(self, hidden: bool) -> None:
        """Another window covers the page, or no longer; headless browsers never do that themselves."""
        self.page.evaluate(
            """hidden => {
                Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
                document.dispatchEvent(new Event('visibilitychange'));
            }""",
            hidden,
        )

    def lose_focus(self) -> None:
        """Another window comes to the front; headless browsers never do that themselves."""
        self.page.evaluate("window.dispatchEvent(new Event('blur'))")

    def sees(self, text: str) -> bool:
        """Whether this is on the screen."""
        shown: bool = self.page.get_by_text(re.compile(re.escape(text))).first.is_visible()
        return shown
