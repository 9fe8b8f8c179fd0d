"""How data sets lie on disk: each reader knows one layout, and names its examples; at most headers are opened."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from generators.data.base import Example, ImageRef
from generators.toy_facades import PALETTE
from studies.errors import UserError
from studies.imagesets import READERS, open_image_set
from studies.imagesets.base import UNLABELLED, NamedImage, image_files, subfolders
from studies.imagesets.folder import PlainFolder
from studies.stimuli.decode import upright_size

PHASES = ("train", "val", "test")
WHOLE = ""
"""The phase of folders that are not split."""
PHOTOS = "single photos"
"""How layouts without sides begin."""
SEARCH_DEPTH = 4
"""Folders below the one given in which results may lie, as in `results/NAME/test_latest/images`."""

PUBLISHED_LABEL_SIDE: Literal["B"] = "B"
"""The pix2pix and CycleGAN authors' facades, cityscapes and maps have photos as A and label maps as B.

Source: the PyTorch code's scripts and README (`--direction BtoA` for labels to photos).
"""

_SIDES = (("labels", "photos"), ("labels", "images"), ("A", "B"))
_RESULTS = (("real_A", "real_B"), ("input", "target"), ("inputs", "targets"))
_PROBED_FILES = 8

Colours = dict[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Found:
    """What a folder holds."""

    layout: str
    """In words."""
    phases: dict[str, tuple[Example, ...]]
    """Key: one of PHASES, or WHOLE alone."""
    class_colours: Colours | None = None
    label_side: Literal["A", "B", ""] = ""
    """Which side holds label maps, where there are any; empty where the layout does not tell."""


def find(folder: Path, *, matched: bool) -> Found | None:
    """Read a folder; None if it has none of the layouts below (a plain folder of images, or nothing).

    Args:
        folder: To look at; of results folders any folder above.
        matched: Whether A and B are wanted in pairs; else images in folders of their own are not matched by name.

    Raises:
        UserError: Names of A and B differ where pairs are wanted, or several results folders lie below.
    """
    readers: tuple[Callable[[Path, bool], Found | None], ...] = (
        _sides_within_phases,
        _phases_within_sides,
        _phase_and_side_in_one_name,
        _results,
        _aligned,
        _photos_in_phases,
    )
    return next((found for reader in readers if (found := reader(folder, matched)) is not None), None)


def named(folder: Path) -> tuple[NamedImage, ...]:
    """All images of a folder and below, named by stem behind their subfolder; natural order.

    Raises:
        UserError: Two files have the same name but for the extension.
    """
    return PlainFolder().images(folder)[UNLABELLED]


def whole(images: Sequence[NamedImage]) -> tuple[Example, ...]:
    """Photos that are source and target at once."""
    return tuple(Example(one.source_id, ImageRef(one.path), ImageRef(one.path)) for one in images)


def _sides_within_phases(folder: Path, matched: bool) -> Found | None:
    """`train/labels` and `train/photos`: toy facades; `train/images` beside it: CamVid; or `train/A`, `train/B`."""
    for a, b in _SIDES:
        phases = [
            phase for phase in PHASES if (folder / phase / a).is_dir() and (folder / phase / b).is_dir()
        ]
        if phases:
            sides = {phase: (folder / phase / a, folder / phase / b) for phase in phases}
            layout, colours = f"{{{','.join(phases)}}}/{{{a},{b}}}", _class_colours(folder)
            return _two_folders(layout, sides, matched, colours, labels_named=a == "labels")
    return None


def _phases_within_sides(folder: Path, matched: bool) -> Found | None:
    """`A/train` and `B/train`, or `A` and `B` without phases."""
    for a, b in _SIDES:
        if not ((folder / a).is_dir() and (folder / b).is_dir()):
            continue
        phases = [
            phase for phase in PHASES if (folder / a / phase).is_dir() and (folder / b / phase).is_dir()
        ]
        sides = {phase: (folder / a / phase, folder / b / phase) for phase in phases or [WHOLE]}
        split = f"/{{{','.join(phases)}}}" if phases else ""
        layout, colours = f"{{{a},{b}}}{split}", _class_colours(folder)
        return _two_folders(layout, sides, matched, colours, labels_named=a == "labels")
    return None


def _phase_and_side_in_one_name(folder: Path, matched: bool) -> Found | None:
    """`trainA trainB testA testB`, as of CycleGAN."""
    sides = {phase: (folder / f"{phase}A", folder / f"{phase}B") for phase in PHASES}
    here = {phase: pair for phase, pair in sides.items() if pair[0].is_dir() and pair[1].is_dir()}
    names = ",".join(f"{phase}{side}" for phase in here for side in "AB")
    return _two_folders(f"{{{names}}}", here, matched, None, labels_named=False) if here else None


def _results(folder: Path, matched: bool) -> Found | None:
    """Results of other tools: only inputs and real photos are taken, never what was generated."""
    del matched
    found = list(_results_folders(folder, SEARCH_DEPTH))
    if not found:
        return None
    if len(found) > 1:
        listed = ", ".join(str(path.relative_to(folder)) for _, path in found[:5])
        raise UserError(f"{folder}: {len(found)} results folders below it ({listed}). Name the one you mean.")
    name, place = found[0]
    reader = READERS[name]
    labels = reader.images(place)
    for a, b in _RESULTS:
        if a in labels and b in labels:
            a_images, b_images = (open_image_set(f"{place}:{label}", Path()).images for label in (a, b))
            examples = _matched(a_images, b_images, f"{place}:{a}", f"{place}:{b}")
            # CycleGAN's, which alone goes from B to A: either domain may be the label maps.
            both_ways = any(label == "fake_A" or label.startswith(("rec_", "idt_")) for label in labels)
            return Found(
                f"{reader.title}: A = {a}, B = {b}", {WHOLE: examples}, label_side="" if both_ways else "A"
            )
    raise UserError(
        f"{place}: {reader.title}, but real images of both sides are needed; there are {', '.join(labels)}."
    )


def _aligned(folder: Path, matched: bool) -> Found | None:
    """`{train,val,test}/*`, or images right here, each with A on its left and B on its right half."""
    del matched
    phases = {phase: folder / phase for phase in PHASES if _holds_images(folder / phase)} or (
        {WHOLE: folder} if _holds_images(folder) else {}
    )
    if not phases or not _looks_aligned(next(iter(phases.values()))):
        return None
    return Found(
        f"aligned A|B images{_in_phases(phases)}",
        {
            phase: tuple(
                Example(one.source_id, ImageRef(one.path, "left"), ImageRef(one.path, "right"))
                for one in named(path)
            )
            for phase, path in phases.items()
        },
        label_side=PUBLISHED_LABEL_SIDE,
    )


def _looks_aligned(folder: Path) -> bool:
    """Whether the first images that lie directly in a folder are all twice as wide as high."""
    files = image_files(folder)[:_PROBED_FILES]
    return bool(files) and all(width == 2 * height for width, height in map(upright_size, files))


def _photos_in_phases(folder: Path, matched: bool) -> Found | None:
    """`{train,val,test}/*` of single photos."""
    del matched
    phases = {
        phase: images for phase in PHASES if (folder / phase).is_dir() and (images := named(folder / phase))
    }
    if not phases:
        return None
    return Found(
        f"{PHOTOS}{_in_phases(phases)}", {phase: whole(images) for phase, images in phases.items()}, None
    )


def _two_folders(
    layout: str,
    sides: dict[str, tuple[Path, Path]],
    matched: bool,
    class_colours: Colours | None,
    *,
    labels_named: bool,
) -> Found:
    """Examples of folders that hold A and B, in phases; label maps are known by their folder or their colours."""
    label_side: Literal["A", "B"] = "A" if labels_named else PUBLISHED_LABEL_SIDE
    maps = label_side if labels_named or class_colours else ""
    phases = {}
    for phase, (a, b) in sides.items():
        a_images, b_images = named(a), named(b)
        if matched or class_colours is not None:
            phases[phase] = _matched(a_images, b_images, str(a), str(b), maps)
        else:
            phases[phase] = (
                *(
                    Example(one.source_id, ImageRef(one.path, label_map=maps == "A"), None)
                    for one in a_images
                ),
                *(
                    Example(one.source_id, None, ImageRef(one.path, label_map=maps == "B"))
                    for one in b_images
                ),
            )
    return Found(layout, phases, class_colours, label_side)


def _matched(
    a_images: Sequence[NamedImage], b_images: Sequence[NamedImage], a: str, b: str, maps: str = ""
) -> tuple[Example, ...]:
    """Images of the same name, side by side; `maps` is the side that holds label maps, if one does."""
    of_a, of_b = _without_side(a_images, "_A"), _without_side(b_images, "_B")
    _refuse_unmatched(of_a, of_b, a, b)
    return tuple(
        Example(name, ImageRef(path, label_map=maps == "A"), ImageRef(of_b[name], label_map=maps == "B"))
        for name, path in of_a.items()
    )


def _without_side(images: Sequence[NamedImage], suffix: str) -> dict[str, Path]:
    """Files by name; `1_A` and `1_B` are one name if all are spelt so."""
    cut = len(suffix) if all(one.source_id.endswith(suffix) for one in images) else 0
    return {one.source_id[: len(one.source_id) - cut]: one.path for one in images}


def _refuse_unmatched(of_a: dict[str, Path], of_b: dict[str, Path], a: str, b: str) -> None:
    lonely = [
        f"{len(names)} of {place} ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})"
        for place, names in (
            (a, [name for name in of_a if name not in of_b]),
            (b, [name for name in of_b if name not in of_a]),
        )
        if names
    ]
    if lonely:
        raise UserError(
            f"pairs need the same names on both sides; without a partner: {' and '.join(lonely)}. Add or remove "
            "them; if the two sides do not belong together, train with task=unpaired."
        )


def _results_folders(folder: Path, depth: int) -> list[tuple[str, Path]]:
    for name, reader in READERS.items():
        if name != "folder" and _is_of_images(folder) and reader.recognises(folder):
            return [(name, folder)]
    inner = subfolders(folder) if depth else ()
    return [found for path in inner for found in _results_folders(path, depth - 1)]


def _is_of_images(folder: Path) -> bool:
    """Whether a folder holds images, or folders of images; the readers of results take an empty one for theirs."""
    return _holds_images(folder) or any(_holds_images(inner) for inner in subfolders(folder))


def _holds_images(folder: Path) -> bool:
    return folder.is_dir() and bool(image_files(folder))


def _in_phases(phases: dict[str, Path] | dict[str, tuple[NamedImage, ...]]) -> str:
    return "" if WHOLE in phases else f" in {{{','.join(phases)}}}"


def _class_colours(folder: Path) -> Colours | None:
    """From classes.json beside the phases (CamVid), or the toy's own palette."""
    path = folder / "classes.json"
    if path.is_file():
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            pairs = zip(told["classes"], told["palette"], strict=True)
            return {str(name): (int(red), int(green), int(blue)) for name, (red, green, blue) in pairs}
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: a list of names under 'classes' and as many [red, green, blue] under 'palette' are needed "
                f"({error})."
            ) from error
    if _is_toy(folder):
        return dict(PALETTE.items())
    return None


def _is_toy(folder: Path) -> bool:
    manifest = folder / "train" / "labels" / "manifest.json"
    return manifest.is_file() and '"toy-facades labels"' in manifest.read_text(encoding="utf-8")
