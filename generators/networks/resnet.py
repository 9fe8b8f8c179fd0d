"""The residual generator of CycleGAN."""

from torch import Tensor, nn

from generators.networks.norms import Norm, bias_before, norm_layer
from generators.networks.unet import check_sides
from studies.errors import UserError

_SMALLEST_PX = 8


class ResNetGenerator(nn.Module):
    """c7s1-64, d128, d256, R256 x n_blocks, u128, u64, c7s1-out, tanh; reflection padding.

    float NCHW in, NCHW in [-1, 1] out; sides are multiples of 4, at least 8, equal in and out. Dropout of 0.5, if any, in each
    residual block. State dicts carry the names and shapes of the authors' PyTorch code (resnet_9blocks, resnet_6blocks).

    Source: Zhu et al. 2017, section 7.2: 6 blocks for 128 px, 9 for 256 px and up.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        n_blocks: int = 9,
        base_filters: int = 64,
        norm: Norm = "instance",
        dropout: bool = False,
    ) -> None:
        super().__init__()
        bias, f = bias_before(norm), base_filters
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(in_channels, f, 7, bias=bias)]
        layers += _normed(norm, f)
        for before in (f, 2 * f):
            layers += [nn.Conv2d(before, 2 * before, 3, 2, 1, bias=bias), *_normed(norm, 2 * before)]
        layers += [_ResidualBlock(4 * f, norm, dropout) for _ in range(n_blocks)]
        for before in (4 * f, 2 * f):
            up = nn.ConvTranspose2d(before, before // 2, 3, 2, 1, output_padding=1, bias=bias)
            layers += [up, *_normed(norm, before // 2)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(f, out_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Translate. Raises UserError on sides that are no multiple of 4, or too small to be padded by reflection."""
        check_sides(images, 4, "the ResNet generator")
        if min(images.shape[-2:]) < _SMALLEST_PX:
            raise UserError(
                f"Images of {images.shape[-1]} x {images.shape[-2]} px: the ResNet generator needs at least "
                f"{_SMALLEST_PX} px; set a larger crop_size_px or test_size_px."
            )
        out: Tensor = self.model(images)
        return out


def _normed(norm: Norm, channels: int) -> list[nn.Module]:
    return [norm_layer(norm, channels), nn.ReLU(inplace=True)]


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int, norm: Norm, dropout: bool) -> None:
        super().__init__()
        bias = bias_before(norm)
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            *_normed(norm, channels),
            *([nn.Dropout(0.5)] if dropout else []),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm_layer(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv_block(x)
        return out
