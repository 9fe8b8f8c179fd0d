"""The real server in processes of its own."""

from collections.abc import Callable, Iterator

import pytest

from tests.end_to_end.visitor import Visitor


@pytest.fixture
def visitor() -> Iterator[Callable[[str, str], Visitor]]:
    """Makes visitors whose connections are closed in the end."""
    made: list[Visitor] = []

    def make(base_url: str, worker_id: str) -> Visitor:
        made.append(Visitor(base_url, worker_id))
        return made[-1]

    yield make
    for each in made:
        each.close()
