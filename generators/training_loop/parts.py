"""What the loop trains: a method, the images it is shown, and a picture of how far it has come."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as ShownImages

from generators.config import RunConfig
from generators.data import TASKS, TrainingSet, open_dataset
from generators.methods import build_method
from generators.methods.base import Method
from generators.training_loop.grids import TestExamples

Grid = Callable[[Method, Callable[[Tensor], Tensor]], Image.Image]
"""Draws one sample grid: (method, how a batch gets onto the method's device) -> picture."""


@dataclass(frozen=True)
class Parts:
    """What one run is made of; nothing here is on a device yet."""

    method: Method
    shown: "ShownImages[tuple[Tensor, Tensor]]"
    """Item k is source and target of the k-th image shown: a pure function of seed and k."""
    grid: Grid | None = None
    """None: this run draws no sample grids."""
    image_size_px: int = 0
    """Side of the images, where known; small ones need no other processes to load them."""


def build_parts(config: RunConfig) -> Parts:
    """Dataset, task and freshly initialised method of a config; the weights are settled by its seed.

    Raises:
        UserError: The dataset cannot be used, or the method cannot be built as set.
    """
    dataset = open_dataset(config.location, config.data)
    task = TASKS[config.data.task](config.data)
    torch.manual_seed(config.training.seed)
    method = build_method(config, task)
    shown: ShownImages[Any] = TrainingSet(dataset, task, config.training.seed)
    grid = TestExamples(dataset.test, task, config.data.direction)
    return Parts(method, shown, grid, config.data.crop_size_px)
