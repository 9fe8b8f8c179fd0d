"""`evalkit analyze` and `evalkit report`."""

from pathlib import Path

import click

from evalkit.cli.data_kind import data_option, hosted_data
from studies.records import DataKind
from webapp.export import export
from webapp.hosting import HostedStudy
from webapp.sessions import check_unchanged


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
def analyze(folder: Path, data: DataKind | None) -> None:
    """Estimate what the study in FOLDER planned; exports the responses first."""
    click.echo(run_analysis(folder, data))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
def report(folder: Path, data: DataKind | None) -> None:
    """Write the report of the study in FOLDER, from fresh estimates."""
    click.echo(run_report(folder, data))


def run_analysis(folder: Path, data: DataKind | None) -> Path:
    """Export, then analyse; returns the path of estimates.jsonl."""
    return _analyse(hosted_data(folder, data))


def run_report(folder: Path, data: DataKind | None) -> Path:
    """Export, analyse, report; returns the path of report.html."""
    from evalkit.report import write_report

    hosted = hosted_data(folder, data)
    _analyse(hosted)
    return write_report(folder, hosted.data)


def _analyse(hosted: HostedStudy) -> Path:
    from evalkit.analyses import analyze as analyze_study

    check_unchanged(hosted)  # else a study that nobody met would lend its name to the numbers
    export(hosted)
    return analyze_study(hosted.config.folder, hosted.data)
