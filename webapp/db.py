"""The database: one engine, two kinds of transaction, one schema version."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, func, inspect, select, table
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from studies.errors import UserError

MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Transactions on one database; SQLite and PostgreSQL behave alike."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        self._turnstile = _Turnstile(self.engine.url.database if url.startswith("sqlite") else None)

    @contextmanager
    def write(self, *, lasting: bool = True) -> Iterator[Session]:
        """A transaction that may write. On SQLite it takes the write lock at once, so it never has to upgrade.

        Args:
            lasting: Whether it must be on disk when it is over. Otherwise, on SQLite, it survives whatever becomes
                of this program, and a power failure only once a lasting transaction has followed. PostgreSQL writes
                the transactions of many to disk in one go, and could forget it when its own process dies: there
                everything lasts.
        """
        with self._turnstile(), self._transaction("IMMEDIATE", lasting=lasting) as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads."""
        with self._transaction("DEFERRED") as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A transaction whose reads all see one moment, however long they take."""
        # SQLite's read transactions are snapshots already.
        isolation = {} if self.url.startswith("sqlite") else {"isolation_level": "REPEATABLE READ"}
        with self._transaction("DEFERRED", **isolation) as session:
            yield session

    @contextmanager
    def _transaction(self, mode: str, **options: Any) -> Iterator[Session]:
        with (
            self.engine.connect().execution_options(sqlite_begin=mode, **options) as connection,
            connection.begin(),
            Session(connection, expire_on_commit=False) as session,
        ):
            yield session
            session.flush()

    def upgrade(self) -> None:
        """Create the tables of an empty database, and check that those of another one fit.

        Raises:
            UserError: The database cannot be reached, or belongs to another version or another program.
        """
        try:
            with self.engine.connect() as connection:
                version = MigrationContext.configure(connection).get_current_revision()
                known = set(inspect(connection).get_table_names())
        except DatabaseError as error:
            reason = str(error.orig).splitlines()[0]
            raise UserError(f"{self._shown()}: the database cannot be opened: {reason}.") from error
        head = _alembic(self.url).attributes["head"]
        if version == head:
            return
        if version is not None or known & {"sessions", "trials"}:
            raise UserError(
                f"{self._shown()}: the database was made by another version of evalkit (schema {version}, this "
                f"version needs {head}). Use the version it was made with, or another database."
            )
        with self.engine.begin() as connection:
            config = _alembic(self.url)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def scrub(self) -> None:
        """Take what was deleted out of SQLite's journal, too; PostgreSQL gives the space back by itself (VACUUM)."""
        if self.url.startswith("sqlite"):
            with self.engine.connect() as connection:
                raw: Any = connection.connection.driver_connection
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def tables(self) -> list[str]:
        """The tables that the database holds, ours or not.

        Raises:
            UserError: The database cannot be reached.
        """
        try:
            with self.engine.connect() as connection:
                return inspect(connection).get_table_names()
        except DatabaseError as error:
            reason = str(error.orig).splitlines()[0]
            raise UserError(f"{self._shown()}: the database cannot be opened: {reason}.") from error

    def row_counts(self, *tables: str) -> dict[str, int]:
        """Rows of some tables, all studies together."""
        with self.engine.connect() as connection:
            return {
                name: connection.execute(select(func.count()).select_from(table(name))).scalar_one()
                for name in tables
            }

    def _shown(self) -> str:
        return self.engine.url.render_as_string(hide_password=True)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


class _Turnstile:
    """Lets one writer through at a time, over all processes, in about the order of arrival.

    SQLite itself makes writers wait by asking again and again, ever more rarely; with many of them some wait for
    seconds. The system wakes who waits for a file lock at once, and lets go of it when a process dies.
    """

    def __init__(self, database: str | None) -> None:
        """`database` is SQLite's file; None = nothing to wait for."""
        self._path = Path(f"{database}-turn") if database and database != ":memory:" else None
        self._here = threading.Lock()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self._path is None:
            yield
            return
        with self._here, self._path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_size=10, max_overflow=10)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy, not sqlite3, says BEGIN
        for setting in (
            *("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"),
            "secure_delete=ON",  # an erased person leaves no bytes behind
        ):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        options = connection.get_execution_options()
        mode = options.get("sqlite_begin", "IMMEDIATE")
        wanted = "FULL" if options.get("lasting", True) else "NORMAL"
        if mode == "IMMEDIATE" and connection.info.get("synchronous", "FULL") != wanted:
            connection.connection.driver_connection.execute(f"PRAGMA synchronous={wanted}")
            connection.info["synchronous"] = wanted
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _alembic(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    config.attributes["head"] = ScriptDirectory.from_config(config).get_current_head()
    return config
