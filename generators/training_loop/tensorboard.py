"""TensorBoard, where wanted: the same numbers and grids as in stats.jsonl and samples/."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from studies.errors import UserError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


class Board:
    """Writes events, or nothing at all where none are wanted."""

    def __init__(self, writer: "SummaryWriter | None" = None) -> None:
        self._writer = writer

    def add_line(self, line: Mapping[str, Any]) -> None:
        """One line of stats.jsonl."""
        if self._writer is not None:
            for name, value in line.items():
                self._writer.add_scalar(name.replace(".", "/"), value, line["images"])

    def add_grid(self, images_shown: int, grid: Image.Image) -> None:
        """One sample grid."""
        if self._writer is not None:
            self._writer.add_image("samples", np.asarray(grid), images_shown, dataformats="HWC")

    def close(self) -> None:
        """Write out what is left."""
        if self._writer is not None:
            self._writer.close()


def open_tensorboard(folder: Path, images_shown: int, *, wanted: bool) -> Board:
    """Events of a run, those after `images_shown` taken back.

    Raises:
        UserError: TensorBoard is not installed.
    """
    if not wanted:
        return Board()
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError(
            "--tensorboard: TensorBoard is not installed. pip install 'evalkit[tensorboard]' brings it."
        ) from None
    return Board(SummaryWriter(str(folder / FOLDER), purge_step=images_shown + 1))
