"""The dashboard's password: where it is kept, who may try it how often, and what a signed-in browser carries."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from studies.errors import UserError
from webapp.admin.acts import note_act
from webapp.hosting import HostedStudy
from webapp.tables import AdminActRow, StudyRow

VARIABLE = "EVALKIT_DASHBOARD_PASSWORD"
FILE = "dashboard.password"
SHORTEST = 8
TRIES_PER_MINUTE = 5
"""For all browsers and all worker processes together; who knows the password needs one."""


def check_new_password(password: str, where: str) -> None:
    """Whether a password protects anything.

    Raises:
        UserError: It is too short.
    """
    if len(password) < SHORTEST:
        raise UserError(f"{where}: the dashboard's password needs at least {SHORTEST} characters.")


def new_password() -> str:
    """A password that nobody guesses: 100 random bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


def store_password(folder: Path, password: str) -> Path:
    """Keep a password's scrypt hash in the study folder, readable by its owner only.

    Raises:
        UserError: It is too short.
    """
    path = folder / FILE
    check_new_password(password, str(path))
    partial = path.with_name(f".{FILE}.{os.getpid()}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(generate_password_hash(password, method="scrypt") + "\n")
    partial.replace(path)
    return path


def given_by_environment() -> bool:
    """Whether the environment names the password; it counts before the one of the study folder."""
    return bool(os.environ.get(VARIABLE, ""))


def has_password(folder: Path) -> bool:
    """Whether there is a password to sign in with.

    Raises:
        UserError: The one of the environment is too short.
    """
    if given := os.environ.get(VARIABLE, ""):
        check_new_password(given, VARIABLE)
    return bool(given) or (folder / FILE).is_file()


def mark(hosted: HostedStudy) -> str:
    """What a signed-in browser carries: it fits the password of now, so a new password signs everybody out."""
    kept = os.environ.get(VARIABLE, "") or _stored(hosted.config.folder)
    message = f"dashboard\x1f{kept}".encode()
    return hmac.new(hosted.config.secret_key.encode(), message, hashlib.sha256).hexdigest() if kept else ""


def may_try(hosted: HostedStudy) -> bool:
    """Count a try to sign in, before the password is looked at; False = too many within a minute.

    Counted in the database, so that the limit holds over all worker processes and restarts. Who is refused only reads:
    a flood of tries must not stand in the way of answers.
    """
    with hosted.database.read() as db:
        if _tries(hosted, db, hosted.clock() - 60_000) >= TRIES_PER_MINUTE:
            return False
    with hosted.database.write() as db:
        db.get_one(StudyRow, (hosted.study.id, hosted.data), with_for_update=True)
        if _tries(hosted, db, hosted.clock() - 60_000) >= TRIES_PER_MINUTE:
            return False
        note_act(hosted, db, "dashboard", "sign-in tried")
        return True


def is_right(hosted: HostedStudy, password: str) -> bool:
    """Whether this is the password; a right one is noted in the audit log."""
    if given := os.environ.get(VARIABLE, ""):
        right = hmac.compare_digest(given.encode(), password.encode())
    else:
        stored = _stored(hosted.config.folder)
        right = bool(stored) and check_password_hash(stored, password)
    if right:
        with hosted.database.write() as db:
            note_act(hosted, db, "dashboard", "signed in")
    return right


def failed_sign_ins(hosted: HostedStudy, hours: int = 24) -> int:
    """Tries of the last hours that did not succeed."""
    since = hosted.clock() - hours * 3_600_000
    with hosted.database.read() as db:
        return max(0, _tries(hosted, db, since) - _tries(hosted, db, since, "signed in"))


def _tries(hosted: HostedStudy, db: Session, since: int, act: str = "sign-in tried") -> int:
    query = (
        select(func.count())
        .select_from(AdminActRow)
        .where(
            AdminActRow.study == hosted.study.id,
            AdminActRow.data == hosted.data,
            AdminActRow.act == act,
            AdminActRow.at > since,
        )
    )
    return db.execute(query).scalar_one()


def _stored(folder: Path) -> str:
    path = folder / FILE
    return path.read_text(encoding="ascii").strip() if path.is_file() else ""
