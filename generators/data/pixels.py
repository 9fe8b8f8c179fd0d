"""Image files -> uint8 arrays of one side length, and arrays -> tensors -> pictures."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from generators.data.base import ImageRef
from studies.errors import UserError
from studies.stimuli.decode import decode, upright_size

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

KEPT_BYTES = 2**30
"""A training set that takes no more than this when decoded is decoded once."""


def read_pixels(ref: ImageRef, side_px: int) -> Bytes:
    """Decode an image to upright 8-bit sRGB: (side_px, side_px, 3), or (height, width, 3) as it is if 0.

    Label maps are resized to the nearest pixel, so that no colour appears that stands for no class; photos
    bicubically (Source: get_transform in data/base_dataset.py of junyanz/pytorch-CycleGAN-and-pix2pix).

    Raises:
        UserError: The file is damaged, partly transparent or of a mode that cannot be shown; or it should hold two
            images side by side and does not.
    """
    image = decode(ref.path).image
    if ref.half:
        image = image.crop(_half_box(ref, image.size))
    if side_px and image.size != (side_px, side_px):
        smooth = not (ref.label_map or _has_palette(ref))
        image = image.resize(
            (side_px, side_px), Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
        )
    return np.asarray(image, np.uint8)


def native_size(ref: ImageRef) -> tuple[int, int]:
    """Width and height in px, from the file's header alone.

    Raises:
        UserError: As `read_pixels`, as far as a header can tell.
    """
    size = upright_size(ref.path)
    if not ref.half:
        return size
    left, top, right, bottom = _half_box(ref, size)
    return right - left, bottom - top


def to_tensor(pixels: Bytes) -> Tensor:
    """(height, width, channels) uint8 -> (channels, height, width) float32 in [-1, 1]."""
    channels_first = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    return torch.from_numpy(channels_first).float().div_(127.5).sub_(1)


def to_pixels(tensor: Tensor) -> Bytes:
    """(channels, height, width) in [-1, 1] -> (height, width, channels) uint8: clipped, rounded."""
    levels = tensor.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return levels.to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()


class ImageStore:
    """Images at the size at which training cuts them, kept in memory where the whole set fits."""

    def __init__(self, side_px: int, least_px: int) -> None:
        """`side_px`: as `read_pixels`. `least_px`: shortest side that can serve, checked where side_px is 0."""
        self._side_px, self._least_px = side_px, least_px
        self._kept: dict[ImageRef, Bytes | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What goes to a worker that is not forked: names, not pixels; it decodes for itself what it is asked for."""
        return {**self.__dict__, "_kept": dict.fromkeys(self._kept)}

    def prepare(self, refs: Iterable[ImageRef]) -> None:
        """Decode all of them if they fit; else look at their headers, so that most of what is wrong shows now.

        Raises:
            UserError: As `load`.
        """
        wanted = list(dict.fromkeys(refs))
        if self._bytes(wanted) <= KEPT_BYTES:
            self._kept = {ref: self._read(ref) for ref in wanted}  # forked workers share these pages
        else:
            for ref in wanted:
                self._refuse_small(ref, native_size(ref))

    def load(self, ref: ImageRef) -> Bytes:
        """The pixels of one image; not to be written to.

        Raises:
            UserError: As `read_pixels`; or the image is smaller than what is cut from it.
        """
        kept = self._kept.get(ref)
        if kept is not None:
            return kept
        pixels = self._read(ref)
        if ref in self._kept:
            self._kept[ref] = pixels
        return pixels

    def _read(self, ref: ImageRef) -> Bytes:
        pixels = read_pixels(ref, self._side_px)
        self._refuse_small(ref, (pixels.shape[1], pixels.shape[0]))
        return pixels

    def _bytes(self, refs: list[ImageRef]) -> int:
        if self._side_px:
            return 3 * self._side_px**2 * len(refs)
        return sum(3 * width * height for width, height in map(native_size, refs))

    def _refuse_small(self, ref: ImageRef, size: tuple[int, int]) -> None:
        if self._side_px or min(size) >= self._least_px:
            return
        raise UserError(
            f"{ref.path}: {size[0]}x{size[1]} px, smaller than crop_size_px = {self._least_px}. Set a smaller "
            "crop_size_px, or load_size_px to resize all images before the crop, or remove the image."
        )


def _half_box(ref: ImageRef, size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = size
    if width != 2 * height:
        raise UserError(
            f"{ref.path}: {width}x{height} px; an aligned image is A|B side by side, two squares, twice as wide as "
            "high. Remove it or export it again; pairs in folders of their own go into A/ and B/."
        )
    return (0, 0, height, height) if ref.half == "left" else (height, 0, width, height)


def _has_palette(ref: ImageRef) -> bool:
    with Image.open(ref.path) as image:
        return image.mode == "P"
