"""`evalkit study check`: everything that should be right before participants come."""

import dataclasses
import json
import sys
from pathlib import Path

import click

from evalkit.cli.messages import say
from evalkit.cli.preflight import check_folder
from evalkit.cli.preflight_item import Item
from evalkit.cli.preflight_url import check_address
from studies.errors import UserError

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--url", help="Public address of a preview server: a whole session is taken there, over the network."
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def check(folder: Path, url: str | None, as_json: bool) -> None:
    """Look at everything that should be right before participants come; exit 1 if something is not."""
    if url is not None and not url.startswith(("http://", "https://")):
        raise UserError(f"--url {url}: write the whole address, for example https://{url}.")
    items = []
    for item in check_folder(folder):
        items.append(item)
        _show(item, as_json)
    if url is not None and not (items[0].name == "study.toml" and items[0].state == "fail"):
        for item in check_address(folder, url):
            items.append(item)
            _show(item, as_json)
    counts = {state: sum(item.state == state for item in items) for state in COLOURS}
    if as_json:
        click.echo(
            json.dumps({"ok": counts["fail"] == 0, "items": [dataclasses.asdict(item) for item in items]})
        )
    else:
        say(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} that must be put right.")
    if counts["fail"]:
        sys.exit(1)


def _show(item: Item, as_json: bool) -> None:
    if not as_json:
        state = click.style(f"{item.state:4}", fg=COLOURS[item.state], bold=item.state != "ok")
        click.echo(f"{state}  {item.name:15} {item.text}")
