"""The 4x4 convolutions with stride 2 of which U-Net and encoder-decoder are made."""

from torch import Tensor, nn
from torch.nn import functional

_FEW_PX = 16


class Halve(nn.Conv2d):
    """4x4 convolution, stride 2, padding 1: halves both sides."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, 2, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; down to a single pixel, on a CPU, by one product with the weights as they lie in memory.

        There the weights (16 MB) are far more than the image, and the convolution first rearranges them every time.
        """
        if x.shape[-2:] != (2, 2) or not _worth_it(x):
            return super().forward(x)
        out = (self.weight.flatten(1) @ functional.unfold(x, 4, padding=1, stride=2))[..., None]
        return out if self.bias is None else out + self.bias[:, None, None]


class Double(nn.ConvTranspose2d):
    """Transposed 4x4 convolution, stride 2, padding 1: doubles both sides."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, 2, 1, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve; a map of a few pixels, on a CPU, by one product, for the reason given in `Halve`."""
        height, width = x.shape[-2:]
        if height * width > _FEW_PX or not _worth_it(x):
            return super().forward(x, output_size)
        products = self.weight.flatten(1).t() @ x.flatten(2)
        out = functional.fold(products, (2 * height, 2 * width), 4, padding=1, stride=2)
        return out if self.bias is None else out + self.bias[:, None, None]


def _worth_it(x: Tensor) -> bool:
    """With several images the convolution rearranges the weights only once for all of them."""
    return x.device.type == "cpu" and len(x) == 1
