"""The held-out inputs of an ablation, with the real images and label maps of exactly those inputs, and the split."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from generators.ablation.record import FILE, HELD_OUT
from generators.config import RunConfig
from generators.data import TASKS, Dataset, Example, ImageRef, open_dataset, open_inputs
from generators.data.pixels import read_pixels
from generators.runs import disk_errors, replace_durably
from generators.sample import real_picture
from generators.sample.folder import whole_folder
from studies.errors import UserError
from studies.imagesets import write_manifest

SPLIT = "split.json"


def write_held_out(config: RunConfig, folder: Path) -> None:
    """Write split.json, inputs/, real/ and, where the data has classes, labels/; what is there stays.

    Raises:
        UserError: The data cannot be used, has other images than when the ablation began, or the disk is full.
    """
    dataset = open_dataset(config.location, config.data)
    _begin(folder)
    _settle_split(dataset, config, folder / SPLIT)
    task = TASKS[config.data.task](config.data)
    inputs = open_inputs(config.location, config.data, trained_on=config.location)
    _write_set(folder / "inputs", inputs, lambda one: task.source_picture(task.source(one)), config, dataset)
    reals = _with_target(dataset.test, config)
    _write_set(folder / "real", reals, lambda one: real_picture(task, one), config, dataset)
    maps = [(one, ref) for one in inputs if (ref := _label_map(one)) is not None]
    if dataset.class_colours and maps:
        side = config.data.display_size_px or config.data.test_size_px or config.data.crop_size_px
        refs = {one.name: ref for one, ref in maps}
        _write_set(
            folder / "labels",
            [one for one, _ in maps],
            lambda one: Image.fromarray(read_pixels(refs[one.name], side)),
            config,
            dataset,
        )


def _begin(folder: Path) -> None:
    """Make the folder; what an earlier beginning left goes."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / FILE).is_file():
            (folder / SPLIT).unlink(missing_ok=True)
            for name in HELD_OUT - {SPLIT}:
                shutil.rmtree(folder / name, ignore_errors=True)


def _write_set(
    out: Path,
    examples: Sequence[Example],
    draw: Callable[[Example], Image.Image],
    config: RunConfig,
    dataset: Dataset,
) -> None:
    if (out / "manifest.json").is_file():
        return
    with whole_folder(out) as folder:
        for one in examples:
            path = folder / f"{one.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(one).save(path)
        if out.name == "labels":
            _write_json(folder / "classes.json", _classes(dataset))
        settings = {"location": config.location, "layout": dataset.layout, "split": dataset.split}
        write_manifest(folder, generator=f"held-out {out.name}", settings=settings, seed=None)


def _with_target(examples: Sequence[Example], config: RunConfig) -> list[Example]:
    """Where A and B belong to different scenes these are no partners of the inputs, but the other collection."""
    forward = config.data.direction == "AtoB"
    return [one for one in examples if (one.b if forward else one.a) is not None]


def _label_map(example: Example) -> ImageRef | None:
    return next((ref for ref in (example.a, example.b) if ref is not None and ref.label_map), None)


def _classes(dataset: Dataset) -> dict[str, Any]:
    """In the form in which CamVid has it."""
    colours = dataset.class_colours or {}
    return {"classes": list(colours), "palette": [list(colour) for colour in colours.values()]}


def _settle_split(dataset: Dataset, config: RunConfig, path: Path) -> None:
    """Write the split, or hold the one that is there against the data."""
    drawn = dataset.split.startswith("drawn")
    names = {
        "train": [one.name for one in dataset.train],
        "test": [one.name for one in dataset.test],
    }
    split = {
        "how": dataset.split,
        "seed": config.data.split_seed if drawn else None,
        "layout": dataset.layout,
        "paired": all(one.a is not None and one.b is not None for one in dataset.test),
        **names,
    }
    if not path.is_file():
        _write_json(path, split)
        return
    there = json.loads(path.read_text(encoding="utf-8"))
    for part, now in names.items():
        changed = sorted(set(there[part]) ^ set(now))
        if changed:
            raise UserError(
                f"{dataset.location}: other {part} images than when the ablation began: {len(changed)} came or went, e.g. "
                f"{changed[0]!r}. Restore the data, or begin in another --out."
            )


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    with disk_errors(path):
        replace_durably(path, lambda stream: stream.write(text.encode()) and None)
