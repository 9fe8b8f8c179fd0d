"""A blurred and downsampled photo -> the photo."""

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import interpolate

from generators.config import DataSettings
from generators.data.base import Example, ImageRef
from generators.data.pixels import Bytes, to_pixels, to_tensor
from generators.data.tasks.base import PhotoTask
from studies.errors import UserError


class SuperResolution(PhotoTask):
    """The target is the crop; the source is the crop after a Gaussian blur, bicubically downsampled, in 8 bits.

    Source: Johnson et al. 2016, section 4.2 (blur sigma 1.0, bicubic; output matched to the histogram of the input).
    """

    def __init__(self, settings: DataSettings) -> None:
        """Check sizes.

        Raises:
            UserError: As `ImageTask`; or a size is no multiple of scale_factor.
        """
        super().__init__(settings)
        for key, side in (("crop_size_px", self.crop_px), ("test_size_px", self.test_px)):
            if side % settings.scale_factor:
                nearest = side // settings.scale_factor * settings.scale_factor
                raise UserError(
                    f"{key}={side} is no multiple of scale_factor={settings.scale_factor}. Set it to {nearest}, for "
                    "example."
                )

    def training_pair(self, a: ImageRef, b: ImageRef, seed: int) -> tuple[Tensor, Tensor]:
        """(3, crop / scale_factor, crop / scale_factor) and (3, crop, crop)."""
        del a
        return self._pair(self.cut_photo(b, seed))

    def source(self, example: Example) -> Tensor:
        """The photo made small, (3, test / scale_factor, test / scale_factor)."""
        return self._pair(self.photo(example))[0]

    def target(self, example: Example) -> Tensor:
        """The photo, (3, test, test)."""
        return to_tensor(self.photo(example))

    def picture(self, source: Tensor, output: Tensor, *, real: bool = False) -> Image.Image:
        """The output, matched to the histogram of the source unless it is the real photo."""
        pixels = to_pixels(output)
        if self.settings.histogram_matching and not real:
            pixels = match_histograms(pixels, to_pixels(source))
        return self.displayed(Image.fromarray(pixels))

    def source_picture(self, source: Tensor) -> Image.Image:
        """The small image, each pixel a square."""
        scale = self.settings.scale_factor
        return self.displayed(Image.fromarray(to_pixels(source).repeat(scale, 0).repeat(scale, 1)))

    def _pair(self, pixels: Bytes) -> tuple[Tensor, Tensor]:
        settings = self.settings
        blurred = gaussian_filter(pixels.astype(np.float32), (settings.blur_sigma, settings.blur_sigma, 0))
        full = torch.from_numpy(blurred.transpose(2, 0, 1).copy())
        small = interpolate(
            full[None], scale_factor=1 / settings.scale_factor, mode="bicubic", antialias=True
        )[0]
        return small.round().clamp(0, 255).div(127.5).sub(1), to_tensor(pixels)


def match_histograms(pixels: Bytes, reference: Bytes) -> Bytes:
    """Map the levels of every channel so that their distribution is that of the reference.

    Args:
        pixels: (height, width, channels).
        reference: Any size, as many channels.
    """
    matched = [_matched(pixels[..., band], reference[..., band]) for band in range(pixels.shape[2])]
    return np.stack(matched, -1)


def _matched(band: Bytes, reference: Bytes) -> Bytes:
    """Levels of equal rank become one another; ranks between two levels of the reference are interpolated."""
    counts = np.bincount(band.reshape(-1), minlength=256)
    there = np.bincount(reference.reshape(-1), minlength=256)
    used = np.flatnonzero(there)
    # The middle of each level's ranks: with equal histograms every level stays where it is.
    ranks = (np.cumsum(counts) - counts / 2) / band.size
    ranks_there = ((np.cumsum(there) - there / 2) / reference.size)[used]
    levels = np.round(np.interp(ranks, ranks_there, used)).astype(np.uint8)
    result: Bytes = levels[band]
    return result
