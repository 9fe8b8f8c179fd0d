"""`evalkit study forget`: erase a person who asks for it."""

import dataclasses
import shlex
from pathlib import Path

import click

from evalkit.cli.messages import say, warn
from studies.errors import UserError
from studies.records import DATA_KINDS, DataKind
from webapp import export, forget
from webapp.config import server_config
from webapp.hosting import HostedStudy, host

NUMBERS = ("estimates.jsonl", "report.html")


@click.command(name="forget")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--worker", required=True, help="The id under which the person came, or the code of the invite."
)
@click.option("--data", type=click.Choice(DATA_KINDS), help="Only these data; without it, all kinds.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget_command(folder: Path, worker: str, data: DataKind | None, yes: bool) -> None:
    """Erase a person from the study in FOLDER: the id is gone, the answers go or stay unnamed, as the study says."""
    config = server_config(folder, data or "live")
    read = host(config, verify=False)
    try:
        kinds = [data] if data else DATA_KINDS
        everywhere = [
            dataclasses.replace(read, config=dataclasses.replace(config, data=kind)) for kind in kinds
        ]
        found = [
            (hosted, traces) for hosted in everywhere if (traces := forget.find(hosted, worker)) is not None
        ]
        others = forget.elsewhere(read, worker)
        if not found:
            where = f" in {data} data" if data else ""
            also = f" Known in {', '.join(others)}: forget it there." if others else ""
            raise UserError(f"{folder}: nobody came to this study under that id{where}.{also}")
        _show(found, read.study.ethics.on_request)
        if not yes:
            click.confirm("Erase this person? This cannot be undone.", abort=True, err=True)
        for hosted, _ in found:
            forget.erase(hosted, worker)
            _export_anew(hosted)
        say("Erased. Backups of the database, and copies of exported files, still hold what they held.")
        if others:
            warn(f"the same person took part in {', '.join(others)} (same scope); run forget there, too.")
    finally:
        read.database.close()


def _show(found: list[tuple[HostedStudy, forget.Traces]], mode: str) -> None:
    for hosted, traces in found:
        say(f"{hosted.data}: {traces}")
        if traces.owed:
            warn(
                f"no payment of this {hosted.data} session is recorded; afterwards nobody can be paid for it here."
            )
    if mode == "remove":
        say("All of it goes. The place is free again while the study is open. ([ethics] on_request = remove)")
    else:
        say(
            "Id, payment row and comment go; the answers stay under a random name. The same person could take part "
            "again. ([ethics] on_request = anonymise)"
        )


def _export_anew(hosted: HostedStudy) -> None:
    """Bring exported files up to date where there are any, and say which numbers are not."""
    folder = hosted.config.folder / hosted.data
    if any((folder / name).exists() for name in ("responses.csv", "sessions.csv", "arrivals.csv")):
        path, rows = export.export(hosted)
        say(f"Exported anew: {path} ({rows} rows), sessions.csv and arrivals.csv beside it.")
    if stale := [name for name in NUMBERS if (folder / name).exists()]:
        study = shlex.quote(str(hosted.config.folder))
        say(
            f"{' and '.join(stale)} of {hosted.data} data still count this person: evalkit analyze {study} --data "
            f"{hosted.data}, then evalkit report."
        )
