"""A small but whole study folder: real images, a real bundle, a real key."""

import random
import tomllib
from pathlib import Path
from typing import Any

from PIL import Image

from studies.design import parse_study
from studies.stimuli import build_bundle
from studies.study_toml import render_study_toml
from webapp.config import create_secret_key


def make_study(folder: Path, *, inputs: int = 16, size_px: int = 32, **settings: Any) -> Path:
    """Write images and study.toml into `folder`, build the bundle, and return the folder.

    Args:
        folder: Where; made here.
        inputs: How many inputs.
        size_px: Side of the square images.
        settings: Tables of study.toml to merge over the small default, for example `protocol={"scored": 8}`.
    """
    tables: dict[str, dict[str, Any]] = {
        "study": {"id": "small", "participants_per_condition": 3, "seed": 1},
        "protocol": {"practice": 2, "scored": 4, "reserve": 1},
        "reference": {"images": "images/real"},
        "conditions": {name: {"images": [f"images/{name}"]} for name in ("alpha", "beta")},
        "ethics": {"approval": "IRB 1", "contact": "study@lab.example"},
    }
    for table, values in settings.items():
        tables.setdefault(table, {}).update(values)
    rng = random.Random(5)
    inputs_too = ("inputs",) if tables["reference"].get("inputs") else ()
    for name in ("real", "alpha", "beta", *inputs_too):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(inputs):
            pixels = rng.randbytes(size_px * size_px * 3)
            image = Image.frombytes("RGB", (size_px, size_px), pixels)
            image.save(folder / "images" / name / f"{number}.png")
    study = parse_study(tables, "made-up study")
    (folder / "study.toml").write_text(render_study_toml(study, None), encoding="utf-8")
    assert parse_study(tomllib.loads((folder / "study.toml").read_text(encoding="utf-8")), "written") == study
    create_secret_key(folder)
    build_bundle(study, folder)
    return folder
