"""The patch discriminators of pix2pix and CycleGAN."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from generators.networks.norms import Norm, bias_before, norm_layer
from studies.errors import UserError

ReceptiveField = Literal[1, 16, 34, 70, 142, 286]

_N_LAYERS = {16: 1, 34: 2, 70: 3, 142: 4, 286: 5}


class PatchGAN(nn.Module):
    """Judges every patch of so many pixels by itself: one logit each, no sigmoid.

    70 px: C64-C128-C256-C512 and a convolution to one channel, all 4x4; no norm on the first; LeakyReLU 0.2. 1 px:
    1x1 convolutions C64-C128. float NCHW in [-1, 1] in, logits N x 1 x h x w out. A conditional discriminator is given
    source and target as channels of one image. State dicts carry the names and shapes of the authors' PyTorch code
    (basic, n_layers, pixel).

    The last two convolutions have stride 1, as in the authors' code; the paper says that all have stride 2, which
    would not give these receptive fields.

    Source: Isola et al. 2017, section 6.1.2; Zhu et al. 2017, section 7.2 (instance norm).
    """

    def __init__(
        self,
        in_channels: int,
        receptive_field_px: ReceptiveField = 70,
        base_filters: int = 64,
        norm: Norm = "batch",
    ) -> None:
        """Raises UserError on another receptive field."""
        super().__init__()
        self.norm = norm
        self.smallest_side_px = 1
        if receptive_field_px == 1:
            self.net = nn.Sequential(*_pixel_layers(in_channels, base_filters, norm))
        elif receptive_field_px in _N_LAYERS:
            n_layers = _N_LAYERS[receptive_field_px]
            # Two convolutions with stride 1 each take a pixel off what the halvings have left.
            self.smallest_side_px = 3 * 2**n_layers
            self.model = nn.Sequential(*_patch_layers(in_channels, base_filters, n_layers, norm))
        else:
            raise UserError(
                f"receptive_field_px = {receptive_field_px}: allowed are 1, {', '.join(map(str, _N_LAYERS))}."
            )

    def forward(self, images: Tensor, *, each_alone: bool = False) -> Tensor:
        """Logits; `each_alone`: batch norm takes its statistics of each image by itself, and keeps no running ones.

        Raises:
            UserError: The image is too small to leave a single logit.
        """
        self.check_size(*images.shape[-2:])
        x = images
        for layer in self.net if self.smallest_side_px == 1 else self.model:
            if each_alone and isinstance(layer, nn.BatchNorm2d):
                x = functional.group_norm(x, layer.num_features, layer.weight, layer.bias, layer.eps)
            else:
                x = layer(x)
        return x

    def check_size(self, height: int, width: int) -> None:
        """Raise UserError on an image too small to leave a single logit."""
        if min(height, width) < self.smallest_side_px:
            raise UserError(
                f"Images of {width} x {height} px: this discriminator needs at least {self.smallest_side_px} px; set a "
                "smaller receptive_field_px or a larger crop_size_px."
            )


def judge_both(discriminator: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of the real and of the fake images, as if each batch had been judged by itself.

    One pass where that is the same: no batch norm, or one image a side, whose batch statistics are those of the image.
    Running statistics of a discriminator, which nothing ever uses, then stay as they are.

    Args:
        discriminator: A `PatchGAN`, wrapped or not.
        real: NCHW.
        fake: The same shape.
    """
    mixes = discriminator.norm == "batch" and discriminator.training
    if mixes and len(real) > 1:
        return discriminator(real), discriminator(fake)
    logits: Tensor = discriminator(torch.cat([real, fake]), each_alone=mixes)
    return logits[: len(real)], logits[len(real) :]


def _pixel_layers(in_channels: int, filters: int, norm: Norm) -> list[nn.Module]:
    bias = bias_before(norm)
    return [
        nn.Conv2d(in_channels, filters, 1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(filters, 2 * filters, 1, bias=bias),
        norm_layer(norm, 2 * filters),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(2 * filters, 1, 1, bias=bias),
    ]


def _patch_layers(in_channels: int, base_filters: int, n_layers: int, norm: Norm) -> list[nn.Module]:
    filters = [base_filters * min(2**level, 8) for level in range(n_layers + 1)]
    layers: list[nn.Module] = [nn.Conv2d(in_channels, filters[0], 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    for level in range(1, n_layers + 1):
        stride = 2 if level < n_layers else 1
        layers += [
            nn.Conv2d(filters[level - 1], filters[level], 4, stride, 1, bias=bias_before(norm)),
            norm_layer(norm, filters[level]),
            nn.LeakyReLU(0.2, inplace=True),
        ]
    return [*layers, nn.Conv2d(filters[-1], 1, 4, 1, 1)]
