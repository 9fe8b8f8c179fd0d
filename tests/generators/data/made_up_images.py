"""Folders of small made-up images in every layout."""

import random
from pathlib import Path

from PIL import Image


def picture(seed: int, size: tuple[int, int] = (32, 32)) -> Image.Image:
    """Coarse structure, so that pictures of different seeds look different."""
    coarse = Image.frombytes("RGB", (4, 4), random.Random(seed).randbytes(48))
    return coarse.resize(size, Image.Resampling.BICUBIC)


def fill(folder: Path, names: str, seed: int = 0, size: tuple[int, int] = (32, 32)) -> None:
    """One PNG for each name, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names.split()):
        picture(1000 * seed + index, size).save(folder / f"{name}.png")
