"""A and B are two collections; no image of one belongs to one of the other."""

import random

from torch import Tensor

from generators.data.base import ImageRef
from generators.data.tasks.base import ImageTask


class Unpaired(ImageTask):
    """Each side is cut and mirrored on its own."""

    paired = False

    def training_pair(self, a: ImageRef, b: ImageRef, seed: int) -> tuple[Tensor, Tensor]:
        """Source and target with a jitter each."""
        rng = random.Random(seed)
        sides = self.cut(a, self.jitter(rng)), self.cut(b, self.jitter(rng))
        return sides if self.from_a else (sides[1], sides[0])
