"""A folder that appears whole or not at all."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studies.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def published(final: Path, mark: str) -> Iterator[Path]:
    """A new folder beside `final` to write into, moved to `final` at the end, in place of what was there.

    A killed process leaves what was at `final`, or (for the moment between two moves) nothing; what it left beside
    is cleared by the next one.

    Args:
        final: Where the folder will be.
        mark: A file that a folder must hold to be replaced; guards somebody else's folder of the same name.

    Raises:
        UserError: The disk is full, the place may not be written, another process is at it, or the folder there is
            somebody else's.
    """
    building, old = (final.with_name(f".{final.name}.{word}") for word in ("building", "old"))
    if final.exists() and not (final / mark).is_file() and (final.is_file() or any(final.iterdir())):
        raise UserError(f"{final}: exists already and was not made by evalkit. Move it away.")
    try:
        with _fresh(building):
            yield building
            _fsync(building)
            shutil.rmtree(old, ignore_errors=True)
            if final.exists():
                final.rename(old)
            building.rename(final)
            _fsync(final.parent)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise UserError(f"{final}: {reason}") from error


def write_durably(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on disk."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _fresh(building: Path) -> Iterator[None]:
    """An empty, locked folder, which is gone afterwards if anything fails."""
    building.mkdir(exist_ok=True)
    lock = os.open(building, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however it ends
    except BlockingIOError as error:
        os.close(lock)
        raise UserError(f"{building.parent}: another build is running here. Wait for it to end.") from error
    try:
        _empty(building)  # what a killed build left
        yield
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _fsync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: OSError) -> str | None:
    """The error in the user's words if it is about the disk; None for others."""
    if error.errno in _FULL:
        return "the disk is full; nothing was changed. Make room and build again."
    if error.errno in _FORBIDDEN:
        return f"may not be written ({error.strerror}); nothing was changed. Check who owns it."
    return None
