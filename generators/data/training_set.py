"""The stream of training pairs: which images come when, and how they are cut."""

import numpy as np
import torch.utils.data
from numpy.typing import NDArray
from torch import Tensor

from generators.data.base import Dataset, ImageRef, Task
from studies.errors import UserError

_ORDER, _PARTNER, _JITTER = range(3)
"""Keys of independent random streams under one seed."""


class TrainingSet(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Item k is the k-th pair shown in training, a pure function of (seed, k); k may exceed the length.

    Every epoch shows each image once, in an order of its own. If A and B do not belong together, an epoch is as
    long as the longer side, the shorter A begins again, and B is drawn independently (Source: unaligned_dataset.py
    of junyanz/pytorch-CycleGAN-and-pix2pix).
    """

    def __init__(self, dataset: Dataset, task: Task, seed: int) -> None:
        """Open the images of the training split.

        Raises:
            UserError: There are none, or one cannot serve.
        """
        self._task, self._seed = task, seed
        self._a: list[ImageRef] = [one.a for one in dataset.train if one.a is not None]
        self._b: list[ImageRef] = [one.b for one in dataset.train if one.b is not None]
        for side, refs in (("A", self._a), ("B", self._b)):
            if not refs:
                raise UserError(f"{dataset.location}: no training images on side {side} ({dataset.layout}).")
        assert not task.paired or len(self._a) == len(self._b)
        task.prepare(dataset.train)
        self._epoch = -1
        self._order: NDArray[np.int64] = np.arange(0)

    def __len__(self) -> int:
        """Images in an epoch."""
        return max(len(self._a), len(self._b))

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        """Source and target, CHW [-1, 1]."""
        position = self._position(k)
        partner = position if self._task.paired else self._draw(_PARTNER, k) % len(self._b)
        return self._task.training_pair(
            self._a[position % len(self._a)], self._b[partner], self._draw(_JITTER, k)
        )

    def _position(self, k: int) -> int:
        epoch, place = divmod(k, len(self))
        if epoch != self._epoch:
            self._order = np.random.default_rng((self._seed, _ORDER, epoch)).permutation(len(self))
            self._epoch = epoch
        return int(self._order[place])

    def _draw(self, stream: int, k: int) -> int:
        """63 random bits."""
        state = np.random.SeedSequence((self._seed, stream, k)).generate_state(1, np.uint64)
        return int(state[0] >> np.uint64(1))
