"""What a server needs to know before it starts: which study, which data, which keys, which database."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from studies.design import load_study
from studies.errors import UserError
from studies.records import DataKind

DATABASE_VARIABLE = "EVALKIT_DATABASE_URL"
KEY_VARIABLE = "EVALKIT_SECRET_KEY"
KEY_FILE = "secret.key"


@dataclass(frozen=True)
class ServerConfig:
    """Fixed when the server starts; no request changes any of it."""

    folder: Path
    """The study folder."""
    data: DataKind
    """Which data this server writes."""
    secret_key: str = field(repr=False)
    """Hashes worker ids, signs cookies, derives addresses and codes."""
    database_url: str = field(repr=False)
    """SQLAlchemy address; SQLite inside the study folder unless the environment names a PostgreSQL."""
    observer: str = ""
    """For simulated data: what answers (`known`, `seeing`); empty for people."""
    secure_cookies: bool = False
    """Send cookies over HTTPS only; set where the participant link is https."""
    behind_proxy: bool = False
    """Believe one proxy's X-Forwarded headers; anybody could write them where there is none."""
    pilot_sessions: int | None = None
    """For pilot data: how many places there are in all; None = those that are there, or all of the study."""


def server_config(
    folder: Path,
    data: DataKind,
    *,
    observer: str = "",
    secure_cookies: bool = False,
    behind_proxy: bool = False,
) -> ServerConfig:
    """Settings from the study folder and the environment.

    Raises:
        UserError: No usable study.toml, an imported study, no secret key, or a database address of another kind.
    """
    study = load_study(folder)  # a folder that is no study is called so, rather than one without a key
    if study.imported is not None:
        raise UserError(
            f"{folder}: its answers were imported from {study.imported.file}, so there is nothing here to serve or recruit for. "
            "`evalkit analyze` and `evalkit report` read it."
        )
    key, database = load_secret_key(folder), database_url(folder)
    return ServerConfig(folder, data, key, database, observer, secure_cookies, behind_proxy)


def reading_config(folder: Path, data: DataKind) -> ServerConfig:
    """Settings to read what was collected, which needs no secret key.

    Raises:
        UserError: No usable study.toml, or a database address of another kind.
    """
    load_study(folder)
    return ServerConfig(folder, data, "", database_url(folder))


def database_url(folder: Path) -> str:
    """The database of `EVALKIT_DATABASE_URL`, else `study.sqlite` in the study folder.

    Raises:
        UserError: The variable names neither SQLite nor PostgreSQL through psycopg, or is no address at all.
    """
    url = os.environ.get(DATABASE_VARIABLE, "")
    if not url:
        return f"sqlite:///{folder.resolve() / 'study.sqlite'}"
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise UserError(
            f"{DATABASE_VARIABLE}: only postgresql+psycopg://USER:PASSWORD@HOST/DATABASE or sqlite:///PATH is "
            f"supported, not {url.split(':', 1)[0]}://. Correct it, or unset it to use SQLite in the study folder."
        )
    from sqlalchemy import make_url  # not above: `evalkit study init` needs only the key
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UserError(f"{DATABASE_VARIABLE}: not a database address that can be read: {error}.") from error
    return url


def load_secret_key(folder: Path) -> str:
    """The key of `EVALKIT_SECRET_KEY`, else of the study folder's secret.key.

    Raises:
        UserError: There is neither, or it is too short to protect anything.
    """
    key = os.environ.get(KEY_VARIABLE, "")
    path = folder / KEY_FILE
    if not key and not path.is_file():
        raise UserError(
            f"{path}: missing. It hashes worker ids; without the first key, returning workers are not recognised. "
            f"Bring the file back, or set {KEY_VARIABLE}."
        )
    key = key or path.read_text(encoding="ascii").strip()
    if len(key) < 32:
        raise UserError(
            f"{KEY_VARIABLE if KEY_VARIABLE in os.environ else path}: at least 32 characters are needed."
        )
    return key


def create_secret_key(folder: Path) -> None:
    """Write a new random key that only its owner can read; an existing one is kept."""
    path = folder / KEY_FILE
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32) + "\n")
