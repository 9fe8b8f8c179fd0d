"""How far FCN-scores of a segmenter can be trusted: real photos first, then photos spoilt on purpose."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from evalkit.metrics.base import Array
from evalkit.metrics.confusion import Absent, ConfusionScores, Histogram, confusion, scores
from evalkit.metrics.label_maps import label_set
from evalkit.metrics.pictures import picture_set
from evalkit.metrics.segmenters import Predict, Segmenter, Size, resized
from generators.segmenter.photos import Labelled, labelled
from studies.errors import UserError

REAL, BLURRED, HALVED, SHUFFLED = (
    "real photos (the ceiling)",
    "strongly blurred",
    "at half size",
    "labels of other photos (chance)",
)
_BLUR_SHARE = 1 / 20
"""Standard deviation of the blur as a share of the photo's height."""


@dataclass(frozen=True)
class Row:
    """Scores of one treatment of the photos."""

    title: str
    found: ConfusionScores
    pixels_by_class: tuple[int, ...]
    """Labelled pixels of each class."""


def verify(
    segmenter: Segmenter,
    images: str,
    labels: str,
    *,
    device: str = "auto",
    absent: Absent = "zero",
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Score real photos, the same strongly blurred and at half size, and the same held against the labels of other photos.

    The first row is what a perfect generator would reach, as the authors advise to look at first; the last one what
    classes reach by standing where they usually stand. A segmenter is of use as far as the first is above the others.

    Args:
        segmenter: To be verified.
        images: Location of real photos, other ones than it was trained on.
        labels: Location of their label maps.
        device: Where to predict.
        absent: As `confusion.scores`.
        on_progress: Told (photos done, photos in all).

    Raises:
        UserError: Photos and label maps do not match, or a file cannot be read.

    Source:
        README of phillipi/pix2pix and its issues #116, #141: "verify on ground truth first".
    """
    if segmenter.reads_label_maps:
        raise UserError(
            f"segmenter {segmenter.name}: reads label maps, not photos; there is nothing to verify."
        )
    photos = picture_set(images)
    pairs = labelled(photos, label_set(labels, segmenter.classes, matching=photos.source_ids))
    if len(pairs) < 2:
        raise UserError(
            f"{images}: 1 photo; at least 2 are needed, since each is held against another's labels too."
        )
    predict = segmenter.load(device)
    totals = {title: _nothing(segmenter) for title in (REAL, BLURRED, HALVED, SHUFFLED)}
    for done, pair in enumerate(pairs, start=1):
        # Far from it in the order: neighbours may be frames of one film.
        other = pairs[(done - 1 + max(1, len(pairs) // 2)) % len(pairs)]
        for title, histogram in _counted(predict, pair, other, segmenter):
            totals[title] += histogram
        if on_progress is not None:
            on_progress(done, len(pairs))
    return [
        Row(title, scores(total, absent), tuple(total.sum(1).tolist())) for title, total in totals.items()
    ]


def blurred(photo: Array) -> Array:
    """A photo without its details."""
    radius = max(1.0, photo.shape[0] * _BLUR_SHARE)
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(radius)))


def halved(photo: Array, size: Size) -> Array:
    """A photo with half the resolution that the segmenter sees at `size`."""
    height, width = size
    return resized(resized(photo, (max(1, height // 2), max(1, width // 2))), (height, width))


def _nothing(segmenter: Segmenter) -> Histogram:
    return np.zeros((len(segmenter.classes.names),) * 2, np.int64)


def _counted(
    predict: Predict, pair: Labelled, other: Labelled, segmenter: Segmenter
) -> Iterator[tuple[str, Histogram]]:
    photo, labels = pair.photo.read(), pair.labels.read()
    of_other = other.labels.read()
    size, other_size = (labels.shape[0], labels.shape[1]), (of_other.shape[0], of_other.shape[1])
    seen = [photo, blurred(photo), halved(photo, segmenter.size_px or size), photo]
    found = [one for one, _ in predict(seen, [size, size, size, other_size])]
    truths = [labels, labels, labels, of_other]
    for title, truth, prediction in zip((REAL, BLURRED, HALVED, SHUFFLED), truths, found, strict=True):
        yield title, confusion(truth, prediction, len(segmenter.classes.names))
