"""Any image file -> upright 8-bit sRGB, or one clear line that says why not."""

import functools
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import PIL
from PIL import Image, ImageCms, ImageFile, ImageOps

from studies.errors import UserError

_ORIENTATION = 0x0112
"""EXIF tag; 5 to 8 swap width and height."""
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, struct.error, zlib.error)
"""What Pillow's decoders raise on damaged files."""
_TO_8_BITS = [(value * 255 + 32767) // 65535 for value in range(65536)]


@dataclass(frozen=True)
class Decoded:
    """An image as pixels, and what was done to get there."""

    image: Image.Image
    """Mode RGB, sRGB, upright, without any metadata."""
    steps: tuple[str, ...]
    """Conversions in words, alike for all images to which the same was done."""


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as the image will stand, from the header alone.

    Raises:
        UserError: Not an image, or not a still one.
    """
    with _opened(path) as image:
        turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
        return (image.height, image.width) if turned else image.size


def decode(path: Path) -> Decoded:
    """Read an image file as upright 8-bit sRGB pixels.

    Raises:
        UserError: The file is damaged or no image, is animated or partly transparent, or its colours cannot be
            known (CMYK without profile, 32-bit, Lab, a broken profile).
    """
    with _opened(path) as image:
        steps = ["16-bit colour cut to its high byte"] if _is_deep_colour(image) else []
        image.load()
        if image.getexif().get(_ORIENTATION, 1) in range(2, 9):
            steps.append("turned upright by EXIF orientation")
        upright = ImageOps.exif_transpose(image)
        icc = image.info.get("icc_profile")
    _refuse_transparency(upright, path)
    plain, step = _plain(upright, path)
    rgb, colour = _to_srgb(plain, icc, path)
    clean = Image.frombytes("RGB", rgb.size, rgb.tobytes())  # nothing of the file's info survives this
    return Decoded(clean, (*steps, *step, colour))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF and the like do not touch pixels
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as image:
                # MPO is a camera's JPEG with previews behind it; its first frame is the photo.
                if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                    raise UserError(
                        f"{path}: holds several frames or pages; a stimulus is one still image. Export one."
                    )
                yield image
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise UserError(f"{path}: too large for a stimulus: {error}") from error
        except PermissionError as error:
            raise UserError(f"{path}: may not be read. Check who owns it.") from error
        except PIL.UnidentifiedImageError as error:
            raise UserError(f"{path}: not an image that can be read. Export it again as PNG.") from error
        except _BROKEN as error:
            raise UserError(
                f"{path}: the file is damaged or incomplete ({error}). Copy or export it again."
            ) from error


def _refuse_transparency(image: Image.Image, path: Path) -> None:
    if not image.has_transparency_data:
        return
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    if isinstance(lowest, int | float) and lowest < 255:
        raise UserError(
            f"{path}: partly transparent, so its look depends on what lies behind it. "
            "Put it on the background it is meant for and save it without alpha."
        )


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether the file holds 16-bit colour, which Pillow hands out as RGB; known only before the pixels are read."""
    if image.mode not in ("RGB", "RGBA") or not isinstance(image, ImageFile.ImageFile):
        return False
    arguments = [tile.args for tile in image.tile]
    return any(";16" in str(found[0] if isinstance(found, tuple) else found) for found in arguments if found)


def _plain(image: Image.Image, path: Path) -> tuple[Image.Image, tuple[str, ...]]:
    """The image in mode L, RGB or CMYK, 8 bits per channel."""
    mode = image.mode
    if mode in ("L", "RGB", "CMYK"):
        return image, ()
    if mode.startswith("I;16"):
        grey = image.convert("I").point(_TO_8_BITS, "L")
        return grey, ("16-bit grayscale scaled to 8 bits",)
    if mode in ("1", "LA"):
        return image.convert("L"), ()
    if mode in ("P", "PA", "RGBA", "RGBX", "YCbCr"):
        return image.convert("RGB"), (("palette to RGB",) if mode.startswith("P") else ())
    raise UserError(
        f"{path}: pixels of mode {mode} cannot be shown as they are meant. Export it as 8-bit sRGB PNG."
    )


def _to_srgb(image: Image.Image, icc: bytes | None, path: Path) -> tuple[Image.Image, str]:
    """RGB pixels in sRGB, and how the colours were found."""
    if image.mode == "CMYK" and not icc:
        raise UserError(
            f"{path}: CMYK without a colour profile, so its colours are unknown. Export it as sRGB PNG."
        )
    grey = "grayscale, " if image.mode == "L" else ""
    if not icc:
        return image.convert("RGB"), f"{grey}no colour profile: taken as sRGB"
    try:
        space = _colour_space(icc)
        if space == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        if image.mode == "RGB" and _is_srgb(icc):
            return image, f"{grey}sRGB profile"
        converted = _transform(icc, image.mode).apply(image)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise UserError(
            f"{path}: its colour profile does not fit the image or is damaged ({error}). Export it as sRGB PNG."
        ) from error
    return (
        converted,
        f"{grey}{'CMYK, ' if image.mode == 'CMYK' else ''}converted from its colour profile to sRGB",
    )


@functools.lru_cache(maxsize=32)
def _colour_space(icc: bytes) -> str:
    return str(ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space).strip()


@functools.lru_cache(maxsize=32)
def _transform(icc: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.ImageCmsTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


@functools.lru_cache(maxsize=32)
def _is_srgb(icc: bytes) -> bool:
    """Whether a profile moves no colour by more than a level.

    Such images keep their pixels: the rounding of a needless conversion would touch only those that carry one.
    """
    levels = range(0, 256, 17)
    probe = bytes(
        level for red in levels for green in levels for blue in levels for level in (red, green, blue)
    )
    image = Image.frombytes("RGB", (len(levels), len(levels) ** 2), probe)
    moved = _transform(icc, "RGB").apply(image).tobytes()
    return max(abs(before - after) for before, after in zip(probe, moved, strict=True)) <= 1
