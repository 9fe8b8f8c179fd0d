"""Files that appear whole or not at all, and disk errors in the user's words."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from studies.errors import UserError

WRITING = ".writing"
"""Suffix of a file that is not whole yet; what a killed process left under it is removed at the next start."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def replace_durably(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file beside `path`, wait until it is on disk, and move it into place."""
    beside = path.with_name(path.name + WRITING)
    stream = beside.open("wb")
    try:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())
    except BaseException:
        with suppress(OSError):  # what is still buffered has nowhere to go
            stream.close()
        beside.unlink(missing_ok=True)
        raise
    stream.close()
    beside.replace(path)
    _fsync_folder(path.parent)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn "disk full" and "may not be written" into one line; other errors pass.

    Raises:
        UserError: The disk is full, or the place may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UserError(
                f"{path}: no space left; the last checkpoint stays. Make room and run the same command to go on."
            ) from error
        if error.errno in _FORBIDDEN:
            raise UserError(f"{path}: may not be written ({error.strerror}). Check who owns it.") from error
        raise


@contextmanager
def only_trainer(folder: Path) -> Iterator[None]:
    """Hold a run folder against a second training process; the system lets go when the process ends, however it ends.

    Raises:
        UserError: Another process holds it, or it may not be written.
    """
    path = folder / ".training.lock"
    with disk_errors(path):
        lock = path.open("a", encoding="ascii")
    # A POSIX lock, not flock: that one would live on in the data loader's workers after their parent is killed.
    with lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:  # other errors: this file system has no locks
            raise UserError(
                f"{folder}: another process is training this run already. Wait for it, or stop it first."
            ) from error
        yield


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
