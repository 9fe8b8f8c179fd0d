"""Talks to Prolific: timeouts, waiting and repeating, paging, errors in one line. What may be repeated is decided here."""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from urllib3.exceptions import NewConnectionError

from studies.errors import UserError

API_VARIABLE = "EVALKIT_PROLIFIC_API"
TOKEN_VARIABLE = "EVALKIT_PROLIFIC_TOKEN"  # noqa: S105  (the name of a variable)
API = "https://api.prolific.com/api/v1/"
LONGEST_WAIT_S = 60.0
PAGE_SIZE = 100
_LOCAL = ("127.0.0.1", "localhost", "::1")


class PanelError(UserError):
    """The panel refused; nothing was changed there."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class PanelUnreachable(UserError):  # noqa: N818  (named for what became of the request)
    """The panel could not be asked, or would not answer; nothing was changed there."""


class PanelUnclear(UserError):  # noqa: N818  (named for what became of the request)
    """The request may or may not have been carried out: look before it is repeated."""


@dataclass(frozen=True)
class Answer:
    """What the panel replied."""

    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class ProlificApi:
    """One account on Prolific.

    Reading, changing to a given value and deleting are repeated after a fault. Anything else (`post`) is only
    repeated where the first try cannot have had an effect: the connection was never made, or the panel answered
    429 (too many requests); otherwise `PanelUnclear` says that the outcome is not known.
    """

    def __init__(
        self,
        base: str,
        token: str,
        *,
        attempts: int = 6,
        timeout_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Settle where to ask and how patiently.

        Args:
            base: Address of the API, up to and including its version.
            token: The account's token; it carries full power, so it is neither stored nor shown.
            attempts: How often a request is tried in all.
            timeout_s: For connecting, and for each answer.
            sleep: Waits so many seconds; tests do not wait.
        """
        self._base, self._token = base.rstrip("/") + "/", token
        self._attempts, self._timeout_s, self._sleep = attempts, timeout_s, sleep

    @property
    def origin(self) -> str:
        """Scheme and host of the API."""
        parts = urlsplit(self._base)
        return f"{parts.scheme}://{parts.netloc}"

    def wait(self, seconds: float) -> None:
        """Before looking again at what takes a moment there."""
        self._sleep(seconds)

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Read one thing."""
        return self.call("GET", path, query=query).body

    def listed(self, path: str, **query: str | int) -> Iterator[dict[str, Any]]:
        """Read all pages of a list."""
        while True:
            body = self.get(path, **query)
            yield from body.get("results", [])
            following = ((body.get("_links") or {}).get("next") or {}).get("href")
            if not following:  # a page past the end would be a 404
                return
            # Only the query is taken: the token never follows an address that an answer names.
            query = dict(parse_qsl(urlsplit(following).query))

    def post(self, path: str, body: dict[str, Any], *, repeatable: bool = False) -> dict[str, Any]:
        """Create or do something.

        Args:
            path: Below the API's address.
            body: Sent as JSON.
            repeatable: Whether doing it twice is the same as doing it once.
        """
        return self.call("POST", path, body, repeatable=repeatable).body

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Set fields to given values."""
        return self.call("PATCH", path, body).body

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        query: Mapping[str, str | int] | None = None,
        repeatable: bool = False,
    ) -> Answer:
        """Send a request, again where that is safe and promises something.

        Raises:
            PanelError: The panel refused it.
            PanelUnreachable: The panel cannot be reached, or is overloaded.
            PanelUnclear: It may have been carried out.
        """
        repeatable = repeatable or method in ("GET", "PATCH", "DELETE")
        what = f"Prolific, {method} {path}"
        wait_s = 0.0
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(wait_s)
            wait_s = _pause(attempt)
            try:
                response = self._send(method, path, body, query)
            except requests.RequestException as error:
                if not repeatable and not _never_left(error):
                    raise PanelUnclear(
                        f"{what}: the connection was lost before the answer ({type(error).__name__}), so it may or "
                        "may not have been done."
                    ) from None
                problem = f"cannot be reached ({type(error).__name__})"
                continue
            if response.status_code == 429:
                wait_s = _retry_after(response, wait_s)
                problem = "has had too many requests from this account (429)"
                continue
            if response.status_code >= 500:
                if not repeatable:
                    raise PanelUnclear(f"{what}: {_message(response)}; it may or may not have been done.")
                problem = f"is not well: {_message(response)}"
                continue
            if response.status_code >= 300:
                raise PanelError(f"{what}: {_message(response)}", response.status_code)
            return Answer(_json(response), response.headers)
        raise PanelUnreachable(
            f"{what}: {problem}, after {self._attempts} tries. Check the network, or try again later."
        )

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None, query: Mapping[str, str | int] | None
    ) -> requests.Response:
        # A connection of its own each time: one kept open may be closed under a request that must not be repeated.
        return requests.request(
            method,
            self._base + path,
            params=dict(query) if query else None,
            json=body,
            auth=self._authorise,  # as a function, since a .netrc would replace a header
            timeout=self._timeout_s,
            allow_redirects=False,
        )

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Token {self._token}"
        return request


def _pause(attempt: int) -> float:
    """Seconds before the next try: twice as long each time, with jitter so that several do not come at once."""
    longest = min(LONGEST_WAIT_S, 2.0**attempt)
    return longest * random.uniform(0.5, 1.0)


def _retry_after(response: requests.Response, otherwise: float) -> float:
    text = response.headers.get("Retry-After", "")
    return min(LONGEST_WAIT_S, max(otherwise, float(text))) if text.isdigit() else otherwise


def _never_left(error: requests.RequestException) -> bool:
    """Whether no connection was made, so that the request cannot have been carried out."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {"results": body} if isinstance(body, list) else {}


def _message(response: requests.Response) -> str:
    """The panel's own words, in one line."""
    error = _json(response).get("error", {})
    words = (error.get("detail") or error.get("title")) if isinstance(error, dict) else error
    text = " ".join(str(words or response.reason or "no reason given").split())
    return f"{text[:300]} ({response.status_code})"


def api_base() -> str:
    """The API's address: of `EVALKIT_PROLIFIC_API`, else Prolific's.

    Raises:
        UserError: The variable holds no https address (nor one on this machine).
    """
    base = os.environ.get(API_VARIABLE, API)
    parts = urlsplit(base)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        raise UserError(
            f"{API_VARIABLE} = {base!r}: the token would travel in clear. Use https://, or unset it for {API}."
        )
    return base


def api_from_environment(*, attempts: int = 6, timeout_s: float = 30.0) -> ProlificApi:
    """The account whose token is in `EVALKIT_PROLIFIC_TOKEN`.

    Raises:
        UserError: There is no token.
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise UserError(
            f"{TOKEN_VARIABLE} is not set. Make a token on Prolific (Settings, API tokens) and set the variable for "
            "this command and for the server; it is never stored."
        )
    return ProlificApi(api_base(), token, attempts=attempts, timeout_s=timeout_s)
