"""Grey photo -> its colours, in Lab: source is L, target is ab; a fake keeps the L of the photo."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from generators.data.base import Example, ImageRef
from generators.data.lab import lab_to_rgb, rgb_to_lab
from generators.data.pixels import Bytes
from generators.data.tasks.base import PhotoTask

_L_SCALE = 50.0
_AB_SCALE = 110.0


class Colorization(PhotoTask):
    """L / 50 - 1 and ab / 110.

    Source: data/colorization_dataset.py of junyanz/pytorch-CycleGAN-and-pix2pix.
    """

    source_channels = 1
    target_channels = 2

    def training_pair(self, a: ImageRef, b: ImageRef, seed: int) -> tuple[Tensor, Tensor]:
        """L (1, crop, crop) and ab (2, crop, crop) of one piece."""
        del a
        return _lightness_and_colours(self.cut_photo(b, seed))

    def source(self, example: Example) -> Tensor:
        """L of the photo, (1, test, test)."""
        return _lightness_and_colours(self.photo(example))[0]

    def target(self, example: Example) -> Tensor:
        """The photo's own ab, (2, test, test)."""
        return _lightness_and_colours(self.photo(example))[1]

    def picture(self, source: Tensor, output: Tensor, *, real: bool = False) -> Image.Image:
        """These colours in the lightness of this source."""
        del real
        return self.displayed(_picture(source, output))

    def source_picture(self, source: Tensor) -> Image.Image:
        """The grey photo."""
        return self.displayed(_picture(source, torch.zeros(2, *source.shape[1:], device=source.device)))


def _lightness_and_colours(pixels: Bytes) -> tuple[Tensor, Tensor]:
    lab = torch.from_numpy(np.ascontiguousarray(rgb_to_lab(pixels).transpose(2, 0, 1)))
    return lab[:1] / _L_SCALE - 1, lab[1:] / _AB_SCALE


def _picture(lightness: Tensor, colours: Tensor) -> Image.Image:
    lab = torch.cat([(lightness.float() + 1) * _L_SCALE, colours.float().clamp(-1, 1) * _AB_SCALE])
    return Image.fromarray(lab_to_rgb(lab.detach().permute(1, 2, 0).cpu().numpy()))
