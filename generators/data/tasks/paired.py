"""A and B show the same scene: labels and photo, day and night, edges and photo, map and aerial photo."""

from torch import Tensor

from generators.data.base import ImageRef
from generators.data.pixels import native_size
from generators.data.tasks.base import ImageTask
from studies.errors import UserError


class Paired(ImageTask):
    """One jitter for both sides."""

    def training_pair(self, a: ImageRef, b: ImageRef, seed: int) -> tuple[Tensor, Tensor]:
        """As `ImageTask`.

        Raises:
            UserError: Without resizing, A and B are not of one size.
        """
        if not self.settings.load_size_px and self.images.load(a).shape != self.images.load(b).shape:
            sizes = " and ".join(f"{ref.path} ({'x'.join(map(str, native_size(ref)))} px)" for ref in (a, b))
            raise UserError(f"{sizes} differ in size. Set load_size_px to resize both alike.")
        return super().training_pair(a, b, seed)
