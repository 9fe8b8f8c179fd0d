"""Images for attention checks: obvious fakes that a study brings along, or that are made from its real images."""

import colorsys
import dataclasses
import random
from pathlib import Path

from PIL import Image, ImageOps

from studies.design import Study
from studies.errors import UserError
from studies.imagesets import open_image_set
from studies.records import CHECK
from studies.stimuli.collect import Source

GRID = 6
"""Pieces per side. At 256 px a piece is 43 px: large enough to see what it is, and that it stands in the wrong place."""
MOST_MADE = 500
"""Obvious fakes that are made at most; a larger pool gives its sessions enough to choose from."""


def check_source(study: Study, folder: Path, reference: Source) -> tuple[Source, ...]:
    """The set that attention checks are drawn from; none where the study has no checks.

    Args:
        study: Its image locations are relative to `folder`.
        folder: The study folder.
        reference: The real images, one per input.

    Raises:
        UserError: `[checks] images` cannot be opened, or has too few of the inputs.
    """
    if study.checks_per_session == 0:
        return ()
    return (_brought(study, folder, reference) if study.checks.images else _to_be_made(study, reference),)


def _brought(study: Study, folder: Path, reference: Source) -> Source:
    found, inputs = open_image_set(study.checks.images, folder), set(reference.images.source_ids)
    images = tuple(image for image in found.images if image.source_id in inputs)
    if len(images) < study.checks_per_session:
        raise UserError(
            f"[checks] images = {study.checks.images!r}: {len(images)} of its {len(found.images)} images are named as an "
            f"input, and a session has {study.checks_per_session} checks. Name them as the inputs, or leave images "
            "empty: then obvious fakes are made from the real images."
        )
    return Source(CHECK, 0, "[checks] images", dataclasses.replace(found, images=images))


def _to_be_made(study: Study, reference: Source) -> Source:
    images = reference.images.images
    if len(images) > MOST_MADE:
        chosen = random.Random(f"{study.study.seed}/obvious fakes").sample(range(len(images)), MOST_MADE)
        images = tuple(images[number] for number in sorted(chosen))
    made = dataclasses.replace(
        reference.images,
        images=images,
        manifest=None,
        warnings=(),
        notes=(
            f"made from the real images: {GRID} x {GRID} pieces in the wrong places, each in a glaring colour",
        ),
    )
    return Source(CHECK, 0, "[checks]", made, made=True)


def obvious_fake(image: Image.Image, rng: random.Random) -> Image.Image:
    """The picture cut into pieces, none in its own place, each in shades of one glaring colour.

    Shuffling alone is not enough for grass or a map, where pieces fit anywhere, and colour alone not for a picture that is
    colourful; together they are no photograph of anything, also for grey, flat and abstract pictures.
    """
    columns, rows = _cuts(image.width), _cuts(image.height)
    places = [(column, row) for row in range(len(rows) - 1) for column in range(len(columns) - 1)]
    turn = rng.randrange(1, len(places)) if len(places) > 1 else 0
    order = rng.sample(places, len(places))
    origin = {place: order[(number + turn) % len(order)] for number, place in enumerate(order)}
    hue, pieces = rng.random(), Image.new("RGB", image.size)
    for column, row in places:
        piece = image.crop(_box(columns, rows, *origin[column, row]))
        left, top, right, bottom = _box(columns, rows, column, row)
        # Neighbours are at least a fifth of the colour wheel apart.
        shade = (hue + 0.4 * column + 0.2 * row) % 1.0
        pieces.paste(_glaring(piece.resize((right - left, bottom - top)), shade), (left, top))
    return pieces


def _cuts(length: int) -> list[int]:
    pieces = min(GRID, length)
    return [number * length // pieces for number in range(pieces + 1)]


def _box(columns: list[int], rows: list[int], column: int, row: int) -> tuple[int, int, int, int]:
    return columns[column], rows[row], columns[column + 1], rows[row + 1]


def _glaring(piece: Image.Image, hue: float) -> Image.Image:
    """The piece in shades of one saturated colour, dark to light as the picture's."""
    dark, light = (
        tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 1.0, value)) for value in (0.35, 1.0)
    )
    return ImageOps.colorize(piece.convert("L"), dark, light)
