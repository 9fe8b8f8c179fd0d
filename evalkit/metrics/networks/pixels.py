"""Images on their way into a network: device, tensors, batches of one size."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from evalkit.metrics.base import Array, Item
from studies.errors import UserError


def torch_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one, else the processor.

    Raises:
        UserError: `cuda`, and there is no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("cuda: PyTorch finds no GPU here. Take --accelerator auto or cpu.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def to_tensor(images: Sequence[Array], device: torch.device) -> Tensor:
    """(n, 3, height, width) uint8, channels last in memory, of (height, width, 3) uint8 images of one size."""
    return torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2)


def placed(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The network on that device, channels last in memory, which is what convolutions are fastest with."""
    moved: nn.Module = network.to(device, dtype)
    return moved.to(memory_format=torch.channels_last)


@contextmanager
def inference(device: torch.device) -> Iterator[None]:
    """No gradients, and no TensorFloat-32, which would round float32 to 10 bits behind one's back."""
    with torch.inference_mode():
        if device.type != "cuda":
            yield
            return
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield


def by_size(
    items: Sequence[Item], batch_size: int, compute: Callable[[Sequence[Item]], Sequence[Array]]
) -> list[Array]:
    """Results of `compute` in the order of the items, called with at most `batch_size` items of one size at a time."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(item[0].shape, []).append(index)
    found: dict[int, Array] = {}
    for indices in groups.values():
        for first in range(0, len(indices), batch_size):
            some = indices[first : first + batch_size]
            found.update(zip(some, compute([items[index] for index in some]), strict=True))
    return [found[index] for index in range(len(items))]
