"""The study folder of imported answers: study.toml and `imported/` with the records."""

import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.design import Study, parse_study
from studies.errors import UserError
from studies.importers.found import Answer, Found
from studies.records import IMPORTED, Arrival, Response, Session, WorkerValue, columns, write_csv

ABSENT = "not here: the answers were imported"
"""Stands where study.toml wants a folder of images."""
UNKNOWN = "not known here: the answers were imported"
WORKERS_FILE = "workers.csv"
PLANNED = {
    "yes_no": ("error_rate", "fool_rate", "pairwise_differences", "accuracy"),
    "two_afc": ("fool_rate", "pairwise_differences"),
    "preference": ("preference_share",),
}
_BLANK = {
    **dict.fromkeys(columns(Response), ""),
    **{name: None for name, hint in Response.__annotations__.items() if "None" in str(hint)},
    "data": IMPORTED,
    "attempt": 0,
    "void_reason": "",
}


def write_study(found: Found, folder: Path) -> Study:
    """Write the study folder whole or not at all.

    Raises:
        UserError: The folder is taken.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: exists and is not empty. Choose another name, or remove it first.")
    tables = _tables(found, folder)
    study = parse_study(tables, f"{folder}/study.toml")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as beside:
        made = Path(beside) / "study"
        (made / IMPORTED).mkdir(parents=True)
        (made / "study.toml").write_text(_toml(found, tables), encoding="utf-8")
        _write_records(found, study, made / IMPORTED)
        if folder.exists():
            folder.rmdir()
        made.rename(folder)
    return study


def _tables(found: Found, folder: Path) -> dict[str, Any]:
    """study.toml as tables; what another tool did and nobody told is said to be unknown."""
    per_session = Counter(answer.session for answer in found.answers if answer.phase == "scored")
    scored = max(per_session.values(), default=0)
    scored += scored % 2 if found.protocol == "yes_no" else 0
    practice = max(Counter(a.session for a in found.answers if a.phase == "practice").values(), default=0)
    sessions = Counter(condition for condition, _ in _people(found).values())
    protocol: dict[str, Any] = {
        "name": found.protocol,
        "practice": practice,
        "scored": max(scored, 2),
        "reserve": 0,
    }
    if found.protocol == "two_afc":
        protocol["presentation"] = found.presentation
    tables: dict[str, Any] = {
        "imported": _imported(found),
        "study": {
            "id": re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_") or "study",
            "question": found.question,
            "pairing": found.pairing,
            "design": found.design,
            "participants_per_condition": max(sessions.values()),
        },
        "protocol": protocol,
        "reference": {"images": ABSENT},
        "conditions": {name: {"images": [ABSENT]} for name in found.conditions},
        "analysis": {
            "target": "these images" if found.format == "workers" else "this generator",
            "planned": ["worker_rates"] if found.format == "workers" else list(PLANNED[found.protocol]),
        },
        "ethics": {"approval": UNKNOWN, "contact": UNKNOWN},
    }
    if found.failed_checks:
        tables["exclusions"] = {"max_failed_checks": 0}
    return tables


def _imported(found: Found) -> dict[str, Any]:
    return {
        "file": found.source.name,
        "sha256": found.source.sha256,
        "format": found.format,
        "rows": found.source.size,
        "notes": list(found.notes),
        "mapped": dict(found.mapped),
        "dropped": dict(found.dropped),
        "conditions": {name: written for name, written in found.conditions.items() if name != written},
    }


_ABOUT = {
    "imported": "Where the answers come from. Written by `evalkit study import`; do not edit.",
    "protocol": "How trials were shown is not known here beyond this; times and pauses are not the original's.",
    "exclusions": "A worker who failed an attention check is left out, and counted; no rule looks at scored answers.",
    "analysis": 'What is estimated. target: "these images" or "this generator".',
}


def _toml(found: Found, tables: Mapping[str, Any]) -> str:
    lines = [
        f"# Answers imported from {found.source.name}; `evalkit analyze` and `evalkit report` read this folder."
    ]
    for name, table in tables.items():
        parts = {key: value for key, value in table.items() if isinstance(value, dict)}
        own = {key: value for key, value in table.items() if key not in parts}
        if own or not parts:
            lines += ["", *([f"# {_ABOUT[name]}"] if name in _ABOUT else []), f"[{name}]", *_pairs(own)]
        for key, part in parts.items():
            lines += ["", f"[{name}.{key}]", *_pairs(part)]
    return "\n".join(lines) + "\n"


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    """TOML; JSON's strings, numbers and lists are TOML too, save the control character DEL, which JSON leaves bare."""
    for key, value in table.items():
        name = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
        yield f"{name} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")


@dataclass(frozen=True)
class _Names:
    """Names that tell nothing of the file's: workers and sessions numbered as they come."""

    workers: Mapping[str, str]
    sessions: Mapping[str, str]


