"""The freeze: one digest over settings, stimuli and page, fixed by the first live session."""

import datetime
import hashlib
import inspect
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.design import Study
from studies.errors import UserError
from studies.protocols import Protocol
from studies.stimuli import Bundle

FROZEN = "frozen.json"
AMENDMENTS = "amendments.jsonl"
PAGE_FOLDERS = ("templates", "static", "translations")
NO_PARTICIPANT = ("dashboard", "vendor")
"""What is called so in these folders, only researchers see."""
PAGE_TEXTS = ("views/participant.py", "views/refusals.py", "views/setup.py", "languages.py")
"""Texts that participants read and that stand in code; the protocol's are added."""
WHAT = {
    "stimuli": "the stimulus bundle",
    "page": "the participant page, which comes with evalkit (another version of it?)",
}
DECISIONS = ("exclusions", "stopping", "analysis", "rehearsal", "recruitment", "ethics")
"""Tables of study.toml that decide what is made of the answers, not what participants met."""
PARTS = ("design", "decisions", "stimuli", "page")


@dataclass(frozen=True)
class Change:
    """One thing that differs from what was frozen."""

    part: str
    """design | decisions | stimuli | page."""
    text: str
    """What differs, and for a setting from what to what."""


def record(study: Study, bundle: Bundle) -> dict[str, Any]:
    """Everything the freeze covers: settings (planned analyses among them), and digests of settings, stimuli, page."""
    parts = {"settings": study.digest(), "stimuli": bundle.digest, "page": page_digest(study.protocol)}
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    # By way of JSON, so that a record in memory equals one that was read.
    return {"digest": digest, "parts": parts, "settings": json.loads(json.dumps(study.frozen_settings()))}


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """What differs between two records."""
    found = []
    for table in before["settings"] | now["settings"]:
        old, new = before["settings"].get(table, {}), now["settings"].get(table, {})
        part = "decisions" if table in DECISIONS else "design"
        found += [
            Change(part, f"{table}.{key}: {old.get(key)!r} -> {new.get(key)!r}")
            for key in old | new
            if old.get(key) != new.get(key)
        ]
    found += [
        Change(part, words) for part, words in WHAT.items() if before["parts"][part] != now["parts"][part]
    ]
    return found


def page_digest(protocol: Protocol) -> str:
    """SHA-256 over the participant page: templates, scripts, style, and the texts in code."""
    here, digest = Path(__file__).parent, hashlib.sha256()
    for folder in PAGE_FOLDERS:
        for path in sorted((here / folder).rglob("*")):
            inside = path.relative_to(here)
            if path.is_file() and not any(part.startswith(NO_PARTICIPANT) for part in inside.parts):
                digest.update(f"{inside}\0".encode() + path.read_bytes() + b"\0")
    told = [
        Path(inspect.getfile(kind))
        for kind in type(protocol).__mro__
        if kind.__module__.startswith("studies.")
    ]
    for path in [here / name for name in PAGE_TEXTS] + told:
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def write_frozen(folder: Path, frozen: dict[str, Any], at_ms: int) -> None:
    """Write frozen.json, unless there is one."""
    path = folder / FROZEN
    if path.exists():
        return
    partial = folder / f".{FROZEN}.{secrets.token_hex(8)}.partial"  # other threads may be at it too
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps({"at": iso(at_ms), **frozen}, indent=2) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(partial, path)  # unlike a rename, this never replaces the file of a process that was quicker
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def in_force(folder: Path) -> dict[str, Any] | None:
    """The record in force: the latest amendment's, else the freeze's; None before the first live session."""
    path = folder / FROZEN
    if not path.is_file():
        return None
    amended = amendments(folder)
    if amended:
        return amended[-1]
    frozen: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return frozen


def amendments(folder: Path) -> list[dict[str, Any]]:
    """All dated deviations so far."""
    path = folder / AMENDMENTS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    try:
        return [json.loads(line) for line in lines if line.strip()]
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: a line is no JSON: {error}. Mend or remove that line.") from error


def check(folder: Path, study: Study, bundle: Bundle, parts: Sequence[str] = PARTS) -> None:
    """Refuse a frozen study that has changed; one that is not frozen passes.

    Args:
        folder: The study folder.
        study: As it is now.
        bundle: As it is now.
        parts: The parts that matter.

    Raises:
        UserError: Names what changed and how to record it.
    """
    frozen = in_force(folder)
    differences = changes(frozen, record(study, bundle)) if frozen else []
    if texts := [change.text for change in differences if change.part in parts]:
        raise UserError(
            f"{folder}: changed since the study was frozen by its first live session: {'; '.join(texts)}. Change it "
            f'back, or record why: evalkit study amend {folder} --reason "...".'
        )


def require_frozen(folder: Path) -> dict[str, Any]:
    """The record in force.

    Raises:
        UserError: The study is not frozen yet.
    """
    frozen = in_force(folder)
    if frozen is None:
        raise UserError(
            f"{folder}: not frozen yet, so there is nothing to amend. The first live session freezes it."
        )
    return frozen


def amend(folder: Path, study: Study, bundle: Bundle, reason: str, at_ms: int) -> list[str]:
    """Record a dated deviation; returns what it covers, in words.

    Raises:
        UserError: The study is not frozen, nothing changed, or no reason is given.
    """
    now = record(study, bundle)
    differences = [change.text for change in changes(require_frozen(folder), now)]
    if not differences:
        raise UserError(f"{folder}: nothing changed since the freeze or the last amendment.")
    if not reason.strip():
        raise UserError("--reason: say in a sentence why the study changed; the report prints it.")
    line = json.dumps({"at": iso(at_ms), "reason": reason.strip(), "changed": differences, **now})
    with (folder / AMENDMENTS).open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return differences


def iso(at_ms: int) -> str:
    """A moment in ISO 8601, UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(at_ms / 1000, tz=datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
