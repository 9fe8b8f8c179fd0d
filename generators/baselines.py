"""Two honest baselines that need no training to speak of: mean colour per class, and nearest patches.

Both read label maps and photos of the same names from two folders of training pairs, and write what they make of
the test label maps as an image set with manifest.json. Neither ever sees a test photo.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from studies.errors import UserError
from studies.imagesets import ImageSet, open_image_set, pixel_digest, write_manifest

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class MeanColour:
    """Every pixel gets the mean colour that its class has over all training photos."""

    name = "mean_colour"


@dataclass(frozen=True)
class NearestPatches:
    """Every patch of the label map gets the photo patch of the training label patch most like it."""

    name = "nearest_patches"
    patch_px: int = 16
    """Side of a patch; at least 4."""
    stride_px: int = 8
    """From one patch to the next, in the test map and in the training maps; at most patch_px."""
    blend: bool = True
    """Overlapping patches fade into each other; else the last one covers the others."""
    donors: int = 1
    """How many training images, those whose whole label maps are most like it, a test image may copy from."""


@dataclass(frozen=True)
class _Pairs:
    """Training pairs as arrays."""

    palette: list[tuple[int, int, int]]
    classes: Bytes
    """(pairs, height, width), index into palette."""
    photos: Bytes
    """(pairs, height, width, 3)"""
    digests: dict[str, str]
    """Pixel digest of each training photo, by source id."""


def write_mean_colour(labels: Path, photos: Path, test_labels: Path, out: Path) -> None:
    """Write the `MeanColour` image set.

    Args:
        labels: Folder of training label maps, each class one colour.
        photos: Folder of training photos of the same names and size.
        test_labels: Folder of the label maps to paint.
        out: Folder for the image set; made if need be.

    Raises:
        UserError: A folder cannot be read, names or sizes differ, or a test map has a colour unknown in training.
    """
    pairs = _read_pairs(labels, photos)
    flat = pairs.classes.reshape(-1)
    counts = np.bincount(flat, minlength=len(pairs.palette))
    sums = [np.bincount(flat, pairs.photos[..., band].reshape(-1), len(pairs.palette)) for band in range(3)]
    means = np.round(np.stack(sums, 1) / np.maximum(counts, 1)[:, None]).astype(np.uint8)
    tests = open_image_set(str(test_labels), Path())
    _write(
        out, tests, [means[classes] for classes in _read_classes(tests, pairs.palette)], MeanColour(), pairs
    )


def write_nearest_patches(
    labels: Path, photos: Path, test_labels: Path, out: Path, settings: NearestPatches | None = None
) -> None:
    """Write the `NearestPatches` image set.

    Args:
        labels: As `write_mean_colour`, also the other folders.
        photos: Training photos.
        test_labels: Label maps to paint.
        out: Folder for the image set.
        settings: Patch size, stride, blending, donors.

    Raises:
        UserError: As `write_mean_colour`; or a setting is out of range.
    """
    settings = settings or NearestPatches()
    pairs = _read_pairs(labels, photos)
    _check(settings, pairs.classes.shape[1:])
    tests = open_image_set(str(test_labels), Path())
    codes = _codes(pairs.classes, len(pairs.palette))
    images = [
        _paint(_codes(classes[None], len(pairs.palette))[0], codes, pairs.photos, settings)
        for classes in _read_classes(tests, pairs.palette)
    ]
    _write(out, tests, images, settings, pairs)


def _paint(wanted: Floats, codes: Floats, photos: Bytes, settings: NearestPatches) -> Bytes:
    """One image from the patches of its donors."""
    side, patch = wanted.shape[0], settings.patch_px
    donors = np.argsort(((codes - wanted) ** 2).sum(axis=(1, 2, 3)), kind="stable")[: settings.donors]
    corners = _corners(wanted.shape[:2], patch, settings.stride_px)
    places = [(int(donor), top, left) for donor in donors for top, left in corners]
    known = np.stack([_features(codes[donor], top, left, patch) for donor, top, left in places])
    asked = np.stack([_features(wanted, top, left, patch) for top, left in corners])
    # Squared distance without the term that is the same for all candidates.
    best = ((known**2).sum(1)[None] - 2 * asked @ known.T).argmin(1)
    weight = _window(patch) if settings.blend else np.ones((patch, patch, 1), np.float32)
    total = np.zeros((*wanted.shape[:2], 3), np.float32)
    weights = np.zeros((side, wanted.shape[1], 1), np.float32)
    for (top, left), index in zip(corners, best, strict=True):
        donor, from_top, from_left = places[int(index)]
        box = np.s_[top : top + patch, left : left + patch]
        if not settings.blend:
            total[box], weights[box] = 0, 0
        total[box] += weight * photos[donor, from_top : from_top + patch, from_left : from_left + patch]
        weights[box] += weight
    return np.round(total / weights).astype(np.uint8)


def _features(codes: Floats, top: int, left: int, patch: int) -> Floats:
    """What two patches are compared by: their classes, and a little where they are."""
    size = np.asarray(codes.shape[:2], np.float32)
    position = np.asarray((top, left), np.float32) / size * patch
    return np.concatenate([codes[top : top + patch, left : left + patch].reshape(-1), position]).astype(
        np.float32
    )


def _codes(classes: Bytes, count: int) -> Floats:
    """One-hot class maps: (pairs, height, width, classes)."""
    return np.eye(count, dtype=np.float32)[classes]


def _corners(shape: Sequence[int], patch: int, stride: int) -> list[tuple[int, int]]:
    """Upper left corners of patches that cover the image to its last row and column."""
    rows, columns = ([*range(0, length - patch, stride), length - patch] for length in shape)
    return [(row, column) for row in rows for column in columns]


def _window(patch: int) -> Floats:
    """Weights that fall off towards the edge of a patch, never to 0."""
    ramp = np.minimum(np.arange(1, patch + 1), np.arange(patch, 0, -1)).astype(np.float32)
    return (ramp[:, None, None] * ramp[None, :, None]) ** 2


def _check(settings: NearestPatches, shape: Sequence[int]) -> None:
    where = "nearest_patches"
    if not 4 <= settings.patch_px <= min(shape):
        raise UserError(
            f"{where}: patch_px = {settings.patch_px}: allowed are 4 to {min(shape)}, the images' side."
        )
    if not 1 <= settings.stride_px <= settings.patch_px:
        raise UserError(
            f"{where}: stride_px = {settings.stride_px}: allowed are 1 to patch_px = {settings.patch_px}."
        )
    if settings.donors < 1:
        raise UserError(f"{where}: donors = {settings.donors}: at least 1 is needed.")


def _read_pairs(labels: Path, photos: Path) -> _Pairs:
    label_set, photo_set = open_image_set(str(labels), Path()), open_image_set(str(photos), Path())
    apart = set(label_set.source_ids) ^ set(photo_set.source_ids)
    if apart:
        raise UserError(f"{labels} and {photos}: {len(apart)} names are not in both, e.g. {min(apart)!r}.")
    maps = [_rgb(image.path) for image in label_set.images]
    pictures = [_rgb(image.path) for image in photo_set.images]
    for image, array in zip([*label_set.images, *photo_set.images], [*maps, *pictures], strict=True):
        if array.shape != maps[0].shape:
            raise UserError(
                f"{image.path}: {_px(array)} px, others are {_px(maps[0])} px. All must be of one size."
            )
    colours = np.unique(np.concatenate([np.unique(one.reshape(-1, 3), axis=0) for one in maps]), axis=0)
    palette = [(int(red), int(green), int(blue)) for red, green, blue in colours]
    if len(palette) > 256:
        raise UserError(
            f"{labels}: {len(palette)} colours; label maps have one colour per class. Save them as PNG."
        )
    digests = {
        image.source_id: pixel_digest(Image.fromarray(picture))
        for image, picture in zip(photo_set.images, pictures, strict=True)
    }
    classes = np.stack([_to_classes(one, palette, label_set.location) for one in maps])
    return _Pairs(palette, classes, np.stack(pictures), digests)


def _read_classes(tests: ImageSet, palette: list[tuple[int, int, int]]) -> list[Bytes]:
    return [_to_classes(_rgb(image.path), palette, str(image.path)) for image in tests.images]


def _to_classes(labels: Bytes, palette: list[tuple[int, int, int]], where: str) -> Bytes:
    """Palette index of every pixel."""
    keys = {_key(np.asarray(colour)): index for index, colour in enumerate(palette)}
    flat = (labels.astype(np.int64) @ np.asarray([65536, 256, 1])).reshape(-1)
    found, inverse = np.unique(flat, return_inverse=True)
    unknown = [int(key) for key in found if int(key) not in keys]
    if unknown:
        raise UserError(f"{where}: colour #{unknown[0]:06x} does not occur in the training label maps.")
    indices = np.asarray([keys[int(key)] for key in found], np.uint8)
    return indices[inverse].reshape(labels.shape[:2])


def _key(colour: NDArray[Any]) -> int:
    return int(colour @ np.asarray([65536, 256, 1]))


def _rgb(path: Path) -> Bytes:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"), np.uint8)
    except OSError as error:
        raise UserError(f"{path}: not an image that can be read ({error}).") from error


def _px(array: NDArray[Any]) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"


def _write(
    out: Path, tests: ImageSet, images: Sequence[Bytes], settings: MeanColour | NearestPatches, pairs: _Pairs
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for image, pixels in zip(tests.images, images, strict=True):
        path = out / f"{image.source_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    extra = {"inputs": tests.location, "fitted_on": pairs.digests}
    write_manifest(out, generator=settings.name, settings=asdict(settings), seed=None, extra=extra)
