"""Pixel by pixel against the real photo of the same input: PSNR, SSIM, MS-SSIM and L1."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.base import Array, Extractor, Feature, Item, Metric, Options, Quantity, Value, Want
from evalkit.metrics.over_images import mean_over_images

SSIM_SIDE_PX = 11
"""SSIM's window; a smaller image has no value. Source: Wang et al. 2004, section III-B."""
MS_SSIM_SIDE_PX = 176
"""The same window on an image halved four times: 11 * 2^4. Source: torchmetrics, which refuses smaller ones."""
WINDOW = "Gaussian window 11 px, sigma 1.5, K 0.01 0.03"


def l1_and_mse(real: Array, fake: Array) -> NDArray[np.float64]:
    """Mean absolute and mean squared difference of two uint8 images, values taken as [0, 1].

    Args:
        real: (height, width, 3) uint8.
        fake: The same shape.

    Returns:
        (2,) float64, each in [0, 1]; computed in whole numbers, so no order of pixels changes them.
    """
    difference = real.astype(np.int64) - fake.astype(np.int64)
    absolute, squared = np.abs(difference).sum(), np.square(difference).sum()
    return np.array([absolute / 255, squared / 255**2]) / difference.size


def psnr_db(mse: NDArray[np.float64]) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio of mean squared errors of values in [0, 1], in decibel; infinite where they are 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(-10 * np.log10(mse))


class Pixel(Metric):
    """PSNR, SSIM, MS-SSIM and L1 of matched pairs, each image by itself and their mean.

    PSNR and L1 are the two formulas themselves, in whole numbers; SSIM is scikit-image's, because it leaves the border
    out as the paper's own code does (torchmetrics' mean includes a mirrored border); MS-SSIM is torchmetrics', in fp32,
    within 1e-4 of fp64, and takes a negative mean structure of a scale as 0, which makes that whole image 0. All are
    means over the three colour channels, and all run on the CPU: the same number on every machine.

    Source: Wang, Bovik, Sheikh & Simoncelli (2004), IEEE Trans. Image Process. 13, 600-612 (SSIM); Wang, Simoncelli &
    Bovik (2003), Asilomar (MS-SSIM).
    """

    name = "pixel"
    paired = True
    source = "PSNR and L1 by definition; SSIM: Wang et al. 2004 by scikit-image; MS-SSIM: Wang et al. 2003 by torchmetrics"
    quantities = (
        Quantity("psnr", "PSNR", "dB", higher_is_better=True, decimals=2),
        Quantity("ssim", "SSIM", "similarity", higher_is_better=True),
        Quantity("ms_ssim", "MS-SSIM", "similarity", higher_is_better=True),
        Quantity("l1", "L1", "proportion", higher_is_better=False, decimals=4),
    )

    def settings(self, keys: Sequence[str], options: Options) -> Mapping[str, str]:
        """The settings of the features that the keys rest on."""
        features = [want.feature for want in self.wants(keys, options).values()]
        return {name: text for feature in features for name, text in feature.settings.items()}

    def wants(self, keys: Sequence[str], options: Options) -> Mapping[str, Want]:
        """Errors for PSNR and L1, and either kind of SSIM."""
        del options
        needed = dict.fromkeys(_FEATURE_OF[key] for key in keys)
        return {name: Want(_FEATURES[name], "pairs") for name in needed}

    def compute(self, keys: Sequence[str], found: Mapping[str, Any], options: Options) -> Sequence[Value]:
        """Means with t intervals; PSNR of identical images is infinite and SSIM of tiny ones is not there: None."""
        return [_value(key, _per_image(key, found), options.confidence_level) for key in keys]


def _per_image(key: str, found: Mapping[str, Any]) -> NDArray[np.float64]:
    rows = np.asarray(found[_FEATURE_OF[key]], np.float64)
    if key == "psnr":
        return psnr_db(rows[:, 1])
    return np.asarray(rows[:, 0])


def _value(key: str, values: NDArray[np.float64], confidence_level: float) -> Value:
    finite = np.isfinite(values)
    if not finite.all():
        return Value(key, None, _METHODS[key], notes=(_why_not(key, values),), per_image=values)
    mean, interval, error = mean_over_images(values, confidence_level)
    if interval:
        low, high = np.clip((interval.low, interval.high), *_RANGES[key])
        interval = replace(interval, low=float(low), high=float(high))
    notes = () if interval else ("No interval: one image shows nothing of how images differ.",)
    return Value(key, mean, _METHODS[key], interval, error, notes=notes, per_image=values)


def _why_not(key: str, values: NDArray[np.float64]) -> str:
    finite = values[np.isfinite(values)]
    missing = f"{len(values) - len(finite)} of {len(values)}"
    if key == "psnr":
        others = f"; the mean of the others is {finite.mean():.2f} dB" if len(finite) else ""
        return f"PSNR is infinite: {missing} fakes equal their real photo in every pixel{others}."
    side = SSIM_SIDE_PX if key == "ssim" else MS_SSIM_SIDE_PX
    title = "SSIM" if key == "ssim" else "MS-SSIM"
    return f"{title} needs {side} px or more on the shorter side; {missing} images are smaller."


def _errors(device: str) -> Extractor:
    del device
    return lambda items: [l1_and_mse(real, fake) for real, fake in items]


def _ssim(device: str) -> Extractor:
    del device
    from skimage.metrics import structural_similarity

    def one(item: Item) -> Array:
        real, fake = item
        if min(real.shape[:2]) < SSIM_SIDE_PX:
            return np.array([np.nan])
        value = structural_similarity(  # type: ignore[no-untyped-call]  # scikit-image's, without types
            real,
            fake,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        )
        return np.array([value], np.float64)

    return lambda items: [one(item) for item in items]


def _ms_ssim(device: str) -> Extractor:
    del device
    import torch
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    def tensor(image: Array) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))[None]).float() / 255

    def one(item: Item) -> Array:
        if min(item[0].shape[:2]) < MS_SSIM_SIDE_PX:
            return np.array([np.nan])
        with torch.inference_mode():
            value = multiscale_structural_similarity_index_measure(
                tensor(item[1]), tensor(item[0]), data_range=1.0
            )
        return np.array([float(value)])

    return lambda items: [one(item) for item in items]


_FEATURE_OF = {"psnr": "pixel_errors", "ssim": "ssim", "ms_ssim": "ms_ssim", "l1": "pixel_errors"}
_FEATURES = {
    "pixel_errors": Feature("pixel_errors", {"pixel_errors": "recipe 1"}, _errors, one_size=True),
    "ssim": Feature(
        "ssim",
        {"ssim": f"{WINDOW}, mean over RGB without the border, recipe 1"},
        _ssim,
        one_size=True,
        finite=False,
    ),
    "ms_ssim": Feature(
        "ms_ssim",
        {"ms_ssim": f"{WINDOW}, 5 scales, RGB, negative structure as 0, recipe 1"},
        _ms_ssim,
        one_size=True,
        finite=False,
    ),
}
_RANGES = {"psnr": (0, np.inf), "ssim": (-1, 1), "ms_ssim": (0, 1), "l1": (0, 1)}
"""No interval reaches beyond."""
_METHODS = {
    "psnr": "mean over images of 10 log10(1 / mean squared error), values in [0, 1]",
    "ssim": f"mean over images of SSIM ({WINDOW}, mean over the colour channels)",
    "ms_ssim": f"mean over images of MS-SSIM ({WINDOW}, five scales)",
    "l1": "mean over images of the mean absolute difference, values in [0, 1]",
}
