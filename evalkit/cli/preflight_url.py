"""A whole preview session against a public address, and what it tells: certificate, headers, cookies, lengths, latency."""

import datetime
import email.utils
import ipaddress
import random
import secrets
import shlex
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from evalkit.cli.preflight_item import Item, State
from studies.design import load_study
from studies.simulate import make_observer
from webapp.simulated_participants import SimulatedParticipant

TIMEOUT_S = 30
RENEW_DAYS = 21
"""Certificates are usually renewed 30 days before their end; with fewer days left renewal does not work."""
SLOW_ANSWER_MS, SLOW_IMAGE_MS = 500.0, 1000.0
"""95th percentiles above which people notice, or the prefetch of the next pair does not keep up. Our choice."""
MAX_SKEW_S = 5.0
HEADERS = {
    "Content-Security-Policy": ("default-src 'none'", "frame-ancestors 'none'"),
    "X-Content-Type-Options": ("nosniff",),
    "Referrer-Policy": ("no-referrer",),
}
NO_STORE = "no-store"


@dataclass(frozen=True)
class Exchange:
    """One request and what came back."""

    path: str
    ms: float
    """Until the last byte, redirects included."""
    headers: requests.structures.CaseInsensitiveDict[str]
    length: int
    """Bytes of the body, after the client undid any compression."""


class _Recorder(requests.Session):
    """A client that notes every exchange."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Exchange] = []

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        start = time.perf_counter()
        reply = super().request(method, url, *args, **options)
        ms = (time.perf_counter() - start) * 1000
        self.seen.append(Exchange(urlsplit(str(url)).path, ms, reply.headers, len(reply.content)))
        return reply


def check_address(folder: Path, url: str) -> Iterator[Item]:
    """Everything that can be seen from outside; needs a server of this study's preview data at `url`."""
    base = url.rstrip("/")
    certificate = _certificate(base)
    yield certificate
    if certificate.state == "fail" and base.startswith("https://"):
        return
    refused = _not_our_preview(folder, base)
    if refused:
        yield Item("server", "fail", refused)
        return
    recorder = _Recorder()
    outcome = _take_part(base, recorder)
    if outcome != "finished":
        yield Item("session", "fail", f"a whole preview session could not be taken at {base}: {outcome}")
        return
    answers = [each.ms for each in recorder.seen if each.path.endswith("/answer")]
    images = [each for each in recorder.seen if each.path.startswith("/i/")]
    yield Item(
        "session",
        "ok",
        f"a whole preview session: {len(answers)} trials, {len(images)} images; never counted",
    )
    yield from _headers(recorder.seen)
    yield _cookies(recorder, secure=base.startswith("https://"))
    yield _lengths(images)
    yield _latency("answers", answers, SLOW_ANSWER_MS)
    yield _latency("images", [each.ms for each in images], SLOW_IMAGE_MS)
    yield _clock(base)


def _not_our_preview(folder: Path, base: str) -> str:
    """Why the session cannot be taken there; empty if it can."""
    how = f"Start one: evalkit study preview {shlex.quote(str(folder))} --host 127.0.0.1 --port 8001 --url {base}"
    try:
        told = requests.get(f"{base}/ready", timeout=TIMEOUT_S).json()
        study, data = told["study"], told["data"]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        return f"no study server answers at {base} ({type(error).__name__}). {how}, behind the proxy."
    if study != load_study(folder).id:
        return f"the server at {base} hosts study {study!r}. {how}"
    if data != "preview":
        return f"the server at {base} collects {data} data, in which a check must not appear. Stop it for the check. {how}"
    return ""


def _take_part(base: str, recorder: _Recorder) -> str:
    rng = random.Random(secrets.token_hex(8))  # a check must not meet the session of the one before
    person = SimulatedParticipant(
        base, f"check-{secrets.token_hex(8)}", make_observer("seeing", {}, rng), rng
    )
    person.http.close()
    person.http = recorder
    try:
        return person.take_part()
    except (requests.RequestException, AssertionError) as error:
        return " ".join(str(error).split())[:300] or type(error).__name__


