"""The cache: what was computed from an image, found again by what the image and the computation are, not by names."""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evalkit.metrics.base import Array
from studies.errors import UserError

FORMAT = 1
"""`user_version` of the database; another one is another version's cache and is refused."""
_PATIENCE_S = 60.0
"""How long to wait for another process that is writing."""
_PAUSE_S = 0.05
_AT_ONCE = 500
"""Keys per question; SQLite allows 999 parameters in old builds."""
_TABLES = """
CREATE TABLE IF NOT EXISTS features (feature TEXT NOT NULL, item TEXT NOT NULL, data BLOB NOT NULL,
                                     PRIMARY KEY (feature, item));
CREATE TABLE IF NOT EXISTS scores (key TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
"""


def default_cache_path() -> Path:
    """`EVALKIT_CACHE`, else `evalkit/metrics.sqlite` in `XDG_CACHE_HOME` or ~/.cache."""
    if told := os.environ.get("EVALKIT_CACHE"):
        return Path(told).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "evalkit" / "metrics.sqlite"


class Cache:
    """Features by (feature key, item key), scores by key, in one SQLite file that several processes may share.

    It is a convenience: where it cannot be written (a full disk) or read (damage), the run goes on without it and
    `trouble` says why.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            UserError: It cannot be made, or is something else.
        """
        self.path = path
        self.trouble = ""
        """Why nothing more is kept; empty while all is well."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
            self._open()
        except (OSError, sqlite3.OperationalError) as error:
            raise UserError(
                f"{path}: the cache cannot be opened ({error}). Give another place with --cache, or --no-cache."
            ) from error
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"{path}: not a cache, or damaged ({error}). Delete it (it only saves time), or give another place with "
                "--cache."
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def features(self, feature: str, items: Sequence[str]) -> dict[str, Array]:
        """Those of the items that are there."""
        found: dict[str, Array] = {}
        for start in range(0, len(items), _AT_ONCE):
            some = items[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = self._read(
                f"SELECT item, data FROM features WHERE feature = ? AND item IN ({marks})",  # noqa: S608  (marks only)
                (feature, *some),
            )
            found.update((item, _unpacked(data)) for item, data in rows)
        return found

    def keep_features(self, feature: str, found: Mapping[str, Array]) -> None:
        """Add features; those that are there already stay."""
        rows = [(feature, item, _packed(array)) for item, array in found.items()]
        self._write("INSERT OR IGNORE INTO features VALUES (?, ?, ?)", rows)

    def score(self, key: str) -> Any:
        """What was kept under a key, or None."""
        rows = self._read("SELECT content FROM scores WHERE key = ?", (key,))
        return json.loads(rows[0][0]) if rows else None

    def keep_score(self, key: str, content: Any) -> None:
        """Keep a JSON value."""
        self._write("INSERT OR REPLACE INTO scores VALUES (?, ?)", [(key, json.dumps(content))])

    def _open(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT):
            raise UserError(
                f"{self.path}: a cache of another version of evalkit (format {version}). Delete it (it only saves time), "
                "or give another place with --cache."
            )
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if version != FORMAT:
            self._make()

    def _make(self) -> None:
        """The tables. SQLite waits for others, but not for one that turns to WAL at the same moment; here that is done."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.executescript(_TABLES)
                self._connection.execute(f"PRAGMA user_version = {FORMAT}")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
            time.sleep(_PAUSE_S)

    def _read(self, question: str, parameters: Sequence[str]) -> list[tuple[Any, ...]]:
        """The rows; none where the file is damaged."""
        try:
            return self._connection.execute(question, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            self.trouble = (
                f"{self.path}: damaged, so it is not used ({error}). Delete it; it only saves time."
            )
            return []

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if self.trouble or not rows:
            return
        try:
            with self._transaction():
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:  # a full disk, a read-only folder: nothing that should end the run
            self.trouble = f"{self.path}: nothing more is kept ({error})"

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _packed(array: Array) -> bytes:
    """Type and shape in a line, then the numbers."""
    shape = ",".join(map(str, array.shape))
    return f"{array.dtype.str} {shape}\n".encode() + np.ascontiguousarray(array).tobytes()


def _unpacked(data: bytes) -> Array:
    head, _, numbers = data.partition(b"\n")
    kind, shape = head.decode().split(" ")
    return np.frombuffer(numbers, kind).reshape([int(side) for side in shape.split(",") if side])
