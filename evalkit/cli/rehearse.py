"""`evalkit rehearse`: this very study, run before its first participant."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.messages import duration, say, telling_bar, warn
from studies.design import Study, load_study
from studies.errors import UserError

if TYPE_CHECKING:
    from evalkit.rehearsal.assumptions import Range


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--studies", type=click.IntRange(2, 1_000_000), default=1000, show_default=True, help="Per grid point."
)
@click.option(
    "--grid", type=click.Choice(["small", "full"]), default="small", show_default=True,
    help="small: all variances low, middle, high; full: every combination.",
)  # fmt: skip
@click.option(
    "--pilot", type=click.Path(path_type=Path), metavar="STUDY",
    help="Take the variances and the rate from the pilot data of this study folder.",
)  # fmt: skip
@click.option(
    "--slow-studies", type=click.IntRange(0, 100_000), default=50, show_default=True,
    help="Studies through the planned analyses that resample or fit a model.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--processes", type=click.IntRange(1), default=2, show_default=True)
def rehearse(
    folder: Path, studies: int, grid: str, pilot: Path | None, slow_studies: int, seed: int, processes: int
) -> None:
    """Run the study in FOLDER many times with simulated people, through its own plan and planned analyses.

    Prints how well its intervals cover, how often it sees what is not there or misses what is, what it costs, and which
    change would buy most; writes rehearsal.jsonl. Ctrl-C keeps the grid points that are done.
    """
    from evalkit.rehearsal.certificate import FILE, read
    from evalkit.rehearsal.rehearse import Plan
    from evalkit.rehearsal.rehearse import rehearse as run
    from evalkit.rehearsal.words import text_lines

    study = load_study(folder)
    if study.imported is not None:
        raise UserError(
            f"{folder}: its answers were imported, so they are there already; nothing is left to rehearse. As a pilot of a study to "
            f"come they serve `evalkit power --pilot {shlex.quote(str(folder))}`."
        )
    study, range_ = _range(study, pilot)
    plan = Plan(studies, slow_studies, grid == "full", seed, processes)
    try:
        with telling_bar("Rehearsal", "drawing the plan") as show:
            outcome = run(
                study,
                folder,
                range_,
                plan,
                lambda done, total, told: show(done, total, f"{done} of {total} studies ({told})"),
            )
    except KeyboardInterrupt:
        raise UserError("Stopped before the first grid point was done; nothing was written.") from None
    if outcome.interrupted:
        warn("Stopped; the grid points that were done are kept.")
    rehearsed = read(folder)
    assert rehearsed is not None
    for line in text_lines(rehearsed.found):
        say(line)
    if outcome.seconds_per_point:
        mean = sum(outcome.seconds_per_point) / len(outcome.seconds_per_point)
        say(f"{duration(mean)} per grid point. Next: evalkit study preregister {shlex.quote(str(folder))}")
    click.echo(folder / FILE)


def _range(study: Study, pilot: Path | None) -> tuple[Study, "Range"]:
    """The grid, and the study with the pilot's rate if there is a pilot."""
    from evalkit.rehearsal.assumptions import from_settings
    from evalkit.rehearsal.pilot import from_pilot

    if pilot is None:
        return study, from_settings(study.rehearsal)
    range_ = from_pilot(pilot)
    rehearsal = study.rehearsal.model_copy(update={"rate": range_.rate})
    return study.model_copy(update={"rehearsal": rehearsal}), range_
