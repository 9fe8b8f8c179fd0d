"""Label maps: which classes there are, and files of them read as class numbers."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evalkit.metrics.base import Array
from evalkit.metrics.confusion import IGNORED
from evalkit.metrics.pictures import Picture, PictureSet, digests_of
from studies.errors import UserError
from studies.imagesets import open_image_set
from studies.imagesets.base import NamedImage, natural_key

Colour = tuple[int, int, int]
CLASSES_FILE = "classes.json"
BUILT_IN = ("cityscapes", "cityscapes_train_ids")
_VOID_NAMES = ("void", "unlabelled", "unlabeled", "ignore", "ignored")
_UNKNOWN = 254
"""In look-up tables: no class has this number or colour."""
_MOST_CLASSES = 250
_RECIPE = "1"
_FORM = (
    "a list of names under 'classes', as many [red, green, blue] under 'palette' where label maps are in colour, and "
    "under 'void' the numbers or names of those that do not count"
)


@dataclass(frozen=True)
class Entry:
    """One kind of region that label files tell apart."""

    index: int
    """What index maps hold, 0 to 255."""
    name: str
    number: int
    """Class number, or IGNORED."""
    colour: Colour | None = None
    """What colour maps hold."""


@dataclass(frozen=True)
class Classes:
    """The classes that are scored, and how label files spell them."""

    title: str
    """`cityscapes`, or the file they come from; for messages."""
    entries: tuple[Entry, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The scored classes; a class's number is its place here."""
        return tuple(dict.fromkeys(one.name for one in self._scored))

    @cached_property
    def palette(self) -> tuple[Colour, ...]:
        """Colour of each scored class; empty unless every one has its colour."""
        first: dict[int, Colour | None] = {}
        for one in self._scored:
            first.setdefault(one.number, one.colour)
        colours = tuple(colour for colour in first.values() if colour is not None)
        return colours if len(colours) == len(first) else ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that settles how files are read."""
        told = [[one.index, one.name, one.number, one.colour] for one in self.entries]
        return hashlib.sha256(json.dumps([_RECIPE, told]).encode()).hexdigest()

    @cached_property
    def numbers(self) -> Array:
        """(256,) index in a file -> class number, IGNORED, or 254 for what is no class; 255 in a file is ignored."""
        table = np.full(256, _UNKNOWN, np.uint8)
        table[IGNORED] = IGNORED
        for one in self.entries:
            table[one.index] = one.number
        return table

    @cached_property
    def numbers_of_colours(self) -> Array:
        """(2**24,) red * 65536 + green * 256 + blue -> class number, IGNORED, or 254."""
        table = np.full(2**24, _UNKNOWN, np.uint8)
        for one in reversed(self.entries):  # of two with one colour the first counts
            if one.colour is not None:
                table[_packed(one.colour)] = one.number
        return table

    @property
    def _scored(self) -> list[Entry]:
        return sorted((one for one in self.entries if one.number != IGNORED), key=lambda one: one.number)

    def to_json(self) -> Any:
        """What `classes_from` reads: the form of classes.json, or the title of built-in classes."""
        if self.title in BUILT_IN:
            return self.title
        told: dict[str, Any] = {"classes": [one.name for one in self.entries]}
        if all(one.colour is not None for one in self.entries):
            told["palette"] = [list(one.colour or ()) for one in self.entries]
        return told | {"void": [one.index for one in self.entries if one.number == IGNORED]}


def open_classes(told: str | Path) -> Classes:
    """The classes of a classes.json, or `cityscapes` (label ids) or `cityscapes_train_ids`.

    Where the file has no `void`, a class named void, unlabelled or ignore does not count.

    Raises:
        UserError: No such file, or it does not hold what it must.
    """
    if str(told) in BUILT_IN:
        return _built_in(str(told))
    path = Path(told).expanduser()
    path = path / CLASSES_FILE if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(
            f"{path}: no such file. --classes takes `cityscapes`, or a JSON file with {_FORM}."
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}). Needed is {_FORM}.") from None
    return classes_from(content, str(path))


def classes_beside(labels: str | Path) -> Classes | None:
    """Those of the classes.json in a folder of label maps or in one of the two folders above it; None without one."""
    folder = Path(str(labels).partition(":")[0] if not Path(labels).is_dir() else labels).resolve()
    places = [folder, *folder.parents[:2]]
    return next((open_classes(place) for place in places if (place / CLASSES_FILE).is_file()), None)


def classes_from(content: Any, where: str) -> Classes:
    """The classes that the content of a classes.json tells.

    Raises:
        UserError: It does not hold what it must.
    """
    if content in BUILT_IN:
        return _built_in(content)
    names = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"{where}: needed is {_FORM}.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{where}: class {twice[0]!r} is there twice; each needs a name of its own.")
    void = _void(content.get("void"), names, where)
    palette = _palette(content.get("palette"), len(names), void, where)
    numbers = iter(range(len(names)))
    entries = [
        Entry(index, name, IGNORED if index in void else next(numbers), palette[index])
        for index, name in enumerate(names)
    ]
    if not 1 <= len(names) - len(void) <= _MOST_CLASSES:
        raise UserError(f"{where}: {len(names) - len(void)} classes count; 1 to {_MOST_CLASSES} are allowed.")
    return Classes(where, tuple(entries))


def label_set(location: str | Path, classes: Classes, *, matching: Sequence[str] = ()) -> PictureSet:
    """Open a folder of label maps; hashes each file, decodes none.

    Args:
        location: As image sets: PATH, or PATH:label of a results folder. A folder of Cityscapes ground truth (gtFine/val)
            gives its labelIds (or labelTrainIds) alone.
        classes: How the files spell classes.
        matching: Source ids of the images that the maps are for. Needed only for Cityscapes, whose images may be named
            by frame or by number: the maps then carry these ids (`cityscapes.match`).

    Raises:
        UserError: No such folder, no label maps in it, or Cityscapes frames that do not match.
    """
    from evalkit.metrics import cityscapes

    images = list(open_image_set(str(location), Path()).images)
    if cityscapes.is_ground_truth(images):
        images = cityscapes.match(
            cityscapes.label_files(images, classes, str(location)), matching, str(location)
        )
    digests = digests_of([image.path for image in images])
    pictures = [_picture(image, digest, classes) for image, digest in zip(images, digests, strict=True)]
    return PictureSet(str(location), tuple(sorted(pictures, key=lambda one: natural_key(one.source_id))))


def read_label_map(path: Path, classes: Classes) -> Array:
    """One file as (height, width) uint8 class numbers, IGNORED where nothing counts.

    Grayscale files hold indices, RGB files colours. In palette files colours decide if all that occur are colours of
    classes, else indices.

    Raises:
        UserError: Not an image, a JPEG, an index or colour that is no class (names file and pixel), or a palette file whose
            colours and indices contradict each other.
    """
    with _opened(path) as image:
        if image.format in ("JPEG", "MPO"):
            raise UserError(f"{path}: was saved as JPEG, which changes colours and indices; use the PNG.")
        if image.mode == "P":
            return _from_palette_file(image, path, classes)
        if image.mode in ("L", "1", "I;16", "I;16B", "I"):
            return _from_indices(np.asarray(image), path, classes)
        if image.mode in ("RGB", "RGBA"):
            return _from_colours(np.asarray(image.convert("RGB")), path, classes)
        raise UserError(
            f"{path}: a label map of mode {image.mode}. Save it as 8-bit grayscale, palette or RGB PNG."
        )


def nearest_classes(pixels: Array, classes: Classes) -> tuple[Array, float]:
    """A coloured label map that a generator made -> the class whose colour is nearest, pixel by pixel.

    Args:
        pixels: (height, width, 3) uint8.
        classes: Must have a palette. Only scored classes are candidates.

    Returns:
        (height, width) uint8 class numbers, and the mean distance to the chosen colours, in levels.

    Raises:
        UserError: The classes have no palette.
    """
    if not classes.palette:
        raise UserError(
            f"{classes.title}: no palette, so coloured label maps cannot be read. Add 'palette' to it."
        )
    colours = np.asarray(classes.palette, np.float32)
    flat = pixels.reshape(-1, 3).astype(np.float32)
    # |x - c|^2 without |x|^2: whole numbers below 2**24, so exact in float32.
    distances = (colours**2).sum(1) - 2 * flat @ colours.T
    chosen = distances.argmin(1)
    squared = np.take_along_axis(distances, chosen[:, None], 1)[:, 0] + (flat**2).sum(1)
    return chosen.astype(np.uint8).reshape(pixels.shape[:2]), float(np.sqrt(np.maximum(squared, 0)).mean())


def _picture(image: NamedImage, digest: str, classes: Classes) -> Picture:
    known_by = hashlib.sha256(f"label map {digest} {classes.digest}".encode()).hexdigest()
    return Picture(image.source_id, known_by, partial(read_label_map, image.path, classes), str(image.path))


def _built_in(title: str) -> Classes:
    from evalkit.metrics.cityscapes import LABEL_IDS, TRAIN_IDS

    return LABEL_IDS if title == "cityscapes" else TRAIN_IDS


def _palette(told: Any, count: int, void: set[int], where: str) -> list[Colour | None]:
    if told is None:
        return [None] * count
    if not isinstance(told, list) or len(told) != count or not all(map(_is_colour, told)):
        raise UserError(
            f"{where}: 'palette' needs {count} colours [red, green, blue] of 0 to 255, one per class."
        )
    colours: list[Colour | None] = [(one[0], one[1], one[2]) for one in told]
    scored = [index for index in range(count) if index not in void]
    if twice := [colours[index] for index in scored if colours.count(colours[index]) > 1]:
        raise UserError(f"{where}: colour {list(twice[0] or ())} stands for two classes; give each its own.")
    return colours


def _is_colour(told: Any) -> bool:
    return (
        isinstance(told, list)
        and len(told) == 3
        and all(type(level) is int and 0 <= level <= 255 for level in told)
    )


def _void(told: Any, names: list[str], where: str) -> set[int]:
    if told is None:
        return {index for index, name in enumerate(names) if name.lower() in _VOID_NAMES}
    listed = told if isinstance(told, list) else [told]
    found = [names.index(one) if isinstance(one, str) and one in names else one for one in listed]
    wrong = [one for one in found if type(one) is not int or not (0 <= one < len(names) or one == IGNORED)]
    if wrong:
        raise UserError(
            f"{where}: 'void' names {wrong[0]!r}; allowed are names of its classes and their numbers, 0 to {len(names) - 1} "
            "(255 never counts). What has another number in the files needs a name under 'classes' first."
        )
    return {index for index in found if index != IGNORED}


def _packed(colours: Any) -> Any:
    red, green, blue = (np.asarray(colours)[..., channel].astype(np.uint32) for channel in range(3))
    return red << 16 | green << 8 | blue


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            image.load()
            yield image
    except UserError:
        raise
    except Exception as error:  # Pillow raises many kinds over a broken file
        raise UserError(
            f"{path}: the file is damaged or no image ({error}). Copy or export it again."
        ) from error


def _from_indices(indices: Array, path: Path, classes: Classes) -> Array:
    small = indices
    if indices.dtype != np.uint8:
        small = np.where((indices < -1) | (indices > IGNORED), _UNKNOWN, indices).astype(np.uint8)
    numbers: Array = classes.numbers[small]
    if (numbers == _UNKNOWN).any():
        row, column = np.argwhere(numbers == _UNKNOWN)[0]
        known = sorted(one.index for one in classes.entries)
        raise UserError(
            f"{path}: pixel x={column}, y={row} has index {indices[row, column]}, which is no class of {classes.title} "
            f"({known[0]} to {known[-1]}, 255 ignored). Is it the right --classes file?"
        )
    return numbers


def _from_colours(pixels: Array, path: Path, classes: Classes) -> Array:
    numbers: NDArray[np.uint8] = classes.numbers_of_colours[_packed(pixels)]
    if (numbers == _UNKNOWN).any():
        row, column = np.argwhere(numbers == _UNKNOWN)[0]
        raise UserError(
            f"{path}: pixel x={column}, y={row} has colour {pixels[row, column].tolist()}, which is no class of "
            f"{classes.title}. Is it the right --classes file?"
        )
    return numbers


def _from_palette_file(image: Image.Image, path: Path, classes: Classes) -> Array:
    pixels = np.asarray(image.convert("RGB"))
    numbers: Array = classes.numbers_of_colours[_packed(pixels)]
    told = numbers != _UNKNOWN
    if told.all():
        return numbers
    indices = np.asarray(image)
    by_index = _from_indices(indices, path, classes)
    against = told & (numbers != by_index)
    if against.any():
        (row, column), (other_row, other_column) = np.argwhere(against)[0], np.argwhere(~told)[0]
        raise UserError(
            f"{path}: pixel x={column}, y={row} is one class of {classes.title} by its colour {pixels[row, column].tolist()} "
            f"and another by its index {indices[row, column]}, and colour {pixels[other_row, other_column].tolist()} is no "
            "class. Add that colour to the palette, or save the maps as grayscale indices."
        )
    return by_index
