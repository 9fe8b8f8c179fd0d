"""Which data a command is about: what the user says, else live, else what there is."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.messages import say
from studies.design import load_study
from studies.errors import UserError
from studies.records import DATA_KINDS, IMPORTED, DataKind

if TYPE_CHECKING:
    from webapp.hosting import HostedStudy

data_option = click.option(
    "--data",
    type=click.Choice((*DATA_KINDS, IMPORTED)),
    help="Which data; without it live, or what there is.",
)


def is_imported(folder: Path, data: DataKind | None) -> bool:
    """Whether the answers were imported: they lie in `imported/`, there is no database to export them from.

    Raises:
        UserError: Other data were asked for than the study can have.
    """
    imported = load_study(folder).imported
    if imported is not None and data not in (None, IMPORTED):
        raise UserError(
            f"{folder}: its answers were imported from {imported.file}, so there are no {data} data. Leave out --data."
        )
    if imported is None and data == IMPORTED:
        raise UserError(
            f"{folder}: nothing was imported into this study. `evalkit study import` makes a study of its own from a file."
        )
    return imported is not None


def hosted_data(folder: Path, data: DataKind | None, *, served: bool = False) -> "HostedStudy":
    """The study with the data that was asked for, or that there is; says so where it is not live.

    Args:
        folder: The study.
        data: What was asked for; None = live, or what there is.
        served: Whether data that are only waited for will do: a server has been started, nobody has come yet.

    Raises:
        UserError: Nobody has taken part yet.
    """
    if is_imported(folder, data):
        raise UserError(
            f"{folder}: these answers were imported, so there is no server and no database. `evalkit analyze` and "
            "`evalkit report` are for such a study."
        )
    from webapp.config import reading_config
    from webapp.hosting import count_sessions, host, was_served

    kinds = [data] if data else DATA_KINDS
    read = host(reading_config(folder, kinds[0]), verify=False)
    for kind in kinds:
        hosted = dataclasses.replace(read, config=dataclasses.replace(read.config, data=kind))
        if count_sessions(hosted) or (served and was_served(hosted)):
            if data is None and kind != "live":
                say(f"No live data yet: this is {kind.upper()} data.")
            return hosted
    raise UserError(
        f"{folder}: nobody has taken part yet{f' in {data} data' if data else ''}. `evalkit study serve {folder}` is "
        f"for people, `evalkit study simulate {folder}` for a rehearsal."
    )
