"""Normalisation layers under their names in settings."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

Norm = Literal["batch", "instance", "none"]


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """The layer after a convolution.

    `instance` has neither weights nor running statistics; `none` keeps its place in the numbering of state dicts.

    Source: the authors' PyTorch code (get_norm_layer).
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "instance":
        return InstanceNorm(channels)
    return nn.Identity()


class InstanceNorm(nn.InstanceNorm2d):
    """`nn.InstanceNorm2d`, computed as the group norm of one channel per group: the same numbers.

    torch's own path returns a view, which the ReLU in place after it must copy, and knows no channels-last; forward and
    backward take about half the time on a CPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of each image."""
        return functional.group_norm(x, self.num_features, self.weight, self.bias, self.eps)


def bias_before(norm: Norm) -> bool:
    """Whether a convolution that this norm follows has a bias: only before `instance`, as in the authors' PyTorch code.

    Batch norm has a bias of its own. Without a norm the authors' code has none either, and neither have its checkpoints.
    """
    return norm == "instance"
