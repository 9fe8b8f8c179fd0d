"""`evalkit data get`: fetch an archive, resuming what broke off, check it, and unpack it whole or not at all."""

import errno
import fcntl
import hashlib
import json
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import requests

from generators.data.locations import ARCHIVES, TOY, Archive, draw_toy, toy_size
from studies.errors import UserError, did_you_mean

OnProgress = Callable[[int, int | None], None]
"""Bytes fetched so far, and of how many (None: the server does not say)."""

_TIMEOUT_S = (5, 30)
"""To connect, and between two pieces."""
_CHUNK = 2**14
"""Bytes per piece; a piece that a broken connection leaves incomplete is lost."""
_ATTEMPTS = 5
"""Connections in a row that may break off without having brought anything."""


def get(name: str, data: Path, on_progress: OnProgress | None = None) -> Path:
    """The folder of a known dataset, fetched or drawn if it is not there.

    An archive that lies in `data` already, brought by hand, is taken and kept; one that is fetched here is removed
    once it is unpacked. Archives without a published SHA-256 are compared with the first one ever seen here, which
    is noted beside them.

    Args:
        name: As `evalkit data list` shows it.
        data: Folder for all datasets, made if need be.
        on_progress: Told of every piece that arrives.

    Raises:
        UserError: An unknown name, no connection, a broken connection, no space left, an archive that is not the
            one that was published or seen first, or one that cannot or must not be unpacked.
    """
    if (size_px := toy_size(name)) is not None:
        return draw_toy(data, size_px)
    if name not in ARCHIVES:
        raise UserError(f"{name}: no dataset of that name.{did_you_mean(name, [*ARCHIVES, TOY])}")
    return fetch(name, ARCHIVES[name], data, on_progress)


def fetch(name: str, archive: Archive, data: Path, on_progress: OnProgress | None = None) -> Path:
    """As `get`, for one archive."""
    folder = data / name
    if folder.is_dir():
        return folder
    path = data / archive.file_name
    with _disk_troubles(data):
        data.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            if folder.is_dir():  # another process has just finished
                return folder
            brought = path.is_file()
            if not brought:
                _download(archive, path, on_progress or (lambda *_: None))
            digest = _check(archive, path, brought=brought)
            _unpack(path, folder)
            if (
                not archive.sha256
            ):  # only now: a digest of rubbish would stand in the way of the archive itself
                _noted(path).write_text(f"{digest}  {path.name}\n", encoding="utf-8")
            if not brought:
                path.unlink()
    return folder


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold an archive against a second process that would write to the same files; a kill lets go of it."""
    beside = path.with_name(f".{path.name}.lock")
    with beside.open("a", encoding="ascii") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"{path}: another process is fetching it already. Wait for it, or stop it first."
            ) from error
        try:
            yield
        finally:
            beside.unlink(missing_ok=True)


def _download(archive: Archive, path: Path, on_progress: OnProgress) -> None:
    """The whole archive at `path`; what has arrived when this fails is continued by the next call."""
    partial = path.with_name(f".{path.name}.partial")
    fruitless = 0
    while True:
        before = _size(partial)
        try:
            _receive(archive, partial, on_progress)
            break
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            arrived = _size(partial)
            fruitless = fruitless + 1 if arrived <= before else 0
            if not arrived or fruitless == _ATTEMPTS:
                raise UserError(_no_connection(archive, path, arrived)) from error
    partial.replace(path)
    _notes(partial).unlink(missing_ok=True)


def _receive(archive: Archive, partial: Path, on_progress: OnProgress) -> None:
    """One connection, from where the last one broke off if the archive is still the same."""
    done, known = _size(partial), _read_notes(partial)
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
        if known.get("validator"):
            headers["If-Range"] = known["validator"]
    with requests.get(archive.address, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
        continues = response.status_code == requests.codes.partial_content and _continues(
            response, done, known
        )
        if done and not continues and response.status_code != requests.codes.ok:
            partial.unlink()  # the server cannot continue from here: begin again
            _receive(archive, partial, on_progress)
            return
        if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
            raise UserError(_refused(archive, partial, response))
        total = _total(response)
        done = done if continues else 0
        _notes(partial).write_text(
            json.dumps({"validator": _validator(response), "size": total}), encoding="utf-8"
        )
        _refuse_without_room(partial, total, done)
        with partial.open("ab" if continues else "wb") as file:
            for piece in response.iter_content(_CHUNK):
                file.write(piece)
                done += len(piece)
                on_progress(done, total)
    if total is not None and done != total:
        raise requests.ConnectionError(f"{done} of {total} bytes")


def _continues(response: requests.Response, done: int, known: dict[str, Any]) -> bool:
    """Whether what arrives is the rest of what is there."""
    begins = response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
    return begins and (bool(known.get("validator")) or _total(response) == known.get("size"))


def _total(response: requests.Response) -> int | None:
    """Size of the whole archive in bytes, if the server tells."""
    if response.status_code == requests.codes.partial_content:
        size = response.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        size = response.headers.get("Content-Length", "")
    return int(size) if size.isdigit() else None


def _validator(response: requests.Response) -> str | None:
    """What If-Range may name: a strong ETag, or the date. Source: RFC 9110, section 13.1.5."""
    etag: str = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _notes(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _read_notes(partial: Path) -> dict[str, Any]:
    try:
        notes = json.loads(_notes(partial).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _refuse_without_room(partial: Path, total: int | None, done: int) -> None:
    free = shutil.disk_usage(partial.parent).free
    if total is not None and total - done > free:
        raise UserError(
            f"{partial.parent}: {_mb(total - done)} are still to come and {_mb(free)} are free. Make room, or name "
            "another place with --folder or EVALKIT_DATA."
        )


def _noted(path: Path) -> Path:
    """Where the digest of the first archive that could be unpacked is kept."""
    return path.with_name(f"{path.name}.sha256")


def _check(archive: Archive, path: Path, *, brought: bool) -> str:
    """The archive's digest, once it has been compared with the published one, else with the first one seen here."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    noted = _noted(path)
    expected, whose = archive.sha256, "published"
    if not expected and noted.is_file():
        expected, whose = (
            noted.read_text(encoding="utf-8").split()[0],
            f"noted in {noted} at the first download",
        )
    if expected and found != expected:
        if not brought:
            path.unlink()
        advice = f"Remove {path} and get it again" if brought else "Get it again"
        raise UserError(
            f"{archive.address}: the archive has SHA-256 {found}, not the one {whose}, {expected}. {advice}; if it "
            "stays so, the archive has been changed where it is published."
        )
    return found


