import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from evalkit.metrics.base import Options, Value
from evalkit.metrics.input_sensitivity import InputSensitivity, input_sensitivity
from evalkit.metrics.lpips import Lpips
from evalkit.metrics.pictures import picture_set
from evalkit.metrics.scoring import Candidate, score_sets
from studies.errors import UserError

Images = NDArray[np.uint8]

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


METRIC = InputSensitivity()
PIXEL, LPIPS = "input_sensitivity_pixel", "input_sensitivity_lpips"
RANDOM = Options(random_weights=1)


def scores(
    reals: Images, fakes: Images, keys: tuple[str, ...] = (PIXEL,), options: Options = RANDOM
) -> list[Value]:
    sets = {"reals": reals, "fakes": fakes}
    found: dict[str, Any] = {}
    for name, want in METRIC.wants(keys, options).items():
        images = sets[want.over]
        found[name] = sum(want.feature.load("cpu")([(image,) for image in images]))
        found[f"{name}_n"] = len(images)
    return list(METRIC.compute(keys, found, options))


def ratio(reals: Images, fakes: Images, key: str = PIXEL) -> float:
    (value,) = scores(reals, fakes, (key,))
    assert value.value is not None
    return value.value


def blobs(n: int, side: int, seed: int) -> Images:
    noise = np.random.default_rng(seed).normal(size=(n, side, side, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 4, 4, 0))
    return np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def test_the_reals_under_the_names_of_others_are_as_varied_as_the_reals() -> None:
    shuffled = Candidate("shuffled", None, picture_set(REALS[[3, 0, 5, 1, 2, 4]], name="shuffled"))
    scored = score_sets(picture_set(REALS, name="reals"), [shuffled], [PIXEL], Options())
    assert [score.value for score in scored.scores] == [pytest.approx(1)], scored.left_out


def test_where_the_network_cannot_look_the_pixels_still_speak() -> None:
    fakes = Candidate("fakes", None, picture_set(REALS // 2, name="fakes"))
    scored = score_sets(picture_set(REALS, name="reals"), [fakes], ["input_sensitivity"], RANDOM)
    assert [score.key for score in scored.scores] == [PIXEL]
    (line,) = scored.left_out
    assert line.startswith(f"{LPIPS} of fakes: reals[0]: LPIPS (alex): an image of 8×8 px is too small")


def test_the_metric_is_the_function() -> None:
    fakes = REALS // 3 + np.arange(6, dtype=np.uint8)[:, None, None, None]
    assert ratio(REALS, fakes) == pytest.approx(input_sensitivity(REALS, fakes), rel=1e-12)


def test_its_distance_is_that_over_all_pairs_however_alike_the_images_are() -> None:
    nearly = np.full((6, 8, 8, 3), 255, np.uint8)
    nearly[2, 0, 0, 0] = 254
    pairs = [
        np.mean((nearly[i] / 255 - nearly[j] / 255) ** 2) for i, j in itertools.combinations(range(6), 2)
    ]
    assert ratio(REALS, nearly) == pytest.approx(np.sqrt(np.mean(pairs)) / spread(REALS), rel=1e-6)


def spread(images: Images) -> float:
    pairs = itertools.combinations(images / 255, 2)
    return float(np.sqrt(np.mean([np.mean((a - b) ** 2) for a, b in pairs])))


def test_lpips_sensitivity_is_the_ratio_of_mean_lpips_over_all_pairs() -> None:
    reals, fakes = blobs(4, 64, 1), blobs(5, 64, 2) // 2
    extract = Lpips().wants(("lpips_alex",), RANDOM)["lpips_alex"].feature.load("cpu")
    means = [
        np.mean(extract([(a, b) for a, b in itertools.combinations(images, 2)])) for images in (fakes, reals)
    ]
    assert ratio(reals, fakes, LPIPS) == pytest.approx(means[0] / means[1], rel=1e-4)


def test_a_collapsed_generator_has_none_by_pixels_and_by_lpips() -> None:
    reals = blobs(4, 64, 3)
    pixel, perceptual = scores(reals, reals[:1].repeat(4, axis=0), (PIXEL, LPIPS))
    assert pixel.value == 0
    assert perceptual.value == pytest.approx(0, abs=1e-6)


def test_the_number_of_images_does_not_bias_it() -> None:
    images = np.random.default_rng(4).integers(0, 256, (400, 8, 8, 3), dtype=np.uint8)
    ratios = [ratio(images, images[start : start + 3]) ** 2 for start in range(0, 399, 3)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.01)


def test_more_than_the_reals_is_said_not_to_be_better() -> None:
    (value,) = scores(REALS // 2, REALS)
    assert value.value == pytest.approx(2, abs=0.01)
    title = f"Input sensitivity (pixels) {value.value:.2f}"
    assert value.notes == (
        f"{title} is not better than 1: noise and artefacts make fakes differ more than reals do.",
    )
    assert scores(REALS, REALS)[0].notes == ()


def test_too_few_images_other_sizes_and_reals_all_alike_are_refused() -> None:
    with pytest.raises(UserError, match=r"6 reals and 1 fakes; .*two of each are the least"):
        scores(REALS, REALS[:1])
    with pytest.raises(UserError, match="reals and fakes are of different sizes"):
        scores(REALS, REALS[:, :4])
    with pytest.raises(UserError, match="the real images are all alike"):
        scores(REALS[:1].repeat(3, axis=0), REALS)
    with pytest.raises(UserError, match="the real images are all alike"):
        scores(blobs(1, 64, 1).repeat(3, axis=0), blobs(3, 64, 1), (LPIPS,))


def test_pixels_need_no_weights_and_their_settings_name_none() -> None:
    assert METRIC.weights((PIXEL,)) == ()
    assert METRIC.weights((PIXEL, LPIPS)) == ("alexnet",)
    assert set(METRIC.settings((PIXEL,), RANDOM)) == {"pixel_moments"}
    assert METRIC.settings((LPIPS,), RANDOM)["weights"] == "random, seed 1"
