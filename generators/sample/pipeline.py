"""Decoding and saving beside the network's work."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Made = TypeVar("Made")

AHEAD = 2
"""Items per thread that are decoded before the network asks for them, or wait to be saved."""


def overlapped(
    items: Iterable[Item],
    load: Callable[[Item], Loaded],
    work: Callable[[Item, Loaded], Made],
    save: Callable[[Item, Made], None],
    threads: int,
) -> Iterator[Item]:
    """Yield each item once it is saved, in order; `work` runs in this thread, one item at a time.

    Args:
        items: What to do.
        load: Reads one item; runs in threads.
        work: Takes what was loaded; the same calls in the same order as without threads.
        save: Writes one result; runs in threads.
        threads: Of each pool; 0 does everything in turn.

    Raises:
        Exception: The first of any of the three; what was begun is finished, nothing more is begun.
    """
    if threads == 0:
        for item in items:
            save(item, work(item, load(item)))
            yield item
        return
    with ThreadPoolExecutor(threads) as readers, ThreadPoolExecutor(threads) as writers:
        try:
            yield from _run(items, load, work, save, readers, writers, AHEAD * threads)
        finally:
            readers.shutdown(wait=False, cancel_futures=True)
            writers.shutdown(wait=False, cancel_futures=True)


def _run(
    items: Iterable[Item],
    load: Callable[[Item], Loaded],
    work: Callable[[Item, Loaded], Made],
    save: Callable[[Item, Made], None],
    readers: ThreadPoolExecutor,
    writers: ThreadPoolExecutor,
    most: int,
) -> Iterator[Item]:
    left = iter(items)
    reading: deque[tuple[Item, Future[Loaded]]] = deque()
    writing: deque[tuple[Item, Future[None]]] = deque()
    while True:
        while len(reading) < most and (item := next(left, None)) is not None:
            reading.append((item, readers.submit(load, item)))
        if not reading:
            break
        item, loaded = reading.popleft()
        writing.append((item, writers.submit(save, item, work(item, loaded.result()))))
        while len(writing) > most:
            yield _saved(writing)
    while writing:
        yield _saved(writing)


def _saved(writing: deque[tuple[Item, Future[None]]]) -> Item:
    item, done = writing.popleft()
    done.result()
    return item
