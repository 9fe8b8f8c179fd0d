"""Convolution and ReLU in one step, with the weights laid out once as oneDNN wants them.

PyTorch rearranges the weights of a channels-last convolution at every call, which costs a fifth of the time of a network
with small feature maps. The operators are those that its own compiler (torch.inductor) puts into a frozen graph; where
they are missing, or refuse a layer, the plain layers stay.
"""

from typing import Any

import torch
from torch import Tensor, nn


class PackedConvolution(nn.Module):
    """relu(convolution(x)) for inference in float32 on a processor; the same numbers as the two layers."""

    def __init__(self, conv: nn.Conv2d) -> None:
        """Raises RuntimeError, or AttributeError, where the operators do not serve this layer."""
        super().__init__()
        self._geometry = [list(map(int, one)) for one in (conv.padding, conv.stride, conv.dilation)]
        self._groups, self._bias = conv.groups, conv.bias
        operators: Any = torch.ops.mkldnn
        self._packed = operators._reorder_convolution_weight(conv.weight, *self._geometry, self._groups)
        self._run = operators._convolution_pointwise
        like = conv.weight.new_zeros(1, conv.in_channels, *map(int, conv.kernel_size))
        self.forward(like.contiguous(memory_format=torch.channels_last))

    def forward(self, images: Tensor) -> Tensor:
        """NCHW, channels-last, to the same."""
        result: Tensor = self._run(
            images, self._packed, self._bias, *self._geometry, self._groups, "relu", [], ""
        )
        return result


def pack_convolutions(network: nn.Module) -> None:
    """Replace every block of convolution, folded batch norm and ReLU below `network`, where that is possible."""
    for name, child in network.named_children():
        conv = getattr(child, "conv", None)
        if not isinstance(conv, nn.Conv2d) or not isinstance(getattr(child, "bn", None), nn.Identity):
            pack_convolutions(child)
            continue
        try:
            with torch.inference_mode():
                setattr(network, name, PackedConvolution(conv))
        except (RuntimeError, AttributeError, TypeError):
            continue  # another build of PyTorch: the plain layers do the same, slower
