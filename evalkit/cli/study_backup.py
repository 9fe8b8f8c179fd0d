"""`evalkit study backup` and `restore`: a copy of a study with its database, taken while people take part."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy import URL, make_url

from evalkit.cli.messages import say
from studies.design import load_study
from studies.errors import UserError
from studies.stimuli import FOLDER as BUNDLE_FOLDER
from studies.stimuli import load_bundle
from webapp.config import DATABASE_VARIABLE, database_url
from webapp.db import Database

MANIFEST = "backup.json"
STUDY = "study"
SQLITE_FILE = "study.sqlite"
DUMP_FILE = "database.dump"
SMALL_FILES = ("study.toml", "secret.key", "dashboard.password", "frozen.json")
"""Copied where they are; so is every .jsonl. What `export`, `analyze` and `report` write can be made anew."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where backups are collected; best on another disk.",
)
@click.option("--keep", type=click.IntRange(1), help="Delete older backups of this study but so many.")
def backup(folder: Path, out: Path, keep: int | None) -> None:
    """Copy the study in FOLDER, with its database, into a new folder in OUT; people may go on meanwhile.

    The copy holds the secret key: keep it as safe as the study itself.
    """
    made = make_backup(folder, out)
    if keep is not None:
        for old in _backups(out, load_study(folder).id)[:-keep]:
            shutil.rmtree(old)
            say(f"Deleted {old}.")
    click.echo(made)


@click.command()
@click.argument("backup_folder", metavar="BACKUP", type=click.Path(path_type=Path))
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), help="The new study folder.")
def restore(backup_folder: Path, target: Path) -> None:
    """Bring the study in BACKUP back: its folder at TARGET, its database where EVALKIT_DATABASE_URL says."""
    counts = restore_backup(backup_folder, target)
    say(f"{counts['sessions']} sessions and {counts['responses']} answers are back.")
    say(f"Next: evalkit study status {target}")
    click.echo(target)


def make_backup(folder: Path, out: Path) -> Path:
    """Make a backup beside its final place and move it there when it is whole; returns that place.

    Raises:
        UserError: No study there, no database yet, or pg_dump is missing or fails.
    """
    study, url = load_study(folder), make_url(database_url(folder))
    load_bundle(folder, verify=False)  # nothing to serve, nothing to lose
    at = datetime.now(UTC)
    final = out / f"{study.id}-{at:%Y%m%dT%H%M%S.%fZ}"
    partial = out / f".{final.name}.partial"
    earlier = _backups(out, study.id)
    partial.mkdir(parents=True, mode=0o700)
    try:
        database = _copy_sqlite(url, partial) if url.drivername == "sqlite" else _dump(url, partial)
        _copy_study(folder, partial / STUDY, earlier[-1] / STUDY if earlier else None)
        files = {str(path.relative_to(partial)): _sha256(path) for path in _files(partial)}
        about = {"study": study.id, "at": at.isoformat(), "database": database, "files": files}
        (partial / MANIFEST).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        _sync(partial)
        partial.replace(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def _backups(out: Path, study: str) -> list[Path]:
    """Whole backups of one study, the oldest first."""
    found = [path.parent for path in out.glob(f"{study}-*/{MANIFEST}")]
    mine = [path for path in found if json.loads((path / MANIFEST).read_text("utf-8"))["study"] == study]
    return sorted(mine)


def _copy_sqlite(url: URL, to: Path) -> str:
    path = Path(str(url.database))
    if not path.is_file():
        raise UserError(f"{path}: there is no database yet; nothing has been served that could be lost.")
    with (
        closing(sqlite3.connect(path, timeout=60)) as source,
        closing(sqlite3.connect(to / SQLITE_FILE)) as copy,
    ):
        source.backup(copy)  # one moment, whatever is written meanwhile
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, no -wal beside it
    return SQLITE_FILE


def _dump(url: URL, to: Path) -> str:
    _postgresql("pg_dump", url, "--format=custom", "--no-owner", "--no-acl", f"--file={to / DUMP_FILE}")
    return DUMP_FILE


def _postgresql(program: str, url: URL, *options: str) -> None:
    """Run one of PostgreSQL's programs; the password goes by the environment, where `ps` does not show it."""
    if shutil.which(program) is None:
        raise UserError(f"{program} is missing; install it: sudo apt-get install postgresql-client.")
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    done = subprocess.run(
        [program, f"--dbname={plain}", *options], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise UserError(f"{program} failed: {reason}")


def _copy_study(folder: Path, to: Path, earlier: Path | None) -> None:
    to.mkdir(mode=0o700)
    names = [*SMALL_FILES, *(path.name for path in folder.glob("*.jsonl"))]
    for name in names:
        if (folder / name).is_file():
            shutil.copy2(folder / name, to / name)
    images, before = folder / BUNDLE_FOLDER, earlier / BUNDLE_FOLDER if earlier else None
    if before is not None and _same_bundle(images, before):
        # Nobody writes into a backup, so the same bytes need not lie there twice.
        shutil.copytree(before, to / BUNDLE_FOLDER, copy_function=os.link)
    else:
        shutil.copytree(images, to / BUNDLE_FOLDER)


def _same_bundle(one: Path, other: Path) -> bool:
    """Whether names, sizes and the manifest, which holds each file's digest, agree."""

    def listed(folder: Path) -> dict[str, int]:
        return {str(path.relative_to(folder)): path.stat().st_size for path in _files(folder)}

    return other.is_dir() and listed(one) == listed(other) and _text_files(one) == _text_files(other)


def _text_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in _files(folder) if path.suffix == ".json"}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    for path in _files(folder):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())


