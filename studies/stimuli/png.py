"""Stimulus files: lossless PNG without metadata, all padded to one length."""

import hashlib
import io
import zlib

from PIL import Image

PADDING_CHUNK = b"evPd"
"""Ancillary, private, safe to copy, by the case of its letters. Source: PNG specification, 5.4."""
_IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_OVERHEAD = 12
"""Bytes of an empty chunk: length, type, CRC."""
_STEP = 1024
COMPRESS_LEVEL = 2
"""Every file is padded to the longest, and that one hardly shrinks at higher levels: they would only take time."""


def encode_png(image: Image.Image) -> bytes:
    """The bytes of an RGB image as PNG, with fixed settings and nothing but pixels in it."""
    stream = io.BytesIO()
    Image.frombytes(image.mode, image.size, image.tobytes()).save(
        stream, "PNG", compress_level=COMPRESS_LEVEL
    )
    return stream.getvalue()


def padded_length(longest: int) -> int:
    """The one length, in bytes, that every file is padded to; room for a padding chunk even in the longest."""
    return -(-(longest + _OVERHEAD) // _STEP) * _STEP


def pad_png(png: bytes, length: int, pixels: str) -> bytes:
    """The same PNG with a padding chunk before its end, `length` bytes long.

    The padding is pseudo-random, so that no compression on the way undoes it, and comes from the pixels alone, so
    that the same image always gives the same file.

    Args:
        png: As `encode_png` returns it.
        length: At least 12 bytes more than `png` has.
        pixels: The image's pixel digest.
    """
    assert png.endswith(_IEND)
    assert length >= len(png) + _OVERHEAD
    filler = hashlib.shake_256(pixels.encode()).digest(length - len(png) - _OVERHEAD)
    crc = zlib.crc32(PADDING_CHUNK + filler)
    chunk = len(filler).to_bytes(4, "big") + PADDING_CHUNK + filler + crc.to_bytes(4, "big")
    return png[: -len(_IEND)] + chunk + _IEND
