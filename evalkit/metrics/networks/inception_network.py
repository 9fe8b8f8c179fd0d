"""pytorch-fid's Inception network, made ready for fast inference."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from evalkit.metrics.base import Array, Item, Precision
from evalkit.metrics.inception import SIZE_PX
from evalkit.metrics.networks.pixels import inference, placed, to_tensor, torch_device
from evalkit.metrics.networks.published_inception import build_inception
from evalkit.metrics.networks.state_dicts import state_of

_BATCH_SIZE = {"cpu": 16, "cuda": 128}
"""Images in the network at once. On processors more are slower: their activations leave the cache."""


class InceptionExtractor:
    """Images -> features of the last average pooling, as pytorch-fid computes them.

    Source: pytorch-fid 0.3.0, `InceptionV3.forward` (resize in the network, then 2x - 1).
    """

    def __init__(self, device: str, precision: Precision = "fp32", random_weights: int | None = None) -> None:
        """`device` is auto | cpu | cuda; `random_weights` the seed of those. Raises UserError without weights."""
        self.device = torch_device(device)
        self.batch_size = _BATCH_SIZE[self.device.type]
        self.dtype = torch.float16 if precision == "fp16" else torch.float32
        network = folded(build_inception(state_of("inception", random_weights)))
        self.network = placed(network, self.device, self.dtype)

    def __call__(self, items: Sequence[Item]) -> list[Array]:
        """(2048,) float32 for each (image,) of any size."""
        found: list[Array] = []
        with inference(self.device):
            for first in range(0, len(items), self.batch_size):
                inputs = torch.cat(
                    [self._prepare(item[0]) for item in items[first : first + self.batch_size]]
                )
                found.extend(self._features(inputs).cpu().numpy())
        return found

    def _prepare(self, image: Array) -> Tensor:
        """One image, resized by itself so that the others in its batch may have other sizes."""
        scaled = to_tensor([image], self.device).float().div_(255)
        return functional.interpolate(scaled, (SIZE_PX, SIZE_PX), mode="bilinear", align_corners=False)

    def _features(self, inputs: Tensor) -> Tensor:
        inputs = inputs.mul_(2).sub_(1).to(self.dtype, memory_format=torch.channels_last)
        # The mean in float32: of half precision it would be the coarsest rounding of all.
        features: Tensor = self.network(inputs)
        return features.float().mean(dim=(2, 3))


def folded(network: nn.Module) -> nn.Sequential:
    """The convolutional part, its batch norms folded into the convolutions (in float64, then rounded once)."""
    stages = _stages(copy.deepcopy(network))
    for block in stages.modules():
        conv, norm = getattr(block, "conv", None), getattr(block, "bn", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            block.conv, block.bn = fuse_conv_bn_eval(conv.double(), norm.double()).float(), nn.Identity()
    return stages


def _stages(network: Any) -> nn.Sequential:
    """All up to the last pooling. Source: pytorch-fid 0.3.0, InceptionV3.__init__, blocks 0 to 3."""
    stem = (network.Conv2d_1a_3x3, network.Conv2d_2a_3x3, network.Conv2d_2b_3x3, nn.MaxPool2d(3, 2))
    middle = (network.Conv2d_3b_1x1, network.Conv2d_4a_3x3, nn.MaxPool2d(3, 2))
    mixed = [getattr(network, f"Mixed_{name}") for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e")]
    last = [getattr(network, f"Mixed_{name}") for name in ("7a", "7b", "7c")]
    return nn.Sequential(*stem, *middle, *mixed, *last)
