"""VGG-16 features for the perceptual losses, with the weights that torchvision publishes."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VGG16_Weights

from evalkit.metrics import weights
from evalkit.metrics.weights import answers as _answers
from studies.errors import UserError, did_you_mean

_NAME = "vgg16"
"""In evalkit.metrics.weights, which knows where the file lies and how to bring it."""
_PUBLISHED = VGG16_Weights.IMAGENET1K_V1

_CONVOLUTIONS_PER_BLOCK = (2, 2, 3, 3, 3)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _conv_indices() -> dict[str, int]:
    """Layer name -> index of its convolution in `torchvision.models.vgg16().features`; its ReLU is the next."""
    indices, index = {}, 0
    for block, n in enumerate(_CONVOLUTIONS_PER_BLOCK, start=1):
        for convolution in range(1, n + 1):
            indices[f"relu{block}_{convolution}"] = index
            index += 2
        index += 1  # the pooling after the block
    return indices


_CONV_INDICES = _conv_indices()
LAYERS = tuple(_CONV_INDICES)
"""relu1_1 ... relu5_3, in the order of computation."""


@dataclass(frozen=True)
class VggWeights:
    """The convolutions of a VGG-16."""

    state: dict[str, Tensor]
    """`<index>.weight` and `<index>.bias`, indices as in `torchvision.models.vgg16().features`."""
    sha256: str
    """Of the file."""
    weights_note: str = ""
    """Says so where these are not the published weights; to be recorded with everything made with them."""


def load_vgg16() -> VggWeights:
    """Read torchvision's VGG-16 (IMAGENET1K_V1) from torch.hub's cache, or download it there (528 MB).

    A file of that name with other contents is taken as it is and noted.

    Raises:
        UserError: There is no such file and no way to download it (said within 5 seconds), or it is no VGG-16.
    """
    if not weights.is_there(_NAME) and not _answers(_PUBLISHED.url):
        reason = "is not there, and the download server does not answer"
        raise UserError(weights.how_to_bring(_NAME, reason))
    try:
        whole = _PUBLISHED.get_state_dict(
            progress=True, check_hash=True, map_location="cpu", weights_only=True
        )
    except OSError as error:
        raise UserError(weights.how_to_bring(_NAME, f"could not be brought ({error})")) from None
    except Exception as error:  # noqa: BLE001  (torch raises many kinds over a broken file)
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(weights.how_to_bring(_NAME, f"is broken ({reason})")) from None
    return VggWeights(_convolutions(whole), weights.digest(_NAME), weights.note(_NAME))


class Vgg16Features(nn.Module):
    """Activations of a frozen VGG-16.

    The weights are buffers outside the state dict: they follow the module to its device and precision, no optimiser
    sees them and no checkpoint repeats them.

    Source: Johnson et al. 2016, section 3.2 (VGG-16 of Simonyan & Zisserman 2014); weights and ImageNet mean and
    standard deviation from torchvision, where the authors used the Caffe model.
    """

    def __init__(self, layers: tuple[str, ...], weights: VggWeights) -> None:
        """`layers` are among relu1_1 ... relu5_3. Raises UserError on another name."""
        super().__init__()
        for layer in layers:
            if layer not in LAYERS:
                raise UserError(f"VGG-16 has no layer {layer!r}.{did_you_mean(layer, LAYERS)}")
        self.layers = layers
        self.weights_note = weights.weights_note
        deepest = max((LAYERS.index(layer) for layer in layers), default=-1)
        self._computed = LAYERS[: deepest + 1]
        for layer in self._computed:
            for part in ("weight", "bias"):
                tensor = weights.state[f"{_CONV_INDICES[layer]}.{part}"].detach().clone()
                self.register_buffer(f"{layer}_{part}", tensor, persistent=False)
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Features of each layer asked for, NCHW after the ReLU; nothing beyond the deepest is computed.

        Args:
            images: RGB in [-1, 1], N x 3 x H x W.
        """
        x = (images * 0.5 + 0.5 - self.get_buffer("mean")) / self.get_buffer("std")
        features = {}
        for layer in self._computed:
            if layer.endswith("_1") and layer != "relu1_1":
                x = functional.max_pool2d(x, 2)
            weight, bias = self.get_buffer(f"{layer}_weight"), self.get_buffer(f"{layer}_bias")
            # Not in place: x may be a feature that was asked for.
            x = functional.conv2d(x, weight, bias, padding=1).relu()
            if layer in self.layers:
                features[layer] = x
        return features


def _convolutions(whole: dict[str, Tensor]) -> dict[str, Tensor]:
    """The part of a whole VGG-16's state dict that features need."""
    state, channels = {}, 3
    for layer, index in _CONV_INDICES.items():
        filters = min(512, 64 * 2 ** (int(layer[4]) - 1))
        for part, shape in (("weight", (filters, channels, 3, 3)), ("bias", (filters,))):
            tensor = whole.get(f"features.{index}.{part}") if isinstance(whole, dict) else None
            if not isinstance(tensor, Tensor) or tuple(tensor.shape) != shape:
                reason = f"is no VGG-16 (features.{index}.{part} of shape {shape} is missing)"
                raise UserError(weights.how_to_bring(_NAME, reason))
            state[f"{index}.{part}"] = tensor
        channels = filters
    return state
