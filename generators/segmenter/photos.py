"""Labelled photos: which map belongs to which photo, what is held out, and how training cuts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from evalkit.metrics.base import Array
from evalkit.metrics.pictures import Picture, PictureSet
from evalkit.metrics.segmenters import Size
from generators.segmenter.settings import SegmenterSettings
from studies.errors import UserError

KEPT_BYTES = 2**30
"""Photos that take no more than this at training size are decoded once."""
_ORDER, _JITTER, _SPLIT = range(3)
"""Keys of independent random streams under one seed."""


@dataclass(frozen=True)
class Labelled:
    """A photo and its label map."""

    photo: Picture
    labels: Picture


@dataclass(frozen=True)
class Split:
    """What is trained on and what is held out."""

    train: tuple[Labelled, ...]
    validation: tuple[Labelled, ...]


def labelled(photos: PictureSet, labels: PictureSet) -> tuple[Labelled, ...]:
    """Photos with their label maps; maps without a photo are left out.

    Raises:
        UserError: A photo has no label map of its name.
    """
    maps = {one.source_id: one for one in labels.pictures}
    lonely = [one.source_id for one in photos.pictures if one.source_id not in maps]
    if lonely:
        some = ", ".join(lonely[:5]) + (", ..." if len(lonely) > 5 else "")
        raise UserError(
            f"{photos.name}: {len(lonely)} of {len(photos.pictures)} photos have no label map of their name in "
            f"{labels.name} ({some}). Add the maps, or remove the photos."
        )
    return tuple(Labelled(one, maps[one.source_id]) for one in photos.pictures)


def split(pairs: Sequence[Labelled], share: float, seed: int) -> Split:
    """Hold out a share, at least one; drawn from the seed.

    Raises:
        UserError: Fewer than two photos.
    """
    if len(pairs) < 2:
        raise UserError(
            f"{len(pairs)} labelled photo: at least 2 are needed, one to train on and one to score it."
        )
    count = min(max(round(share * len(pairs)), 1), len(pairs) - 1)
    drawn = np.random.default_rng((seed, _SPLIT)).permutation(len(pairs))[:count]
    held_out = set(drawn.tolist())
    train = [one for index, one in enumerate(pairs) if index not in held_out]
    return Split(tuple(train), tuple(pairs[index] for index in sorted(held_out)))


class LabelledPhotos(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Item k is the k-th photo shown, CHW float32 in [-1, 1], and its (height, width) int64 class numbers.

    A pure function of (seed, k); every epoch shows each photo once, in an order of its own.
    """

    def __init__(self, pairs: Sequence[Labelled], settings: SegmenterSettings, seed: int) -> None:
        """Decodes all of them if they fit into memory.

        Raises:
            UserError: A file cannot be read.
        """
        self._pairs, self._settings, self._seed = pairs, settings, seed
        self._size: Size = (settings.height_px, settings.width_px)
        self._epoch, self._order = -1, np.arange(0)
        fits = 4 * self._size[0] * self._size[1] * len(pairs) <= KEPT_BYTES
        self._kept = [at_size(one, self._size) for one in pairs] if fits else None

    def __len__(self) -> int:
        """Photos in an epoch."""
        return len(self._pairs)

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        """The k-th photo shown and its classes."""
        epoch, place = divmod(k, len(self))
        if epoch != self._epoch:
            self._order = np.random.default_rng((self._seed, _ORDER, epoch)).permutation(len(self))
            self._epoch = epoch
        index = int(self._order[place])
        photo, labels = (
            self._kept[index] if self._kept is not None else at_size(self._pairs[index], self._size)
        )
        rng = np.random.default_rng((self._seed, _JITTER, k))
        return jittered(photo, labels, self._settings, rng)


def at_size(pair: Labelled, size: Size) -> tuple[Array, Array]:
    """Photo (bilinear) and label map (nearest) at training size.

    Raises:
        UserError: A file cannot be read, or they differ in shape.
    """
    photo, labels = pair.photo.read(), pair.labels.read()
    (height, width), (label_height, label_width) = photo.shape[:2], labels.shape
    if abs(height * label_width - width * label_height) > max(photo.shape[:2]) + max(labels.shape):
        raise UserError(
            f"{pair.labels.where}: {label_width}x{label_height} px, and its photo {pair.photo.where} {width}x{height}: not "
            "of one shape, so pixels do not belong together. Resize or crop both alike."
        )
    return _resized(photo, size, Image.Resampling.BILINEAR), _resized(labels, size, Image.Resampling.NEAREST)


def jittered(
    photo: Array, labels: Array, settings: SegmenterSettings, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cut both at the same random place, enlarge, mirror, change the brightness of the photo."""
    height, width = labels.shape
    share = float(rng.uniform(settings.least_crop, 1))
    top, left = float(rng.uniform(0, 1 - share)) * height, float(rng.uniform(0, 1 - share)) * width
    box = (left, top, left + share * width, top + share * height)
    if settings.least_crop < 1:
        photo = _resized(photo, (height, width), Image.Resampling.BILINEAR, box)
        labels = _resized(labels, (height, width), Image.Resampling.NEAREST, box)
    if settings.mirror and rng.random() < 0.5:
        photo, labels = photo[:, ::-1], labels[:, ::-1]
    factor = float(rng.uniform(1 - settings.brightness, 1 + settings.brightness))
    seen = np.ascontiguousarray(photo.transpose(2, 0, 1)).astype(np.float32) * factor
    return torch.from_numpy(seen.clip(0, 255) / 127.5 - 1), torch.from_numpy(labels.astype(np.int64))


def _resized(
    pixels: Array,
    size: Size,
    resampling: Image.Resampling,
    box: tuple[float, float, float, float] | None = None,
) -> NDArray[Any]:
    if box is None and pixels.shape[:2] == tuple(size):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), resampling, box=box))
