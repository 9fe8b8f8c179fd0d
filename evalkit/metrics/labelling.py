"""Label maps, what they mean, and the segmenter, as a user names them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.metrics.pictures import PictureSet
from studies.errors import UserError
from studies.imagesets import open_image_set

if TYPE_CHECKING:
    from evalkit.metrics.label_maps import Classes
    from evalkit.metrics.segmenters import Segmenter


@dataclass(frozen=True)
class Labelling:
    """Where label maps lie and what they mean; each as typed, or None."""

    labels: str | None = None
    classes: str | None = None
    segmenter: str | None = None


def open_labelling(
    told: Labelling, source_ids: tuple[str, ...]
) -> "tuple[PictureSet | None, Segmenter | None]":
    """Label maps of the inputs and the segmenter; None where they are not named.

    Args:
        told: As typed; without classes, those of the labels' own classes.json or of the segmenter.
        source_ids: The inputs.

    Raises:
        UserError: One of them cannot be used, or there are no classes.
    """
    if told.labels is None and told.segmenter is None:
        return None, None
    from evalkit.metrics.label_maps import classes_beside, label_set, open_classes
    from evalkit.metrics.segmenters import choose_segmenter

    classes: Classes | None = open_classes(told.classes) if told.classes else None
    if classes is None and told.labels is not None:
        open_image_set(told.labels, Path())  # a folder that is not there is said as such
        classes = classes_beside(told.labels)
    segmenter = choose_segmenter(told.segmenter, classes) if told.segmenter else None
    if told.labels is None:
        return None, segmenter
    classes = classes or (segmenter.classes if segmenter else None)
    if classes is None:
        raise UserError(
            f"{told.labels}: what do these label maps mean? Name their classes with --classes FILE (or `cityscapes`); a "
            "classes.json beside them serves too."
        )
    return label_set(told.labels, classes, matching=source_ids), segmenter
