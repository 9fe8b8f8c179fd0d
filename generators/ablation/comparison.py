"""The comparison: a dozen held-out inputs, what every loss makes of them, and the real images, as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from generators.ablation.record import AblationRecord
from studies.imagesets import open_image_set

MOST_INPUTS = 12
_GAP_PX, _HEAD_PX = 6, 26
_LEAST_PX, _MOST_PX = 112, 256
"""Cells of smaller images are enlarged by a whole factor, those of larger ones reduced."""


@dataclass(frozen=True)
class Row:
    """One held-out input."""

    name: str
    input: Path
    made: dict[str, Path]
    """By loss, of one seed."""
    real: Path | None
    """None where inputs have no real partner."""


def comparison_rows(record: AblationRecord, seed: int, *, paired: bool) -> list[Row]:
    """Inputs evenly spread over the held-out ones, in their order; never chosen by what was made of them.

    Args:
        record: Of the ablation.
        seed: Of the training runs to show.
        paired: Whether a real image of an input's name shows the same scene; else they are of two collections.
    """
    inputs = _files(record.folder / "inputs")
    reals = _files(record.real) if paired else {}
    made = {
        run.loss: _files(record.images(run))
        for run in record.runs
        if run.seed == seed and record.images(run).is_dir()
    }
    names = list(inputs)
    places = np.linspace(0, len(names) - 1, min(MOST_INPUTS, len(names))).round().astype(int)
    return [
        Row(
            name,
            inputs[name],
            {loss: files[name] for loss, files in made.items() if name in files},
            reals.get(name),
        )
        for name in (names[place] for place in places)
    ]


def draw_grid(rows: Sequence[Row], losses: Sequence[str]) -> Image.Image:
    """Inputs down; input, losses, real across; white where nothing is there yet."""
    heads = ["input", *losses, "real"]
    cell = _cell_px(rows[0].input)
    step = cell + _GAP_PX
    sheet = Image.new("RGB", (step * len(heads) + _GAP_PX, _HEAD_PX + step * len(rows) + _GAP_PX), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, head in enumerate(heads):
        pen.text((_GAP_PX + column * step + cell / 2, _HEAD_PX / 2 + 2), head, "#1b1c1e", font, anchor="mm")
    for line, row in enumerate(rows):
        for column, path in enumerate([row.input, *(row.made.get(loss) for loss in losses), row.real]):
            if path is not None:
                place = (_GAP_PX + column * step, _HEAD_PX + line * step)
                sheet.paste(_fitted(path, cell), place)
    return sheet


def _files(folder: Path) -> dict[str, Path]:
    return {image.source_id: image.path for image in open_image_set(str(folder.resolve()), Path()).images}


def _cell_px(path: Path) -> int:
    with Image.open(path) as image:
        side = max(image.size)
    return min(side * -(-_LEAST_PX // side), _MOST_PX)


def _fitted(path: Path, cell: int) -> Image.Image:
    with Image.open(path) as image:
        picture = image.convert("RGB")
    enlarging = max(picture.size) <= cell
    how = Image.Resampling.NEAREST if enlarging else Image.Resampling.BOX
    scale = cell / max(picture.size)
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), how)