def restore_backup(source: Path, target: Path) -> dict[str, int]:
    """Bring a backup back, and count what came; target and database must be empty.

    Raises:
        UserError: It is no whole backup, the target is not empty, or the database is of another kind or not empty.
    """
    about = _checked(source)
    if target.exists() and any(target.iterdir()):
        raise UserError(f"{target}: not empty. Name a folder that does not exist yet.")
    url = os.environ.get(DATABASE_VARIABLE, "") or f"sqlite:///{target.resolve() / SQLITE_FILE}"
    if url.startswith("sqlite") != (about["database"] == SQLITE_FILE):
        kind = "SQLite" if about["database"] == SQLITE_FILE else "PostgreSQL"
        raise UserError(
            f"{source}: a backup of {kind}; {DATABASE_VARIABLE} must name an empty {kind} database"
            f"{', or be unset' if kind == 'SQLite' else ''}."
        )
    _refuse_full(url)
    shutil.copytree(source / STUDY, target, dirs_exist_ok=True)
    if about["database"] == SQLITE_FILE:
        shutil.copyfile(source / SQLITE_FILE, str(make_url(url).database))
    else:
        _postgresql(
            "pg_restore",
            make_url(url),
            *("--no-owner", "--no-acl", "--exit-on-error", "--single-transaction", str(source / DUMP_FILE)),
        )
    return _counts(url)


def _checked(source: Path) -> dict[str, Any]:
    if not (source / MANIFEST).is_file():
        raise UserError(
            f"{source}: no {MANIFEST} here, so this is no whole backup of `evalkit study backup`."
        )
    about: dict[str, Any] = json.loads((source / MANIFEST).read_text("utf-8"))
    for name, digest in about["files"].items():
        if not (source / name).is_file() or _sha256(source / name) != digest:
            raise UserError(
                f"{source / name}: missing or damaged; the backup cannot be trusted. Take another one."
            )
    return about


def _refuse_full(url: str) -> None:
    """Restoring must never write over anything."""
    if url.startswith("sqlite"):
        path = Path(str(make_url(url).database))
        full = path.is_file() and path.stat().st_size > 0
    else:
        database = Database(url)
        full = bool(database.tables())
        database.close()
    if full:
        raise UserError(
            f"{DATABASE_VARIABLE}: the database holds something already. Restore into an empty one."
        )


def _counts(url: str) -> dict[str, int]:
    database = Database(url)
    try:
        database.upgrade()  # also refuses a database of another version
        return database.row_counts("sessions", "responses")
    finally:
        database.close()
