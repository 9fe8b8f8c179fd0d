"""Which images a process is shown, and how they get to its device."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from studies.errors import UserError

Batch = tuple[Tensor, Tensor]


class SharedCounters(Sampler[list[int]]):
    """Numbers of the images in this process's share of each batch, from `first` up to `total`.

    Batch n of all processes together is images n * batch_size onwards, however many processes share it.
    """

    def __init__(self, first: int, total: int, batch_size: int, rank: int = 0, processes: int = 1) -> None:
        self.starts = range(first, total, batch_size)
        self.share = batch_size // processes
        self.offset = rank * self.share

    def __iter__(self) -> Iterator[list[int]]:
        for start in self.starts:
            first = start + self.offset
            yield list(range(first, first + self.share))

    def __len__(self) -> int:
        return len(self.starts)


def batches(
    shown: "Dataset[Any]", counters: SharedCounters, *, workers: int, pin_memory: bool
) -> Iterator[Batch]:
    """Load this process's share of batch after batch.

    Raises:
        UserError: An image cannot be used.
    """
    loader: DataLoader[Batch] = DataLoader(
        shown,
        batch_sampler=counters,
        num_workers=workers,
        pin_memory=pin_memory,
        worker_init_fn=_leave_signals_to_the_parent if workers else None,
    )
    try:
        yield from loader
    except UserError as error:
        raise UserError(_own_words(error)) from error


def placer(device: torch.device, dtype: torch.dtype, *, channels_last: bool) -> Callable[[Tensor], Tensor]:
    """How a batch gets onto the device: float images in `dtype` and layout, class maps as they are."""

    def place(batch: Tensor) -> Tensor:
        if not batch.is_floating_point():
            return batch.to(device, non_blocking=True)
        layout = torch.channels_last if channels_last and batch.dim() == 4 else torch.preserve_format
        return batch.to(device, dtype, non_blocking=True, memory_format=layout)

    return place


def _leave_signals_to_the_parent(number: int) -> None:  # noqa: ARG001  (called with the worker's number)
    """Ctrl-C reaches the whole process group; the parent finishes its step and then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _own_words(error: UserError) -> str:
    """The line itself, where a worker's error comes with the worker's traceback."""
    return str(error).strip().rpartition(f"{UserError.__module__}.{UserError.__name__}: ")[2]
