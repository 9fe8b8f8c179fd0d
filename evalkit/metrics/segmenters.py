"""Segmenters: what FCN-scores ask for class maps. A trained network, any function, or label maps that are there."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from evalkit.metrics.base import Array
from evalkit.metrics.confusion import IGNORED
from evalkit.metrics.label_maps import Classes, classes_from, nearest_classes
from evalkit.metrics.pictures import PictureSet
from studies.errors import UserError

Size = tuple[int, int]
"""Height and width in px."""
Predict = Callable[[Sequence[Array], Sequence[Size]], Sequence[tuple[Array, float]]]
"""Images (height, width, 3) uint8 and the sizes of their labels -> for each the class map (height, width) uint8 of that
size, and how far the image is from what the segmenter can read (0 where it cannot tell)."""
Resize = Literal["image", "prediction", "none"]

WEIGHTS_FILE, ABOUT_FILE = "segmenter.pt", "segmenter.json"
DIGEST_LENGTH = 16
"""So much of each photo's digest is kept."""
FORMAT = 1
"""Of segmenter.json."""
PALETTE, IDS = "palette", "ids"
FAR_LEVELS = 30.0
"""Mean distance to the palette, in levels, from which a picture is hardly a label map in these colours: label maps of
pix2pix's Cityscapes, saved as JPEG, have 18, its photos 43, CamVid's photos 64."""


@dataclass(frozen=True)
class Segmenter:
    """Something that tells the class of every pixel."""

    name: str
    """FCN-scores are comparable only under one segmenter, so they are reported with this name."""
    classes: Classes
    settings: Mapping[str, str]
    """All that predictions depend on besides the image: SHA-256 of weights, resize, version of the recipe."""
    load: Callable[[str], Predict] = field(compare=False)
    """Device (`auto`, `cpu`, `cuda`) -> how to predict; imports torch if it must."""
    size_px: Size | None = None
    """Size to which images are resized because the network was trained at it; None: it was not trained at one."""
    photo_px: Size | None = None
    """Size of the photos that it was trained on, before they were resized; None: unknown, or of several sizes."""
    batch_size: int = 1
    validation: Mapping[str, float] = field(default_factory=dict)
    """Its own scores on held-out photos, where known: fcn_pixel_accuracy and so on."""
    trained_on: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    """Beginnings of the digests (`Picture.digest`) of the photos that it was trained on, where known."""
    reads_label_maps: bool = False
    """Whether the images that it reads are label maps, not photos (`palette`, `ids`)."""


def choose_segmenter(told: str, classes: Classes | None) -> Segmenter:
    """What `--segmenter` names: a folder that `evalkit segmenter train` wrote, `palette` or `ids`.

    Args:
        told: As typed.
        classes: Of the label maps. For a folder they may be None, and are then the segmenter's own.

    Raises:
        UserError: No such segmenter, or its classes are not those of the label maps.
    """
    if told in (PALETTE, IDS):
        if classes is None:
            raise UserError(f"--segmenter {told}: needs --classes FILE, which names the classes.")
        return palette_segmenter(classes) if told == PALETTE else ids_segmenter(classes)
    segmenter = open_segmenter(Path(told).expanduser())
    if classes is not None:
        check_same_classes(segmenter, classes)
    return segmenter


def check_same_classes(segmenter: Segmenter, classes: Classes) -> None:
    """Hold the classes of label maps against those that a segmenter tells apart.

    Raises:
        UserError: They differ.
    """
    ours, theirs = segmenter.classes.names, classes.names
    if ours == theirs:
        return
    if set(ours) == set(theirs):
        raise UserError(
            f"{classes.title}: the same classes as those of segmenter {segmenter.name}, in another order. Bring them "
            f"into its order: {', '.join(ours)}."
        )
    told = [f"{', '.join(sorted(set(one) - set(other))[:5])} only {where}" for one, other, where in (
        (theirs, ours, "in the labels"), (ours, theirs, "in the segmenter")) if set(one) - set(other)]  # fmt: skip
    raise UserError(
        f"{classes.title}: other classes than those of segmenter {segmenter.name} ({'; '.join(told)}). Train one on "
        "these labels: evalkit segmenter train."
    )


