"""The U-Net's rival without skips."""

from torch import Tensor, nn

from generators.networks.halving import Double, Halve
from generators.networks.norms import Norm, bias_before, norm_layer
from generators.networks.unet import check_sides, filters_by_level


class EncoderDecoder(nn.Module):
    """A U-Net with the skips cut: everything must pass through the bottleneck.

    256 px: encoder C64-C128-C256-C512-C512-C512-C512-C512, decoder CD512-CD512-CD512-C512-C256-C128-C64, then the
    convolution to the output and tanh. Smaller sizes drop innermost levels. float NCHW in, NCHW in [-1, 1] out; sides
    are multiples of 2**depth. No norm over the 1x1 bottleneck, see `UNet`. Dropout of 0.5, if any, in the depth - 5
    innermost decoder blocks.

    Source: Isola et al. 2017, section 6.1.1.
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
        bias = bias_before(norm)
        layers: list[nn.Module] = [Halve(in_channels, filters[0])]
        for level in range(1, self.depth):
            layers += [
                nn.LeakyReLU(0.2, inplace=True),
                Halve(filters[level - 1], filters[level], bias=bias),
            ]
            if level < self.depth - 1:
                layers.append(norm_layer(norm, filters[level]))
        for level in range(self.depth - 1, 0, -1):
            layers += [
                nn.ReLU(inplace=True),
                Double(filters[level], filters[level - 1], bias=bias),
                norm_layer(norm, filters[level - 1]),
            ]
            if dropout and level >= 5:
                layers.append(nn.Dropout(0.5))
        layers += [nn.ReLU(inplace=True), Double(filters[0], out_channels), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Translate. Raises UserError on sides that are no multiple of 2**depth."""
        check_sides(images, 2**self.depth, "this encoder-decoder")
        out: Tensor = self.model(images)
        return out