def _unpack(path: Path, folder: Path) -> None:
    """Beside its place, then moved there."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as beside:
        inside = Path(beside) / "unpacked"
        inside.mkdir()
        try:
            if path.suffix == ".zip":
                _unzip(path, inside)
            else:
                with tarfile.open(path) as tar:
                    tar.extractall(inside, filter="data")
        except (tarfile.FilterError, _OutsideError) as error:
            raise UserError(f"{path}: not unpacked, for it reaches outside its folder ({error}).") from error
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise UserError(
                f"{path}: the archive is damaged or incomplete ({_one_line(error)}). Remove it and get it again."
            ) from error
        entries = [entry for entry in inside.iterdir() if entry.name != "__MACOSX"]
        only = entries[0] if len(entries) == 1 and entries[0].is_dir() else inside
        only.rename(folder)


class _OutsideError(Exception):
    """An archive's entry whose place would be outside the folder."""


def _unzip(path: Path, inside: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
            if ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
                raise _OutsideError(name)
        archive.extractall(inside)  # noqa: S202  (every name has just been checked)


@contextmanager
def _disk_troubles(data: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"{data}: no space left. Make room and give the same command again, which continues; or name "
                "another place with --folder or EVALKIT_DATA."
            ) from error
        raise UserError(
            f"{error.filename or data}: {error.strerror or error}. Name a folder that can hold data with --folder "
            "or EVALKIT_DATA."
        ) from error


def _no_connection(archive: Archive, path: Path, arrived: int) -> str:
    host = archive.address.split("/")[2]
    if arrived:
        return (
            f"{host}: the connection broke off after {_mb(arrived)}, which are kept. "
            "The same command continues from there."
        )
    return f"{host}: no connection. {_by_hand(archive, path)}"


def _refused(archive: Archive, partial: Path, response: requests.Response) -> str:
    path = partial.with_name(archive.file_name)
    return f"{archive.address}: the server answers {response.status_code} {response.reason}. {_by_hand(archive, path)}"


def _by_hand(archive: Archive, path: Path) -> str:
    return f"Where there is a network, download {archive.address}, put it at {path}, and give the same command again."


def _one_line(error: Exception) -> str:
    """Tarfile tells of every compression that it has tried, a line each."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
