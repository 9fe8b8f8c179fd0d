"""What an image set is, and what a reader of one folder layout must be able to say."""

import abc
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from studies.errors import UserError

EXTENSIONS = ("png", "jpg", "jpeg", "ppm", "bmp", "tif", "tiff", "webp")
"""What counts as an image file, in any case."""

UNLABELLED = ""
"""The one label of layouts that know no labels."""


@dataclass(frozen=True)
class NamedImage:
    """One image file and the input it belongs to."""

    source_id: str
    """The input it was made from, or shows; equal ids in two sets mean the same input."""
    path: Path


@dataclass(frozen=True)
class ImageSet:
    """Named images of one source: the real ones, or what one training run made."""

    location: str
    """As typed: `PATH` or `PATH:label`."""
    label: str | None
    """The kind chosen from a results folder; None for a plain folder."""
    images: tuple[NamedImage, ...]
    """Unique source ids, in natural order (2 before 10)."""
    layout: str
    """Key of the reader in READERS."""
    notes: tuple[str, ...]
    """What was assumed about the folder."""
    warnings: tuple[str, ...]
    """What may be wrong with it and cannot be seen from the files."""
    manifest: dict[str, Any] | None
    """Content of the folder's manifest.json, if it carries one."""

    @property
    def source_ids(self) -> tuple[str, ...]:
        """The inputs, in natural order."""
        return tuple(image.source_id for image in self.images)

    @classmethod
    def open(cls, location: str | Path, base: Path | None = None) -> "ImageSet":
        """Find and name the images of a folder; opens no image.

        Args:
            location: `PATH`, or `PATH:label` for one kind of image of a results folder of pix2pix or CycleGAN code.
            base: Folder to which a relative path is relative; the working folder if None.

        Raises:
            UserError: As `studies.imagesets.open_image_set`.

        >>> ImageSet.open("real").source_ids[:2]
        ('input000', 'input001')
        """
        from studies.imagesets import open_image_set

        return open_image_set(str(location), Path() if base is None else base)

    def __len__(self) -> int:
        return len(self.images)

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        from studies.imagesets.html_view import image_set_html

        return image_set_html(self)


@dataclass(frozen=True)
class Remarks:
    """What a reader has to say about the set it read."""

    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Reader(abc.ABC):
    """One folder layout. Subclasses are registered in READERS under the name of their module."""

    name: ClassVar[str]
    """The module's stem."""
    title: ClassVar[str]
    """The layout in words, for notes and errors."""

    @abc.abstractmethod
    def recognises(self, folder: Path) -> bool:
        """Whether this very folder (not one below it) has the layout."""

    @abc.abstractmethod
    def images(self, folder: Path) -> Mapping[str, tuple[NamedImage, ...]]:
        """The images of the folder by label; the only key is UNLABELLED where the layout has no labels.

        Raises:
            UserError: Two files have the same source id.
        """

    def remarks(self, folder: Path, label: str, images: Mapping[str, tuple[NamedImage, ...]]) -> Remarks:
        """What was assumed and what may be wrong about one label of the folder."""
        del folder, label, images
        return Remarks()


def image_files(folder: Path) -> list[Path]:
    """The image files that lie directly in a folder, by name; hidden files (`._1.png` of macOS) are none."""
    return sorted(path for path in folder.iterdir() if is_image_name(path.name) and path.is_file())


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for an image."""
    return not name.startswith(".") and name.rpartition(".")[2].lower() in EXTENSIONS and "." in name


def subfolders(folder: Path) -> Iterator[Path]:
    """The visible folders inside a folder, by name."""
    hidden = (".", "__MACOSX")
    yield from sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(hidden))


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Sort key that puts 2 before 10; the text itself decides between 1 and 01."""
    parts = re.split(r"([0-9]+)", text)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], text


def named_images(pairs: Iterable[tuple[str, Path]]) -> tuple[NamedImage, ...]:
    """Images with unique ids in natural order.

    Args:
        pairs: Source id and file. Ids are brought to Unicode NFC, because macOS archives spell `é` in two ways.

    Raises:
        UserError: Two files have the same source id (names both).
    """
    found: dict[str, Path] = {}
    for raw_id, path in pairs:
        source_id = unicodedata.normalize("NFC", raw_id)
        if source_id in found:
            raise UserError(
                f"{path.parent}: {found[source_id].name} and {path.name} both stand for input {source_id!r}; "
                "an input may have one image only. Remove or rename one of them."
            )
        found[source_id] = path
    return tuple(NamedImage(key, found[key]) for key in sorted(found, key=natural_key))


def pixel_digest(image: Image.Image) -> str:
    """SHA-256 (hex) of mode, size and decoded RGB uint8 pixels: the same whatever file holds them.

    Args:
        image: Any mode; it is read as RGB.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return hashlib.sha256(f"RGB {rgb.width} {rgb.height}\n".encode() + rgb.tobytes()).hexdigest()
