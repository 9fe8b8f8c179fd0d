"""The feed-forward networks of Johnson et al. 2016: style transfer and super-resolution."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from generators.networks.norms import InstanceNorm, Norm
from studies.errors import UserError

_GREY_LEVELS = 150 / 127.5
"""The tanh is scaled by 150 grey levels about mid-grey (authors' code: tanh_constant 150), here in [-1, 1] units."""


class TransformNet(nn.Module):
    """c9s1-32, d64, d128, R128 x 5, u64, u32, c9s1-out, scaled tanh.

    float NCHW in, the same height and width out; values reach ±1.18 and are clipped where a picture is made of them.
    The image is padded by reflection once, 40 px for 5 blocks, which is what the residual blocks, whose convolutions
    are not padded, take off again; the other convolutions are padded with zeros.

    Source: Johnson et al. 2016, section 3.1 and supplement (batch norm); the authors' code (instance norm with scale and
    bias, its default since 2016; a bias in every convolution).
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        base_filters: int = 32,
        norm: Norm = "instance",
        n_blocks: int = 5,
    ) -> None:
        super().__init__()
        f = base_filters
        # Each block takes 2 px off every side at a quarter of the resolution.
        self.padding_px = 8 * n_blocks
        layers = [nn.Conv2d(in_channels, f, 9, 1, 4), *_normed(norm, f)]
        for before in (f, 2 * f):
            layers += [nn.Conv2d(before, 2 * before, 3, 2, 1), *_normed(norm, 2 * before)]
        layers += [_Residual(4 * f, norm, padding=0) for _ in range(n_blocks)]
        for before in (4 * f, 2 * f):
            layers += [_upsampling(before, before // 2), *_normed(norm, before // 2)]
        layers.append(nn.Conv2d(f, out_channels, 9, 1, 4))
        self.model = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Restyle. Raises UserError on an image too small to be padded by reflection."""
        height, width = images.shape[-2:]
        if min(height, width) <= self.padding_px:
            raise UserError(
                f"Images of {width} x {height} px: this style network needs more than {self.padding_px} px; set a "
                f"larger crop_size_px or test_size_px."
            )
        out: Tensor = self.model(functional.pad(images, (self.padding_px,) * 4, mode="reflect"))
        # Sides that are no multiple of 4 come back up to 3 px longer.
        return _GREY_LEVELS * out[..., :height, :width].tanh()


class SuperResolutionNet(nn.Module):
    """c9s1-64, R64 x 4, u64 once per doubling, c9s1-3, scaled tanh.

    Low-resolution float RGB N x 3 x h x w in, N x 3 x (scale_factor h) x (scale_factor w) out; values reach ±1.18 and
    are clipped where a picture is made of them. All convolutions are padded with zeros.

    Source: Johnson et al. 2016, section 3.1 and supplement: two upsampling layers for x4, three for x8.
    """

    def __init__(
        self, scale_factor: Literal[4, 8], base_filters: int = 64, n_blocks: int = 4, norm: Norm = "batch"
    ) -> None:
        """Raises UserError on a scale factor that is no power of two."""
        super().__init__()
        doublings = scale_factor.bit_length() - 1
        if scale_factor != 2**doublings:
            raise UserError(f"scale_factor = {scale_factor}: allowed are 4 and 8.")
        f = base_filters
        layers = [nn.Conv2d(3, f, 9, 1, 4), *_normed(norm, f)]
        layers += [_Residual(f, norm, padding=1) for _ in range(n_blocks)]
        for _ in range(doublings):
            layers += [_upsampling(f, f), *_normed(norm, f)]
        layers.append(nn.Conv2d(f, 3, 9, 1, 4))
        self.model = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Enlarge."""
        out: Tensor = self.model(images)
        return _GREY_LEVELS * out.tanh()


def _normed(norm: Norm, channels: int) -> list[nn.Module]:
    return [_norm(norm, channels), nn.ReLU(inplace=True)]


def _norm(norm: Norm, channels: int) -> nn.Module:
    # Unlike CycleGAN's, the instance norm of these networks has a scale and a bias to learn.
    return {
        "batch": nn.BatchNorm2d(channels),
        "instance": InstanceNorm(channels, affine=True),
        "none": nn.Identity(),
    }[norm]


def _upsampling(before: int, after: int) -> nn.Module:
    """Convolution with stride 1/2."""
    return nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1)


class _Residual(nn.Module):
    """conv-norm-ReLU-conv-norm beside the identity, no ReLU after the sum (Johnson et al., section 3.1)."""

    def __init__(self, channels: int, norm: Norm, padding: int) -> None:
        super().__init__()
        self.taken_off_px = 2 * (1 - padding)
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, padding),
            *_normed(norm, channels),
            nn.Conv2d(channels, channels, 3, 1, padding),
            _norm(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = functional.pad(x, (-self.taken_off_px,) * 4) + self.block(x)
        return out