def open_segmenter(folder: Path) -> Segmenter:
    """The segmenter that `evalkit segmenter train` left in a folder; imports no torch before it predicts.

    Raises:
        UserError: There is none, training is not finished, or its files do not belong together.
    """
    about = _about(folder)
    weights = folder / WEIGHTS_FILE
    try:
        with weights.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        raise UserError(f"{weights}: no such file. Bring it back, or train the segmenter again.") from None
    if digest != about["sha256"]:
        raise UserError(
            f"{weights}: not the weights that {ABOUT_FILE} beside it describes (sha256 {digest[:8]}... instead of "
            f"{about['sha256'][:8]}...). Copy both files together."
        )
    classes = classes_from(about["classes"], str(folder / ABOUT_FILE))
    architecture, size = str(about["architecture"]), (int(about["height_px"]), int(about["width_px"]))

    def load(device: str) -> Predict:
        from evalkit.metrics.networks.fcn_network import load_predictor

        return load_predictor(weights, architecture, len(classes.names), size, device)

    return Segmenter(
        name=f"{architecture} {digest[:8]}",
        classes=classes,
        settings={
            "segmenter": architecture,
            "weights": digest,
            "resize": f"images bilinear to {size[1]}x{size[0]}, scores bilinear to the label's size",
            "precision": "fp32",
            "recipe": "1",
        },
        load=load,
        size_px=size,
        batch_size=8,
        validation={key: float(value) for key, value in about.get("validation", {}).items()},
        photo_px=_size(about.get("trained_on", {}).get("photo_px")),
        trained_on=frozenset(about.get("trained_on", {}).get("digests", ())),
    )


def from_callable(
    predict: Callable[[Array], Array],
    classes: Classes,
    *,
    name: str,
    settings: Mapping[str, str],
    resize: Resize = "image",
    photo_px: Size | None = None,
) -> Segmenter:
    """Any function as segmenter.

    Args:
        predict: (1, height, width, 3) uint8 -> (1, height, width) class numbers; other images in other calls.
        classes: What the numbers mean.
        name: Stands beside every score.
        settings: All that predictions depend on, such as the SHA-256 of weights; scores of equal settings are taken
            from the cache.
        resize: Where images and label maps differ in size. `image`: the image is resized bilinearly to the label's
            size before, as in pix2pix; `prediction`: the class map afterwards, to the nearest pixel; `none`: refused.
        photo_px: (height, width) of the photos that it was trained on, if they had one size; scores of images of
            another size then say so.
    """

    def run(images: Sequence[Array], sizes: Sequence[Size]) -> list[tuple[Array, float]]:
        found = []
        for image, size in zip(images, sizes, strict=True):
            seen = resized(image, size) if resize == "image" else image
            found.append((_fitted(_checked(predict(seen[None]), seen, name), size, resize, name), 0.0))
        return found

    told = {
        "segmenter": name,
        **settings,
        "resize": f"{resize} to the label's size" if resize != "none" else "none",
    }
    return Segmenter(name, classes, told, lambda _: run, photo_px=photo_px)


def palette_segmenter(classes: Classes) -> Segmenter:
    """For photo->label generators: the images are coloured label maps, each pixel is the class of the nearest colour.

    Raises:
        UserError: The classes have no palette.
    """
    if not classes.palette:
        raise UserError(f"{classes.title}: no palette, which --segmenter palette needs. Add 'palette' to it.")

    def run(images: Sequence[Array], sizes: Sequence[Size]) -> list[tuple[Array, float]]:
        read = [nearest_classes(image, classes) for image in images]
        return [
            (_fitted(found, size, "prediction", PALETTE), distance)
            for (found, distance), size in zip(read, sizes, strict=True)
        ]

    settings = {"segmenter": PALETTE, "weights": "none", "resize": "class map nearest to the label's size"}
    return Segmenter(PALETTE, classes, settings | {"recipe": "1"}, lambda _: run, reads_label_maps=True)


