"""FCN histogram of one Cityscapes frame (1024 x 2048, 19 classes): ours against the reference's, and torchmetrics'.

python benchmarks/confusion.py [--repeats 15]
"""
# ruff: noqa: T201  (it prints a table)

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evalkit.metrics.confusion import IGNORED, confusion

HEIGHT, WIDTH, CLASSES = 1024, 2048, 19
TARGET = 3.0
"""At least so many times as fast as the reference."""


def reference(labels: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.int64]:
    """What fast_hist does (scripts/eval_cityscapes/util.py of junyanz/pytorch-CycleGAN-and-pix2pix)."""
    counted = np.where((labels >= 0) & (labels < CLASSES))[0]
    pairs = CLASSES * labels[counted].astype(int) + prediction[counted]
    return np.bincount(pairs, minlength=CLASSES**2).reshape(CLASSES, CLASSES)


def maps(rng: np.random.Generator, *, noisy: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A label map in patches with a tenth ignored, and a prediction of it.

    Args:
        rng: Draws the patches.
        noisy: Every fifth pixel is wrong on its own; else whole regions are, as segmenters err (the patches moved by
            some pixels).
    """
    coarse = rng.integers(0, CLASSES, (HEIGHT // 32, WIDTH // 32)).astype(np.uint8)
    labels = np.kron(coarse, np.ones((32, 32), np.uint8))
    prediction = np.roll(labels, (3, 5), (0, 1))
    if noisy:
        wrong = rng.random(labels.shape) < 0.2
        prediction = np.where(wrong, rng.integers(0, CLASSES, labels.shape), labels).astype(np.uint8)
    ignored = rng.random(coarse.shape) < 0.1
    labels[np.kron(ignored, np.ones((32, 32), bool))] = IGNORED
    return labels, prediction


def milliseconds(function: Callable[[], Any], repeats: int) -> float:
    """Median of several calls, after one that warms up."""
    function()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def main() -> None:
    """Time all three on the same maps; the first two must count the same."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=15)
    repeats = arguments.parse_args().repeats
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    print("| maps | fast_hist, ms | torchmetrics, ms | ours, ms | times fast_hist |")
    print("|---|---|---|---|---|")
    for noisy in (False, True):
        labels, prediction = maps(np.random.default_rng(0), noisy=noisy)
        flat = labels.reshape(-1), prediction.reshape(-1)
        tensors = [torch.from_numpy(one.astype(np.int64)) for one in (prediction, labels)]
        if not np.array_equal(reference(*flat), confusion(labels, prediction, CLASSES)):
            raise SystemExit("the histograms differ")
        peer = milliseconds(partial(reference, *flat), repeats)
        ours = milliseconds(partial(confusion, labels, prediction, CLASSES), repeats)
        settings = {"num_classes": CLASSES, "ignore_index": IGNORED}
        library = milliseconds(partial(multiclass_confusion_matrix, *tensors, **settings), repeats)
        what = "single pixels wrong" if noisy else "in regions, as segmenters make them"
        print(f"| {what} | {peer:.1f} | {library:.1f} | {ours:.1f} | {peer / ours:.1f} |")
    print(f"Median of {repeats} calls; wanted: {TARGET:g} times fast_hist. All histograms are equal.")


if __name__ == "__main__":
    main()
