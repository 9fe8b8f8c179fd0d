import numpy as np
import pytest

from evalkit.metrics.spectrum import high_frequency_gap_db, radial_power_spectrum


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
