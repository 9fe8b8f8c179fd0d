"""Decoding a little ahead of the extractors, in threads."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from evalkit.metrics.base import Array

if TYPE_CHECKING:
    from evalkit.metrics.extract import Task

Look = tuple[Array, tuple[str, ...]]
"""Pixels, and what was done to them."""
Looks = dict[str, Look]
"""By a picture's digest."""
_Coming = dict[str, Future[Look]]

_DECODERS = 4
_AHEAD = 32
"""Images, of the rows begun, that are decoded before their turn; bounds the memory."""


def decoded(rows: "Sequence[Sequence[Task]]") -> "Iterator[tuple[Sequence[Task], Looks]]":
    """Each row of tasks with its images, each image decoded once per row.

    Raises:
        UserError: An image cannot be read.
    """
    with ThreadPoolExecutor(_DECODERS) as pool:
        waiting: deque[tuple[Sequence[Task], _Coming]] = deque()
        ahead = 0
        try:
            for row in rows:
                pictures = {picture.digest: picture for task in row for picture in task.item}
                coming = {digest: pool.submit(picture.look) for digest, picture in pictures.items()}
                waiting.append((row, coming))
                ahead += len(coming)
                # One row, however long, is always on its way while another is worked on.
                while ahead > _AHEAD and len(waiting) > 1:
                    ahead -= len(waiting[0][1])
                    yield _come(*waiting.popleft())
            while waiting:
                yield _come(*waiting.popleft())
        finally:
            for _, coming in waiting:
                for future in coming.values():
                    future.cancel()


def _come(row: "Sequence[Task]", coming: _Coming) -> "tuple[Sequence[Task], Looks]":
    return row, {digest: future.result() for digest, future in coming.items()}
