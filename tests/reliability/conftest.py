"""A hosted study, as in tests/webapp, and a PostgreSQL that may be restarted."""

from collections.abc import Iterator

import pytest

from benchmarks.serving import PostgreSQL, postgresql
from tests.webapp.conftest import built_study, clock, folder, hosted, hosting

__all__ = ["built_study", "clock", "folder", "hosted", "hosting"]


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL of this test alone, that waits for the disk at each commit."""
    with postgresql() as server:
        yield server
