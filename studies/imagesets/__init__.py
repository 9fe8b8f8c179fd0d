"""Image sets: named images of one source, read from plain folders and from the results folders of other tools.

A new layout is a module here plus one line in READERS.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from studies.errors import UserError, did_you_mean
from studies.imagesets.base import (
    EXTENSIONS,
    UNLABELLED,
    ImageSet,
    NamedImage,
    Reader,
    natural_key,
    pixel_digest,
    subfolders,
)
from studies.imagesets.folder import PlainFolder
from studies.imagesets.manifest import read_manifest, write_manifest
from studies.imagesets.pix2pix_results import Pix2pixResults
from studies.imagesets.tensorflow_results import TensorflowResults
from studies.imagesets.torch_results import TorchResults

READERS: dict[str, Reader] = {
    "pix2pix_results": Pix2pixResults(),
    "tensorflow_results": TensorflowResults(),
    "torch_results": TorchResults(),
    "folder": PlainFolder(),  # last: it recognises whatever the others leave
}

SEARCH_DEPTH = 4
"""Folders below the one given: results / name / test_latest / images, and one to spare."""

__all__ = [
    "READERS",
    "ImageSet",
    "NamedImage",
    "natural_key",
    "open_image_set",
    "pixel_digest",
    "write_manifest",
]


def open_image_set(location: str, base: Path) -> ImageSet:
    """Find and name the images at a location; opens no image.

    Args:
        location: `PATH`, or `PATH:label` for one kind of image of a results folder. The path may be any folder
            above the images as long as only one results folder lies below it.
        base: Folder to which a relative path is relative.

    Raises:
        UserError: No such folder, no images in it, several results folders below it, a label that is missing or
            not there, or two files for one input.
    """
    folder, label = _parse(location, base)
    reader, found_in = _find(folder, location)
    labels = {name: images for name, images in reader.images(found_in).items() if images}
    if not labels:
        raise UserError(
            f"{location}: no images in {folder}{_instead(folder)}. Allowed are {', '.join(EXTENSIONS)}."
        )
    chosen = _choose(labels, label, location, reader)
    remarks = reader.remarks(found_in, chosen, labels)
    manifest, complaints = read_manifest(found_in, labels[chosen])
    notes = (f"read as {reader.title}{_below(folder, found_in)}", *remarks.notes)
    if label is None and chosen != UNLABELLED:
        notes = (*notes, f"the only kind of image there is {chosen}")
    return ImageSet(
        location,
        chosen or None,
        labels[chosen],
        reader.name,
        notes,
        (*remarks.warnings, *complaints),
        manifest,
    )


def _parse(location: str, base: Path) -> tuple[Path, str | None]:
    """Folder and label; a colon that belongs to an existing path separates no label."""
    path, colon, label = location.rpartition(":")
    whole = _resolved(base, location)
    if not location.strip():
        raise UserError("images = '': no folder is named. Give PATH, or PATH:label for a results folder.")
    if whole.is_dir() or not colon:
        return _folder(whole, location), None
    return _folder(_resolved(base, path), location), label


def _resolved(base: Path, path: str) -> Path:
    """Without `..`: `init` opens image sets as seen from a study folder that is not there yet."""
    return (base / Path(path).expanduser()).resolve()


def _folder(path: Path, location: str) -> Path:
    if path.is_file():
        raise UserError(f"{location}: {path} is a file. Give the folder that holds the images.")
    if not path.is_dir():
        neighbours = [other.name for other in subfolders(path.parent)] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, neighbours)
        if "Did you mean" not in hint:  # a list of all neighbours would be long
            hint = " Check the path."
        raise UserError(f"{location}: no such folder: {path}.{hint}")
    return path


def _find(folder: Path, location: str) -> tuple[Reader, Path]:
    """The reader and the very folder it is for: this one, or the only results folder below it."""
    reader = _recognise(folder)
    if reader is not None:
        return reader, folder
    found = list(_search(folder, SEARCH_DEPTH))
    if len(found) > 1:
        listed = ", ".join(str(path.relative_to(folder)) for _, path in found[:6])
        more = f" and {len(found) - 6} more" if len(found) > 6 else ""
        raise UserError(
            f"{location}: {len(found)} results folders below it ({listed}{more}). Name the one you mean."
        )
    return found[0] if found else (READERS["folder"], folder)


def _recognise(folder: Path) -> Reader | None:
    return next((reader for reader in READERS.values() if reader.recognises(folder)), None)


def _search(folder: Path, depth: int) -> Iterator[tuple[Reader, Path]]:
    """Results folders below a folder; plain folders do not count, they are read together as one nested set."""
    for inner in subfolders(folder) if depth else ():
        reader = _recognise(inner)
        if reader is None:
            yield from _search(inner, depth - 1)
        elif reader.name != "folder":
            yield reader, inner


def _choose(
    labels: Mapping[str, tuple[NamedImage, ...]], label: str | None, location: str, reader: Reader
) -> str:
    if label is None:
        if len(labels) > 1:
            counts = ", ".join(f"{name} ({len(images)})" for name, images in labels.items())
            raise UserError(
                f"{location}: {reader.title} with several kinds of images: {counts}. "
                f"Add the one you mean, e.g. {location}:{next(iter(labels))}."
            )
        return next(iter(labels))
    if UNLABELLED in labels:
        raise UserError(f"{location}: a plain folder of images has no labels. Leave out ':{label}'.")
    if label not in labels:
        raise UserError(f"{location}: no images labelled {label!r} there.{did_you_mean(label, labels)}")
    return label


def _below(folder: Path, found_in: Path) -> str:
    return "" if folder == found_in else f", found in {found_in.relative_to(folder)}"


def _instead(folder: Path) -> str:
    """What lies in a folder without images."""
    files = [path.name for path in folder.rglob("*") if path.is_file()]
    return f" ({len(files)} other files, e.g. {min(files)})" if files else " (it is empty)"
