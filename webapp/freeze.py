"""The freeze: one digest over settings, stimuli and page, fixed by the first live session."""

import datetime
import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from studies.design import Study
from studies.errors import UserError
from studies.stimuli import Bundle

FROZEN = "frozen.json"
AMENDMENTS = "amendments.jsonl"
PAGE_FOLDERS = ("templates", "static")
WHAT = {"settings": "study.toml", "stimuli": "the stimulus bundle", "page": "the participant page"}


def parts(study: Study, bundle: Bundle) -> dict[str, str]:
    """The digests that the freeze covers: settings (planned analyses among them), stimuli, page."""
    return {"settings": study.digest(), "stimuli": bundle.digest, "page": page_digest()}


def page_digest() -> str:
    """SHA-256 over the participant page: templates, scripts, style."""
    here, digest = Path(__file__).parent, hashlib.sha256()
    for folder in PAGE_FOLDERS:
        for path in sorted((here / folder).rglob("*")):
            if path.is_file() and not path.name.startswith("dashboard"):
                digest.update(f"{path.relative_to(here)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def whole(digests: dict[str, str]) -> str:
    """The one digest."""
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def write_frozen(folder: Path, digests: dict[str, str], at_ms: int) -> None:
    """Write frozen.json, unless there is one."""
    path = folder / FROZEN
    if path.exists():
        return
    partial = folder / f".{FROZEN}.{secrets.token_hex(8)}.partial"  # other threads may be at it too
    record = {"digest": whole(digests), "parts": digests, "at": iso(at_ms)}
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(record, indent=2) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(partial, path)  # unlike a rename, this never replaces the file of a process that was quicker
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def frozen_parts(folder: Path) -> dict[str, str] | None:
    """The digests in force: the latest amendment's, else the freeze's; None before the first live session."""
    path = folder / FROZEN
    if not path.is_file():
        return None
    amended = amendments(folder)
    record = amended[-1] if amended else json.loads(path.read_text(encoding="utf-8"))
    return dict(record["parts"])


def amendments(folder: Path) -> list[dict[str, Any]]:
    """All dated deviations so far."""
    path = folder / AMENDMENTS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if line.strip()]


def changed(folder: Path, study: Study, bundle: Bundle) -> list[str]:
    """What differs from the freeze in force, in words; empty if nothing does or nothing is frozen."""
    frozen = frozen_parts(folder)
    if frozen is None:
        return []
    return [WHAT[key] for key, digest in parts(study, bundle).items() if frozen.get(key) != digest]


def check(folder: Path, study: Study, bundle: Bundle) -> None:
    """Refuse a frozen study that has changed.

    Raises:
        UserError: Names what changed and how to record it.
    """
    differences = changed(folder, study, bundle)
    if differences:
        raise UserError(
            f"{folder}: {' and '.join(differences)} changed after the study was frozen by its first live session. "
            f'Change it back, or record why: evalkit study amend {folder} --reason "...".'
        )


def require_frozen(folder: Path) -> None:
    """Whether there is a freeze to deviate from.

    Raises:
        UserError: There is none yet.
    """
    if frozen_parts(folder) is None:
        raise UserError(
            f"{folder}: not frozen yet, so there is nothing to amend. The first live session freezes it."
        )


def amend(folder: Path, study: Study, bundle: Bundle, reason: str, at_ms: int) -> list[str]:
    """Record a dated deviation; returns what it covers, in words.

    Raises:
        UserError: The study is not frozen, nothing changed, or no reason is given.
    """
    require_frozen(folder)
    differences = changed(folder, study, bundle)
    if not differences:
        raise UserError(f"{folder}: nothing changed since the freeze or the last amendment.")
    if not reason.strip():
        raise UserError("--reason: say in a sentence why the study changed; the report prints it.")
    digests = parts(study, bundle)
    record = {
        "at": iso(at_ms),
        "reason": reason.strip(),
        "changed": differences,
        "digest": whole(digests),
        "parts": digests,
    }
    with (folder / AMENDMENTS).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return differences


def iso(at_ms: int) -> str:
    """A moment in ISO 8601, UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(at_ms / 1000, tz=datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
