"""A plain folder of images; subfolders allowed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from studies.imagesets.base import (
    UNLABELLED,
    NamedImage,
    Reader,
    Remarks,
    image_files,
    named_images,
    subfolders,
)


class PlainFolder(Reader):
    """The source id is the file's stem, behind its subfolder where there is one (`zurich/0001`)."""

    name = "folder"
    title = "plain folder of images"

    def recognises(self, folder: Path) -> bool:
        """Any folder that holds image files itself."""
        return bool(image_files(folder))

    def images(self, folder: Path) -> Mapping[str, tuple[NamedImage, ...]]:
        """All images at any depth, without a label."""
        return {UNLABELLED: named_images(_walk(folder, ""))}

    def remarks(self, folder: Path, label: str, images: Mapping[str, tuple[NamedImage, ...]]) -> Remarks:
        """Ids are taken from file names."""
        del folder
        nested = any("/" in image.source_id for image in images[label])
        return Remarks(notes=(f"inputs are told by file name{' and subfolder' if nested else ''}",))


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in image_files(folder):
        yield prefix + path.stem, path
    for inner in subfolders(folder):
        yield from _walk(inner, f"{prefix}{inner.name}/")
