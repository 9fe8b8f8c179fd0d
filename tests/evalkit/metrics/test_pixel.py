from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from evalkit.metrics.base import Options
from evalkit.metrics.over_images import mean_over_images
from evalkit.metrics.pixel import Pixel, l1_and_mse, psnr_db

METRIC, OPTIONS = Pixel(), Options()
KEYS = ("psnr", "ssim", "ms_ssim", "l1")
WEIGHTS_OF_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def photo(side: int, seed: int) -> np.ndarray:
    """Blobs of all sizes in colour, values over the whole range."""
    noise = np.random.default_rng(seed).normal(size=(side, side, 3))
    blobs = sum(scale * ndimage.gaussian_filter(noise, (scale, scale, 0)) for scale in (1, 3, 9))
    return np.clip(np.rint(128 + 45 * blobs / blobs.std()), 0, 255).astype(np.uint8)


def noisy(image: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def values_of(pairs, keys=KEYS, options=OPTIONS):
    found = {
        name: np.stack(want.feature.load("cpu")(pairs)) for name, want in METRIC.wants(keys, options).items()
    }
    return {value.key: value for value in METRIC.compute(keys, found, options)}


@pytest.fixture(scope="module")
def pairs():
    reals = [photo(192, seed) for seed in range(4)]
    return [(real, noisy(real, sigma)) for real, sigma in zip(reals, (3, 10, 20, 40), strict=True)]


@pytest.fixture(scope="module")
def values(pairs):
    return values_of(pairs)


def test_psnr_and_l1_are_those_of_torchmetrics_and_scikit_image(pairs, values):
    from skimage.metrics import peak_signal_noise_ratio
    from torchmetrics.functional import mean_absolute_error
    from torchmetrics.functional.image import peak_signal_noise_ratio as of_torchmetrics

    scikit = [peak_signal_noise_ratio(real, fake) for real, fake in pairs]
    assert values["psnr"].per_image == pytest.approx(scikit, rel=1e-12)
    torch_psnr = [float(of_torchmetrics(unit(fake), unit(real), data_range=1.0)) for real, fake in pairs]
    assert values["psnr"].per_image == pytest.approx(torch_psnr, rel=1e-6)
    torch_l1 = [float(mean_absolute_error(unit(fake), unit(real))) for real, fake in pairs]
    assert values["l1"].per_image == pytest.approx(torch_l1, rel=1e-6)


def unit(image: np.ndarray):
    import torch

    return torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).to(torch.get_default_dtype()) / 255


