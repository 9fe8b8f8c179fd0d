"""A real server and a real Chromium for the tests of the participant page."""

import inspect
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright
from werkzeug.serving import make_server

from studies.protocols import PROTOCOLS
from studies.records import DataKind, Response
from tests.browser.participant import Participant
from tests.made_up_study import make_study
from webapp import export
from webapp.app import create_app
from webapp.config import server_config
from webapp.hosting import HostedStudy, host, prepare

QUICK = {"exposure_ms": 50, "blank_ms": 50, "first_blank_ms": 50, "gap_ms": 50, "question_delay_ms": 17}
"""Times that keep the tests short; the schedule stays the same."""

CHROMIUM_OPTIONS = [
    "--no-sandbox",  # containers run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Site:
    """A study that is being served."""

    url: str
    hosted: HostedStudy

    def responses(self) -> list[Response]:
        """All rows so far, as they are exported."""
        return export.responses(self.hosted)


@contextmanager
def serve(folder: Path, data: DataKind = "live") -> Iterator[Site]:
    """Serve a study from this process."""
    hosted = host(server_config(folder, data))
    prepare(hosted)
    server = make_server("127.0.0.1", 0, create_app(hosted), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Site(f"http://127.0.0.1:{server.port}", hosted)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        hosted.database.close()


@pytest.fixture
def serve_study(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes a small study with quick times and these settings of its protocol, and serves it."""
    with ExitStack() as stack:

        def make(
            *,
            inputs: int = 24,
            size_px: int = 32,
            data: DataKind = "live",
            page: dict[str, Any] | None = None,
            tables: dict[str, dict[str, Any]] | None = None,
            **protocol: Any,
        ) -> Site:
            ethics = {"retention": "Ten years.", "pay": "Nothing."}
            known = inspect.signature(PROTOCOLS[protocol.get("name", "two_afc")]).parameters
            quick = {name: ms for name, ms in QUICK.items() if name in known}
            settings = {**quick, "practice": 1, "scored": 4, **protocol}
            folder = make_study(
                tmp_path / "study",
                inputs=inputs,
                size_px=size_px,
                protocol=settings,
                ethics=ethics,
                page=page or {},
                **(tables or {}),
            )
            return stack.enter_context(serve(folder, data))

        yield make


@pytest.fixture(scope="session")
def playwright_api() -> Iterator[Playwright]:
    """The library that drives browsers."""
    with sync_playwright() as api:
        yield api


@pytest.fixture(scope="session")
def launch_chromium(playwright_api: Playwright) -> Callable[..., Browser]:
    """Starts a Chromium with further options."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("no Chromium here; install it: sudo apt-get install chromium")

    def launch(*options: str) -> Browser:
        return playwright_api.chromium.launch(executable_path=path, args=[*CHROMIUM_OPTIONS, *options])

    return launch


@pytest.fixture(scope="session")
def chromium(launch_chromium: Callable[..., Browser]) -> Iterator[Browser]:
    """One Chromium for all tests."""
    browser = launch_chromium()
    yield browser
    browser.close()


@pytest.fixture
def come_to(chromium: Browser) -> Iterator[Callable[..., Participant]]:
    """Opens a browser window of its own for a participant at a site; options as of Playwright's contexts."""
    contexts = []

    def come(site: Site, *, before: str = "", **options: Any) -> Participant:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        if before:
            page.add_init_script(before)
        return Participant(page, site.url)

    yield come
    for context in contexts:
        context.close()
