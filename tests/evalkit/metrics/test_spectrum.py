import numpy as np
import pytest

from evalkit.metrics.base import Options, Value
from evalkit.metrics.spectrum import LUMA, Spectrum, high_frequency_gap_db, radial_power_spectrum
from studies.errors import UserError


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(np.rint(values), 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def waves(cycles: int, side: int = 64) -> np.ndarray:
    return grey(
        128 + 100 * np.sin(2 * np.pi * cycles * np.arange(side) / side)[None, None, :].repeat(side, 1)
    )


@pytest.mark.parametrize("cycles", [3, 10, 25])
def test_a_wave_has_its_power_at_its_own_frequency(cycles: int) -> None:
    assert np.argmax(radial_power_spectrum(waves(cycles))) + 1 == cycles


def test_white_noise_has_the_same_power_at_all_frequencies() -> None:
    noise = np.random.default_rng(1).normal(128, 20, (40, 64, 64))
    power = radial_power_spectrum(grey(noise))[3:]
    assert power.max() / power.min() < 1.5


def test_images_like_the_reals_have_no_gap() -> None:
    rng = np.random.default_rng(2)
    reals, fakes = (grey(rng.normal(128, 20, (40, 64, 64))) for _ in range(2))
    assert abs(high_frequency_gap_db(reals, fakes)) < 0.5


def test_half_the_amplitude_is_six_decibel_less() -> None:
    noise = np.random.default_rng(3).normal(0, 40, (20, 64, 64))
    assert high_frequency_gap_db(grey(128 + noise), grey(128 + noise / 2)) == pytest.approx(-6.02, abs=0.1)


def test_blur_lacks_high_frequencies() -> None:
    noise = np.random.default_rng(4).normal(128, 30, (10, 64, 64))
    blurred = sum(np.roll(noise, shift, axis) for shift in (-1, 0, 1) for axis in (1, 2)) / 6
    assert high_frequency_gap_db(grey(noise), grey(blurred)) < -3


def test_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"square RGB images are needed, not an array of shape \(1, 4, 6, 3\)"
    ):
        radial_power_spectrum(np.zeros((1, 4, 6, 3), np.uint8))


def test_an_even_grey_lacks_all_that_noise_has_and_no_more_than_rounding_can_hide() -> None:
    noise = np.random.default_rng(5).normal(128, 30, (4, 64, 64))
    gap = high_frequency_gap_db(grey(noise), grey(np.full((4, 64, 64), 128.0)))
    noise_over_rounding = 10 * np.log10(30**2 * 12 / (LUMA**2).sum())
    assert gap == pytest.approx(-noise_over_rounding, abs=1)


METRIC, OPTIONS = Spectrum(), Options()


def scores(reals: np.ndarray, fakes: np.ndarray, options: Options = OPTIONS) -> tuple[Value, Value]:
    keys = ("high_frequency_gap_db",)
    sets = {"reals": reals, "fakes": fakes}
    found = {
        name: np.stack(want.feature.load("cpu")([(image,) for image in sets[want.over]]))
        for name, want in METRIC.wants(keys, options).items()
    }
    size, signed = METRIC.compute(keys, found, options)
    return size, signed


def photos(n: int, seed: int, sigma: float = 20, side: int = 32) -> np.ndarray:
    """Images of white noise whose strength differs from image to image, so that there is something to sample."""
    rng = np.random.default_rng(seed)
    strength = sigma * np.exp(rng.normal(0, 0.3, (n, 1, 1)))
    return grey(128 + strength * rng.normal(size=(n, side, side)))


def test_the_metric_tells_the_size_of_the_gap_and_records_its_sign_beside_it() -> None:
    reals, fakes = photos(20, 1), photos(20, 2, sigma=10)
    size, signed = scores(reals, fakes)
    gap = high_frequency_gap_db(reals, fakes)
    assert signed.value == pytest.approx(gap, abs=1e-12)
    assert size.value == pytest.approx(abs(gap), abs=1e-12)
    assert (size.detail, signed.detail) == ("", "signed")
    assert size.notes == (f"High-frequency gap {gap:+.2f} dB, too smooth: less fine detail than the reals.",)
    rough, _ = scores(fakes, reals)
    assert rough.value == pytest.approx(size.value)
    assert "too rough" in rough.notes[0]


def test_the_same_images_have_a_gap_of_zero_within_an_interval_from_zero() -> None:
    reals = photos(10, 3)
    size, signed = scores(reals, reals[::-1])
    assert size.value == pytest.approx(0, abs=1e-12)
    assert size.interval is not None
    assert size.interval.low == 0
    assert signed.interval is not None
    assert signed.interval.low == pytest.approx(-signed.interval.high)
    assert size.notes == ()


def test_the_interval_of_the_signed_gap_covers_the_truth_as_often_as_it_says() -> None:
    power = radial_power_spectrum(photos(3000, 7))[8:]
    truth = 10 * np.log10(radial_power_spectrum(photos(3000, 8, sigma=12))[8:] / power).mean()
    hits = 0
    for trial in range(200):
        _, signed = scores(
            photos(30, 1000 + trial), photos(30, 5000 + trial, sigma=12), Options(confidence_level=0.9)
        )
        assert signed.interval is not None
        hits += signed.interval.low <= truth <= signed.interval.high
    assert hits / 200 == pytest.approx(0.9, abs=0.06)


def test_one_image_has_a_gap_without_interval_and_a_line_says_so() -> None:
    size, signed = scores(photos(1, 1), photos(5, 2))
    assert size.interval is signed.interval is None
    assert size.notes == (
        "No interval of the high-frequency gap: it needs two or more images on both sides.",
    )


def test_the_metric_refuses_images_that_are_not_square_or_not_of_one_size() -> None:
    with pytest.raises(UserError, match="an image of 6 × 4 px; square images are needed"):
        scores(photos(2, 1), np.zeros((1, 4, 6, 3), np.uint8))
    with pytest.raises(UserError, match="reals of 32 px against fakes of 34 px"):
        scores(photos(2, 1), photos(2, 2, side=34))
    rows = np.stack([np.concatenate([[side], np.ones(16)]) for side in (32, 33)])
    with pytest.raises(UserError, match="number 2 of the fakes is of 33 px, number 1 of 32 px"):
        METRIC.compute((), {"reals": rows[:1], "fakes": rows}, OPTIONS)
    with pytest.raises(UserError, match="reals of 2 px have no high frequencies"):
        scores(photos(2, 1, side=2), photos(2, 1, side=2))
