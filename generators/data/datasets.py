"""A location and the settings -> a dataset: its layout, its examples and its split."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from generators.config import DataSettings
from generators.data import layouts
from generators.data.base import Dataset, Example
from generators.data.layouts import WHOLE, Found
from generators.data.locations import check_one_meaning, data_folder, is_known, locate
from generators.data.tasks import TASKS
from studies.errors import UserError
from studies.imagesets import open_image_set
from studies.imagesets.base import EXTENSIONS


def open_dataset(location: str, settings: DataSettings) -> Dataset:
    """Find and name the images of a dataset; opens none, but for a look at the first headers.

    A test split that the folder brings is taken as it is (val where there is no test); otherwise it is drawn from
    `split_seed` and `test_share`.

    Args:
        location: A folder, or a name that `evalkit data list` shows.
        settings: Task, direction and split.

    Raises:
        UserError: No such folder or name, not downloaded yet, no images, images that do not fit the task, or names
            without a partner.
    """
    folder = locate(location, settings)
    found = _find(folder, settings) or _plain(folder)
    if TASKS[settings.task].one_sided:
        found = _one_sided(found, settings)
    elif _is_photos(found):
        raise UserError(
            f"{location}: {found.layout}, but task={settings.task} needs two sides. Allowed are aligned A|B images "
            "(twice as wide as high) in train/ and test/, folders A/ and B/, or trainA/ trainB/ testA/ testB/."
        )
    train, test, split = _split(found, settings, location)
    return Dataset(location, found.layout, train, test, split, found.class_colours, found.label_side)


def settle_direction(location: str, settings: DataSettings) -> DataSettings:
    """The same settings with `labels_to_photos` or `photos_to_labels` turned into AtoB or BtoA.

    Raises:
        UserError: The folder does not tell which side holds the label maps.
    """
    if settings.direction in ("AtoB", "BtoA"):
        return settings
    side = open_dataset(location, settings).label_side
    if not side:
        raise UserError(
            f"{location}: direction={settings.direction}, but nothing tells which side holds the label maps. "
            "Set direction=AtoB or direction=BtoA (the first letter is the side to begin from)."
        )
    from_labels = settings.direction == "labels_to_photos"
    return dataclasses.replace(settings, direction="AtoB" if from_labels == (side == "A") else "BtoA")


def open_inputs(
    location: str, settings: DataSettings, *, backward: bool = False, trained_on: str = ""
) -> list[Example]:
    """What a trained generator is to translate: a folder of images, or the test split of a dataset.

    Args:
        location: A plain folder of images, `PATH:label` for one kind of a results folder, a dataset's folder or one
            phase of it (`facades/test`), or a name that `evalkit data list` shows. As in training, images twice as
            wide as high that lie together are taken for aligned A|B images.
        settings: Of the run.
        backward: Translate targets into sources: the examples then have the target side.
        trained_on: Location of the run's dataset, or any other word where it is unknown. A folder without a test
            split of its own is taken whole, unless it is this one: then only the part that was held out of training.
            Empty: a dataset without a split is split as for training, a plain folder is taken whole.

    Returns:
        At least one example with the needed side: `task.source(example)`, or `task.target(example)` if backward.

    Raises:
        UserError: As `open_dataset`; or there are no images of the needed side.
    """
    side = "A" if (settings.direction == "AtoB") != backward else "B"
    examples = _inputs(location, settings, trained_on)
    if not TASKS[settings.task].one_sided:
        examples = [_on_its_side(one, side) for one in examples]
    usable = [one for one in examples if (one.a if side == "A" else one.b) is not None]
    if not usable:
        raise UserError(f"{location}: there are no images of side {side} to begin from.")
    return usable


def _inputs(location: str, settings: DataSettings, trained_on: str) -> Sequence[Example]:
    check_one_meaning(location)
    known = is_known(location)
    given = location.strip() and not known
    folder = Path(location).expanduser() if given else locate(location, settings)
    found = _find(folder, settings) if folder.is_dir() else None
    if found is not None and TASKS[settings.task].one_sided:
        found = _one_sided(found, settings)
    if found is None and trained_on and same_place(location, trained_on):
        return open_dataset(location, settings).test
    if found is None:
        return layouts.whole(layouts.named(folder) if known else open_image_set(location, Path()).images)
    if WHOLE in found.phases and (
        folder.name in layouts.PHASES or (trained_on and not same_place(location, trained_on))
    ):
        return found.phases[WHOLE]  # no split of its own, and nothing of it was trained on
    if _is_photos(found):
        return _split(found, settings, location)[1]
    return open_dataset(location, settings).test


def same_place(one: str, other: str) -> bool:
    """A dataset known by name is also the folder in which it lies."""
    places = [data_folder() / name if is_known(name) else Path(name).expanduser() for name in (one, other)]
    return places[0].resolve() == places[1].resolve()


def _on_its_side(example: Example, side: str) -> Example:
    """An image that belongs to no side is taken for an image of this one."""
    if example.a != example.b:
        return example
    return Example(example.name, example.a if side == "A" else None, example.b if side == "B" else None)


def _find(folder: Path, settings: DataSettings) -> Found | None:
    kind = TASKS[settings.task]
    return layouts.find(folder, matched=kind.paired and not kind.one_sided)


def _plain(folder: Path) -> Found:
    images = layouts.named(folder)
    if not images:
        files = [path.name for path in folder.rglob("*") if path.is_file()]
        instead = f"{len(files)} other files, e.g. {min(files)}" if files else "it is empty"
        raise UserError(f"{folder}: no images in it ({instead}). Allowed are {', '.join(EXTENSIONS)}.")
    return Found(layouts.PHOTOS, {WHOLE: layouts.whole(images)})


def _is_photos(found: Found) -> bool:
    return found.layout.startswith(layouts.PHOTOS)


def _one_sided(found: Found, settings: DataSettings) -> Found:
    """The photos alone: of a dataset with two sides those of the target side."""
    if _is_photos(found):
        return found
    side = "B" if settings.direction == "AtoB" else "A"
    phases = {}
    for phase, examples in found.phases.items():
        refs = [(one.name, one.b if side == "B" else one.a) for one in examples]
        phases[phase] = tuple(Example(name, ref, ref) for name, ref in refs if ref is not None)
    return Found(f"{found.layout}: side {side} alone", phases, None)


def _split(
    found: Found, settings: DataSettings, location: str
) -> tuple[Sequence[Example], Sequence[Example], str]:
    """Training and test examples, and where the split comes from."""
    phases = {phase: examples for phase, examples in found.phases.items() if examples}
    if not phases:
        raise UserError(f"{location}: no images in it ({found.layout}). Allowed are {', '.join(EXTENSIONS)}.")
    train = phases.get("train", ())
    if "test" in phases:
        return train, phases["test"], "given by the folder"
    if "val" in phases:
        return train, phases["val"], "given by the folder: val, for there is no test"
    train, test = _draw_split(phases.get(WHOLE, train), settings, location)
    return train, test, f"drawn: share {settings.test_share:g}, seed {settings.split_seed}"


def _draw_split(
    examples: Sequence[Example], settings: DataSettings, location: str
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Each side of unpaired data is split on its own."""
    if settings.test_share >= 1:
        raise UserError(
            f"test_share={settings.test_share:g}: a share below 1 is needed, or nothing is left to train on."
        )
    groups: dict[tuple[bool, bool], list[Example]] = {}
    for one in examples:
        groups.setdefault((one.a is None, one.b is None), []).append(one)
    held_out: set[int] = set()
    for group in groups.values():
        count = round(len(group) * settings.test_share)
        if settings.test_share and len(group) < 2:
            raise UserError(
                f"{location}: one image is too few to train and to test. Add more, or set test_share=0."
            )
        count = min(max(count, 1 if settings.test_share else 0), len(group) - 1)
        drawn = np.random.default_rng(settings.split_seed).permutation(len(group))[:count]
        held_out |= {id(group[index]) for index in drawn}
    train = tuple(one for one in examples if id(one) not in held_out)
    return train, tuple(one for one in examples if id(one) in held_out)
