"""`evalkit data`: datasets known by name."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from evalkit.cli.messages import progress_bar, say

FILE_WIDTH = 110
"""Columns of the table where it does not go to a terminal."""


@click.group()
def data() -> None:
    """Datasets known by name; a name may stand wherever a dataset's path may."""


@data.command("list")
def list_datasets() -> None:
    """Show the names, what lies behind them and what is here."""
    from generators.data.locations import ARCHIVES, TOY, TOY_TEST_IMAGES, TOY_TRAIN_IMAGES, data_folder

    folder = data_folder()
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("name", "what"):
        table.add_column(heading)
    for heading in ("images", "download"):
        table.add_column(heading, justify="right")
    table.add_column("here")
    toy_count = f"{TOY_TRAIN_IMAGES} + {TOY_TEST_IMAGES} test"
    drawn = any(folder.glob(f"{TOY}-*"))
    table.add_row(TOY, "A labels, B photos, made up", toy_count, "drawn", "yes" if drawn else "")
    for name, archive in ARCHIVES.items():
        size = "" if archive.megabytes is None else f"{archive.megabytes:,} MB"
        table.add_row(name, archive.what, archive.images, size, "yes" if (folder / name).is_dir() else "")
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_WIDTH)
    console.print(table)
    click.echo(f"In {folder} (EVALKIT_DATA names another place).")
    click.echo("Images: for training, as the publishers count them (A + B where they differ).")


@data.command("get")
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="For all datasets; else EVALKIT_DATA, else ~/.cache/evalkit/data.",
)
def get_dataset(name: str, folder: Path | None) -> None:
    """Fetch the dataset NAME, or continue where that broke off; prints its folder."""
    from generators.data.downloads import get
    from generators.data.locations import data_folder

    with progress_bar(f"{name}, MB") as advance:
        place = get(
            name,
            folder or data_folder(),
            lambda done, total: advance(done // 10**6, None if total is None else total // 10**6),
        )
    if folder is not None:
        say(f"It lies outside {data_folder()}: give its path, not its name, to other commands.")
    click.echo(place)
