"""What the server writes down: one line per request, and errors. No id, address, token, answer or query is in it.

A request is named by its route's pattern (`/api/trials/<trial_id>/answer`), never by its address, since addresses carry
tokens and ids.
"""

import datetime
import json
import logging
import logging.handlers
import os
import re
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from flask import Flask, Response, g, request

Format = Literal["json", "plain"]

_logger = logging.getLogger("evalkit.server")

_PRIVATE = (
    re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"),  # IPv4
    re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])"),  # IPv6
    re.compile(r"[\w\-]{16,}(?:\.[\w\-]+)*"),  # tokens, hashes, signed values
    re.compile(r"\?\S*"),  # queries
)


class LineFormatter(logging.Formatter):
    """One line per record, as JSON or to read."""

    def __init__(self, style: Format) -> None:
        super().__init__()
        self._as = style

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        fields: dict[str, Any] = {"time": at, "level": record.levelname.lower()}
        fields |= getattr(record, "fields", None) or {"message": message_of(record)}
        fields["pid"] = os.getpid()
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = list(told(record.exc_info[1]))
        if self._as == "json":
            return json.dumps(fields, ensure_ascii=False)
        error = fields.pop("error", [])
        return "\n    ".join([" ".join(str(value) for value in fields.values()), *error])


def message_of(record: logging.LogRecord) -> str:
    """A message of the server software, with numbers but without texts that came from outside."""
    template = str(record.msg)
    if template.startswith("Invalid request"):
        return "Invalid request"
    args = record.args if isinstance(record.args, tuple) else ()
    known = tuple(value if isinstance(value, int | float) else "…" for value in args)
    try:
        return scrubbed(template % known if known else template)
    except TypeError:
        return scrubbed(template)


def scrubbed(text: str) -> str:
    """The first line, without what may tell who it was about."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    for pattern in _PRIVATE:
        line = pattern.sub("…", line)
    return line[:300]


def told(error: BaseException) -> Iterator[str]:
    """An error and what led to it: places in the code and scrubbed messages, no values."""
    current: BaseException | None = error
    while current is not None:
        # What follows the first line of a database's message is the values that it was about.
        yield f"{type(current).__name__}: {scrubbed(str(current))}"
        for frame in traceback.extract_tb(current.__traceback__):
            where = "/".join(Path(frame.filename).parts[-3:])
            yield f"  {where}:{frame.lineno} in {frame.name}"
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def configure(style: Format | None, path: Path | None = None) -> None:
    """Write lines to stderr, or append them to a file (which may be rotated away: it is opened anew then).

    Args:
        style: How lines look; None writes errors only, to read.
        path: The file; None = stderr.
    """
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if path is not None:
        handler = logging.handlers.WatchedFileHandler(path, encoding="utf-8")
    handler.setFormatter(LineFormatter(style or "plain"))
    for old in _logger.handlers[:]:
        _logger.removeHandler(old)
        old.close()
    _logger.addHandler(handler)
    _logger.propagate = False
    _logger.setLevel(logging.INFO if style else logging.WARNING)


def handlers() -> list[logging.Handler]:
    """Where lines go, for the server software's own messages."""
    return list(_logger.handlers)


def attach(app: Flask) -> None:
    """Write a line for each request that the application answers."""

    @app.before_request
    def _begin() -> None:
        g.begun_at = time.perf_counter()

    @app.after_request
    def _write(response: Response) -> Response:
        if _logger.isEnabledFor(logging.INFO):
            spent = 1000 * (time.perf_counter() - g.get("begun_at", time.perf_counter()))
            rule = request.url_rule
            fields = {
                "method": request.method if rule is not None else "-",  # any text may stand there
                "route": rule.rule if rule is not None else "(no such page)",
                "status": response.status_code,
                "ms": round(spent, 1),
            }
            _logger.info("request", extra={"fields": fields})
        return response


def note_error(
    exc_info: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
) -> None:
    """Write a fault down that happened while a request was answered."""
    route = request.url_rule.rule if request.url_rule is not None else "(no such page)"
    _logger.error("fault", exc_info=exc_info, extra={"fields": {"message": "fault", "where": route}})


def note_fault(where: str, error: BaseException) -> None:
    """Write a fault down that happened beside the requests."""
    _logger.error("fault", exc_info=error, extra={"fields": {"message": "fault", "where": where}})
