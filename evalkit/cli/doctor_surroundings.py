"""The doctor's look at weights, browser, fonts, database, network and the panel's token."""

import os
import shutil
import sqlite3
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from evalkit.cli.doctor_finding import Finding, output_of
from studies.errors import UserError

OLDEST_SQLITE = (3, 35)
"""Rows are returned by the statement that writes them. Source: sqlite.org/lang_returning.html."""
DATABASE_PATIENCE_S = 5.0
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
INDICES = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_CONFIG_FILE", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL",
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_CONFIG_FILE", "UV_OFFLINE",
)  # fmt: skip
BROWSER_INSTALL = "sudo apt-get install chromium"


def weights() -> Iterator[Finding]:
    """Each pretrained file, as `evalkit weights` knows it."""
    from evalkit.metrics.weights import WEIGHTS, is_there, missing, note, path_of

    for name, file in WEIGHTS.items():
        what = f"weights {name}"
        if not is_there(name):
            yield Finding(what, "missing", f"for {file.needed_for}: {missing(name)}")
        elif other := note(name):
            yield Finding(what, "warn", f"for {file.needed_for}: {path_of(name)} is {other}")
        else:
            yield Finding(what, "ok", f"for {file.needed_for}: {path_of(name)}")


def browser() -> Iterator[Finding]:
    """Chromium, and what its tests need beside it."""
    path = shutil.which("chromium")
    if path is None:
        text = f"no chromium on the PATH; it serves tests and screenshots, not studies. {BROWSER_INSTALL}"
        yield Finding("browser", "missing", text)
    else:
        version = output_of(path, "--version") or "chromium, which does not tell its version"
        yield Finding("browser", "ok", f"{version.strip()} ({path})")


def fonts() -> Iterator[Finding]:
    """Fonts for browsers on this machine; participants' browsers bring their own."""
    if shutil.which("fc-list") is None:
        yield Finding("fonts", "ok", "cannot be told: no fontconfig here")
        return
    found = output_of("fc-list", ":", "family").splitlines()
    if not found:
        text = "none: screenshots would show empty boxes. sudo apt-get install fonts-dejavu-core"
        yield Finding("fonts", "missing", text)
        return
    chinese = output_of("fc-list", ":lang=zh", "family").splitlines()
    also = f"Chinese: {chinese[0].split(',')[0]}" if chinese else "none with Chinese characters"
    yield Finding("fonts", "ok", f"{len(set(found))} families; {also}")


def database(folder: Path) -> Iterator[Finding]:
    """Whether the database where sessions would be kept can be used; nothing is created in it."""
    from webapp.config import DATABASE_VARIABLE, database_url

    try:
        url = database_url(folder)
    except UserError as error:
        yield Finding("database", "missing", str(error), stops=True)
        return
    named = os.environ.get(DATABASE_VARIABLE, "")
    if not url.startswith("sqlite"):
        yield _postgresql(url, DATABASE_VARIABLE)
        return
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        text = f"SQLite {version}: {wanted} or newer is needed. Use a newer Python, or a PostgreSQL."
        yield Finding("database", "missing", text, stops=True)
        return
    path = Path(url.removeprefix("sqlite:///"))
    if named or path.exists():
        yield _sqlite(path, f"SQLite {version}, {DATABASE_VARIABLE + ': ' if named else ''}{path}")
    else:
        place = "in the study folder" if folder != Path() else "in each study's folder"
        yield Finding("database", "ok", f"SQLite {version}, {place} ({DATABASE_VARIABLE} is not set)")


def _sqlite(path: Path, text: str) -> Finding:
    if not path.exists():
        if os.access(path.parent, os.W_OK):
            return Finding("database", "ok", f"{text} will be made")
        return Finding("database", "missing", f"{text}: its folder is not there or not writable.", stops=True)
    try:
        # Read-only: a look must not create anything.
        reached = sqlite3.connect(f"file:{urllib.parse.quote(str(path))}?mode=ro", uri=True, timeout=2)
        try:
            reached.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            reached.close()
    except sqlite3.Error as error:
        return Finding("database", "missing", f"{text} cannot be opened: {error}", stops=True)
    return Finding("database", "ok", text)


def _postgresql(url: str, variable: str) -> Finding:
    """Asks in a thread, since looking up a host may hang for longer than any timeout."""
    from webapp.db import Database

    said: list[Finding] = []

    def ask() -> None:
        reached = Database(url)
        try:
            tables = reached.tables()
            version = ".".join(map(str, reached.engine.dialect.server_version_info or ()))
            text = f"PostgreSQL {version} of {variable} answers, {len(tables)} tables"
            said.append(Finding("database", "ok", text))
        except UserError as error:
            said.append(Finding("database", "missing", f"{variable}: {error}", stops=True))
        finally:
            reached.close()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(DATABASE_PATIENCE_S)
    if said:
        return said[0]
    text = f"{variable}: no answer within {DATABASE_PATIENCE_S:.0f} s. Look at host, port and firewall."
    return Finding("database", "missing", text, stops=True)


class NetworkProbe:
    """Asks the download server of the weights for a sign of life, while other things are looked at."""

    def __init__(self) -> None:
        """Start asking."""
        self._answered: bool | None = None
        self._host = ""
        self._asking = threading.Thread(target=self._ask, daemon=True)
        self._asking.start()

    def _ask(self) -> None:
        try:
            from evalkit.metrics.weights import WEIGHTS, answers
        except ImportError:  # told of by the look at packages
            return
        url = next(iter(WEIGHTS.values())).url
        self._host = urllib.parse.urlsplit(url).hostname or ""
        self._answered = answers(url)

    def findings(self) -> Iterator[Finding]:
        """Reachable or not, and what is configured: names only, since addresses may hold passwords."""
        self._asking.join(10)
        proxies = [name for name in PROXIES if os.environ.get(name) or os.environ.get(name.lower())]
        indices = [name for name in INDICES if os.environ.get(name)]
        indices += [str(path) for path in _index_files() if path.is_file()]
        told = [
            f"proxy: {', '.join(proxies) or 'none configured'}",
            f"package index: {', '.join(indices) or 'none configured'}",
        ]
        if self._answered:
            yield Finding("network", "ok", "; ".join([f"{self._host} answers", *told]))
        else:
            first = f"{self._host or 'the download server'} does not answer: weights and datasets must be brought by hand"
            yield Finding("network", "warn", "; ".join([first, *told]))


def _index_files() -> list[Path]:
    home = Path.home()
    return [
        Path(sys.prefix) / "pip.conf",
        home / ".config/pip/pip.conf",
        home / ".pip/pip.conf",
        home / ".config/uv/uv.toml",
        Path("/etc/pip.conf"),
        Path("/etc/uv/uv.toml"),
    ]
