import numpy as np
import pytest

from evalkit.metrics.base import Options
from evalkit.metrics.lab_histogram import LabHistogram, histogram_intersection, lab_histograms

METRIC, OPTIONS = LabHistogram(), Options()
KEYS = ("lab_intersection_l", "lab_intersection_a", "lab_intersection_b")


def flat(*colour: int, shape: tuple[int, int] = (8, 8)) -> np.ndarray:
    return np.full((*shape, 3), colour, np.uint8)


def scores(reals: list[np.ndarray], fakes: list[np.ndarray]) -> dict[str, float]:
    wants = METRIC.wants(KEYS, OPTIONS)
    found = {
        name: np.stack(wants[name].feature.load("cpu")([(image,) for image in images]))
        for name, images in (("reals", reals), ("fakes", fakes))
    }
    return {value.key: value.value for value in METRIC.compute(KEYS, found, OPTIONS)}


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (100, 0, 0)),
        ((255, 0, 0), (53, 80, 67)),
        ((0, 255, 0), (88, -86, 83)),
        ((0, 0, 255), (32, 79, -108)),
        ((119, 119, 119), (50, 0, 0)),
    ],
)
def test_well_known_colours_fall_into_their_bins(colour, lab):
    counts = lab_histograms(flat(*colour))
    assert counts.sum(axis=1).tolist() == [64, 64, 64]
    assert tuple(counts.argmax(axis=1) + np.array([0, -128, -128])) == lab
    assert (counts.max(axis=1) == 64).all()


def test_all_greys_share_one_bin_of_a_and_one_of_b():
    greys = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    counts = lab_histograms(greys)
    assert (counts[1:] > 0).sum(axis=1).tolist() == [1, 1]


def test_it_is_the_plain_double_sum_over_pixels_of_all_images():
    from skimage.color import rgb2lab

    rng = np.random.default_rng(1)
    reals = [rng.integers(0, 256, (9, 7, 3), dtype=np.uint8) for _ in range(3)]
    fakes = [rng.integers(60, 200, (9, 7, 3), dtype=np.uint8) for _ in range(2)]
    found = scores(reals, fakes)
    for channel, key in enumerate(KEYS):
        shares = []
        for images in (reals, fakes):
            values = np.concatenate([rgb2lab(image)[..., channel].ravel() for image in images])
            counts, _ = np.histogram(values, np.arange(-128.5, 129))
            shares.append(counts / counts.sum())
        assert found[key] == pytest.approx(sum(min(p, q) for p, q in zip(*shares, strict=True)), rel=1e-12)


def test_the_same_colours_elsewhere_in_the_image_overlap_wholly():
    rng = np.random.default_rng(2)
    real = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert scores([real], [real[::-1, ::-1].transpose(1, 0, 2)]) == pytest.approx(dict.fromkeys(KEYS, 1))


def test_half_the_pixels_of_another_lightness_overlap_by_half_in_l_and_wholly_in_a_and_b():
    real = np.concatenate([flat(0, 0, 0), flat(255, 255, 255)])
    found = scores([real], [flat(0, 0, 0), flat(0, 0, 0)])
    assert [found[key] for key in KEYS] == pytest.approx([0.5, 1, 1])


def test_grey_fakes_of_colourful_photos_overlap_in_l_and_hardly_in_a_and_b():
    rng = np.random.default_rng(3)
    real = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    grey = np.rint(real @ [0.2126, 0.7152, 0.0722]).astype(np.uint8)[..., None].repeat(3, axis=2)
    found = scores([real], [grey])
    assert found["lab_intersection_l"] > 0.7
    assert max(found["lab_intersection_a"], found["lab_intersection_b"]) < 0.1


def test_images_of_several_sizes_count_by_their_pixels():
    small, large = flat(0, 0, 0, shape=(2, 2)), flat(255, 255, 255, shape=(4, 3))
    assert scores([small, large], [large])["lab_intersection_l"] == pytest.approx(12 / 16)


def test_only_the_shape_of_a_histogram_matters():
    assert histogram_intersection(np.array([1, 3]), np.array([10, 30])) == 1
    assert histogram_intersection(np.array([1, 0]), np.array([0, 5])) == 0


def test_a_single_key_may_be_asked_for():
    found = {side: lab_histograms(flat(10, 200, 30))[None] for side in ("reals", "fakes")}
    (value,) = METRIC.compute(("lab_intersection_b",), found, OPTIONS)
    assert (value.key, value.value) == ("lab_intersection_b", 1.0)
