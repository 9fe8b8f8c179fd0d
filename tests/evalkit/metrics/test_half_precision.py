"""Half precision is used where it is faster and changes no score that anyone reads."""

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest

from evalkit.metrics.base import Feature, Options
from evalkit.metrics.networks import half_precision
from evalkit.metrics.networks.half_precision import check, judge


def images(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40, 40, 3), dtype=np.uint8) for _ in range(n)]


def test_it_is_used_where_it_is_faster_and_close():
    found = judge(5.0, 39.0, 39.006)
    assert found.ok
    assert found.speedup == 5
    assert found.drift == pytest.approx(0.006 / 39)
    assert (
        found.line
        == "Half precision: 5.0× as fast as float32, a score of the first images changes by 1.5e-04."
    )


@pytest.mark.parametrize(
    ("speedup", "rounded", "reason"),
    [
        (5.0, 39.1, r"it changes a score of the first images by 2\.6e-03"),
        (0.9, 39.0, r"it is no faster than float32 here \(0\.90×\)"),
        (5.0, math.nan, "it overflows with these weights"),
        (5.0, math.inf, "it overflows with these weights"),
    ],
)
def test_else_it_is_not_and_the_line_says_why(speedup, rounded, reason):
    found = judge(speedup, 39.0, rounded)
    assert not found.ok
    assert re.fullmatch(f"Half precision is not used: {reason}; float32 is.", found.line)


def test_a_small_score_is_held_against_the_floor():
    assert judge(5.0, 0.001, 0.002, floor=10.0).ok
    assert not judge(5.0, 0.001, 0.002).ok
    assert judge(5.0, 0.0, 0.0).drift == 0


def test_too_few_images_are_not_judged(monkeypatch):
    monkeypatch.setattr(half_precision, "pool3", None)  # nothing is loaded
    found = check(images(3), Options())
    assert not found.ok
    assert "3 images are too few to check it" in found.line


def feature_with(shift: float, calls: list[int]):
    """Stands in for `pool3`: half precision shifts every second feature."""

    def pool3(options: Options) -> Feature:
        def extract(items: Sequence) -> list[np.ndarray]:
            calls.append(len(items))
            means = np.array([item[0].mean() for item in items], np.float32)
            moved = shift if options.precision == "fp16" else 0.0
            return [np.array([mean, k * moved], np.float32) for k, mean in enumerate(means)]

        return Feature("pool3", {}, lambda device: extract)

    return pool3


@pytest.mark.parametrize(("shift", "close"), [(0.0, True), (50.0, False)])
def test_the_drift_is_that_of_a_score_in_both_precisions(monkeypatch, shift, close):
    calls: list[int] = []
    monkeypatch.setattr(half_precision, "pool3", feature_with(shift, calls))
    found = check(images(8), Options(precision="fp16"))
    if found.drift is not None:  # a busy machine may make either look hopelessly slow
        assert (found.drift <= half_precision.LARGEST_DRIFT) is close
    assert close or not found.ok


def test_only_the_first_images_are_looked_at(monkeypatch):
    calls: list[int] = []
    monkeypatch.setattr(half_precision, "pool3", feature_with(0.0, calls))
    monkeypatch.setattr(half_precision, "IMAGES", 6)
    monkeypatch.setattr(half_precision, "_HOPELESS", math.inf)
    check(images(20), Options())
    assert sorted(calls) == [1, 1, 6, 6]


def test_processors_that_emulate_it_are_told_by_one_image(monkeypatch):
    calls: list[int] = []
    monkeypatch.setattr(half_precision, "pool3", feature_with(0.0, calls))
    monkeypatch.setattr(half_precision, "_HOPELESS", 0.0)
    found = check(images(20), Options())
    assert calls == [1, 1]
    assert not found.ok
    assert found.drift is None
    assert "times slower than float32 here" in found.line


@pytest.mark.parametrize("network", ["alex", "squeeze"])
def test_perceptual_networks_are_judged_by_distances(network, monkeypatch):
    monkeypatch.setattr(half_precision, "_HOPELESS", math.inf)
    found = check(images(4), Options(random_weights=1), network)
    assert found.speedup is not None
    assert found.drift is not None
    assert 0 < found.drift < 5e-3
    assert found.ok == (found.speedup > 1 and found.drift <= half_precision.LARGEST_DRIFT)