def _certificate(base: str) -> Item:
    parts = urlsplit(base)
    host = parts.hostname or ""
    if parts.scheme != "https":
        if _is_loopback(host):
            return Item("certificate", "warn", "none: fine for a try on this machine, not for participants.")
        text = "none: ids and answers travel in clear. Put a proxy with a certificate in front (docs/deployment.md)."
        return Item("certificate", "fail", text)
    try:
        with (
            socket.create_connection((host, parts.port or 443), timeout=TIMEOUT_S) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secure,
        ):
            ends = ssl.cert_time_to_seconds(str((secure.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as error:
        return Item("certificate", "fail", f"not valid for {host}: {error.verify_message}.")
    except (OSError, KeyError) as error:
        return Item("certificate", "fail", f"{host} cannot be reached over TLS: {error}.")
    days = (ends - time.time()) / 86400
    text = f"valid for {host}, {days:.0f} days left"
    if days < RENEW_DAYS:
        return Item(
            "certificate", "warn", f"{text}: renewal does not seem to work. Renew it before the study begins."
        )
    return Item("certificate", "ok", text)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _headers(seen: Sequence[Exchange]) -> Iterator[Item]:
    wrong = []
    for name, wanted in HEADERS.items():
        lacking = [
            each.path for each in seen if not all(part in each.headers.get(name, "") for part in wanted)
        ]
        if lacking:
            wrong.append(f"{name} lacks {' or '.join(wanted)} at {len(lacking)} addresses")
    kept = [each for each in seen if NO_STORE not in each.headers.get("Cache-Control", "")]
    if kept:
        wrong.append(f"Cache-Control lacks no-store at {len(kept)} addresses")
    tagged = {
        name
        for each in seen
        if each.path.startswith("/i/")
        for name in ("ETag", "Last-Modified")
        if name in each.headers
    }
    wrong += [f"images carry {name}" for name in sorted(tagged)]
    if wrong:
        yield Item(
            "headers", "fail", f"{'; '.join(wrong)}. The proxy must pass the server's headers on unchanged."
        )
    else:
        yield Item("headers", "ok", f"policy, no-store, nosniff and no-referrer on all {len(seen)} answers")


def _cookies(recorder: _Recorder, *, secure: bool) -> Item:
    wrong, count = [], 0
    for cookie in recorder.cookies:
        count += 1
        if secure and not cookie.secure:
            wrong.append(f"{cookie.name} lacks Secure")
        if not cookie.has_nonstandard_attr("HttpOnly"):
            wrong.append(f"{cookie.name} lacks HttpOnly")
        if cookie.get_nonstandard_attr("SameSite") not in ("Lax", "Strict"):
            wrong.append(f"{cookie.name} lacks SameSite")
    if not count:
        return Item(
            "cookies", "fail", "no cookie came back: is --url of the server the address it is reached at?"
        )
    if wrong:
        return Item("cookies", "fail", f"{'; '.join(wrong)}. Start the server with --url https://...")
    flags = ("Secure, " if secure else "") + "HttpOnly, SameSite"
    return Item("cookies", "ok", f"{count}, with {flags}")


def _lengths(images: Sequence[Exchange]) -> Item:
    lengths = {each.length for each in images}
    told = {each.headers.get("Content-Length", "") for each in images}
    packed = {each.headers["Content-Encoding"] for each in images if each.headers.get("Content-Encoding")}
    if packed:
        text = f"the proxy compresses images ({', '.join(sorted(packed))}), so their size tells what they show. Switch it off."
        return Item("image lengths", "fail", text)
    if len(lengths) != 1 or len(told) != 1:
        text = f"images came in {len(lengths)} lengths: the size can tell real from fake. Does the proxy change them?"
        return Item("image lengths", "fail", text)
    return Item("image lengths", "ok", f"all {len(images)} images came as {lengths.pop()} bytes, unpacked")


def _latency(name: str, times_ms: Sequence[float], slow_ms: float) -> Item:
    p50, p95 = (percentile(times_ms, share) for share in (0.5, 0.95))
    text = f"median {p50:.0f} ms, 95 % within {p95:.0f} ms, from here"
    state: State = "ok"
    if p95 > slow_ms:
        state, text = "warn", f"{text}: slow. Is the server far away, or its proxy or database busy?"
    return Item(f"{name} take", state, text)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; `values` must not be empty."""
    ordered = sorted(values)
    return ordered[max(0, -(-round(share * len(ordered) * 1e9) // 10**9) - 1)]


def _clock(base: str) -> Item:
    before = time.time()
    told = requests.get(f"{base}/ready", timeout=TIMEOUT_S).headers.get("Date", "")
    middle = (before + time.time()) / 2
    try:
        server = email.utils.parsedate_to_datetime(told)
    except (TypeError, ValueError):
        return Item("clock", "warn", "the server tells no time, so its clock could not be compared.")
    here = datetime.datetime.fromtimestamp(middle, tz=datetime.UTC)
    skew = abs((here - server).total_seconds() - 0.5)  # the header is cut to whole seconds
    if skew > MAX_SKEW_S:
        text = f"server and this machine differ by {skew:.0f} s; signed entry links may be refused. Set both by NTP."
        return Item("clock", "warn", text)
    return Item("clock", "ok", f"server and this machine agree within {MAX_SKEW_S:g} s")
