"""Radial power spectrum: does an image set have the fine detail that the real photos have?"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.base import Array, Extractor, Feature, Item, Metric, Options, Quantity, Value, Want
from evalkit.results import Interval
from studies.errors import UserError

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in luminance. Source: ITU-R BT.601."""

HIGH = 0.5
"""High frequencies begin at this share of the Nyquist frequency."""


def radial_power_spectrum(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean power of luminance by distance from the zero frequency.

    Args:
        images: (images, height, width, 3) uint8 RGB, square.

    Returns:
        (side // 2,) mean power in ring r = 1 .. side // 2 cycles per image (the mean grey is left out), each image
        under a Hann window so that its borders count for nothing.

    Raises:
        ValueError: Not square, or no images.

    Source:
        Azimuthal average as in Durall, Keuper and Keuper 2020, "Watch your up-convolution", section 3.1.
    """
    if images.ndim != 4 or images.shape[1] != images.shape[2] or not len(images):
        raise ValueError(f"square RGB images are needed, not an array of shape {images.shape}")
    side = images.shape[1]
    ring = _rings(side)
    power = np.zeros(side // 2 + 1)
    for image in images:
        luminance = image.astype(np.float64) @ LUMA / 255
        spectrum = np.abs(np.fft.fft2((luminance - luminance.mean()) * _window(side))) ** 2
        power += np.bincount(ring, spectrum.ravel(), side // 2 + 2)[: side // 2 + 1]
    counts = np.bincount(ring, minlength=side // 2 + 2)[: side // 2 + 1]
    return np.asarray((power / counts / len(images))[1:])


def high_frequency_gap_db(reals: NDArray[np.uint8], fakes: NDArray[np.uint8]) -> float:
    """Mean over the high rings of fake power over real power, in decibel; 0 is as real, negative is too smooth.

    Power below that of rounding to 8 bits counts as that.

    Args:
        reals: (n, side, side, 3) uint8 RGB.
        fakes: (m, side, side, 3) uint8 RGB of the same side.

    Raises:
        ValueError: The sides differ, or an argument has no square images.
    """
    if reals.shape[1:] != fakes.shape[1:]:
        raise ValueError(f"real images of {reals.shape[1:3]} px against fakes of {fakes.shape[1:3]} px")
    real, fake = radial_power_spectrum(reals), radial_power_spectrum(fakes)
    side, first = reals.shape[1], int(HIGH * len(real))
    return float(np.mean(_decibel(fake[first:], side) - _decibel(real[first:], side)))


class Spectrum(Metric):
    """Size of the gap between the power that fakes and reals have at high frequencies.

    The gap has a direction (`high_frequency_gap_db` the function: negative is too smooth, as after L1; positive is
    noise or checkerboards) and 0 is best, so no direction of it is better. The number of tables is its size, lower is
    better; the signed gap is recorded beside it under the detail `signed`, and a note says the direction.

    Source: Durall, Keuper & Keuper (2020), section 3.1 (the radial spectrum); the gap is ours.
    """

    name = "spectrum"
    source = "radial power spectrum of Durall, Keuper & Keuper 2020; the gap is evalkit's own"
    quantities = (
        Quantity("high_frequency_gap_db", "High-frequency gap", "dB", higher_is_better=False, decimals=2),
    )

    def settings(self, keys: Sequence[str], options: Options) -> Mapping[str, str]:
        """Luminance, window, and what counts as high."""
        del keys, options
        return {**_SPECTRUM.settings, "high": f"from {HIGH} of the Nyquist frequency, recipe 1"}

    def wants(self, keys: Sequence[str], options: Options) -> Mapping[str, Want]:
        """The spectrum of every image."""
        del keys, options
        return {"reals": Want(_SPECTRUM, "reals"), "fakes": Want(_SPECTRUM, "fakes")}

    def compute(self, keys: Sequence[str], found: Mapping[str, Any], options: Options) -> Sequence[Value]:
        """The size of the gap, and the signed gap as a detail."""
        del keys
        real, fake = (
            _high_rings(found[side], found.get(f"{side}_where"), side) for side in ("reals", "fakes")
        )
        if real.shape[1] != fake.shape[1]:
            raise UserError(
                f"spectrum: reals of {found['reals'][0][0]:g} px against fakes of {found['fakes'][0][0]:g} px; a gap "
                "in detail needs both at one size. Resize one of them."
            )
        gap, error = _gap(real, fake, int(found["reals"][0][0]))
        return _values(gap, error, options.confidence_level)


def _high_rings(rows: Any, files: Sequence[str] | None, side: str) -> NDArray[np.float64]:
    """(n, rings) power of the high rings of images that must be of one size."""
    sizes = [int(row[0]) for row in rows]
    odd = next((index for index, size in enumerate(sizes) if size != sizes[0]), None)
    if odd is not None:
        other, first = (files[odd], files[0]) if files else (f"number {odd + 1} of the {side}", "number 1")
        raise UserError(
            f"spectrum: {other} is of {sizes[odd]} px, {first} of {sizes[0]} px; their frequencies cannot be averaged. "
            "Resize them to one size."
        )
    if sizes[0] < 4:
        raise UserError(f"spectrum: {side} of {sizes[0]} px have no high frequencies; 4 px is the least.")
    power = np.stack([np.asarray(row, np.float64)[1:] for row in rows])
    return power[:, int(HIGH * power.shape[1]) :]


def _gap(real: NDArray[np.float64], fake: NDArray[np.float64], side_px: int) -> tuple[float, float | None]:
    """Signed gap in decibel and its standard error by the delta method, the two sets taken as independent."""
    gap, variance = 0.0, 0.0
    for power, sign in ((fake, 1), (real, -1)):
        mean = power.mean(axis=0)
        gap += sign * float(_decibel(mean, side_px).mean())
        influence = (
            10 / np.log(10) * ((power - mean) / np.maximum(mean, _rounding_power(side_px))).mean(axis=1)
        )
        if len(power) > 1:
            variance += float(influence.var(ddof=1)) / len(power)
    few = min(len(real), len(fake)) < 2
    return gap, None if few else float(np.sqrt(variance))


def _values(gap: float, error: float | None, confidence_level: float) -> Sequence[Value]:
    key = Spectrum.quantities[0].key
    signed = None if error is None else _normal(gap, error, confidence_level)
    notes = _direction(gap, signed)
    return [
        Value(key, abs(gap), f"size of the {_METHOD}", _size(signed), error, notes=notes),
        Value(key, gap, f"{_METHOD}; negative is too smooth", signed, error, detail="signed"),
    ]


def _normal(gap: float, error: float, confidence_level: float) -> Interval:
    from scipy.special import ndtri

    half = float(ndtri(0.5 + confidence_level / 2)) * error
    return Interval(gap - half, gap + half, confidence_level, "normal, delta method over images")


def _direction(gap: float, signed: Interval | None) -> tuple[str, ...]:
    if signed is None:
        return ("No interval of the high-frequency gap: it needs two or more images on both sides.",)
    if signed.low <= 0 <= signed.high:
        return ()
    words = "too smooth: less fine detail than" if gap < 0 else "too rough: more fine detail, or noise, than"
    return (f"High-frequency gap {gap:+.2f} dB, {words} the reals.",)


def _size(signed: Interval | None) -> Interval | None:
    """The interval of the absolute value."""
    if signed is None:
        return None
    ends = sorted((abs(signed.low), abs(signed.high)))
    low = 0.0 if signed.low <= 0 <= signed.high else ends[0]
    return Interval(low, ends[1], signed.confidence_level, signed.method)


def _decibel(power: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Of power, taken to be no less than what rounding to 8 bits adds, so that an even grey has a gap too."""
    return np.asarray(10 * np.log10(np.maximum(power, _rounding_power(side))))


def _rounding_power(side: int) -> float:
    """Expected power per coefficient of rounding errors, uniform within half a grey level and independent."""
    return float((_window(side) ** 2).sum() * (LUMA**2).sum() / 12 / 255**2)


@functools.lru_cache(maxsize=8)
def _window(side: int) -> NDArray[np.float64]:
    return np.asarray(np.hanning(side)[:, None] * np.hanning(side)[None, :])


@functools.lru_cache(maxsize=8)
def _rings(side: int) -> NDArray[np.int64]:
    """For each coefficient of a 2-D FFT its rounded distance from zero; the corners share one last ring."""
    frequency = np.fft.fftfreq(side, 1 / side)
    distance = np.hypot(frequency[:, None], frequency[None, :])
    return np.asarray(np.minimum(np.rint(distance), side // 2 + 1).ravel(), np.int64)


def _load(device: str) -> Extractor:
    del device

    def one(item: Item) -> Array:
        (image,) = item
        height, width = image.shape[:2]
        if height != width:
            raise UserError(
                f"spectrum: an image of {width} × {height} px; square images are needed. Crop them, or leave this out."
            )
        return np.concatenate([[height], radial_power_spectrum(image[None])])

    return lambda items: [one(item) for item in items]


_METHOD = (
    f"mean over the rings from {HIGH} of the Nyquist frequency of 10 log10(mean power of the fakes / of the reals), "
    "luminance, no power less than that of rounding to 8 bits"
)
_SPECTRUM = Feature(
    "radial_spectrum", {"spectrum": "BT.601 luminance, Hann window, rings 1 cycle wide, recipe 1"}, _load
)
