"""A browser without a screen: cookies, forms and JSON over real HTTP, one step at a time."""

import re
from typing import Any

import requests

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
TIMEOUT_S = 60


class Visitor:
    """Somebody at the other end of the network."""

    def __init__(self, base_url: str, worker_id: str) -> None:
        self.base_url, self.worker_id = base_url, worker_id
        self.http = requests.Session()
        self.page = ""
        self.state: dict[str, Any] = {}
        self.consent_form = ""
        self.acknowledged: dict[int, str] = {}
        """Trial -> choice, of every answer that the server confirmed."""

    def close(self) -> None:
        self.http.close()

    def open_link(self) -> requests.Response:
        reply = self.http.get(f"{self.base_url}/", params={"worker_id": self.worker_id}, timeout=TIMEOUT_S)
        match = CSRF.search(reply.text)
        self.consent_form = match[1] if match else ""
        return reply

    def consent(self) -> requests.Response:
        form = {"csrf_token": self.consent_form, "agree": "yes"}
        return self.http.post(f"{self.base_url}/consent", data=form, timeout=TIMEOUT_S)

    def begin(self) -> "Visitor":
        """From the link to the open page."""
        assert self.open_link().url.endswith("/consent")
        reply = self.consent()
        assert reply.url.endswith("/session"), reply.text
        self.open_page()
        return self

    def post(self, path: str, body: Any = None) -> requests.Response:
        headers = {"X-Evalkit-Page": self.page}
        return self.http.post(f"{self.base_url}{path}", json=body or {}, headers=headers, timeout=TIMEOUT_S)

    def open_page(self) -> dict[str, Any]:
        reply = self.post("/api/page")
        assert reply.status_code == 200, reply.text
        self.state = reply.json()
        self.page = self.state.pop("page")
        return self.state

    @property
    def trial(self) -> int:
        return int(self.state["trials"][0]["id"])

    def begun(self) -> None:
        assert self.post(f"/api/trials/{self.trial}/begun").json() == {"ok": True}

    def ended(self) -> None:
        body = {"slots": {"1": {"exposure_ms": 1000.0}, "2": {"exposure_ms": 1000.0}}, "refresh_hz": 60}
        assert self.post(f"/api/trials/{self.trial}/ended", body).status_code == 200

    def answer(self, choice: str = "first", rt_ms: float = 500.0) -> dict[str, Any]:
        trial = self.trial
        reply = self.post(f"/api/trials/{trial}/answer", {"choice": choice, "rt_ms": rt_ms})
        assert reply.status_code == 200, reply.text
        self.acknowledged[trial] = choice
        self.state = reply.json()
        return self.state

    def whole_trial(self) -> "Visitor":
        if self.state["trials"][0]["resume"] == "start":
            self.begun()
            self.ended()
        self.answer()
        return self

    def finish(self) -> str:
        while self.state["trials"]:
            self.whole_trial()
        return str(self.state["stage"])
