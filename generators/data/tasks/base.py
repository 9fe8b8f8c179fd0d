"""What all tasks have in common: sizes, jitter, which side is the source, pictures."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from generators.config import DataSettings
from generators.data.base import Example, ImageRef
from generators.data.pixels import Bytes, ImageStore, read_pixels, to_pixels, to_tensor
from studies.errors import UserError


@dataclass(frozen=True)
class Jitter:
    """Where one training image is cut, as shares of the room there is, and whether it is mirrored."""

    down: float
    right: float
    mirrored: bool

    def cut(self, pixels: Bytes, side_px: int) -> Bytes:
        """The square piece of an image."""
        height, width = pixels.shape[:2]
        top, left = int(self.down * (height - side_px + 1)), int(self.right * (width - side_px + 1))
        piece = pixels[top : top + side_px, left : left + side_px]
        return piece[:, ::-1] if self.mirrored else piece


class ImageTask:
    """Source and target are RGB images: resized, cut and mirrored.

    Source: Isola et al. 2017, section 6.2 (resize to 286, random crop to 256, random mirroring).
    """

    paired = True
    one_sided = False
    source_channels = 3
    target_channels = 3

    def __init__(self, settings: DataSettings) -> None:
        """Check the sizes against each other.

        Raises:
            UserError: Two settings do not go together.
        """
        self.settings = settings
        self.crop_px = settings.crop_size_px
        self.test_px = settings.test_size_px or settings.crop_size_px
        _check_sizes(settings, self.test_px)
        self.images = ImageStore(settings.load_size_px, settings.crop_size_px)

    def prepare(self, examples: Sequence[Example]) -> None:
        """Look at all training images, and keep them in memory if they fit."""
        self.images.prepare(ref for one in examples for ref in (one.a, one.b) if ref is not None)

    @property
    def from_a(self) -> bool:
        """Whether sources are on side A."""
        if self.settings.direction not in ("AtoB", "BtoA"):
            raise ValueError(f"direction={self.settings.direction}: settle_direction must come first")
        return self.settings.direction == "AtoB"

    def training_pair(self, a: ImageRef, b: ImageRef, seed: int) -> tuple[Tensor, Tensor]:
        """Both sides cut at the same place and mirrored alike."""
        jitter = self.jitter(random.Random(seed))
        source, target = (a, b) if self.from_a else (b, a)
        return self.cut(source, jitter), self.cut(target, jitter)

    def source(self, example: Example) -> Tensor:
        """The whole source, resized to test size."""
        return to_tensor(read_pixels(self._side(example, "source"), self.test_px))

    def target(self, example: Example) -> Tensor:
        """The whole target, resized to test size."""
        return to_tensor(read_pixels(self._side(example, "target"), self.test_px))

    def picture(self, source: Tensor, output: Tensor, *, real: bool = False) -> Image.Image:
        """The output as it is, at display size."""
        del source, real
        return self.displayed(Image.fromarray(to_pixels(output)))

    def source_picture(self, source: Tensor) -> Image.Image:
        """The source as it is, at display size."""
        return self.displayed(Image.fromarray(to_pixels(source)))

    def jitter(self, rng: random.Random) -> Jitter:
        """The next jitter."""
        return Jitter(rng.random(), rng.random(), self.settings.mirror and rng.random() < 0.5)

    def cut(self, ref: ImageRef, jitter: Jitter) -> Tensor:
        """One training image."""
        return to_tensor(self.cut_pixels(ref, jitter))

    def cut_pixels(self, ref: ImageRef, jitter: Jitter) -> Bytes:
        """One training image, (crop, crop, 3) uint8."""
        return np.ascontiguousarray(jitter.cut(self.images.load(ref), self.crop_px))

    def displayed(self, picture: Image.Image) -> Image.Image:
        """The mean over areas of pixels, where a smaller display size is set."""
        side = self.settings.display_size_px
        if not side:
            return picture
        factor, rest = divmod(picture.width, side)
        # Where it can: `resize` rounds twice, once per axis.
        return picture.resize((side, side), Image.Resampling.BOX) if rest else picture.reduce(factor)

    def _side(self, example: Example, role: str) -> ImageRef:
        side = "A" if (role == "source") == self.from_a else "B"
        ref = example.a if side == "A" else example.b
        if ref is None:
            raise UserError(
                f"{example.name}: has no image on side {side}, which is the {role} with "
                f"direction={self.settings.direction}."
            )
        return ref


class PhotoTask(ImageTask):
    """Source and target are made from one photo."""

    one_sided = True

    def cut_photo(self, ref: ImageRef, seed: int) -> Bytes:
        """One training photo, (crop, crop, 3) uint8."""
        return self.cut_pixels(ref, self.jitter(random.Random(seed)))

    def photo(self, example: Example) -> Bytes:
        """The photo at test size, (test, test, 3) uint8."""
        ref = example.b or example.a
        assert ref is not None
        return read_pixels(ref, self.test_px)


def _check_sizes(settings: DataSettings, test_px: int) -> None:
    if settings.crop_size_px < 1:
        raise UserError("crop_size_px=0: at least 1 px is needed.")
    if 0 < settings.load_size_px < settings.crop_size_px:
        raise UserError(
            f"load_size_px={settings.load_size_px} is smaller than crop_size_px={settings.crop_size_px}, which is cut "
            f"from it. Set load_size_px={settings.crop_size_px} or more, or 0 to cut from images as they are."
        )
    if settings.display_size_px > test_px:
        raise UserError(
            f"display_size_px={settings.display_size_px} is larger than the {test_px} px at which test images are "
            "generated; pictures are only made smaller. Set test_size_px, or display_size_px=0."
        )
