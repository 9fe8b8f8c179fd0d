"""Image sets as metrics see them: each image with its input, the digest that the cache knows it by, and its pixels."""

import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from evalkit.metrics.base import Array
from studies.errors import UserError
from studies.imagesets import ImageSet, open_image_set, pixel_digest

if TYPE_CHECKING:
    from torch import Tensor

    from studies.stimuli.decode import Decoded

_READERS = 8
"""Threads that hash files; hashing waits for the disk and leaves Python's lock."""
_AS_IT_IS = (
    "no colour profile: taken as sRGB",
    "sRGB profile",
    "palette to RGB",
    "16-bit colour cut to its high byte",
)
"""Endings of decoding steps that leave the pixels as every other tool reads them."""


@dataclass(frozen=True)
class Picture:
    """One image or label map."""

    source_id: str
    """The input it belongs to; equal ids in two sets mean the same input."""
    digest: str
    """SHA-256 (hex) of everything that settles the pixels: the file's bytes and how they are read."""
    read: Callable[[], Array]
    """The pixels: (height, width, 3) uint8 sRGB, or (height, width) uint8 class numbers.

    Raises UserError, with the file's name, if they cannot be read.
    """
    where: str
    """For messages: the file's path."""

    def look(self) -> tuple[Array, tuple[str, ...]]:
        """The pixels, and what was done to them that other tools would not do."""
        return self.read(), ()


@dataclass(frozen=True)
class PhotoFile(Picture):
    """An image file, read as the study shows it."""

    path: Path

    def look(self) -> tuple[Array, tuple[str, ...]]:
        """Pixels, and steps such as turning by EXIF."""
        decoded = _decode(self.path)
        return np.asarray(decoded.image), tuple(
            step for step in decoded.steps if not step.endswith(_AS_IT_IS)
        )


@dataclass(frozen=True)
class PictureSet:
    """Images of one source: the reals, or what one training run made."""

    name: str
    """Location as typed, for messages."""
    pictures: tuple[Picture, ...]
    """Unique source ids, in natural order."""

    def __len__(self) -> int:
        return len(self.pictures)

    @functools.cached_property
    def key(self) -> str:
        """SHA-256 (hex) over source ids and digests: what the cache of scores knows the set by."""
        return set_digest(self.source_ids, [picture.digest for picture in self.pictures])

    @property
    def source_ids(self) -> tuple[str, ...]:
        """The inputs, in order."""
        return tuple(picture.source_id for picture in self.pictures)


def set_digest(source_ids: Iterable[str], digests: Iterable[str]) -> str:
    """SHA-256 (hex) over lines of source id and digest, in the order given."""
    lines = "".join(f"{name} {digest}\n" for name, digest in zip(source_ids, digests, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def picture_set(
    images: "ImageSet | Path | str | Array | Tensor", *, as_stored: bool = False, name: str = "array"
) -> PictureSet:
    """Open images for scoring; reads and hashes every file, decodes none.

    Args:
        images: An opened ImageSet; a location as `evalkit metrics` takes it (PATH or PATH:label); a NumPy array
            (n, height, width, 3) uint8; or a torch tensor (n, 3, height, width) uint8. All RGB.
        as_stored: Take pixels as Pillow's `convert("RGB")` gives them, which is what pytorch-fid does, instead of as
            the study shows them (upright, in sRGB, no transparency).
        name: What messages call an array.

    Raises:
        UserError: No such folder, no images, or an array of another kind.
    """
    if isinstance(images, str | Path):
        images = open_image_set(str(images), Path())
    if isinstance(images, ImageSet):
        return _of_files(images, as_stored=as_stored)
    return _of_array(images, name)


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error


def digests_of(paths: Sequence[Path]) -> list[str]:
    """`file_digest` of many files, several at a time."""
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(file_digest, paths))


def _of_files(images: ImageSet, *, as_stored: bool) -> PictureSet:
    digests = digests_of([image.path for image in images.images])
    make = _as_stored if as_stored else _as_shown
    named = zip(images.images, digests, strict=True)
    return PictureSet(
        images.location, tuple(make(image.source_id, image.path, digest) for image, digest in named)
    )


def _as_shown(source_id: str, path: Path, digest: str) -> Picture:
    return PhotoFile(source_id, digest, functools.partial(_shown, path), str(path), path)


def _as_stored(source_id: str, path: Path, digest: str) -> Picture:
    salted = hashlib.sha256(f"as stored {digest}".encode()).hexdigest()
    return Picture(source_id, salted, functools.partial(_stored, path), str(path))


def _decode(path: Path) -> "Decoded":
    # Here: a run that finds everything in its cache decodes nothing.
    from studies.stimuli.decode import decode

    return decode(path)


def _shown(path: Path) -> Array:
    return np.asarray(_decode(path).image)


def _stored(path: Path) -> Array:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # Pillow raises many kinds over a broken file
        raise UserError(
            f"{path}: the file is damaged or no image ({error}). Copy or export it again."
        ) from error


def _of_array(images: Any, name: str) -> PictureSet:
    stack = images if isinstance(images, np.ndarray) else _nhwc(images, name)
    if stack.dtype != np.uint8 or stack.ndim != 4 or stack.shape[3] != 3 or not len(stack):
        raise UserError(
            f"{name}: an array of {stack.dtype} {stack.shape}; images are uint8 (n, height, width, 3) in NumPy, or "
            "uint8 (n, 3, height, width) in torch."
        )
    pictures = (
        Picture(str(index), _array_digest(image), functools.partial(_same, image), f"{name}[{index}]")
        for index, image in enumerate(stack)
    )
    return PictureSet(name, tuple(pictures))


def _nhwc(images: Any, name: str) -> Array:
    try:
        moved = images.detach().cpu().permute(0, 2, 3, 1).numpy()
    except (AttributeError, RuntimeError) as error:
        raise UserError(
            f"{name}: {type(images).__name__} is not a set of images. Give a folder, an ImageSet, a NumPy array or a "
            "torch tensor."
        ) from error
    return np.ascontiguousarray(moved)


def _array_digest(image: Array) -> str:
    head = f"array {image.shape}\n".encode()
    return hashlib.sha256(head + np.ascontiguousarray(image).tobytes()).hexdigest()


def _same(image: Array) -> Array:
    return image


def pixel_digest_of(pixels: Array) -> str:
    """SHA-256 (hex) of mode, size and RGB pixels, as `studies.imagesets.pixel_digest`; of a label map likewise."""
    if pixels.ndim == 3:
        return pixel_digest(Image.fromarray(pixels))
    head = f"L {pixels.shape[1]} {pixels.shape[0]}\n".encode()
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).hexdigest()
