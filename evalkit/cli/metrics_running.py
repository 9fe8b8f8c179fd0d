"""How a pass of `evalkit metrics` is shown, shared by several processes, and foretold."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from evalkit.cli.messages import say
from evalkit.cli.metrics_inputs import Asked, Task
from evalkit.metrics.base import Statistics
from evalkit.metrics.extract import Progress
from evalkit.metrics.pictures import PictureSet
from evalkit.metrics.scoring import score_sets
from studies.errors import UserError

if TYPE_CHECKING:
    from generators.training_loop import Hardware

_LINE_EVERY_S = 60.0
_PEER_WAIT_S = 3.0
_TIMED = (4, 12)
"""Images per set in the two tries of an estimate; their difference leaves out what is done once."""


@contextmanager
def scoring_bar() -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr with images per second and time left; without a terminal, a line at each quarter and each minute."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[told]}"))
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("Images", total=None, told="")
        quarters, said = 0, time.monotonic()

        def show(progress: Progress) -> None:
            nonlocal quarters, said
            told = _told(progress)
            bars.update(task, completed=progress.done, total=progress.total, told=told)
            before, quarters = quarters, 4 * progress.done // max(progress.total, 1)
            if bars.disable and (quarters > before or time.monotonic() - said > _LINE_EVERY_S):
                said = time.monotonic()
                say(f"  {told}")

        yield show


def _told(progress: Progress) -> str:
    text = f"{progress.done:,} of {progress.total:,} images, {progress.images_per_second:.3g} images/s"
    return text if progress.done >= progress.total else f"{text}, {duration(progress.seconds_left)} left"


def duration(seconds: float) -> str:
    """`3 h 20 min`, `4 min`, `50 s`."""
    if seconds == float("inf"):
        return "unknown time"
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def inside_team() -> bool:
    """Whether this is one of several processes that torchrun has started."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def in_processes(asked: Asked, words: Sequence[str]) -> int:
    """Run the same command once per device; 0, or 1 if one of them failed.

    Raises:
        UserError: There are not so many devices.
    """
    from generators.training_loop import run_in_processes

    command = ["evalkit.cli", "metrics", *words]
    return run_in_processes(_hardware(asked), command, asked.node_rank, asked.master)


def _hardware(asked: Asked) -> "Hardware":
    import torch

    from generators.training_loop import Hardware

    hardware = Hardware(asked.devices, asked.nodes, asked.accelerator)
    there = torch.cuda.device_count()
    if hardware.device_type == "cuda" and asked.devices > there:
        raise UserError(
            f"--devices {asked.devices}: this machine has {there} CUDA devices. --accelerator cpu uses the CPU."
        )
    return hardware


@contextmanager
def first_process_speaks() -> Iterator[None]:
    """Of several processes that meet the same error only the first is heard."""
    try:
        yield
    except UserError:
        if inside_team() and int(os.environ.get("RANK", "0")):
            time.sleep(_PEER_WAIT_S)  # torchrun ends this process as soon as the first one has failed
        raise


def estimate_seconds(task: Task) -> float:
    """How long scoring takes that finds nothing in the cache, from a few images of each of two sets.

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
    return took[0] + per_image * count_images(task)


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
