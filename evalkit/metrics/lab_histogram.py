"""Do the fakes have the colours of the real photos? Histogram intersection in CIE Lab."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.base import Array, Extractor, Feature, Item, Metric, Options, Quantity, Value, Want

LOWEST = (0, -128, -128)
"""Centre of the first bin of L, a and b; bins are 1 wide and centred on whole numbers, so that greys (a = b = 0) do not
lie on an edge, where rounding would choose their bin."""
BINS = 256


def lab_histograms(image: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Number of pixels by L, by a and by b.

    Args:
        image: (height, width, 3) uint8 sRGB.

    Returns:
        (3, 256) counts; bin k of channel c holds values that round to LOWEST[c] + k.
    """
    from skimage.color import rgb2lab

    lab = rgb2lab(image).reshape(-1, 3)
    bins = np.clip(np.rint(lab).astype(np.int64) - np.array(LOWEST), 0, BINS - 1)
    return np.stack([np.bincount(bins[:, channel], minlength=BINS) for channel in range(3)]).astype(np.uint32)


def histogram_intersection(first: Array, second: Array) -> float:
    """Overlap of two histograms: 1 for the same shape, 0 for no common bin.

    Args:
        first: (bins,) counts, not all 0.
        second: (bins,) counts, not all 0.

    Source: Swain & Ballard (1991), "Color indexing", Int. J. Comput. Vis. 7, 11-32.
    """
    return float(np.minimum(first / first.sum(), second / second.sum()).sum())


class LabHistogram(Metric):
    """Intersection of the marginal histograms of L, a and b over all pixels of the two sets.

    The paper prints 0.81 / 0.69 / 0.70 for L1 alone and 0.86 / 0.84 / 0.82 for L1+cGAN (Cityscapes). It does not give
    its bins; ours are 1 unit wide. Wider bins give higher numbers, so compare only numbers made with the same ones.

    Source: Isola et al. (2017), Figure 7; conversion by scikit-image (D65).
    """

    name = "lab_histogram"
    source = "Isola et al. 2017, Figure 7; rgb2lab of scikit-image"
    quantities = (
        Quantity("lab_intersection_l", "Lab L", "proportion", higher_is_better=True),
        Quantity("lab_intersection_a", "Lab a", "proportion", higher_is_better=True),
        Quantity("lab_intersection_b", "Lab b", "proportion", higher_is_better=True),
    )

    def settings(self, keys: Sequence[str], options: Options) -> Mapping[str, str]:
        """The bins."""
        del keys, options
        return _HISTOGRAMS.settings

    def wants(self, keys: Sequence[str], options: Options) -> Mapping[str, Want]:
        """Histograms of every image."""
        del keys, options
        return {"reals": Want(_HISTOGRAMS, "reals"), "fakes": Want(_HISTOGRAMS, "fakes")}

    def compute(self, keys: Sequence[str], found: Mapping[str, Any], options: Options) -> Sequence[Value]:
        """One overlap per channel; every pixel counts the same, so larger images count for more."""
        del options
        real, fake = (np.asarray(found[side]).sum(axis=0, dtype=np.int64) for side in ("reals", "fakes"))
        channels = [quantity.key for quantity in self.quantities]
        return [
            Value(key, histogram_intersection(real[channels.index(key)], fake[channels.index(key)]), _METHOD)
            for key in keys
        ]


def _load(device: str) -> Extractor:
    del device

    def histograms(items: Sequence[Item]) -> Sequence[Array]:
        return [lab_histograms(image) for (image,) in items]

    return histograms


_METHOD = "intersection of the two sets' histograms over all pixels, bins 1 unit wide"
_HISTOGRAMS = Feature(
    "lab_histograms", {"lab": "D65, bins 1 unit wide centred on whole numbers, recipe 1"}, _load
)
