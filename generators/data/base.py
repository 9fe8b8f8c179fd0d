"""The words between datasets, tasks and the training loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from PIL import Image
from torch import Tensor

from generators.config import DataSettings


@dataclass(frozen=True)
class ImageRef:
    """One image: a file, or the left or right half of one (aligned A|B files)."""

    path: Path
    half: str = ""
    """"" for the whole file, `left` or `right`."""
    label_map: bool = False
    """Its colours are classes, so that resizing must not mix them."""


@dataclass(frozen=True)
class Example:
    """One named example of a dataset, sides as they lie there; `direction` is the task's business."""

    name: str
    """Stem, unique on its side of its split; becomes the source id of the generated image."""
    a: ImageRef | None
    """Side A: label map, first domain; None where only B was given."""
    b: ImageRef | None
    """Side B: photo, second domain; None where only A was given (inputs without their real photos)."""


@dataclass(frozen=True)
class Dataset:
    """A folder of images, found and named; no image has been opened."""

    location: str
    layout: str
    """How the folder was read, in words."""
    train: Sequence[Example]
    test: Sequence[Example]
    """Where A and B belong to different scenes every example has one side only: the A's, then the B's."""
    split: str
    """`given by the folder`, or `drawn: share 0.2, seed 0`."""
    class_colours: dict[str, tuple[int, int, int]] | None = None
    """Class name -> colour in the label maps, where the dataset says so (CamVid, toy-facades)."""
    label_side: Literal["A", "B", ""] = ""
    """Which side holds label maps; empty where the layout does not tell."""


class Task(Protocol):
    """What source and target are, and how tensors become pictures."""

    paired: bool
    """Whether source and target show the same scene; else the target of a training pair is drawn independently."""
    one_sided: bool
    """Whether source and target are made from one photo; examples then carry it on both sides."""
    source_channels: int
    target_channels: int

    def __init__(self, settings: DataSettings) -> None: ...

    def prepare(self, examples: Sequence[Example]) -> None:
        """Look at all training images before the first is asked for, and keep them in memory if they fit.

        Raises:
            UserError: Names the first file that cannot serve.
        """
        ...

    def training_pair(self, a: ImageRef, b: ImageRef, seed: int) -> tuple[Tensor, Tensor]:
        """Source and target with the jitter that `seed` draws (the same for both if paired), CHW [-1, 1]."""
        ...

    def source(self, example: Example) -> Tensor:
        """The source without jitter, CHW [-1, 1], at test size. Raises UserError naming a file that cannot serve."""
        ...

    def target(self, example: Example) -> Tensor:
        """The target without jitter, CHW [-1, 1], at test size."""
        ...

    def picture(self, source: Tensor, output: Tensor, *, real: bool = False) -> Image.Image:
        """The RGB picture of a generated (or `real`) target for this source, at display size; rounded."""
        ...

    def source_picture(self, source: Tensor) -> Image.Image:
        """The RGB picture of a source, as large as `picture` makes its target."""
        ...
