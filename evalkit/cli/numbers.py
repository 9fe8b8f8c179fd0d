"""`evalkit analyze` and `evalkit report`."""

from collections.abc import Sequence
from pathlib import Path

import click

from evalkit.cli.data_kind import data_option, hosted_data, is_imported
from evalkit.cli.messages import say, telling_bar
from studies.design import load_study
from studies.records import IMPORTED, DataKind

also_option = click.option(
    "--also",
    multiple=True,
    metavar="NAME,NAME",
    callback=lambda _context, _option, given: tuple(
        dict.fromkeys(name.strip() for text in given for name in text.split(",") if name.strip())
    ),
    help="Analyses that the study did not plan; their numbers are marked as unplanned. Repeatable.",
)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
@also_option
@click.option("--json", "as_json", is_flag=True, help="Print the records as one JSON list, and no page.")
def analyze(folder: Path, data: DataKind | None, also: tuple[str, ...], as_json: bool) -> None:
    """Estimate what the study in FOLDER planned; exports the responses first.

    The page goes to stderr, the path of the records to stdout.
    """
    path = run_analysis(folder, data, also)
    if as_json:
        click.echo(f"[{','.join(path.read_text(encoding='utf-8').splitlines())}]")
        return
    from evalkit.cli.estimate_table import show_estimates
    from evalkit.results import read_results

    show_estimates(read_results(path))
    click.echo(path)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
@also_option
def report(folder: Path, data: DataKind | None, also: tuple[str, ...]) -> None:
    """Write the report of the study in FOLDER, from fresh estimates."""
    click.echo(run_report(folder, data, also))


def run_analysis(folder: Path, data: DataKind | None, also: Sequence[str] = ()) -> Path:
    """Export, then analyse; returns the path of estimates.jsonl."""
    from evalkit.analyses import analyze as analyze_study

    folder, kind = _exported(folder, data)
    with telling_bar("Analysis", each_quarter=False) as show:
        path = analyze_study(folder, kind, also, show)
    for name in load_study(folder).analysis.planned:
        if name in also:
            say(f"--also {name}: the study planned it anyway.")
    return path


def run_report(folder: Path, data: DataKind | None, also: Sequence[str] = ()) -> Path:
    """Export, analyse, report; returns the path of report.html."""
    from evalkit.analyses import analyze as analyze_study
    from evalkit.report import write_report

    folder, kind = _exported(folder, data)
    with telling_bar("Analysis", each_quarter=False) as show:
        analyze_study(folder, kind, also, show)
    return write_report(folder, kind)


def _exported(folder: Path, data: DataKind | None) -> tuple[Path, DataKind]:
    """The study's folder, and the kind of data that lies in it now as files."""
    if is_imported(folder, data):
        return folder, IMPORTED
    from webapp.export import export  # not above: imported answers need no server
    from webapp.sessions import check_unchanged

    hosted = hosted_data(folder, data)
    check_unchanged(hosted)  # else a study that nobody met would lend its name to the numbers
    export(hosted)
    return hosted.config.folder, hosted.data
