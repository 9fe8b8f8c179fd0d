"""sRGB <-> CIE Lab, white point D65.

Source: IEC 61966-2-1 (sRGB transfer function and primaries); CIE 15:2004, section 8.2.1 (L*a*b*).
"""

import numpy as np
from numpy.typing import NDArray

from generators.data.pixels import Bytes, Floats

_TO_XYZ: NDArray[np.float64] = np.asarray(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)
"""Linear sRGB -> XYZ."""
_WHITE: NDArray[np.float64] = _TO_XYZ.sum(1)
"""D65 as these primaries add up to it, so that every grey has a = b = 0."""
_TO_UNIT = (_TO_XYZ / _WHITE[:, None]).T.astype(np.float32)
"""Linear sRGB -> X/Xn, Y/Yn, Z/Zn, for row vectors."""
_FROM_UNIT: Floats = np.linalg.inv((_TO_XYZ / _WHITE[:, None]).T).astype(np.float32)
_DELTA = 6 / 29


def _linear(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


_LINEAR: Floats = _linear(np.arange(256) / 255).astype(np.float32)
"""Linear light of every 8-bit level."""


def rgb_to_lab(pixels: Bytes) -> Floats:
    """(…, 3) uint8 sRGB -> (…, 3) float32: L in [0, 100], a and b within ±110."""
    ratios = _LINEAR[pixels] @ _TO_UNIT
    f = np.where(
        ratios > _DELTA**3,
        ratios ** np.float32(1 / 3),
        ratios / np.float32(3 * _DELTA**2) + np.float32(4 / 29),
    )
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)


def lab_to_rgb(lab: Floats) -> Bytes:
    """(…, 3) float32 -> (…, 3) uint8 sRGB, rounded; what no sRGB colour shows is clipped channel by channel."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    ratios = np.where(f > _DELTA, f**3, np.float32(3 * _DELTA**2) * (f - np.float32(4 / 29)))
    linear = np.clip(ratios @ _FROM_UNIT, 0, 1)
    levels = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * levels).clip(0, 255).astype(np.uint8)
