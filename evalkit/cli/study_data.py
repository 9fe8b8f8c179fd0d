"""`evalkit study status`, `export` and `amend`."""

import dataclasses
import json
import time
from contextlib import suppress
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from evalkit.cli.data_kind import data_option, hosted_data
from evalkit.cli.messages import say
from studies.records import DataKind
from webapp import admin, freeze
from webapp import export as exporting
from webapp.config import server_config
from webapp.hosting import HostedStudy, check_places, host
from webapp.planning import PlanningFigures, in_words, planning_figures

WATCH_EVERY_S = 3.0


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--watch", is_flag=True, help="Renew it every few seconds, until Ctrl-C.")
def status(folder: Path, data: DataKind | None, as_json: bool, watch: bool) -> None:
    """How far each algorithm of the study in FOLDER has come."""
    hosted = hosted_data(folder, data, served=True)
    if as_json:
        rows = [dataclasses.asdict(row) for row in admin.condition_statuses(hosted)]
        arrivals = admin.arrival_counts(hosted)
        state = admin.running(hosted).state
        planning = dataclasses.asdict(_planning(hosted))
        found = {"data": hosted.data, "state": state, "conditions": rows, "arrivals": arrivals}
        click.echo(json.dumps({**found, "planning": planning}))
        return
    console = Console()
    if not (watch and console.is_terminal):
        console.print(_overview(hosted))
        return
    with suppress(KeyboardInterrupt), Live(_overview(hosted), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_EVERY_S)
            live.update(_overview(hosted), refresh=True)


def _overview(hosted: HostedStudy) -> Group:
    statuses, arrivals = admin.condition_statuses(hosted), admin.arrival_counts(hosted)
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
    came = ", ".join(f"{count} {outcome}" for outcome, count in arrivals.items()) or "none"
    state = admin.running(hosted).state
    lines = [f"Arrivals: {came}", *([f"The study is {state}."] if state != "open" else [])]
    if hosted.data == "pilot":
        lines += in_words(_planning(hosted), hosted.study.recruitment.currency)
    return Group(table, *(Text(line, overflow="fold") for line in lines))


def _planning(hosted: HostedStudy) -> PlanningFigures:
    return planning_figures(
        hosted.study, exporting.responses(hosted), exporting.sessions(hosted), exporting.arrivals(hosted)
    )


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
def export(folder: Path, data: DataKind | None) -> None:
    """Write responses.csv, sessions.csv, arrivals.csv and admin_acts.csv of the study in FOLDER."""
    hosted = hosted_data(folder, data)
    early = "" if admin.running(hosted).revealed else " Before the fool rates were due."
    admin.record_act(hosted, "command line", "export", f"The data were exported.{early}")
    path, rows = exporting.export(hosted)
    say(f"{rows} responses; sessions.csv, arrivals.csv and admin_acts.csv lie beside them.")
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
