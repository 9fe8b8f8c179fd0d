"""Signed entry: an RS256 token in the link, whose keys the panel publishes."""

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests

from studies.errors import UserError

A_DAY_S = 24 * 3600.0
A_MINUTE_S = 60.0
CLOCKS_DIFFER_S = 30
KEYS_PATH = "/.well-known/study/jwks.json"


class TokenRefused(Exception):  # noqa: N818  (an outcome, not a fault)
    """The token proves nothing, or something else."""


class SigningKeys:
    """The panel's public keys: kept for a day, fetched anew for an unknown one, but not more than once a minute."""

    def __init__(
        self, fetch: Callable[[], list[dict[str, Any]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = threading.Lock()

    def key(self, kid: str) -> jwt.PyJWK | None:
        """One key; None if the panel has none of that name.

        Raises:
            UserError: There are no keys to be had.
        """
        with self._lock:
            now = self._clock()
            wanted = kid not in self._keys or now - self._fetched_at > A_DAY_S
            if wanted and now - self._tried_at >= A_MINUTE_S:
                self._tried_at = now
                try:
                    self._keys = {
                        str(each["kid"]): jwt.PyJWK(each, algorithm="RS256")
                        for each in self._fetch()
                        if each.get("kty") == "RSA" and "kid" in each
                    }
                    self._fetched_at = now
                except (
                    jwt.PyJWTError,
                    requests.RequestException,
                    ValueError,
                    KeyError,
                    AttributeError,
                ) as error:
                    if not self._keys:  # the old ones are still good
                        raise UserError(
                            f"the panel's signing keys cannot be read: {type(error).__name__}."
                        ) from error
            if not self._keys:
                raise UserError("the panel's signing keys could not be read a moment ago.")
            return self._keys.get(kid)


def signing_keys(api: str) -> SigningKeys:
    """The keys published beside an API."""
    parts = urlsplit(api)
    address = f"{parts.scheme}://{parts.netloc}{KEYS_PATH}"

    def fetch() -> list[dict[str, Any]]:
        response = requests.get(address, timeout=8, allow_redirects=False)
        response.raise_for_status()
        return list(response.json()["keys"])

    return SigningKeys(fetch)


class SignedEntry:
    """Checks tokens."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def check(self, token: str, ids: tuple[str, str, str], audience: str, workspace: str) -> None:
        """Whether a token was signed for this participant, study, submission, host and workspace, and is in force.

        Args:
            token: As the link carries it.
            ids: Participant, study and submission, as the link says.
            audience: The study's host, or its address.
            workspace: Empty = any.

        Raises:
            TokenRefused: It was not.
            UserError: The keys cannot be had at the moment.
        """
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            key = self._keys.key(str(kid))
            if key is None:
                raise TokenRefused("This link's signature is of an unknown key.")
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                leeway=CLOCKS_DIFFER_S,
                options={
                    "require": ["exp", "aud"],
                    "verify_aud": False,
                },  # a host or a whole address: see below
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenRefused("This link has expired.") from error
        except jwt.PyJWTError as error:
            raise TokenRefused("This link's signature is not valid.") from error
        said = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if not audience or _host(audience) not in {_host(str(each)) for each in said}:
            raise TokenRefused("This link was signed for another site.")
        about = claims.get("prolific")
        names = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
        if not isinstance(about, dict) or tuple(about.get(name) for name in names) != ids:
            raise TokenRefused("This link was signed for somebody else.")
        if workspace and about.get("workspace_id") != workspace:
            raise TokenRefused("This link was signed by another workspace.")


def _host(address: str) -> str:
    return (urlsplit(address).netloc if "://" in address else address.split("/", 1)[0]).lower()