def _people(found: Found) -> dict[str, tuple[str, str]]:
    """Session of the file -> condition (empty where mixed) and worker, in the order of the file."""
    if found.numbers:
        return {f"{n.worker}\x1f{n.condition}": (n.condition, n.worker) for n in found.numbers}
    people: dict[str, tuple[str, str]] = {}
    for answer in found.answers:
        people.setdefault(
            answer.session, ("" if found.design == "within" else answer.condition, answer.worker)
        )
    return people


def _write_records(found: Found, study: Study, folder: Path) -> None:
    people = _people(found)
    names = _Names(_numbered("w", found.workers), _numbered("s", people))
    places: Counter[str] = Counter()
    sessions = []
    for session, (condition, worker) in people.items():
        sessions.append(
            _session(study, names.sessions[session], names.workers[worker], condition, places[condition])
        )
        places[condition] += 1
    write_csv(folder / "sessions.csv", Session, sessions)
    write_csv(folder / "arrivals.csv", Arrival, [])
    write_csv(folder / "responses.csv", Response, _responses(found, study, names))
    if found.format == "workers":
        rows = (
            WorkerValue(study.id, IMPORTED, names.workers[entry.worker], entry.condition, quantity, value)
            for entry in found.numbers
            for quantity, value in entry.values.items()
        )
        write_csv(folder / WORKERS_FILE, WorkerValue, rows)


def _numbered(letter: str, keys: Iterable[str]) -> dict[str, str]:
    """`w0001` ...: the names of the file may lead to people."""
    keys = list(dict.fromkeys(keys))
    width = max(4, len(str(len(keys))))
    return {key: f"{letter}{number:0{width}d}" for number, key in enumerate(keys, 1)}


def _session(study: Study, session: str, worker: str, condition: str, place: int) -> Session:
    return Session(
        study=study.id,
        data=IMPORTED,
        session=session,
        worker=worker,
        condition=condition,
        place_index=place,
        state="finished",
        started_at="",
        finished_at="",
        consent_version="",
        comment="",
        observer="",
        recruiter=IMPORTED,
    )


def _responses(found: Found, study: Study, names: _Names) -> Iterator[Response]:
    """Session by session, each in its order, and then what is known of its attention checks."""
    by_session: dict[str, list[Answer]] = defaultdict(list)
    for answer in found.answers:
        by_session[answer.session].append(answer)
    for session, answers in by_session.items():
        indices = _indices(found, answers)
        always = {
            "study": study.id,
            "session": names.sessions[session],
            "worker": names.workers[answers[0].worker],
            "design": found.design,
            "protocol": found.protocol,
        }
        for index, answer in sorted(zip(indices, answers, strict=True), key=lambda pair: pair[0]):
            yield Response(**{**_BLANK, **always, **_cells(answer), "trial_index": index})
        yield from _checks(found, answers[0], max(indices) + 1, always)


def _indices(found: Found, answers: list[Answer]) -> list[int]:
    """As the file numbers the trials, else in the order of its rows."""
    told = [answer.trial_index for answer in answers]
    if None in told:
        return list(range(len(answers)))
    indices = [index for index in told if index is not None]
    twice = next((index for index, count in Counter(indices).items() if count > 1), None)
    if twice is not None:
        rows = " and ".join(str(a.row) for a in answers if a.trial_index == twice)
        raise UserError(
            f"{found.source.name}: worker {answers[0].worker!r} has trial {twice} twice (rows {rows}). Leave trial= out of "
            "--map to take the rows in their order."
        )
    return indices


def _cells(answer: Answer) -> dict[str, Any]:
    cells: dict[str, Any] = {
        "condition": answer.condition,
        "run": None if len(answer.shown) == 1 and answer.shown[0].condition == "real" else 0,
        "phase": answer.phase,
        "question": answer.question,
        "target": answer.target,
        "choice": answer.choice,
        "outcome": answer.outcome,
        "rt_ms": answer.rt_ms,
    }
    for slot, shown in enumerate(answer.shown, 1):
        cells |= {
            f"image_{slot}": shown.image,
            f"source_id_{slot}": shown.source_id,
            f"condition_{slot}": shown.condition,
            f"run_{slot}": 0,
            f"side_{slot}": shown.side,
        }
    return cells


def _checks(found: Found, answer: Answer, index: int, always: Mapping[str, Any]) -> Iterator[Response]:
    """One row per failed check, or one for having passed; none where nothing is recorded of this worker."""
    failed = found.failed_checks.get(answer.worker)
    if failed is None:
        return
    condition = "" if found.design == "within" else answer.condition
    for number in range(max(failed, 1)):
        row = {
            "phase": "check",
            "condition": condition,
            "question": answer.question,
            "outcome": float(not failed),
        }
        yield Response(**{**_BLANK, **always, **row, "trial_index": index + number})
