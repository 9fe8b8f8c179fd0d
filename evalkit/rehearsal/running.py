"""Runs simulated studies on several processes; the same seed gives the same studies however they are divided."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager

from evalkit.rehearsal.assumptions import GridPoint
from evalkit.rehearsal.places import Places
from evalkit.rehearsal.studies import ALL_HALF, DIFFERENT, EQUAL, EQUAL_LOSSES, Batch, join, simulate
from studies.design import Study

CHUNK = 20
"""Studies that a process does at a time."""
_SCENARIOS = (EQUAL, DIFFERENT, ALL_HALF, EQUAL_LOSSES)

_mine: tuple[Study, Places] | None = None


class Runner:
    """Runs studies of one design."""

    def __init__(
        self,
        study: Study,
        places: Places,
        pool: ProcessPoolExecutor | None,
        seed: int,
        done: Callable[[int], None],
    ) -> None:
        """`done` is told of each finished number of studies; without a pool everything runs here."""
        self.study, self.places, self._pool, self._seed, self._done = study, places, pool, seed, done

    def run(self, point: GridPoint, scenario: str, studies: int) -> Batch:
        """So many studies of one scenario at one grid point."""
        seeds = [self._entropy(point, scenario, number) for number in range(studies)]
        chunks = [seeds[start : start + CHUNK] for start in range(0, studies, CHUNK)]
        if self._pool is None:
            batches = []
            for chunk in chunks:
                batches.append(simulate(self.study, self.places, point, scenario, chunk))
                self._done(len(chunk))
            return join(batches)
        futures = {self._pool.submit(_simulate, point, scenario, chunk): chunk for chunk in chunks}
        for future in as_completed(futures):
            future.result()
            self._done(len(futures[future]))
        return join([future.result() for future in futures])

    def _entropy(self, point: GridPoint, scenario: str, number: int) -> tuple[int, ...]:
        deviations = (round(1e6 * sd) for sd in (point.worker_sd, point.image_sd, point.run_sd))
        return (self._seed, self.study.study.seed, *deviations, _SCENARIOS.index(scenario), number)


@contextmanager
def runner(
    study: Study, places: Places, *, seed: int, processes: int, done: Callable[[int], None] = lambda _: None
) -> Iterator[Runner]:
    """A Runner with its processes, which end with the block; an interrupt leaves none behind."""
    if processes < 2:
        yield Runner(study, places, None, seed, done)
        return
    pool = ProcessPoolExecutor(processes, initializer=_begin, initargs=(study, places))
    try:
        yield Runner(study, places, pool, seed, done)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(study: Study, places: Places) -> None:
    global _mine
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _mine = (study, places)


def _simulate(point: GridPoint, scenario: str, seeds: Sequence[Sequence[int]]) -> Batch:
    assert _mine is not None
    return simulate(*_mine, point, scenario, seeds)
