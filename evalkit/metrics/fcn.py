"""FCN-scores: whether a segmenter that was trained on photos finds in a fake what its label map asked for."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.base import Array, Extractor, Feature, Item, Metric, Options, Quantity, Value, Want
from evalkit.metrics.confusion import (
    ConfusionScores,
    confusion,
    mean_over_classes,
    scores,
    scores_of_totals,
)
from evalkit.metrics.segmenters import FAR_LEVELS, Segmenter
from evalkit.results import Interval
from studies.errors import UserError

PIXEL, CLASS, IOU = "fcn_pixel_accuracy", "fcn_class_accuracy", "fcn_class_iou"
N_RESAMPLES = 1000
_EXTRA = 5
"""Behind the histogram: height and width of the image, height and width of the label map, distance (in 1/1000)."""
_CELLS_PER_BATCH = 4_000_000
_ABSENT = {
    "zero": "classes that no label has count as 0, as in pix2pix",
    "skip": "classes that no label has do not count",
}


class Fcn(Metric):
    """Per-pixel accuracy, per-class accuracy and class IoU of one histogram over all pixels of a set."""

    name = "fcn"
    quantities = (
        Quantity(PIXEL, "FCN pixel acc.", "proportion", higher_is_better=True),
        Quantity(CLASS, "FCN class acc.", "proportion", higher_is_better=True),
        Quantity(IOU, "FCN class IoU", "proportion", higher_is_better=True),
    )
    source = (
        "Isola et al. 2017 (arXiv v3), section 4.1; Long et al. 2015, section 5; scripts/eval_cityscapes of "
        "junyanz/pytorch-CycleGAN-and-pix2pix"
    )
    labelled = True
    ceiling = True

    def settings(self, keys: Sequence[str], options: Options) -> Mapping[str, str]:
        """Those of the segmenter, the classes, and what absent ones count as."""
        del keys
        segmenter = _segmenter(options)
        return {**segmenter.settings, "classes": segmenter.classes.digest, "absent": options.absent}

    def wants(self, keys: Sequence[str], options: Options) -> Mapping[str, Want]:
        """One histogram per fake.

        Raises:
            UserError: No segmenter was chosen.
        """
        del keys
        return {"histograms": Want(confusion_feature(_segmenter(options)), "labelled fakes")}

    def compute(self, keys: Sequence[str], found: Mapping[str, Any], options: Options) -> Sequence[Value]:
        """Scores of the summed histogram, per class too, with a bootstrap over images.

        Raises:
            UserError: No pixel of any label map counts.
        """
        segmenter = _segmenter(options)
        n_classes = len(segmenter.classes.names)
        rows = np.asarray(found["histograms"], np.int64)
        histograms = rows[:, : n_classes**2].reshape(-1, n_classes, n_classes)
        pooled = histograms.sum(0)
        if not pooled.sum():
            raise UserError(
                "fcn: no pixel of any label map counts (all are void). Is it the right --classes file?"
            )
        total, images = scores(pooled, options.absent), scores(histograms, "skip")
        drawn = _bootstrap(histograms, total, options)
        notes = (*_absent_notes(pooled, segmenter, options), *_size_notes(rows[:, n_classes**2 :], segmenter))
        values: list[Value] = []
        for key in keys:
            spread = _spread(_field(drawn, key), options) if drawn is not None else (None, None)
            values.append(_value(key, total, images, spread, segmenter, options, notes, pooled))
            values += _per_class(key, total, pooled, segmenter, options)
        return values


def confusion_feature(segmenter: Segmenter) -> Feature:
    """Per (image, label map): int64 row of the flattened histogram and of what `compute` warns about."""
    return Feature(
        "fcn_confusion",
        {**segmenter.settings, "classes": segmenter.classes.digest, "feature_recipe": "1"},
        partial(confusion_extractor, segmenter),
        segmenter.batch_size,
    )


def confusion_extractor(segmenter: Segmenter, device: str) -> Extractor:
    """Load the segmenter; see `confusion_feature`."""
    predict = segmenter.load(device)
    n_classes = len(segmenter.classes.names)

    def extract(items: Sequence[Item]) -> list[Array]:
        images, labels = [item[0] for item in items], [item[1] for item in items]
        sizes = [(label.shape[0], label.shape[1]) for label in labels]
        predictions = predict(images, sizes)
        rows = []
        for image, label, (prediction, distance) in zip(images, labels, predictions, strict=True):
            try:
                counted = confusion(label, prediction, n_classes).reshape(-1)
            except ValueError as error:
                raise UserError(
                    f"fcn: segmenter {segmenter.name}: {error} in {segmenter.classes.title}."
                ) from None
            extra = [*image.shape[:2], *label.shape, round(1000 * distance)]
            rows.append(np.concatenate([counted, np.asarray(extra, np.int64)]))
        return rows

    return extract


def _segmenter(options: Options) -> Segmenter:
    if options.segmenter is None:
        raise UserError(
            "fcn: no segmenter. Give --segmenter: a folder that `evalkit segmenter train` wrote, `palette` (the fakes are "
            "coloured label maps) or `ids` (they are index maps)."
        )
    return options.segmenter


def _field(found: ConfusionScores, key: str) -> NDArray[np.float64]:
    return {PIXEL: found.pixel_accuracy, CLASS: found.class_accuracy, IOU: found.class_iou}[key]


def _value(
    key: str,
    total: ConfusionScores,
    images: ConfusionScores,
    spread: tuple[Interval | None, float | None],
    segmenter: Segmenter,
    options: Options,
    notes: tuple[str, ...],
    pooled: NDArray[np.int64],
) -> Value:
    what = {PIXEL: "share of labelled pixels predicted right", CLASS: "mean over classes of the share of a class's pixels predicted so", IOU: "mean over classes of intersection over union"}[key]  # fmt: skip
    treated = "" if key == PIXEL else f"; {_ABSENT[options.absent]}"
    return Value(
        key,
        float(_field(total, key)),
        f"{what}, one histogram over all images{treated}; segmenter {segmenter.name}",
        interval=spread[0],
        standard_error=spread[1],
        n={
            "pixels": int(pooled.sum()),
            "classes": len(pooled),
            "classes_in_labels": int((pooled.sum(1) > 0).sum()),
        },
        notes=notes,
        per_image=_field(images, key),
        seed=None if spread[0] is None else options.seed,
    )


def _per_class(
    key: str, total: ConfusionScores, pooled: NDArray[np.int64], segmenter: Segmenter, options: Options
) -> list[Value]:
    if key == PIXEL:
        return []
    parts = total.accuracies if key == CLASS else total.ious
    values = []
    for name, part, pixels in zip(segmenter.classes.names, parts, pooled.sum(1), strict=True):
        notes = () if pixels else (f"no label has this class: {_ABSENT[options.absent]}",)
        value = None if np.isnan(part) else float(part)
        what = "share of the class's pixels predicted so" if key == CLASS else "intersection over union"
        values.append(Value(key, value, what, n={"pixels": int(pixels)}, notes=notes, detail=name))
    return values


def _absent_notes(pooled: NDArray[np.int64], segmenter: Segmenter, options: Options) -> tuple[str, ...]:
    absent = [name for name, pixels in zip(segmenter.classes.names, pooled.sum(1), strict=True) if not pixels]
    if not absent:
        return ()
    told = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
    other = "skip" if options.absent == "zero" else "zero"
    return (f"no label has {told}: {_ABSENT[options.absent]} (--absent {other}: the other way)",)


def _size_notes(extra: NDArray[np.int64], segmenter: Segmenter) -> tuple[str, ...]:
    """What a reader must know about sizes, and about photos where label maps are read."""
    notes, known = [], segmenter.photo_px
    strange: dict[str, int] = {}
    fitted: dict[str, int] = {}
    for size, count in zip(*np.unique(extra[:, :4], axis=0, return_counts=True), strict=True):
        image, label = (int(size[0]), int(size[1])), (int(size[2]), int(size[3]))
        if known is not None and image != known:
            strange[f"{_told(image)} px"] = strange.get(f"{_told(image)} px", 0) + int(count)
        elif image != label:
            fitted[f"{_told(image)} px, their label maps {_told(label)}"] = int(count)
    if known is not None and strange:
        notes.append(
            f"{_counted(strange)}, the photos that the segmenter was trained on {_told(known)}: detail "
            "that it does not know lowers scores; for a fair ceiling bring the reals to that size too"
        )
    if fitted:
        notes.append(f"{_counted(fitted)}: resized as declared")
    if segmenter.reads_label_maps and extra[:, 4].mean() > 1000 * FAR_LEVELS:
        notes.append(
            f"on average {extra[:, 4].mean() / 1000:.0f} levels from the nearest colour of a class: these look like photos, or like label maps in other colours"
        )
    return tuple(notes)


def _counted(images: Mapping[str, int]) -> str:
    """How many images are of which size; of many sizes the commonest."""
    most = max(images, key=lambda size: images[size])
    if len(images) == 1:
        return f"{images[most]} images are {most}"
    return f"{sum(images.values())} images are of {len(images)} sizes ({images[most]} are {most})"


def _told(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _bootstrap(
    histograms: NDArray[np.int64], total: ConfusionScores, options: Options
) -> ConfusionScores | None:
    """Scores of sets drawn with replacement from these images; None for fewer than two.

    A class that few images have is missing from many of these sets. That says nothing of how well it is recognised, so
    it is left out of their means; classes that no label at all has count in every set as they do in `total`.
    """
    n = len(histograms)
    if n < 2:
        return None
    right = np.diagonal(histograms, axis1=1, axis2=2)
    needed = np.concatenate([right, histograms.sum(2), histograms.sum(1)], axis=1).astype(np.float64)
    rng = np.random.default_rng(options.seed)
    per_batch = max(1, _CELLS_PER_BATCH // n)
    totals = np.concatenate(
        [
            rng.multinomial(n, np.full(n, 1 / n), size=min(per_batch, N_RESAMPLES - begun)) @ needed
            for begun in range(0, N_RESAMPLES, per_batch)
        ]
    )
    drawn_right, labelled, predicted = np.split(totals, 3, axis=1)
    drawn = scores_of_totals(drawn_right, labelled, predicted, "skip")
    n_labelled = np.count_nonzero(histograms.sum((0, 2)))

    def means(parts: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
        there = np.where(labelled > 0, parts, np.nan)
        return mean_over_classes(there) * (n_labelled / np.count_nonzero(~np.isnan(whole)))

    return dataclasses.replace(
        drawn,
        class_accuracy=means(drawn.accuracies, total.accuracies),
        class_iou=means(drawn.ious, total.ious),
    )


def _spread(drawn: NDArray[np.float64], options: Options) -> tuple[Interval | None, float | None]:
    known = drawn[~np.isnan(drawn)]
    if len(known) < 2:
        return None, None
    tail = (1 - options.confidence_level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    method = f"percentile bootstrap over images, {N_RESAMPLES} resamples"
    return Interval(float(low), float(high), options.confidence_level, method), float(known.std(ddof=1))
