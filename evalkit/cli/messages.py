"""What the command line tells people; everything but results goes to stderr."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_LINE_EVERY_S = 60.0


def say(text: str) -> None:
    """A line of information."""
    click.echo(text, err=True)


def warn(text: str) -> None:
    """A line that deserves attention."""
    click.echo(f"{click.style('Warning', fg='yellow', bold=True)}: {text}", err=True)


def duration(seconds: float) -> str:
    """`2 d 3 h`, `3 h 20 min`, `4 min`, `50 s`."""
    if seconds == float("inf"):
        return "unknown time"
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def inside_team() -> bool:
    """Whether this is one of several processes that torchrun has started; asked without importing torch."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first_process() -> bool:
    """Whether this process speaks: of several that torchrun started for one command only the first does."""
    return not inside_team() or os.environ.get("RANK", "0") == "0"


class Advance:
    """Moves a progress bar on; without a terminal, prints a line at every quarter of the way."""

    def __init__(self, progress: Progress, label: str, total: int | None) -> None:
        self._progress, self._label, self._total, self._done = progress, label, total, 0
        self._task = progress.add_task(label, total=total)

    def __call__(self, done: int | None = None, total: int | None = None) -> None:
        """One step, or to `done` of `total`."""
        before, self._done = self._done, self._done + 1 if done is None else done
        self._total = total or self._total
        self._progress.update(self._task, completed=self._done, total=self._total)
        if (
            self._progress.disable
            and self._total
            and 4 * self._done // self._total > 4 * before // self._total
        ):
            say(f"  {self._label}: {self._done} of {self._total}")


@contextmanager
def progress_bar(label: str, total: int | None = None) -> Iterator[Advance]:
    """A bar with count, elapsed and remaining time, on stderr."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Advance(progress, label, total)


@contextmanager
def telling_bar(
    label: str, first: str = "", *, each_quarter: bool = True
) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr with words of its own; without a terminal, a line each minute and, if wanted, at each quarter.

    Gives a function of how much is done, of how much, and the words.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(label, total=None, told=first)
        quarters, said = 0, time.monotonic()

        def show(done: int, total: int, told: str) -> None:
            nonlocal quarters, said
            bars.update(task, completed=done, total=total, told=told)
            before, quarters = quarters, 4 * done // max(total, 1)
            if bars.disable and (
                (each_quarter and quarters > before) or time.monotonic() - said > _LINE_EVERY_S
            ):
                said = time.monotonic()
                say(f"  {label}: {told}")

        yield show
