"""Checkpoints: written beside and moved into place; the last two are kept; the last whole one counts."""

import errno
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from generators.runs.disk import FULL, WRITING, disk_errors, replace_durably
from studies.errors import UserError

FOLDER = "checkpoints"
KEPT = 2
"""So many stay, so that a damaged last one costs no more than the way from the one before."""
_SHOWN = 3
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError)
"""What a zip file raises in which any bit may be wrong (RuntimeError: it seems encrypted)."""


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint, on the CPU."""

    path: Path
    images_shown: int
    state: dict[str, Any]
    """`method`: its state dict; the rest is the training loop's."""
    damaged: tuple[Path, ...] = ()
    """Later files that could not be read."""


def checkpoint_paths(folder: Path) -> list[Path]:
    """The run's checkpoint files, oldest first, whole or not."""
    paths = [path for path in (folder / FOLDER).glob("*.pt") if path.stem.isdecimal()]
    return sorted(paths, key=lambda path: int(path.stem))


def write_checkpoint(folder: Path, images_shown: int, state: Mapping[str, Any]) -> Path:
    """Write one checkpoint durably, then remove all but the last two.

    Raises:
        UserError: No space left (says how much is needed), or the folder may not be written.
    """
    path = folder / FOLDER / f"{images_shown:09d}.pt"
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(path, lambda stream: _save(state, stream, path))
        for old in checkpoint_paths(folder)[:-KEPT]:
            old.unlink()
    return path


def last_whole_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read; None where none was written yet.

    Raises:
        UserError: There are checkpoints, and none of them is whole.
    """
    paths = checkpoint_paths(folder)
    for tried, path in enumerate(reversed(paths)):
        if (state := _read(path)) is not None:
            return Checkpoint(path, int(path.stem), state, tuple(paths[len(paths) - tried :]))
    if paths:
        raise UserError(
            f"{folder / FOLDER}: none of the {len(paths)} checkpoints is whole. Remove them to begin anew."
        )
    return None


def clear_leftovers(folder: Path, damaged: tuple[Path, ...] = ()) -> None:
    """Remove what a killed write left, and put damaged checkpoints out of the way (they keep their bytes)."""
    for left in (*folder.glob(f"*{WRITING}"), *(folder / FOLDER).glob(f"*{WRITING}")):
        left.unlink()
    for path in damaged:
        path.rename(path.with_suffix(".pt.damaged"))


def check_same_network(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: Path | str) -> None:
    """Hold a state dict against the network that is to take it.

    Raises:
        UserError: Names or shapes differ; the first few of each kind are listed.
    """
    missing = [name for name in ours if name not in theirs]
    unexpected = [name for name in theirs if name not in ours]
    reshaped = [
        f"{name} {_shape(theirs[name])} instead of {_shape(value)}"
        for name, value in ours.items()
        if name in theirs and _shape(value) != _shape(theirs[name])
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    told = [f"{len(names)} {kind} ({_first(names)})" for kind, names in kinds.items() if names]
    if told:
        raise UserError(f"{where}: a checkpoint of another network: {'; '.join(told)}.")


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _shape(value: object) -> str:
    return "x".join(map(str, value.shape)) or "scalar" if isinstance(value, Tensor) else ""


def _read(path: Path) -> dict[str, Any] | None:
    """A checkpoint's state; None unless all bytes are there and match their checksums (it is a zip file)."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
    except _DAMAGE:
        return None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the beginning of the file
            raise
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except RuntimeError as error:
        if "PytorchStreamReader" not in str(error):  # which minds more of the zip file's directory
            raise
        return None
    return state


class _Counting:
    """A stream that goes on counting after the disk is full.

    PyTorch's writer does not survive an error in `write` (it aborts the process), so the error is kept for later.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.size = stream, 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        size = memoryview(data).nbytes
        self.size += size
        self._try(lambda: self.stream.write(data))
        return size

    def flush(self) -> None:
        self._try(self.stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        if self.error is None:
            try:
                act()
            except OSError as error:
                self.error = error


def _save(state: Mapping[str, Any], stream: BinaryIO, path: Path) -> None:
    counting = _Counting(stream)
    torch.save(dict(state), counting)  # type: ignore[arg-type]  # asks for write and flush only
    counting.flush()
    if counting.error is None:
        return
    if counting.error.errno in FULL:
        kept = checkpoint_paths(path.parent.parent)
        stays = f"the last checkpoint, {kept[-1].name}, stays" if kept else "there is no checkpoint yet"
        raise UserError(
            f"{path}: no space left; {counting.size / 1e6:,.1f} MB are needed and {stays}. "
            "Make room and run the same command to go on."
        ) from counting.error
    raise counting.error
