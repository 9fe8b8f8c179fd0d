"""Photos alone, for style transfer: the source is the target."""

from torch import Tensor

from generators.data.base import Example, ImageRef
from generators.data.pixels import to_tensor
from generators.data.tasks.base import PhotoTask


class Photos(PhotoTask):
    """What must be kept of the photo and what may change is up to the losses."""

    def training_pair(self, a: ImageRef, b: ImageRef, seed: int) -> tuple[Tensor, Tensor]:
        """The same tensor twice."""
        del a
        photo = to_tensor(self.cut_photo(b, seed))
        return photo, photo

    def source(self, example: Example) -> Tensor:
        """The photo at test size."""
        return to_tensor(self.photo(example))

    def target(self, example: Example) -> Tensor:
        """The photo at test size."""
        return self.source(example)