def moments(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luminance and contrast-structure maps of two channels in [0, 1], mirrored at the border."""

    def blur(x: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(x, 1.5, truncate=3.5, mode="mirror")

    a, b = blur(first), blur(second)
    variances = blur(first**2) - a**2 + blur(second**2) - b**2
    covariance = blur(first * second) - a * b
    return (2 * a * b + 0.01**2) / (a**2 + b**2 + 0.01**2), (2 * covariance + 0.03**2) / (variances + 0.03**2)


def plain_ssim(real: np.ndarray, fake: np.ndarray, border: int) -> float:
    inner = slice(border, -border or None)
    channels = [moments(real[..., c] / 255, fake[..., c] / 255) for c in range(3)]
    return float(np.mean([(luminance * contrast)[inner, inner] for luminance, contrast in channels]))


def plain_ms_ssim(real: np.ndarray, fake: np.ndarray) -> float:
    real, fake, product = real / 255, fake / 255, 1.0
    for scale, weight in enumerate(WEIGHTS_OF_SCALES):
        maps = [moments(real[..., c], fake[..., c]) for c in range(3)]
        if scale == len(WEIGHTS_OF_SCALES) - 1:
            return product * float(np.mean([one * other for one, other in maps])) ** weight
        product *= float(np.mean([contrast[5:-5, 5:-5] for _, contrast in maps])) ** weight
        real, fake = (
            image.reshape(len(image) // 2, 2, len(image) // 2, 2, 3).mean(axis=(1, 3))
            for image in (real, fake)
        )
    raise AssertionError


def test_ssim_is_the_formula_of_the_paper_without_the_border(pairs, values):
    plain = [plain_ssim(real, fake, border=5) for real, fake in pairs]
    assert values["ssim"].per_image == pytest.approx(plain, rel=1e-9)


def test_ssim_is_that_of_torchmetrics_but_for_the_border_which_it_mirrors(pairs, values):
    from torchmetrics.functional.image import structural_similarity_index_measure

    for (real, fake), ours in zip(pairs, values["ssim"].per_image, strict=True):
        theirs, whole = structural_similarity_index_measure(
            unit(fake), unit(real), data_range=1.0, return_full_image=True
        )
        assert float(whole[..., 5:-5, 5:-5].mean()) == pytest.approx(ours, abs=1e-5)
        assert float(theirs) == pytest.approx(ours, abs=5e-3)


def test_ms_ssim_is_the_formula_of_the_paper(pairs, values):
    plain = [plain_ms_ssim(real, fake) for real, fake in pairs]
    assert values["ms_ssim"].per_image == pytest.approx(plain, abs=1e-5)


def test_the_value_is_the_mean_over_images_with_its_t_interval(values):
    for key, value in values.items():
        ends = stats.t.interval(0.95, 3, value.per_image.mean(), stats.sem(value.per_image))
        low, high = np.clip(ends, 0, np.inf if key == "psnr" else 1)
        assert value.value == pytest.approx(value.per_image.mean())
        assert (value.interval.low, value.interval.high) == pytest.approx((low, high))
        assert value.standard_error == pytest.approx(stats.sem(value.per_image))


def test_the_t_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for values in rng.normal(30, 4, (2000, 8)):
        _, interval, _ = mean_over_images(values, 0.9)
        hits += interval.low <= 30 <= interval.high
    assert hits / 2000 == pytest.approx(0.9, abs=0.02)


def test_no_interval_reaches_beyond_what_is_possible():
    real = photo(176, 1)
    values = values_of([(real, noisy(real, 1)), (real, 255 - real)])
    assert values["ms_ssim"].per_image[1] == 0
    assert (values["ms_ssim"].interval.low, values["ms_ssim"].interval.high) == (0, 1)
    assert (values["ssim"].interval.low, values["ssim"].interval.high) == (-1, 1)
    assert values["psnr"].interval.low == values["l1"].interval.low == 0


def test_more_noise_is_worse_for_each(values):
    for key in ("psnr", "ssim", "ms_ssim"):
        assert (np.diff(values[key].per_image) < 0).all()
    assert (np.diff(values["l1"].per_image) > 0).all()


def test_identical_images_have_no_l1_a_similarity_of_one_and_no_finite_psnr():
    real = photo(176, 9)
    values = values_of([(real, real.copy()), (noisy(real, 5), real)])
    assert values["l1"].per_image[0] == 0
    assert values["ssim"].per_image[0] == pytest.approx(1, abs=1e-12)
    assert values["ms_ssim"].per_image[0] == pytest.approx(1, abs=1e-6)
    assert values["psnr"].value is None
    assert values["psnr"].interval is None
    assert values["psnr"].per_image[0] == np.inf
    other = values["psnr"].per_image[1]
    assert values["psnr"].notes == (
        f"PSNR is infinite: 1 of 2 fakes equal their real photo in every pixel; the mean of the others is {other:.2f} dB.",
    )


def test_images_too_small_for_a_window_have_no_value_and_a_line_says_so():
    small, large = photo(175, 1), photo(176, 2)
    values = values_of([(small, noisy(small, 5)), (large, noisy(large, 5))])
    assert values["ms_ssim"].value is None
    assert values["ms_ssim"].notes == (
        "MS-SSIM needs 176 px or more on the shorter side; 1 of 2 images are smaller.",
    )
    assert values["ssim"].value is not None
    tiny = photo(10, 1)
    assert values_of([(tiny, noisy(tiny, 5))], ("ssim",))["ssim"].notes == (
        "SSIM needs 11 px or more on the shorter side; 1 of 1 images are smaller.",
    )


def test_one_pair_has_a_value_and_no_interval(pairs):
    value = values_of(pairs[:1], ("l1",))["l1"]
    assert value.interval is None
    assert value.standard_error is None
    assert value.notes == ("No interval: one image shows nothing of how images differ.",)


def test_differences_do_not_wrap_around_in_8_bits():
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert l1_and_mse(black, white) == pytest.approx([1, 1])
    assert l1_and_mse(white, black) == pytest.approx([1, 1])
    assert psnr_db(np.array([1.0, 0.01])) == pytest.approx([0, 20])


def test_only_what_was_asked_for_is_wanted():
    assert set(METRIC.wants(("psnr", "l1"), OPTIONS)) == {"pixel_errors"}
    assert set(METRIC.wants(("ms_ssim",), OPTIONS)) == {"ms_ssim"}
    assert set(METRIC.settings(("ssim",), OPTIONS)) == {"ssim"}


def test_images_that_are_not_square_are_fine():
    real = photo(192, 4)[:177]
    value = values_of([(real, noisy(real, 10))])
    assert all(one.value is not None for one in value.values())


@pytest.mark.shared_data
def test_on_real_facades_ssim_psnr_and_ms_ssim_are_those_of_the_references(shared_data: Path):
    from skimage.metrics import peak_signal_noise_ratio

    folder = shared_data / "results" / "facades_pix2pix"
    fakes = sorted(folder.rglob("*_fake_B*"))[:4]
    assert len(fakes) == 4
    reals = [path.with_name(path.name.replace("_fake_B", "_real_B")) for path in fakes]
    pairs = [
        tuple(np.asarray(Image.open(path).convert("RGB")) for path in pair)
        for pair in zip(reals, fakes, strict=True)
    ]
    values = values_of(pairs)
    assert values["psnr"].per_image == pytest.approx([peak_signal_noise_ratio(*p) for p in pairs], rel=1e-12)
    assert values["ssim"].per_image == pytest.approx([plain_ssim(*p, border=5) for p in pairs], rel=1e-9)
    assert values["ms_ssim"].per_image == pytest.approx([plain_ms_ssim(*p) for p in pairs], abs=1e-4)
