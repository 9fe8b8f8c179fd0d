"""Is half precision safe and faster here? Found out on the first images, because neither can be known beforehand."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evalkit.metrics.base import Array, Extractor, Feature, Item, Options, Precision
from evalkit.metrics.frechet import frechet_distance
from evalkit.metrics.inception import pool3
from evalkit.metrics.lpips import distance_feature

IMAGES = 64
"""Of the first images, at most so many are looked at."""
LEAST_IMAGES = 4
LARGEST_DRIFT = 1e-3
"""Relative change of a score that half precision may make."""
_SMALL_FID = 10.0
"""Below it the change counts relative to this: 0.01 is as much as anyone reads from a FID."""
_HOPELESS = 3.0
"""Processors without half precision emulate it, many times slower than float32; then one image tells."""


@dataclass(frozen=True)
class HalfCheck:
    """What came out."""

    ok: bool
    """Whether half precision should be used."""
    speedup: float | None
    """Time in float32 over time in half precision; None where it was not measured."""
    drift: float | None
    """Relative change of a score; None where it was not measured."""
    line: str
    """All of this in words, to be shown and recorded."""


def check(images: Sequence[Array], options: Options, network: str = "inception") -> HalfCheck:
    """Compute the features of the first images in both precisions.

    For Inception the drift is that of the FID between the first and the second half of the images (relative to 10
    where it is smaller), for LPIPS that of the mean distance between each image and its mirror image.

    Args:
        images: (height, width, 3) uint8; only the first 64 are used.
        options: `precision` is ignored.
        network: inception | alex | vgg | squeeze.

    Raises:
        UserError: The weights are not there.
    """
    if len(images) < LEAST_IMAGES:
        return _refused(f"{len(images)} images are too few to check it", None, None)
    feature, items, score, floor = _probe(network, images[:IMAGES])
    whole, half = (_load(feature, options, precision) for precision in ("fp32", "fp16"))
    # One image first: warms both up, and tells a processor that only emulates half precision.
    once = _seconds(half, items[:1])[0] / _seconds(whole, items[:1])[0]
    if once > _HOPELESS:
        return _refused(f"it is {once:.1f} times slower than float32 here", 1 / once, None)
    seconds, exact = _seconds(whole, items)
    half_seconds, rounded = _seconds(half, items)
    speedup = seconds / half_seconds
    return judge(speedup, score(exact), score(rounded), floor)


def judge(speedup: float, exact: float, rounded: float, floor: float = 0.0) -> HalfCheck:
    """Decide from the ratio of times and a score in both precisions.

    Args:
        speedup: Time in float32 over time in half precision.
        exact: The score in float32.
        rounded: The same in half precision.
        floor: What the change is held against where `exact` is smaller.
    """
    if not np.isfinite(rounded):
        return _refused("it overflows with these weights", speedup, None)
    change, scale = abs(rounded - exact), max(abs(exact), floor)
    drift = change / scale if change else 0.0
    if drift > LARGEST_DRIFT:
        return _refused(f"it changes a score of the first images by {drift:.1e}", speedup, drift)
    if speedup <= 1:
        return _refused(f"it is no faster than float32 here ({speedup:.2f}×)", speedup, drift)
    line = f"Half precision: {speedup:.1f}× as fast as float32, a score of the first images changes by {drift:.1e}."
    return HalfCheck(True, speedup, drift, line)


Score = Callable[[Sequence[Array]], float]
Probe = tuple[Callable[[Options], Feature], list[Item], Score, float]
"""Feature, what it is computed from, the score made of it, and the least scale of that score."""


def _probe(network: str, images: Sequence[Array]) -> Probe:
    if network == "inception":
        return pool3, [(image,) for image in images], _fid_of_halves, _SMALL_FID
    pairs: list[Item] = [(image, np.ascontiguousarray(image[:, ::-1])) for image in images]
    return lambda options: distance_feature(network, options), pairs, lambda d: float(np.mean(d)), 0.0


def _fid_of_halves(features: Sequence[Array]) -> float:
    """NaN where a feature is not finite."""
    stacked, middle = np.stack(features).astype(np.float64), len(features) // 2
    if not np.isfinite(stacked).all():
        return float("nan")
    return frechet_distance(stacked[:middle], stacked[middle:])


def _load(feature: Callable[[Options], Feature], options: Options, precision: Precision) -> Extractor:
    return feature(replace(options, precision=precision)).load(options.device)


def _seconds(extractor: Extractor, items: Sequence[Item]) -> tuple[float, Sequence[Array]]:
    """Time and results."""
    began = time.perf_counter()
    found = extractor(items)
    return time.perf_counter() - began, found


def _refused(reason: str, speedup: float | None, drift: float | None) -> HalfCheck:
    return HalfCheck(False, speedup, drift, f"Half precision is not used: {reason}; float32 is.")
