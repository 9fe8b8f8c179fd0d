"""`evalkit study status`, `export` and `amend`."""

import dataclasses
import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from evalkit.cli.data_kind import data_option, hosted_data
from evalkit.cli.messages import say
from studies.records import DataKind
from webapp import admin, freeze
from webapp import export as exporting
from webapp.config import server_config
from webapp.hosting import check_places, host


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(folder: Path, data: DataKind | None, as_json: bool) -> None:
    """How far each algorithm of the study in FOLDER has come."""
    hosted = hosted_data(folder, data)
    statuses, arrivals = admin.condition_statuses(hosted), admin.arrival_counts(hosted)
    if as_json:
        rows = [dataclasses.asdict(row) for row in statuses]
        click.echo(json.dumps({"data": hosted.data, "conditions": rows, "arrivals": arrivals}))
        return
    table = Table(
        title=f"{hosted.study.id}: {hosted.data} data",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),  # fits a terminal of 80 columns
    )
    table.add_column("algorithm")
    for heading in ("finished", "started", "active", "left", "expired", "answers", "void", "missing"):
        table.add_column(heading, justify="right")
    for row in statuses:
        numbers = (row.started, row.active, row.stopped, row.expired, row.answers, row.void, row.missing)
        table.add_row(row.condition or "all, mixed", f"{row.finished}/{row.quota}", *map(str, numbers))
    Console().print(table)
    click.echo(
        "Arrivals: " + (", ".join(f"{count} {outcome}" for outcome, count in arrivals.items()) or "none")
    )


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
def export(folder: Path, data: DataKind | None) -> None:
    """Write responses.csv, sessions.csv and arrivals.csv of the study in FOLDER."""
    path, rows = exporting.export(hosted_data(folder, data))
    say(f"{rows} responses; sessions.csv and arrivals.csv lie beside them.")
    click.echo(path)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--reason", required=True, help="Why the study changed; the report prints it.")
def amend(folder: Path, reason: str) -> None:
    """Record why the frozen study in FOLDER changed: a dated deviation."""
    config = server_config(folder, "live")
    freeze.require_frozen(folder)
    hosted = host(config)
    check_places(hosted)
    differences = freeze.amend(folder, hosted.study, hosted.bundle, reason, hosted.clock())
    say(f"Recorded a dated deviation: {', '.join(differences)}.")
    click.echo(folder / freeze.AMENDMENTS)
