"""Which class was taken for which: one histogram over all pixels, and the three FCN-scores made of it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.base import Array

IGNORED = 255
"""In label maps: where nothing counts."""
_TINY = 1e-12
"""Source: get_scores in scripts/eval_cityscapes/util.py of junyanz/pytorch-CycleGAN-and-pix2pix."""

_FEW_RUNS = 8
"""Pixels per run from which counting runs is quicker (three times, where there are some twenty)."""

Histogram = NDArray[np.int64]
"""(classes, classes): pixels whose label is the row and whose prediction is the column."""
Absent = Literal["zero", "skip"]


@dataclass(frozen=True)
class ConfusionScores:
    """FCN-scores of one or many histograms; every array has the leading shape of the histograms."""

    pixel_accuracy: NDArray[np.float64]
    """Share of the labelled pixels that were predicted right; NaN where nothing is labelled."""
    class_accuracy: NDArray[np.float64]
    """Mean of `accuracies` over the classes that count; NaN where none does."""
    class_iou: NDArray[np.float64]
    """Mean of `ious` over the classes that count; NaN where none does."""
    accuracies: NDArray[np.float64]
    """(..., classes) of the pixels labelled so, the share predicted so; NaN where the class does not count."""
    ious: NDArray[np.float64]
    """(..., classes) intersection over union; NaN where the class does not count."""


def confusion(labels: Array, prediction: Array, n_classes: int) -> Histogram:
    """Count the labelled pixels by label and prediction.

    As `fast_hist` of the reference, except that a prediction that is no class is refused: there it either counts for
    another class or, far enough out of range, silently drops the whole frame.

    Args:
        labels: (height, width) uint8 class numbers; IGNORED where nothing counts.
        prediction: (height, width) uint8 class numbers; what stands where the label is IGNORED does not matter.
        n_classes: 1 to 255.

    Raises:
        ValueError: The sizes differ, or a class number is out of range.

    Source:
        fast_hist in scripts/eval_cityscapes/util.py of junyanz/pytorch-CycleGAN-and-pix2pix, after
        shelhamer/clockwork-fcn.
    """
    if labels.shape != prediction.shape:
        raise ValueError(f"labels are {labels.shape} and the prediction is {prediction.shape}")
    if labels.dtype != np.uint8 or prediction.dtype != np.uint8:
        raise ValueError(f"labels and prediction must be uint8, not {labels.dtype} and {prediction.dtype}")
    rows, columns = labels.reshape(-1), prediction.reshape(-1)
    if columns.size and int(columns.max()) >= n_classes:
        counts = rows != IGNORED
        rows, columns = rows[counts], columns[counts]
        if columns.size and int(columns.max()) >= n_classes:
            raise ValueError(f"the prediction has class {int(columns.max())}, but there are {n_classes}")
    # 255 * 255 + 254 still fits 16 bits, so ignored pixels are a row of their own, which is cut off.
    pairs = rows.astype(np.uint16)
    pairs *= np.uint16(n_classes)
    pairs += columns
    counted = _counts(pairs, (IGNORED + 1) * n_classes).reshape(IGNORED + 1, n_classes)
    if counted[n_classes:IGNORED].any():
        outside = n_classes + int(np.flatnonzero(counted[n_classes:IGNORED].any(1))[0])
        raise ValueError(f"the labels have class {outside}, but there are {n_classes}")
    return counted[:n_classes].astype(np.int64, copy=False)


def _counts(values: NDArray[np.uint16], length: int) -> Histogram:
    """How often each value occurs; where neighbours mostly agree, as in maps of regions, run by run."""
    changes = values[1:] != values[:-1]
    if np.count_nonzero(changes) * _FEW_RUNS >= len(values):
        return np.bincount(values, minlength=length)
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    lengths = np.diff(starts, append=len(values))
    # Weights make float64 of the counts, which is exact far beyond any number of pixels.
    return np.bincount(values[starts], weights=lengths, minlength=length).astype(np.int64)


def scores(histogram: NDArray[np.int64] | NDArray[np.float64], absent: Absent = "zero") -> ConfusionScores:
    """Per-pixel accuracy, per-class accuracy and class IoU.

    Args:
        histogram: (..., classes, classes), as `confusion` counts.
        absent: What to do about classes that are nowhere in the labels. `zero`: they count as 0 in both means, as in
            the reference, whose 1e-12 keeps its nanmean from ever seeing NaN. `skip`: they do not count, as in Long
            et al.'s own code and in most libraries; for IoU a class that was predicted without ever being labelled
            does count, as 0.

    Source:
        Long et al. 2015, section 5 (pixel acc., mean acc., mean IU); Isola et al. 2017 (arXiv v3), section 4.1;
        get_scores in scripts/eval_cityscapes/util.py of junyanz/pytorch-CycleGAN-and-pix2pix.
    """
    right = np.diagonal(histogram, axis1=-2, axis2=-1)
    return scores_of_totals(right, histogram.sum(-1), histogram.sum(-2), absent)


def scores_of_totals(right: Array, labelled: Array, predicted: Array, absent: Absent) -> ConfusionScores:
    """`scores` from what they need of a histogram.

    Args:
        right: (..., classes) its diagonal.
        labelled: (..., classes) its row sums.
        predicted: (..., classes) its column sums.
        absent: As `scores`.
    """
    union = labelled + predicted - right
    total = labelled.sum(-1)
    accuracies, ious = right / (labelled + _TINY), right / (union + _TINY)
    if absent == "skip":
        accuracies, ious = np.where(labelled > 0, accuracies, np.nan), np.where(union > 0, ious, np.nan)
    pixel = np.where(total > 0, right.sum(-1) / (total + _TINY), np.nan)
    mean_accuracy, mean_iou = (
        np.where(total > 0, mean_over_classes(each), np.nan) for each in (accuracies, ious)
    )
    return ConfusionScores(pixel, mean_accuracy, mean_iou, accuracies, ious)


def mean_over_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis, without NaN; NaN where nothing else is there."""
    there = ~np.isnan(values)
    total: NDArray[np.float64] = np.where(there, values, 0).sum(-1)
    return np.where(there.any(-1), total / np.maximum(there.sum(-1), 1), np.nan)
