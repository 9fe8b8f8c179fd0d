"""How a pass of `evalkit metrics` is shown, shared by several processes, and foretold."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evalkit.cli.messages import duration, is_first_process, telling_bar
from evalkit.cli.metrics_inputs import Asked, Task
from evalkit.metrics import METRICS
from evalkit.metrics.base import Statistics
from evalkit.metrics.extract import Progress
from evalkit.metrics.pictures import PictureSet
from evalkit.metrics.scoring import chosen, score_sets
from studies.errors import UserError

if TYPE_CHECKING:
    from generators.training_loop import Hardware

_PEER_WAIT_S = 3.0
_TIMED = (4, 12)
"""Images per set in the two tries of an estimate; their difference leaves out what is done once."""


@contextmanager
def scoring_bar() -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr with images per second and time left; see `telling_bar`."""
    with telling_bar("Scoring") as show:
        yield lambda progress: show(progress.done, progress.total, _told(progress))


def _told(progress: Progress) -> str:
    text = f"{progress.done:,} of {progress.total:,} images, {progress.images_per_second:.3g} images/s"
    return text if progress.done >= progress.total else f"{text}, {duration(progress.seconds_left)} left"


def in_processes(asked: Asked, words: Sequence[str]) -> int:
    """Run the same command once per device; 0, or 1 if one of them failed.

    Raises:
        UserError: There are not so many devices.
    """
    from generators.training_loop import run_in_processes

    command = ["evalkit.cli", "metrics", *words]
    return run_in_processes(_hardware(asked), command, asked.node_rank, asked.master)


def _hardware(asked: Asked) -> "Hardware":
    from generators.training_loop import Hardware, check_devices

    hardware = Hardware(asked.devices, asked.nodes, asked.accelerator)
    check_devices(hardware)
    return hardware


@contextmanager
def first_process_speaks() -> Iterator[None]:
    """Of several processes that meet the same error only the first is heard."""
    try:
        yield
    except UserError:
        if not is_first_process():
            time.sleep(_PEER_WAIT_S)  # torchrun ends this process as soon as the first one has failed
        raise


def estimate(task: Task) -> tuple[float, tuple[str, ...]]:
    """Roughly how long scoring takes that finds nothing in the cache, from a few images of each of two sets.

    Returns:
        Seconds, and a line for each metric that cannot be computed.

    Raises:
        UserError: One of these images cannot be read, or nothing can be computed.
    """
    took = []
    for count in _TIMED:
        few = _first(task, count)
        began = time.perf_counter()
        scored = score_sets(few.reals, few.candidates, few.names, few.options, labels=few.labels)
        if not scored.scores:
            raise UserError(f"Nothing can be computed. {' '.join(scored.left_out)}")
        took.append(time.perf_counter() - began)
    sides = 1 if isinstance(task.reals, Statistics) else 2
    per_image = max(took[1] - took[0], 0.0) / (sides * (_TIMED[1] - _TIMED[0]))
    return took[0] + per_image * images_read(task), scored.left_out


def images_read(task: Task) -> int:
    """Images that are read, those again that are held against every set of fakes."""
    reals = 0 if isinstance(task.reals, Statistics) else len(task.reals)
    fakes = sum(len(one.fakes) for one in task.candidates)
    paired = any(METRICS[name].paired for name in chosen(task.names))
    return 2 * max(reals, fakes) if paired and reals else reals + fakes


def _first(task: Task, count: int) -> Task:
    """The same with a few images of the first set of fakes, and the real images of their names."""
    candidate = task.candidates[0]
    fakes = dataclasses.replace(candidate.fakes, pictures=candidate.fakes.pictures[:count])
    reals = task.reals
    if isinstance(reals, PictureSet):
        wanted = set(fakes.source_ids)
        named = tuple(picture for picture in reals.pictures if picture.source_id in wanted)
        reals = dataclasses.replace(reals, pictures=named or reals.pictures[:count])
    return dataclasses.replace(task, reals=reals, candidates=(dataclasses.replace(candidate, fakes=fakes),))


def count_images(task: Task) -> int:
    """Of all sets together."""
    reals = 0 if isinstance(task.reals, Statistics) else len(task.reals)
    return reals + sum(len(one.fakes) for one in task.candidates)
