"""The histogram is the reference's wherever that one is right, and refuses what it gets wrong in silence."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

from evalkit.metrics.confusion import IGNORED, confusion, scores


def reference_hist(labels, prediction, n):
    """fast_hist of the reference, without its early return."""
    counted = np.zeros((n, n), np.int64)
    for label, found in zip(labels.reshape(-1).tolist(), prediction.reshape(-1).tolist(), strict=True):
        if 0 <= label < n:
            counted[label, found] += 1
    return counted


def reference_scores(hist):
    """get_scores of the reference."""
    diagonal = np.diag(hist)
    class_accuracy = diagonal / (hist.sum(1) + 1e-12)
    iou = diagonal / (hist.sum(1) + hist.sum(0) - diagonal + 1e-12)
    return (
        diagonal.sum() / (hist.sum() + 1e-12),
        np.nanmean(class_accuracy),
        np.nanmean(iou),
        class_accuracy,
        iou,
    )


def maps(rng, n, shape=(13, 17), ignored=0.2, present=None):
    labels = rng.integers(0, present or n, shape).astype(np.uint8)
    labels[rng.random(shape) < ignored] = IGNORED
    return labels, rng.integers(0, n, shape).astype(np.uint8)


@pytest.mark.parametrize("n", [1, 2, 11, 19, 150, 255])
def test_the_histogram_equals_the_references_count_by_count(n):
    for seed in range(3):
        labels, prediction = maps(np.random.default_rng(seed), n)
        assert np.array_equal(confusion(labels, prediction, n), reference_hist(labels, prediction, n))


@pytest.mark.parametrize("side", [1, 2, 5, 40])
def test_maps_of_regions_are_counted_like_maps_of_single_pixels(side):
    labels, prediction = (
        np.kron(one, np.ones((side, side), np.uint8)) for one in maps(np.random.default_rng(5), 7)
    )
    assert np.array_equal(
        confusion(labels, prediction, 7),
        side**2 * confusion(labels[::side, ::side], prediction[::side, ::side], 7),
    )
    assert np.array_equal(confusion(labels, prediction, 7), reference_hist(labels, prediction, 7))
    shifted = np.roll(prediction, 3, 1)
    assert np.array_equal(confusion(labels, shifted, 7), reference_hist(labels, shifted, 7))


def test_maps_of_one_class_or_of_nothing_are_counted():
    same = np.full((30, 30), 2, np.uint8)
    assert confusion(same, same, 3).tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 900]]
    assert not confusion(same[:0], same[:0], 3).any()


def test_pixels_without_a_label_count_nowhere_whatever_was_predicted_there():
    labels = np.array([[0, IGNORED], [1, IGNORED]], np.uint8)
    counted = confusion(labels, np.array([[0, 250], [0, 1]], np.uint8), 2)
    assert counted.tolist() == [[1, 0], [1, 0]]


def test_a_prediction_that_is_no_class_is_refused_where_the_reference_counts_it_as_another():
    labels, prediction = np.zeros((2, 2), np.uint8), np.full((2, 2), 3, np.uint8)
    reference = np.bincount(3 * labels.reshape(-1).astype(int) + prediction.reshape(-1), minlength=9)
    assert reference.reshape(3, 3)[1, 0] == 4  # label 0, prediction 3: counted as label 1, prediction 0
    with pytest.raises(ValueError, match="the prediction has class 3, but there are 3"):
        confusion(labels, prediction, 3)


def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match="the labels have class 7, but there are 3"):
        confusion(np.full((2, 2), 7, np.uint8), np.zeros((2, 2), np.uint8), 3)


def test_maps_of_different_size_or_type_are_refused():
    with pytest.raises(ValueError, match=r"labels are \(2, 2\) and the prediction is \(2, 3\)"):
        confusion(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 3)
    with pytest.raises(ValueError, match="must be uint8"):
        confusion(np.zeros((2, 2), np.int64), np.zeros((2, 2), np.uint8), 3)


@pytest.mark.parametrize("present", [19, 12])
def test_scores_with_absent_classes_as_zero_equal_the_references_to_the_last_bit(present):
    hist = confusion(*maps(np.random.default_rng(1), 19, present=present), 19)
    ours, reference = scores(hist, "zero"), reference_scores(hist)
    assert ours.pixel_accuracy == reference[0]
    assert ours.class_accuracy == pytest.approx(reference[1], rel=1e-14)
    assert ours.class_iou == pytest.approx(reference[2], rel=1e-14)
    assert np.array_equal(ours.accuracies, reference[3])
    assert np.array_equal(ours.ious, reference[4])


def test_scores_with_absent_classes_skipped_equal_torchmetrics():
    labels, prediction = maps(np.random.default_rng(2), 9, (64, 64), present=6)
    prediction[prediction == 8] = 0  # class 8 is in neither, 6 and 7 only in the prediction
    ours = scores(confusion(labels, prediction, 9), "skip")
    given = torch.from_numpy(prediction.astype(np.int64)), torch.from_numpy(labels.astype(np.int64))
    settings = {"num_classes": 9, "ignore_index": IGNORED}
    assert ours.pixel_accuracy == pytest.approx(
        multiclass_accuracy(*given, average="micro", **settings).item()
    )
    recalls = multiclass_accuracy(*given, average=None, **settings).numpy()
    assert ours.class_accuracy == pytest.approx(recalls[:6].mean())
    assert ours.class_iou == pytest.approx(
        multiclass_jaccard_index(*given, average="macro", **settings).item()
    )
    assert np.isnan(ours.accuracies).tolist() == [False] * 6 + [True] * 3
    assert np.isnan(ours.ious).tolist() == [False] * 8 + [True]


def test_absent_classes_lower_the_means_only_when_they_count_as_zero():
    hist = np.diag([10, 10, 0, 0])
    assert scores(hist, "zero").class_iou == pytest.approx(0.5)
    assert scores(hist, "skip").class_iou == pytest.approx(1)
    assert scores(hist, "skip").pixel_accuracy == scores(hist, "zero").pixel_accuracy == pytest.approx(1)


@pytest.mark.parametrize("absent", ["zero", "skip"])
def test_nothing_labelled_has_no_score(absent):
    found = scores(np.zeros((3, 3), np.int64), absent)
    assert np.isnan([found.pixel_accuracy, found.class_accuracy, found.class_iou]).all()


@pytest.mark.parametrize("absent", ["zero", "skip"])
def test_many_histograms_at_once_score_as_one_by_one(absent):
    rng = np.random.default_rng(3)
    stack = np.stack([confusion(*maps(rng, 5, present=present), 5) for present in (1, 3, 5)])
    together = scores(stack, absent)
    for index, one in enumerate(stack):
        alone = scores(one, absent)
        assert together.pixel_accuracy[index] == alone.pixel_accuracy
        assert together.class_accuracy[index] == pytest.approx(float(alone.class_accuracy), rel=1e-14)
        assert together.class_iou[index] == pytest.approx(float(alone.class_iou), rel=1e-14)
