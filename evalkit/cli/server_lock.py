"""One server per study and kind of data."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studies.errors import UserError


@contextmanager
def only_server(folder: Path, data: str) -> Iterator[None]:
    """Hold the study against a second server; the system lets go when the process ends, however it ends.

    Raises:
        UserError: Another server holds it.
    """
    with (folder / f".serving-{data}.lock").open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"{folder}: another server is already running this study's {data} data. Stop it first, or use it."
            ) from error
        yield
