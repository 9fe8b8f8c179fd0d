"""Sample grids: the first few test examples, the same ones every time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from PIL import Image
from torch import Tensor, nn

from generators.data.base import Example, Task
from generators.methods.base import Method

ROWS = 4
_GAP_PX = 4


class TestExamples:
    """Rows of source | generated | real; methods that also go backward get rows of target | generated."""

    __test__ = False  # no test class, whatever pytest makes of the name

    def __init__(self, test: Sequence[Example], task: Task, direction: str) -> None:
        """`test`: the dataset's test split; for unpaired data each example has one side."""
        self.task = task
        with_a, with_b = ([one for one in test if getattr(one, side) is not None][:ROWS] for side in "ab")
        self.forward, self.backward = (with_a, with_b) if direction == "AtoB" else (with_b, with_a)

    def __call__(self, method: Method, place: Callable[[Tensor], Tensor]) -> Image.Image:
        """Draw the grid; the method's training state is left as it was."""
        with drawing(method):
            rows = [self._forward_row(method, place, example) for example in self.forward]
            if method.has_backward:
                rows += [self._backward_row(method, place, example) for example in self.backward]
        return tiled(rows)

    def _forward_row(
        self, method: Method, place: Callable[[Tensor], Tensor], example: Example
    ) -> list[Image.Image]:
        source = self.task.source(example)
        output = method.generate(place(source[None]))[0].float().cpu()
        row = [self.task.source_picture(source), self.task.picture(source, output)]
        if self.task.paired and example.a is not None and example.b is not None:
            row.append(self.task.picture(source, self.task.target(example), real=True))
        return row

    def _backward_row(
        self, method: Method, place: Callable[[Tensor], Tensor], example: Example
    ) -> list[Image.Image]:
        target = self.task.target(example)
        output = method.generate(place(target[None]), backward=True)[0].float().cpu()
        return [self.task.picture(target, target, real=True), self.task.source_picture(output)]


@contextmanager
def drawing(method: nn.Module, seed: int = 0) -> Iterator[None]:
    """Generate as the papers do: in training mode (dropout, statistics of the batch).

    Modes and PyTorch's random state are afterwards what they were; inside, dropout is settled by `seed`, so that
    the grids of one run differ by their weights only.
    """
    modes = {module: module.training for module in method.modules()}
    devices = {weight.device.index for weight in method.parameters() if weight.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=sorted(devices)), torch.no_grad():
            torch.manual_seed(seed)
            method.train()
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def tiled(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Pictures in rows on white; cells have the size of the largest picture."""
    cells = [picture for row in rows for picture in row]
    width, height = (max((cell.size[axis] for cell in cells), default=1) + _GAP_PX for axis in (0, 1))
    columns = max((len(row) for row in rows), default=0)
    sheet = Image.new("RGB", (width * columns + _GAP_PX, height * len(rows) + _GAP_PX), "white")
    for line, row in enumerate(rows):
        for column, picture in enumerate(row):
            sheet.paste(picture, (_GAP_PX + column * width, _GAP_PX + line * height))
    return sheet
