"""`evalkit study import`: answers that people gave elsewhere -> a study folder to analyse."""

import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from evalkit.cli.messages import say, warn
from studies.importers import Found, Reading, read_amt, read_answers, read_source, read_workers, write_study
from studies.records import Question

Command = TypeVar("Command", bound=Callable[..., Any])

_FILE = click.argument("file", type=click.Path(path_type=Path))
_OUT = click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The study folder to make.",
)
_ORDER = click.option(
    "--order",
    default="",
    metavar="NAME,NAME",
    help="Algorithms that come first, in this order; differences and preferences are of the earlier to the later one.",
)
_MAP = click.option(
    "--map",
    "mapping",
    multiple=True,
    required=True,
    metavar="KEY=COLUMN,...",
    help="What stands in which column; repeatable.",
)
_CONDITION = click.option(
    "--condition",
    default="generated",
    show_default=True,
    help="The algorithm's name, where no column holds it.",
)
_KEEP = click.option(
    "--keep-repeated", is_flag=True, help="Rows that repeat another word for word are answers of their own."
)


@click.group(name="import")
def import_() -> None:
    """Make a study folder from answers that people gave elsewhere; `evalkit analyze` and `report` read it.

    Nothing is guessed: which image is real is read from a column or said by you, an answer that was not given stays
    missing, and rows that are left out are counted.
    """


@import_.command(name="csv")
@_FILE
@_MAP
@_OUT
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV with the column `question` and what is known of each: its columns can be mapped too.",
)
@click.option(
    "--unsure", multiple=True, metavar="VALUE", help='What stands for "not sure", worth one half; repeatable.'
)
@click.option(
    "--question",
    type=click.Choice(["fake", "real"]),
    default="fake",
    show_default=True,
    help="Pairs: which image was asked for.",
)
@_CONDITION
@_ORDER
@_KEEP
def csv_command(
    file: Path,
    mapping: tuple[str, ...],
    out: Path,
    key: Path | None,
    unsure: tuple[str, ...],
    question: Question,
    condition: str,
    order: str,
    keep_repeated: bool,
) -> None:
    """Anyone's answers in FILE, one row each; what --map names tells which kind.

    \b
    Single images:   worker, image, is_fake, said_real
    Real and fake:   worker, fake, real, fake_side, choice
    Two algorithms:  worker, input, left, right, choice
    Any of them:     condition, input, trial, practice, rt_ms, failed_check, unsure, question

    Where each question has a column of its own, write * for what tells them apart: choice=Answer.*; --key says what each
    question showed. failed_check: true, or how many; such workers are excluded by rule, and counted.
    """  # noqa: D301  (click's mark for lines to be kept as they are)
    reading = Reading(unsure, question, condition, _names(order), keep_repeated)
    key_source = read_source(key) if key else None
    found = read_answers(read_source(file), mapping, reading, key_source)
    _finish(found, out)
    if unsure and not any(answer.choice == "unsure" for answer in found.answers):
        warn(f"--unsure {', '.join(unsure)}: no answer says so, so none counts as not sure.")


@import_.command(name="workers")
@_FILE
@_MAP
@_OUT
@_CONDITION
@_ORDER
@_KEEP
def workers_command(
    file: Path, mapping: tuple[str, ...], out: Path, condition: str, order: str, keep_repeated: bool
) -> None:
    """One row per worker in FILE: only what their answers came to is known, and only that is analysed.

    Keys of --map: worker, condition, trials, and error_rate, fool_rate (fakes called real) or error_rate_on_reals, each
    between 0 and 1.
    """
    reading = Reading(condition=condition, order=_names(order), keep_repeated=keep_repeated)
    _finish(read_workers(read_source(file), mapping, reading), out)


@import_.command(name="amt")
@_FILE
@click.option(
    "--real", required=True, metavar="FOLDERNAME", help="Folder of the real images, as the batch names it."
)
@_OUT
@click.option(
    "--practice",
    default=10,
    show_default=True,
    type=click.IntRange(min=0),
    help="Practice trials at the start.",
)
@click.option(
    "--vigilance", default="", metavar="FOLDERNAME", help="Folder of obvious fakes (attention checks)."
)
@_ORDER
@_KEEP
def amt_command(
    file: Path, real: str, out: Path, practice: int, vigilance: str, order: str, keep_repeated: bool
) -> None:
    """Batch results of phillipi/AMT_Real_vs_Fake in FILE, of either branch; the algorithms are the other folders."""
    reading = Reading(order=_names(order), keep_repeated=keep_repeated)
    _finish(read_amt(read_source(file), real, practice, reading, vigilance), out)


def _names(order: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in order.split(",") if name.strip())


def _finish(found: Found, out: Path) -> None:
    """Write the folder and say what became of every row."""
    write_study(found, out)
    say(f"{found.source.name}: {found.source.size} rows; {_contents(found)}.")
    for reason, count in found.dropped.items():
        say(f"  left out: {count} ({reason})")
    if found.answers:
        _tell_answers(found)
    for name, written in found.conditions.items():
        if name != written:
            say(f"  {written!r} is called {name!r} here")
    for note in found.notes:
        warn(note)
    say(f"Wrote {out / 'study.toml'}. Then:")
    say(f"  evalkit analyze {shlex.quote(str(out))}")
    click.echo(out)


def _contents(found: Found) -> str:
    algorithms = f"{len(found.conditions)} algorithm{'s' if len(found.conditions) > 1 else ''}"
    if not found.answers:
        return f"{len(found.workers)} workers, {algorithms}"
    images = len({shown.image for answer in found.answers for shown in answer.shown})
    sessions = len({answer.session for answer in found.answers})
    return f"{len(found.answers)} trials of {len(found.workers)} workers in {sessions} sessions, {images} images, {algorithms}"


def _tell_answers(found: Found) -> None:
    phases = Counter(answer.phase for answer in found.answers)
    for phase in ("practice", "check"):
        if phases[phase]:
            say(f"  {phases[phase]} of them {'practice' if phase == 'practice' else 'attention checks'}")
    say(f"  missing: {found.missing} answers; they are never scored")
    unsure = sum(answer.choice == "unsure" for answer in found.answers)
    if unsure:
        say(f'  "not sure": {unsure} answers; each counts one half')
    failed = sum(bool(count) for count in found.failed_checks.values())
    if found.failed_checks:
        unknown = sum(count is None for count in found.failed_checks.values())
        told = f"; of {unknown} it is not known" if unknown else ""
        say(
            f"  attention checks: {failed} workers failed and are excluded by [exclusions] max_failed_checks = 0{told}"
        )
    if found.protocol == "two_afc":
        say(
            f'  the question was: which image is {found.question}? (--question; for an AMT batch always "fake")'
        )
