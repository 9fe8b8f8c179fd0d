"""Made-up facades: label maps and matching "photos", drawn by a small program from a seed.

They stand in where real data would have to be downloaded. Nothing in them is a photograph.
"""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from generators.toy_facades.layout import CLASSES, PALETTE, Part, lay_out
from generators.toy_facades.paint import outline, photograph
from studies.errors import UserError
from studies.imagesets import write_manifest

__all__ = ["CLASSES", "PALETTE", "draw_facades", "write_toy_facades"]

SIZES_PX = (64, 128)
"""Smallest and largest side that the drawing is made for."""


def draw_facades(
    n: int, size_px: int, rng: np.random.Generator
) -> list[tuple[Image.Image, Image.Image, Image.Image]]:
    """Draw facades.

    Args:
        n: How many. The first facades of a larger n are the same.
        size_px: Side of the images, 64 to 128.
        rng: Each facade gets a generator of its own, spawned from this one.

    Returns:
        For each facade: label map (RGB in the colours of PALETTE), photo (RGB), class map (mode L, index into
        CLASSES), all `size_px` on a side.

    Raises:
        UserError: `size_px` is out of range, or `n` is not positive.
    """
    if not SIZES_PX[0] <= size_px <= SIZES_PX[1]:
        raise UserError(f"toy-facades: size_px = {size_px}: allowed are {SIZES_PX[0]} to {SIZES_PX[1]}.")
    if n < 1:
        raise UserError(f"toy-facades: n = {n}: at least 1 facade must be drawn.")
    return [_facade(size_px, own) for own in rng.spawn(n)]


def write_toy_facades(
    folder: Path, n: int, size_px: int = 96, seed: int = 0, *, n_test: int | None = None
) -> None:
    """Write `{train,test}/{labels,photos}/facade_NNNN.png` with a manifest.json in each of the four folders.

    Args:
        folder: Made if it is not there; replaced if it holds toy facades already.
        n: Facades in all; names count through train, then test.
        size_px: Side of the images, 64 to 128.
        seed: The same seed gives the same files.
        n_test: How many of them are for testing; by default a third, rounded down.

    Raises:
        UserError: As `draw_facades`; or nothing would be left to train on, or `folder` holds something else.
    """
    for_test = n // 3 if n_test is None else n_test
    if not 0 < for_test < n:
        raise UserError(f"toy-facades: n_test = {for_test} of n = {n}: both parts need at least one facade.")
    facades = draw_facades(n, size_px, np.random.default_rng(seed))
    _clear(folder)
    for index, (labels, photo, _) in enumerate(facades):
        part = folder / ("train" if index < n - for_test else "test")
        for kind, image in (("labels", labels), ("photos", photo)):
            (part / kind).mkdir(parents=True, exist_ok=True)
            image.save(part / kind / f"facade_{index:04d}.png")
    settings = {"n": n, "size_px": size_px, "n_test": for_test}
    for kind in ("labels", "photos"):
        for phase in ("train", "test"):
            write_manifest(
                folder / phase / kind, generator=f"toy-facades {kind}", settings=settings, seed=seed
            )


def _facade(size_px: int, rng: np.random.Generator) -> tuple[Image.Image, Image.Image, Image.Image]:
    parts = lay_out(size_px, rng)
    classes = _class_map(parts, size_px)
    colours = np.asarray([PALETTE[kind] for kind in CLASSES], np.uint8)
    return Image.fromarray(colours[classes]), photograph(parts, size_px, rng), Image.fromarray(classes)


def _class_map(parts: list[Part], size_px: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    classes = np.zeros((size_px, size_px), np.uint8)
    for part in parts:
        inside = classes[part.top : part.bottom, part.left : part.right]
        inside[outline(part, 1)] = CLASSES.index(part.kind)
    return classes


def _clear(folder: Path) -> None:
    """Make room, but only where nothing but toy facades would be lost."""
    if not folder.exists():
        return
    strangers = {path.name for path in folder.iterdir()} - {"train", "test"}
    if strangers:
        raise UserError(
            f"{folder}: holds {min(strangers)!r}, which are no toy facades. Name an empty folder."
        )
    for part in ("train", "test"):
        shutil.rmtree(folder / part, ignore_errors=True)
