"""The features behind FID, KID, precision and recall: 2048 numbers per image from the Inception network of 2015."""

from collections.abc import Mapping, Sequence

from evalkit.metrics.base import Extractor, Feature, Metric, Options, Want
from evalkit.metrics.weights import settings_of

DIMENSIONS = 2048
SIZE_PX = 299
"""Height and width that every image is resized to inside the network."""


def pool3(options: Options) -> Feature:
    """Activations of the last average pooling: (2048,) float32 per image, equal to pytorch-fid's.

    Every image is resized by itself, so that a set may have images of several sizes.

    Raises:
        UserError: The weights are not there.

    Source:
        Heusel et al. 2017, "GANs trained by a two time-scale update rule", section 4; network, weights, resize
        and normalisation of pytorch-fid 0.3.0.
    """

    def load(device: str) -> Extractor:
        from evalkit.metrics.networks.inception_network import InceptionExtractor

        extractor: Extractor = InceptionExtractor(device, options.precision, options.random_weights)
        return extractor

    settings = {
        "weights": settings_of("inception", options),
        "precision": options.precision,
        "resize": f"bilinear {SIZE_PX}, in network, no antialiasing",
        "recipe": "1",
    }
    return Feature("pool3", settings, load, batch_size=16)


class InceptionMetric(Metric):
    """A metric that compares the `pool3` features of two whole sets."""

    def weights(self, keys: Sequence[str]) -> tuple[str, ...]:
        """The Inception network."""
        del keys
        return ("inception",)

    def settings(self, keys: Sequence[str], options: Options) -> Mapping[str, str]:
        """Those of the features."""
        del keys
        return pool3(options).settings

    def wants(self, keys: Sequence[str], options: Options) -> Mapping[str, Want]:
        """Features of both sets."""
        del keys
        feature = pool3(options)
        return {"reals": Want(feature, "reals"), "fakes": Want(feature, "fakes")}
