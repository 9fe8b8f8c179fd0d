"""Input sensitivity: do different inputs give different outputs, or the same picture again and again?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.base import Array, Extractor, Feature, Item, Metric, Options, Quantity, Value, Want
from evalkit.metrics.lpips import lpips_spread, mean_pairwise
from studies.errors import UserError

MUCH_MORE = 1.1
"""Above this the fakes differ noticeably more than the reals, which is not better any more."""


ALIKE = 1e-9
"""Of the full range, or in LPIPS: a mean distance below it is rounding error."""


def input_sensitivity(reals: NDArray[np.uint8], fakes: NDArray[np.uint8]) -> float:
    """Distance between the outputs of different inputs, relative to the distance between their real photos.

    Args:
        reals: (n, height, width, 3) uint8 RGB, n >= 2.
        fakes: (n, height, width, 3) uint8 RGB, the k-th made from the k-th real's input.

    Returns:
        Root mean square distance between two different fakes over that between two different reals: 0 when the
        output does not depend on the input, 1 when the fakes differ as much as the reals.

    Raises:
        ValueError: Fewer than two images, different shapes, or reals that are all alike.
    """
    if reals.shape != fakes.shape or len(reals) < 2:
        raise ValueError(f"two or more reals and fakes of one shape, not {reals.shape} and {fakes.shape}")
    spread, other = (mean_square_distance(_sum(images), len(images)) for images in (reals, fakes))
    if spread == 0:
        raise ValueError("the real images are all alike")
    return float(np.sqrt(other / spread))


def mean_square_distance(total: NDArray[np.float64], n: int) -> float:
    """Mean over all pairs of different images of their mean squared difference per pixel and channel.

    Args:
        total: (1 + pixels * 3,) sum over the images of [|x|^2, x], x in grey levels 0 .. 255.
        n: Number of images, >= 2.

    Returns:
        In units of the full range squared, >= 0. Twice the unbiased variance, so one pass over the images is enough;
        what lies below the rounding error of that shortcut is 0.
    """
    square, mean = float(total[0]) / n, total[1:] / n
    left = square - float(mean @ mean)
    if left <= 1e-12 * square:
        return 0.0
    return 2 * n / (n - 1) * left / len(mean) / 255**2


class InputSensitivity(Metric):
    """How much the outputs of different inputs differ, relative to how much the real photos do.

    A generator that collapsed to one picture has 0, whatever that picture looks like; a fool rate cannot see it,
    because each participant sees each image once. 1 is as varied as the reals and the best there is: higher is better up
    to there, and a note is given well above, where noise or artefacts that change from image to image are counted as
    variety.

    `input_sensitivity_pixel` is the ratio of root mean square distances between pixels, `input_sensitivity_lpips` the
    ratio of mean LPIPS (AlexNet), both over all pairs of different images of one set.

    Source: ours; the mean pairwise LPIPS of outputs is the diversity measure of Zhu et al. (2017), "Toward multimodal
    image-to-image translation", section 5, there over the outputs of one input.
    """

    name = "input_sensitivity"
    source = "evalkit's own; mean pairwise LPIPS as in Zhu et al. 2017 (BicycleGAN), section 5, over different inputs"
    quantities = (
        Quantity("input_sensitivity_pixel", "Input sensitivity (pixels)", "ratio", higher_is_better=True),
        Quantity("input_sensitivity_lpips", "Input sensitivity (LPIPS)", "ratio", higher_is_better=True),
    )

    def weights(self, keys: Sequence[str]) -> tuple[str, ...]:
        """AlexNet for LPIPS."""
        return ("alexnet",) if _LPIPS in keys else ()

    def settings(self, keys: Sequence[str], options: Options) -> Mapping[str, str]:
        """Those of the features that the keys rest on."""
        features = [_feature(key, options) for key in keys]
        return {name: text for feature in features for name, text in feature.settings.items()}

    def wants(self, keys: Sequence[str], options: Options) -> Mapping[str, Want]:
        """Sums over each set."""
        features = {key: _feature(key, options) for key in keys}
        return {
            f"{key} {side}": Want(feature, side)
            for key, feature in features.items()
            for side in ("reals", "fakes")
        }

    def compute(self, keys: Sequence[str], found: Mapping[str, Any], options: Options) -> Sequence[Value]:
        """One ratio per key; the two sets need not have the same number of images, but the same size."""
        del options
        return [_value(key, found) for key in keys]


def _value(key: str, found: Mapping[str, Any]) -> Value:
    real, fake = (np.asarray(found[f"{key} {side}"]) for side in ("reals", "fakes"))
    n_real, n_fake = (int(found[f"{key} {side}_n"]) for side in ("reals", "fakes"))
    if min(n_real, n_fake) < 2:
        raise UserError(
            f"input_sensitivity: {n_real} reals and {n_fake} fakes; it compares images of one set, so two of each are "
            "the least."
        )
    if real.shape != fake.shape:
        raise UserError(
            "input_sensitivity: reals and fakes are of different sizes; distances within them are only comparable at "
            "one size. Resize one of them."
        )
    spread = _SPREADS[key]
    reals, fakes = spread(real, n_real), spread(fake, n_fake)
    if reals < ALIKE:
        raise UserError(
            "input_sensitivity: the real images are all alike, so there is nothing to compare with."
        )
    return Value(key, fakes / reals, _METHODS[key], notes=_notes(key, fakes / reals))


def _notes(key: str, ratio: float) -> tuple[str, ...]:
    if ratio <= MUCH_MORE:
        return ()
    title = next(quantity.title for quantity in InputSensitivity.quantities if quantity.key == key)
    return (
        f"{title} {ratio:.2f} is not better than 1: noise and artefacts make fakes differ more than reals do.",
    )


def _feature(key: str, options: Options) -> Feature:
    return lpips_spread(options) if key == _LPIPS else _PIXELS


def _sum(images: Array) -> NDArray[np.float64]:
    return np.asarray(sum(map(_moments, images)))


def _moments(image: Array) -> NDArray[np.float64]:
    """[|x|^2, x] of an image in grey levels: whole numbers, so that sums over any order are the same."""
    flat = image.reshape(-1).astype(np.float64)
    return np.concatenate([[flat @ flat], flat])


def _load(device: str) -> Extractor:
    del device

    def moments(items: Sequence[Item]) -> Sequence[Array]:
        return [_moments(image) for (image,) in items]

    return moments


def _root_mean_square_distance(total: NDArray[np.float64], n: int) -> float:
    return float(np.sqrt(mean_square_distance(total, n)))


_PIXEL, _LPIPS = (quantity.key for quantity in InputSensitivity.quantities)
_PIXELS = Feature("pixel_moments", {"pixel_moments": "recipe 1"}, _load, summed=True)
_SPREADS = {_PIXEL: _root_mean_square_distance, _LPIPS: mean_pairwise}
_METHODS = {
    _PIXEL: "root mean square pixel distance over all pairs of fakes, over that of the reals",
    _LPIPS: "mean LPIPS (AlexNet) over all pairs of fakes, over that of the reals",
}
