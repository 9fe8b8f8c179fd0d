import itertools

import numpy as np
import pytest

from evalkit.metrics.input_sensitivity import input_sensitivity

REALS = np.random.default_rng(1).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


def test_the_reals_themselves_have_sensitivity_one() -> None:
    assert input_sensitivity(REALS, REALS) == pytest.approx(1)


def test_one_output_for_all_inputs_has_sensitivity_zero() -> None:
    assert input_sensitivity(REALS, REALS[:1].repeat(6, axis=0)) == 0


def test_it_is_the_ratio_of_distances_over_all_pairs() -> None:
    fakes = REALS // 3
    distances = [
        np.sqrt(
            np.mean(
                [
                    np.mean((images[i] / 255 - images[j] / 255) ** 2)
                    for i, j in itertools.combinations(range(6), 2)
                ]
            )
        )
        for images in (fakes, REALS)
    ]
    assert input_sensitivity(REALS, fakes) == pytest.approx(distances[0] / distances[1])


def test_reals_that_are_all_alike_are_refused() -> None:
    with pytest.raises(ValueError, match="the real images are all alike"):
        input_sensitivity(REALS[:1].repeat(6, axis=0), REALS)
