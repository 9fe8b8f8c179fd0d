"""What the command line tells people; everything but results goes to stderr."""

from collections.abc import Iterator
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


def say(text: str) -> None:
    """A line of information."""
    click.echo(text, err=True)


def warn(text: str) -> None:
    """A line that deserves attention."""
    click.echo(f"{click.style('Warning', fg='yellow', bold=True)}: {text}", err=True)


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
