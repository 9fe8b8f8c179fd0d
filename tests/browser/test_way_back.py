"""The way back to a panel in a real browser: the policy lets the form go exactly where it must."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, Page
from werkzeug import Request, Response
from werkzeug.serving import make_server

from tests.browser.conftest import serve
from tests.made_up_study import make_study
from tests.webapp.coming import recruit
from webapp.hosting import HostedStudy
from webapp.tables import SessionRow

QUICK = {"practice": 0, "scored": 2, "reserve": 0}


class FakePanel:
    """Writes down what is posted to it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, dict[str, list[str]]]] = []
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.host = f"127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _answer(self, environ: dict[str, object], start: Callable[..., object]) -> object:
        request = Request(environ)  # type: ignore[arg-type]
        if request.path != "/favicon.ico":
            self.got.append((request.method, request.path, parse_qs(request.get_data(as_text=True))))
        return Response("<title>panel</title><p>Thank you", mimetype="text/html")(environ, start)  # type: ignore[arg-type]

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def panel() -> Iterator[FakePanel]:
    panel = FakePanel()
    yield panel
    panel.stop()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def finish_all(hosted: HostedStudy) -> None:
    """Bring every session to its end by the server's own functions."""
    with hosted.database.write() as db:
        for row in db.query(SessionRow).all():
            row.state, row.finished_at = "finished", hosted.clock()


def make(tmp_path: Path, **panel: object) -> Path:
    folder = make_study(tmp_path / "study", protocol=QUICK)
    recruit(folder, recruitment={"name": "panel", "panel": panel})
    return folder


def consent(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and continue").click()
    page.wait_for_url("**/session")


def test_a_form_takes_a_finished_participant_back_to_the_panel_and_only_there(
    tmp_path: Path, panel: FakePanel, page: Page
) -> None:
    folder = make(
        tmp_path,
        worker="workerId",
        submission="assignmentId",
        keep=["hitId", "turkSubmitTo"],
        completion="{turkSubmitTo}/mturk/externalSubmit",
        submit="post",
        hosts=[panel.host],
    )
    with serve(folder) as site:
        consent(page, f"{site.url}/?workerId=W&assignmentId=A%261&hitId=H&turkSubmitTo=http://{panel.host}")
        finish_all(site.hosted)
        page.goto(f"{site.url}/done")
        code = page.locator("#code").inner_text()
        assert page.get_by_text("What the study was about").is_visible()
        page.get_by_role("button", name="Go back to 127.0.0.1").click()
        page.wait_for_url(f"http://{panel.host}/mturk/externalSubmit")
        assert panel.got == [
            ("POST", "/mturk/externalSubmit", {"assignmentId": ["A&1"], "hitId": ["H"], "code": [code]})
        ]
        page.goto(f"{site.url}/done")  # the page is there again
        with page.expect_console_message(lambda message: "form-action" in message.text):
            page.evaluate(
                f"""() => {{ const form = document.createElement("form"); form.method = "post";
                form.action = "http://localhost:{panel.host.split(":")[1]}/elsewhere";
                document.body.append(form); form.submit(); }}"""
            )
    assert len(panel.got) == 1


def test_a_button_takes_a_finished_participant_back_to_an_address(
    tmp_path: Path, panel: FakePanel, page: Page
) -> None:
    folder = make(tmp_path, worker="who", completion=f"http://{panel.host}/done?id={{worker}}&code={{code}}")
    with serve(folder) as site:
        consent(page, f"{site.url}/?who=R%C3%A4W")
        finish_all(site.hosted)
        page.goto(f"{site.url}/done")
        code = page.locator("#code").inner_text()
        assert "RäW" not in page.content()
        page.get_by_role("link", name="Go back to 127.0.0.1").click()
        page.wait_for_url(f"http://{panel.host}/done?id=R%C3%A4W&code={code}")
    assert [(method, path) for method, path, _ in panel.got] == [("GET", "/done")]
