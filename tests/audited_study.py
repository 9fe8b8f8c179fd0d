"""Studies for the audit: pictures with some structure, split into real images and "fakes" at random, and leaks put in."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from studies.design import parse_study
from studies.stimuli import build_bundle
from studies.study_toml import render_study_toml
from webapp.config import create_secret_key


def picture(rng: random.Random, side: int = 64) -> Image.Image:
    """Soft blotches of colour with some grain: like a photograph in what the audit measures, in nothing else."""
    soft = Image.frombytes("RGB", (6, 6), rng.randbytes(108)).resize((side, side), Image.Resampling.BICUBIC)
    grain = Image.frombytes("RGB", (side, side), rng.randbytes(side * side * 3))
    return Image.blend(soft, grain, rng.uniform(0.05, 0.25))


def split_study(
    folder: Path,
    pictures: Sequence[Image.Image],
    rng: random.Random,
    leak: Callable[[Image.Image], Image.Image] = lambda image: image,
    **settings: Any,
) -> Path:
    """A built study whose fakes are a random half of the pictures, each with `leak` put in; returns the folder."""
    order = rng.sample(range(len(pictures)), len(pictures))
    half = len(pictures) // 2
    for name, chosen in (("real", order[:half]), ("split", order[half : 2 * half])):
        (folder / "images" / name).mkdir(parents=True)
        for number, index in enumerate(chosen):
            image = pictures[index] if name == "real" else leak(pictures[index])
            image.save(folder / "images" / name / f"{number}.png")
    tables: dict[str, dict[str, Any]] = {
        "study": {"id": "null", "participants_per_condition": 3, "seed": rng.randrange(2**31)},
        "protocol": {"practice": 2, "scored": 4, "reserve": 1},
        "reference": {"images": "images/real", "public": False},
        "conditions": {"split": {"images": ["images/split"]}},
        "ethics": {"approval": "IRB 1", "contact": "study@lab.example"},
    }
    for table, values in settings.items():
        tables.setdefault(table, {}).update(values)
    study = parse_study(tables, "split study")
    (folder / "study.toml").write_text(render_study_toml(study, None), encoding="utf-8")
    create_secret_key(folder)
    build_bundle(study, folder)
    return folder