def ids_segmenter(classes: Classes) -> Segmenter:
    """The images are grayscale index maps that another program predicted, in the numbers of the label files."""
    numbers = classes.numbers

    def read(image: Array) -> Array:
        if (image != image[..., :1]).any():
            raise UserError(
                "--segmenter ids: an image in colour; index maps are grayscale. For coloured label maps take "
                "--segmenter palette."
            )
        found: Array = numbers[image[..., 0]]
        wrong = (found >= len(classes.names)) & (found != IGNORED)
        if wrong.any():
            index = int(image[..., 0][wrong][0])
            raise UserError(
                f"--segmenter ids: an image has index {index}, which is no class of {classes.title}."
            )
        return found

    def run(images: Sequence[Array], sizes: Sequence[Size]) -> list[tuple[Array, float]]:
        return [
            (_fitted(read(image), size, "prediction", IDS), 0.0)
            for image, size in zip(images, sizes, strict=True)
        ]

    settings = {"segmenter": IDS, "weights": "none", "resize": "class map nearest to the label's size"}
    return Segmenter(IDS, classes, settings | {"recipe": "1"}, lambda _: run, reads_label_maps=True)


def trained_on(segmenter: Segmenter, photos: PictureSet) -> int:
    """How many of these photos the segmenter was trained on; scores of those say nothing about others."""
    return sum(photo.digest[:DIGEST_LENGTH] in segmenter.trained_on for photo in photos.pictures)


def ceiling_note(segmenter: Segmenter, photos: PictureSet) -> tuple[str, ...]:
    """Says so where the photos that are to tell the ceiling are among those that the segmenter was trained on."""
    known = trained_on(segmenter, photos)
    if not known:
        return ()
    return (f"the segmenter was trained on {known} of these photos, so the ceiling is too high; take others",)


def resized(image: Array, size: Size) -> Array:
    """(height, width, 3) uint8, bilinear (with the support of the source when it shrinks), as Pillow does it."""
    if image.shape[:2] == tuple(size):
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _about(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT_FILE
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        if (folder / "checkpoints").is_dir():
            raise UserError(
                f"{folder}: its training is not finished. Run the same `evalkit segmenter train` again."
            ) from None
        raise UserError(
            f"--segmenter {folder}: no {ABOUT_FILE} there. Allowed are a folder that `evalkit segmenter train` wrote, "
            f"{PALETTE} and {IDS}."
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}). Train the segmenter again.") from None
    needed = ("format", "architecture", "classes", "height_px", "width_px", "sha256")
    found: dict[str, Any] = about
    if not isinstance(about, dict) or any(key not in about for key in needed):
        raise UserError(f"{path}: {', '.join(needed)} are needed. Train the segmenter again.")
    if about["format"] != FORMAT:
        raise UserError(
            f"{path}: format {about['format']}; this version reads {FORMAT}. Train the segmenter again."
        )
    return found


def _size(told: list[int] | None) -> Size | None:
    return None if told is None else (told[0], told[1])


def _checked(found: Array, image: Array, name: str) -> Array:
    """What a foreign function gave back, as a uint8 class map."""
    found = np.asarray(found)
    if found.shape != (1, *image.shape[:2]) or found.dtype.kind not in "iub":
        raise UserError(
            f"segmenter {name}: gave {found.dtype} {found.shape} for an image of {image.shape[1]}x{image.shape[0]} px; "
            f"whole numbers of shape {(1, *image.shape[:2])} are needed."
        )
    outside = found[(found < 0) | (found > IGNORED)]
    if outside.size:
        raise UserError(
            f"segmenter {name}: gave class {int(outside[0])}; class numbers are 0 to {IGNORED - 1}."
        )
    single: Array = found[0].astype(np.uint8)
    return single


def _fitted(found: Array, size: Size, resize: Resize, name: str) -> Array:
    if found.shape == tuple(size):
        return found
    if resize == "none":
        raise UserError(
            f"segmenter {name}: an image of {found.shape[1]}x{found.shape[0]} px and a label map of {size[1]}x{size[0]}"
            ", and it declares no resizing. Bring both to one size."
        )
    return np.asarray(Image.fromarray(found).resize((size[1], size[0]), Image.Resampling.NEAREST))
