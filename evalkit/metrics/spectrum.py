"""Radial power spectrum: does an image set have the fine detail that the real photos have?"""

import numpy as np
from numpy.typing import NDArray

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
    window = np.hanning(side)[:, None] * np.hanning(side)[None, :]
    for image in images:
        luminance = image.astype(np.float64) @ LUMA / 255
        spectrum = np.abs(np.fft.fft2((luminance - luminance.mean()) * window)) ** 2
        power += np.bincount(ring, spectrum.ravel(), side // 2 + 2)[: side // 2 + 1]
    counts = np.bincount(ring, minlength=side // 2 + 2)[: side // 2 + 1]
    return np.asarray((power / counts / len(images))[1:])


def high_frequency_gap_db(reals: NDArray[np.uint8], fakes: NDArray[np.uint8]) -> float:
    """Mean over the high rings of fake power over real power, in decibel; 0 is as real, negative is too smooth.

    Args:
        reals: (n, side, side, 3) uint8 RGB.
        fakes: (m, side, side, 3) uint8 RGB of the same side.

    Raises:
        ValueError: The sides differ, or an argument has no square images.
    """
    if reals.shape[1:] != fakes.shape[1:]:
        raise ValueError(f"real images of {reals.shape[1:3]} px against fakes of {fakes.shape[1:3]} px")
    real, fake = radial_power_spectrum(reals), radial_power_spectrum(fakes)
    first = int(HIGH * len(real))
    floor = np.finfo(float).tiny
    return float(np.mean(10 * np.log10((fake[first:] + floor) / (real[first:] + floor))))


def _rings(side: int) -> NDArray[np.int64]:
    """For each coefficient of a 2-D FFT its rounded distance from zero; the corners share one last ring."""
    frequency = np.fft.fftfreq(side, 1 / side)
    distance = np.hypot(frequency[:, None], frequency[None, :])
    return np.asarray(np.minimum(np.rint(distance), side // 2 + 1).ravel(), np.int64)
