"""`evalkit weights`: pretrained files, where they are looked for and how to bring them."""

import click
from rich.console import Console
from rich.table import Table

from evalkit.cli.messages import progress_bar, warn

FILE_WIDTH = 110
"""Columns of the table where it does not go to a terminal."""


@click.group(invoke_without_command=True)
@click.pass_context
def weights(context: click.Context) -> None:
    """Show the pretrained files that metrics and losses use, and what is here of them."""
    if context.invoked_subcommand is None:
        _show()


@weights.command("get")
@click.argument("name")
def get_weights(name: str) -> None:
    """Download the file NAME, if it is not there, to where it is looked for; prints its path."""
    from evalkit.metrics.weights import bring, note

    with progress_bar(f"{name}, MB") as advance:
        path = bring(
            name, lambda done, total: advance(done // 10**6, None if total is None else total // 10**6)
        )
    if other := note(name):
        warn(f"{path}: {other}. It is left as it is; delete it and run this again for the published file.")
    click.echo(path)


def _show() -> None:
    from evalkit.metrics.weights import WEIGHTS, folder, how_to_bring, is_there, note

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("name", "for", "file"):
        table.add_column(heading, overflow="fold")
    table.add_column("download", justify="right")
    for heading in ("here", "published"):
        table.add_column(heading)
    notes = []
    for name, file in WEIGHTS.items():
        here = is_there(name)
        other = note(name) if here else ""
        table.add_row(
            name,
            file.needed_for,
            file.file_name,
            f"{file.megabytes} MB",
            "yes" if here else "no",
            "" if not here else "no" if other else "yes",
        )
        if other:
            notes.append(f"{name}: {other}")
        elif not here:
            notes.append(how_to_bring(name))
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_WIDTH)
    console.print(table)
    click.echo(
        f"In {folder()} (TORCH_HOME names another place; torch.hub, pytorch-fid and lpips look there too)."
    )
    click.echo("The heads of LPIPS come with the lpips package. Sources and licences:")
    for file in WEIGHTS.values():
        click.echo(f"  {file.title}: {file.source}.")
    for line in notes:
        click.echo(line)
