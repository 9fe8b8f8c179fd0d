"""What an image file tells besides its picture. In a bundle all of it is the same for every file, or nothing is built."""

import io
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from PIL import Image

from studies.errors import UserError

_HEX_NAME = re.compile(r"[0-9a-f]{20}")
_PNG_HEAD = 8
_JPEG_FRAMES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}


@dataclass(frozen=True)
class FileProperties:
    """What can be told from a file without looking at the picture."""

    size_bytes: int
    width_px: int
    height_px: int
    format: str
    """PNG, JPEG ..."""
    mode: str
    """Pillow's word for the kind of pixels."""
    encoding: str
    """How the pixels were coded: bit depth, colour type and zlib header; or kind of JPEG and its quantisation."""
    metadata: str
    """Kinds of PNG chunks or JPEG segments in the file, such as eXIf, iCCP, tEXt."""
    name_length: int
    """Characters of the file name without its ending."""
    name_digits: int
    """Digits among them; 0 for the bundle's names, which are digits and letters by chance."""
    name_pattern: str
    """The name with each number as `#`; the bundle's names are `hex`."""


def file_properties(name: str, data: bytes) -> FileProperties:
    """The properties of one image file; `name` with its ending.

    Raises:
        UserError: The bytes are no image that can be read.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            size, kind, mode = image.size, image.format or "", image.mode
            other = " ".join(sorted(str(key) for key in image.info))
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise UserError(f"{name}: not an image that can be read. Export it again as PNG.") from error
    encoding, metadata = {"PNG": _png, "JPEG": _jpeg}.get(kind, lambda _: ("", other))(data)
    stem, _, ending = name.rpartition(".")
    is_hex = _HEX_NAME.fullmatch(stem) is not None
    return FileProperties(
        size_bytes=len(data),
        width_px=size[0],
        height_px=size[1],
        format=kind,
        mode=mode,
        encoding=encoding,
        metadata=metadata,
        name_length=len(stem),
        name_digits=0 if is_hex else sum(map(str.isdigit, stem)),
        name_pattern=f"{'hex' if is_hex else re.sub('[0-9]+', '#', stem)}.{ending}",
    )


def refuse_differences(files: Iterable[tuple[str, FileProperties]], where: Path) -> None:
    """Refuse a bundle in which any file differs from the first in anything but its picture.

    Args:
        files: Name and properties of each file.
        where: The bundle, for the message.

    Raises:
        UserError: Names the property and two files.
    """
    first: tuple[str, FileProperties] | None = None
    for name, found in files:
        first = first or (name, found)
        for field in fields(FileProperties):
            one, other = getattr(first[1], field.name), getattr(found, field.name)
            if one != other:
                raise UserError(
                    f"{where}: {field.name} is {one!r} for {first[0]} and {other!r} for {name}; in a bundle nothing but "
                    "the picture may differ, or it could tell real from fake. Build it with `evalkit study build`."
                )


def _png(data: bytes) -> tuple[str, str]:
    kinds: list[str] = []
    stream, encoding, at = b"", "", _PNG_HEAD
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"IHDR":
            depth, colour, _, _, interlace = data[at + 16 : at + 21]
            encoding = f"{depth} bit, colour type {colour}, interlace {interlace}"
        if kind == b"IDAT" and not stream:
            stream = data[at + 8 : at + 10]
        kinds.append(kind.decode("latin-1"))
        at += 12 + length
    after_end = ", more after the end" if at != len(data) else ""
    return f"{encoding}, zlib {stream.hex()}{after_end}", " ".join(sorted(set(kinds)))


def _jpeg(data: bytes) -> tuple[str, str]:
    kinds: set[str] = set()
    tables, frame, at = b"", "", 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if 0xE0 <= marker <= 0xEF:
            kinds.add(f"APP{marker - 0xE0}")
        elif marker == 0xFE:
            kinds.add("COM")
        elif marker == 0xDB:
            tables += data[at + 4 : at + 2 + length]
        elif marker in _JPEG_FRAMES:
            frame = _JPEG_FRAMES[marker]
        at += 2 + length
    return f"{frame}, quantisation {zlib.crc32(tables):08x}", " ".join(sorted(kinds))
