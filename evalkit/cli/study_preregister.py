"""`evalkit study preregister`: the plan of a study as a document to register, before anybody has taken part."""

from pathlib import Path

import click

from evalkit.cli.messages import warn
from studies.design import PLACEHOLDER


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def preregister(folder: Path) -> None:
    """Write the preregistration of the study in FOLDER to the standard output, in Markdown, by the OSF template.

    What study.toml decides stands in it; what only its authors can know is marked TO BE FILLED IN.
    """
    from evalkit.cli.preregistration import gather, render

    found = gather(folder)
    text = render(found)
    for warning in found.warnings:
        warn(warning)
    open_points = text.count(PLACEHOLDER)
    if open_points:
        warn(f"{open_points} places are marked {PLACEHOLDER!r}: only you can fill them in.")
    click.echo(text, nl=False)
