"""Decoding a little ahead of the extractors, in threads."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from evalkit.metrics.base import Array

if TYPE_CHECKING:
    from evalkit.metrics.extract import Task
    from evalkit.metrics.pictures import Picture

Looks = dict[str, tuple[Array, tuple[str, ...]]]
"""By a picture's digest: its pixels, and what was done to them."""

_DECODERS = 4
_AHEAD = 32
"""Inputs whose images are decoded before their turn; bounds the memory."""


def decoded(rows: "Sequence[Sequence[Task]]") -> "Iterator[tuple[Sequence[Task], Looks]]":
    """Each row of tasks with its images, each image decoded once per row.

    Raises:
        UserError: An image cannot be read.
    """
    with ThreadPoolExecutor(_DECODERS) as pool:
        waiting: deque[tuple[Sequence[Task], Future[Looks]]] = deque()
        try:
            for row in rows:
                pictures = {picture.digest: picture for task in row for picture in task.item}
                waiting.append((row, pool.submit(_look, list(pictures.values()))))
                if len(waiting) > _AHEAD:
                    first, looks = waiting.popleft()
                    yield first, looks.result()
            while waiting:
                first, looks = waiting.popleft()
                yield first, looks.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _look(pictures: "Sequence[Picture]") -> Looks:
    return {picture.digest: picture.look() for picture in pictures}
