"""Datasets: folders of images -> examples -> tensors. Names are imported when used: listing datasets needs no torch."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from generators.data.base import Dataset, Example, ImageRef, Task
    from generators.data.datasets import open_dataset, open_inputs, same_place, settle_direction
    from generators.data.locations import is_known
    from generators.data.tasks import TASKS
    from generators.data.training_set import TrainingSet

__all__ = [
    "TASKS",
    "Dataset",
    "Example",
    "ImageRef",
    "Task",
    "TrainingSet",
    "is_known",
    "open_dataset",
    "open_inputs",
    "same_place",
    "settle_direction",
]

_HOMES = {
    "TASKS": "tasks",
    "Dataset": "base",
    "Example": "base",
    "ImageRef": "base",
    "Task": "base",
    "TrainingSet": "training_set",
    "is_known": "locations",
    "open_dataset": "datasets",
    "open_inputs": "datasets",
    "same_place": "datasets",
    "settle_direction": "datasets",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"generators.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
