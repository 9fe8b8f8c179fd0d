"""The U-Net of pix2pix."""

import torch
from torch import Tensor, nn

from generators.networks.halving import Double, Halve
from generators.networks.norms import Norm, bias_before, norm_layer
from studies.errors import UserError


class UNet(nn.Module):
    """Encoder and decoder of 4x4 convolutions with stride 2; each level hands its encoding on to its decoder.

    The encoder halves the image until a training image is 1x1: C64-C128-C256-C512-C512-C512-C512-C512 for 256 px.
    float NCHW in, NCHW in [-1, 1] out; sides are multiples of 2**depth, equal in and out. State dicts carry the names
    and shapes of the authors' PyTorch code (unet_256, unet_128).

    No norm follows the innermost convolution: over a 1x1 bottleneck and a batch of 1, batch norm subtracts the only
    value from itself and passes zeros. The models of the paper had that fault (its errata say so); the authors' code
    dropped the norm in March 2017 (commit b479b6b), and so does this.

    Dropout of 0.5, if any, stands where the authors' PyTorch code has it, in the depth - 5 decoder blocks around the
    innermost one (three for 256 px). The paper and its Lua code put the three one block further inward.

    Source: Isola et al. 2017, sections 6.1.1 and 6.2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size_px: int,
        base_filters: int = 64,
        norm: Norm = "batch",
        dropout: bool = True,
    ) -> None:
        """`size_px`, a power of two, is the side of training images. Raises UserError if it is none."""
        super().__init__()
        filters = filters_by_level(size_px, base_filters)
        self.depth = len(filters)
        block: _Level | None = None
        for level in range(self.depth - 1, 0, -1):
            between = 4 <= level < self.depth - 1
            block = _Level(filters[level - 1], filters[level], block, norm, dropout and between)
        self.model = _Outermost(in_channels, out_channels, filters[0], block, norm)

    def forward(self, images: Tensor) -> Tensor:
        """Translate. Raises UserError on sides that are no multiple of 2**depth."""
        check_sides(images, 2**self.depth, "this U-Net")
        out: Tensor = self.model(images)
        return out


def filters_by_level(size_px: int, base_filters: int) -> list[int]:
    """Output channels of the encoder's convolutions, outermost first: doubling up to 8 * base_filters.

    Raises:
        UserError: `size_px` is not a power of two of at least 4.
    """
    depth = size_px.bit_length() - 1
    if size_px < 4 or size_px != 2**depth:
        raise UserError(
            f"crop_size_px = {size_px}: U-Net and encoder-decoder halve the image down to one pixel and need a power "
            f"of two of at least 4, such as 64, 128 or 256; or take generator=resnet."
        )
    return [base_filters * min(2**level, 8) for level in range(depth)]


def check_sides(images: Tensor, multiple: int, network: str) -> None:
    """Raise UserError unless both sides are multiples."""
    height, width = images.shape[-2:]
    if height % multiple or width % multiple:
        raise UserError(
            f"Images of {width} x {height} px: {network} takes sides that are multiples of {multiple}; set crop_size_px "
            f"and test_size_px accordingly."
        )


class _Outermost(nn.Module):
    def __init__(
        self, in_channels: int, out_channels: int, filters: int, inside: nn.Module | None, norm: Norm
    ) -> None:
        super().__init__()
        assert inside is not None, "a U-Net has at least two levels"
        self.model = nn.Sequential(
            Halve(in_channels, filters, bias=bias_before(norm)),
            inside,
            nn.ReLU(inplace=True),
            Double(2 * filters, out_channels),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out


class _Level(nn.Module):
    """Encoding of one level, what lies inside it, decoding; beside them goes the skip."""

    def __init__(self, outer: int, inner: int, inside: nn.Module | None, norm: Norm, dropout: bool) -> None:
        super().__init__()
        bias = bias_before(norm)
        down: list[nn.Module] = [nn.LeakyReLU(0.2, inplace=True), Halve(outer, inner, bias=bias)]
        if inside is not None:
            down += [norm_layer(norm, inner), inside]
            inner *= 2
        up: list[nn.Module] = [
            nn.ReLU(inplace=True),
            Double(inner, outer, bias=bias),
            norm_layer(norm, outer),
        ]
        self.model = nn.Sequential(*down, *up, *([nn.Dropout(0.5)] if dropout else []))

    def forward(self, x: Tensor) -> Tensor:
        # The in-place LeakyReLU at the head of self.model changes x too; a ReLU follows the skip, to which it is all one.
        inside = self.model(x)
        return torch.cat([x, inside], 1)
