"""LPIPS: how different two images look, by features of a network trained to tell objects apart."""

import functools
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.base import Extractor, Feature, Metric, Options, Quantity, Value, Want
from evalkit.metrics.over_images import mean_over_images
from evalkit.metrics.weights import settings_of

_RECIPE = "1"


@dataclass(frozen=True)
class Trunk:
    """One of the networks that LPIPS is defined for."""

    weights: str
    """Name in `weights.WEIGHTS`."""
    builder: str
    """In lpips.pretrained_networks."""
    least_px: int
    """Smaller images leave nothing for its last layer."""


NETWORKS: Mapping[str, Trunk] = {
    "alex": Trunk("alexnet", "alexnet", 31),
    "vgg": Trunk("vgg16", "vgg16", 16),
    "squeeze": Trunk("squeezenet", "squeezenet", 17),
}
"""Names as in lpips 0.1.4."""


class Lpips(Metric):
    """Learned perceptual distance between each fake and the real image of its input; 0 for identical images.

    Images count at their own size; it is not the same number at another size.
    """

    name = "lpips"
    quantities = (
        Quantity("lpips_alex", "LPIPS (alex)", "distance", higher_is_better=False),
        Quantity("lpips_vgg", "LPIPS (vgg)", "distance", higher_is_better=False),
        Quantity("lpips_squeeze", "LPIPS (squeeze)", "distance", higher_is_better=False),
    )
    source = "Zhang et al. 2018, arXiv:1801.03924; heads, trunks and constants of lpips 0.1.4"
    paired = True
    default_keys = ("lpips_alex",)

    def weights(self, keys: Sequence[str]) -> tuple[str, ...]:
        """The trunks; the small heads come with lpips."""
        return tuple(NETWORKS[_network(key)].weights for key in keys)

    def settings(self, keys: Sequence[str], options: Options) -> Mapping[str, str]:
        """Of one quantity: weights, heads, precision, recipe. Of several: each name behind its key."""
        if len(keys) == 1:
            return distance_feature(_network(keys[0]), options).settings
        return {
            f"{key} {name}": value
            for key in keys
            for name, value in distance_feature(_network(key), options).settings.items()
        }

    def wants(self, keys: Sequence[str], options: Options) -> Mapping[str, Want]:
        """One distance per pair and network."""
        return {key: Want(distance_feature(_network(key), options), "pairs") for key in keys}

    def compute(self, keys: Sequence[str], found: Mapping[str, Any], options: Options) -> Sequence[Value]:
        """Mean over images, with Student's t interval."""
        return [_mean(key, np.asarray(found[key], np.float64).reshape(-1), options) for key in keys]


def distance_feature(network: str, options: Options) -> Feature:
    """LPIPS by alex | vgg | squeeze: (1,) float32 per pair. Raises UserError without weights."""

    def load(device: str) -> Extractor:
        from evalkit.metrics.networks.perceptual_network import DistanceExtractor

        extractor: Extractor = DistanceExtractor(network, device, options.precision, options.random_weights)
        return extractor

    return Feature(f"lpips_{network}", _settings(network, options), load, batch_size=16, one_size=True)


def lpips_spread(options: Options, network: str = "alex") -> Feature:
    """What `mean_pairwise` needs to know of a set of images of one size, in one pass: d grows with n, not n².

    LPIPS is the squared Euclidean distance between vectors φ: per layer, unit features times the root of (weight of
    the channel / number of positions). Its mean over all pairs follows from Σ|φ|² and Σφ.

    Returns:
        A summed feature: (1 + d,) float64, |φ|² and then φ.

    Raises:
        UserError: The weights are not there.
    """

    def load(device: str) -> Extractor:
        from evalkit.metrics.networks.perceptual_network import EmbeddingExtractor

        extractor: Extractor = EmbeddingExtractor(network, device, options.precision, options.random_weights)
        return extractor

    name = f"lpips_spread_{network}"
    return Feature(name, _settings(network, options), load, batch_size=4, summed=True)


def mean_pairwise(total: NDArray[np.float64], n: int) -> float:
    """Mean LPIPS between two different images of a set; 0 where all are alike.

    Args:
        total: (1 + d,) sum over the set of what `lpips_spread` extracts.
        n: Number of images, at least 2.

    Raises:
        ValueError: Fewer than two images.
    """
    if n < 2:
        raise ValueError(f"two or more images are needed, not {n}")
    mean = np.asarray(total, np.float64) / n
    return max(0.0, float(2 * n / (n - 1) * (mean[0] - mean[1:] @ mean[1:])))


def heads_file(network: str) -> Path:
    """The weights of the channels, which come with the lpips package. Raises ModuleNotFoundError without it."""
    package = importlib.util.find_spec("lpips")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("lpips is not installed", name="lpips")
    return Path(package.origin).parent / "weights" / "v0.1" / f"{network}.pth"


def _settings(network: str, options: Options) -> Mapping[str, str]:
    return {
        "weights": settings_of(NETWORKS[network].weights, options),
        "heads": _heads_digest(network),
        "precision": options.precision,
        "resize": "none",
        "recipe": _RECIPE,
    }


@functools.cache
def _heads_digest(network: str) -> str:
    return hashlib.sha256(heads_file(network).read_bytes()).hexdigest()


def _network(key: str) -> str:
    return key.removeprefix("lpips_")


def _mean(key: str, distances: NDArray[np.float64], options: Options) -> Value:
    mean, interval, error = mean_over_images(distances, options.confidence_level)
    return Value(
        key,
        mean,
        f"mean over images of LPIPS 0.1 ({_network(key)}) between each fake and the real image of its input",
        interval=interval,
        standard_error=error,
        notes=() if interval else ("No interval: a single image.",),
        per_image=distances,
    )
