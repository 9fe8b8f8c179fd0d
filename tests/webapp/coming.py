"""Somebody who comes by a link, with a browser of their own, over the real application."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from itsdangerous import base64_decode
from werkzeug.test import TestResponse

from studies.design import load_study, parse_study
from studies.study_toml import render_study_toml
from webapp.app import create_app
from webapp.hosting import HostedStudy

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
HEADING = re.compile(r"<h1[^>]*>(.*?)</h1>")


def recruit(folder: Path, **tables: Any) -> None:
    """Change tables of a study's study.toml: `recruitment={...}`, `ethics={...}`."""
    tree = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8"))
    for table, values in tables.items():
        tree.setdefault(table, {}).update(values)
    study = parse_study(tree, "a test")
    (folder / "study.toml").write_text(render_study_toml(study, None), encoding="utf-8")
    assert load_study(folder) == study


class Comer:
    """A browser with its cookies."""

    def __init__(self, hosted: HostedStudy, client: FlaskClient | None = None) -> None:
        self.client = client or create_app(hosted).test_client()
        self.seen: list[TestResponse] = []
        """Every reply so far."""

    def get(self, path: str, **options: Any) -> TestResponse:
        return self._saw(self.client.get(path, **options))

    def _saw(self, reply: TestResponse) -> TestResponse:
        self.seen += [*reply.history, reply]
        return reply

    def come(self, link: str) -> str:
        """Open the link; returns the heading of the page it ends on, or the address it ends on if it may begin."""
        reply = self.get(link, follow_redirects=True)
        at = reply.request.path
        return at if reply.status_code == 200 and at != "/" else headings(reply)[0]

    def agree(self) -> TestResponse:
        token = CSRF.search(self.get("/consent").text)
        assert token is not None
        return self._saw(self.client.post("/consent", data={"csrf_token": token[1], "agree": "yes"}))

    def begin(self, link: str) -> "Comer":
        assert self.come(link) == "/consent"
        assert self.agree().location == "/session"
        return self

    def post(self, path: str, body: Any, page: str = "") -> dict[str, Any]:
        reply = self._saw(self.client.post(path, json=body, headers={"X-Evalkit-Page": page}))
        assert reply.status_code == 200, reply.text
        return dict(reply.json or {})

    def finish(self) -> TestResponse:
        """Answer everything; returns the done page."""
        state = self.post("/api/page", {})
        page = state["page"]
        while state["trials"]:
            path = f"/api/trials/{state['trials'][0]['id']}"
            self.post(f"{path}/begun", {}, page)
            self.post(f"{path}/ended", {"slots": {"1": {"exposure_ms": 1000}}}, page)
            state = self.post(f"{path}/answer", {"choice": "first", "rt_ms": 500, "input": "mouse"}, page)
        return self.get("/done")

    def cookie_in_clear(self) -> str:
        """What anybody who holds the cookie can read in it: it is signed, not encrypted."""
        (cookie,) = list(self.client._cookies.values())
        payload = cookie.value.lstrip(".").split(".")[0]
        raw = base64_decode(payload)
        if cookie.value.startswith("."):
            import zlib

            raw = zlib.decompress(raw)
        return str(json.loads(raw))


def headings(reply: TestResponse) -> list[str]:
    """The headings of a page."""
    return HEADING.findall(reply.text)
