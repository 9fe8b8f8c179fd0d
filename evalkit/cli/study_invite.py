"""`evalkit study invite`: single-use links for a lab's own participants."""

import os
import secrets
from pathlib import Path

import click

from evalkit.cli.messages import say, warn
from studies.errors import UserError
from webapp import invites
from webapp.config import server_config
from webapp.freeze import iso
from webapp.hosting import HostedStudy, check_places, host

DEFAULT_URL = "http://127.0.0.1:8000"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1, 100_000), help="How many links to make.")
@click.option(
    "--url", help=f"The study's public address (https://study.example.org); without it {DEFAULT_URL}."
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the links here, one per line."
)
@click.option("--list", "listed", is_flag=True, help="Show how many links were made and used; makes none.")
@click.option("--pilot", is_flag=True, help="For `serve --pilot`.")
def invite(
    folder: Path, count: int | None, url: str | None, out: Path | None, listed: bool, pilot: bool
) -> None:
    """Make single-use links for the study in FOLDER; each one lets one person take part once."""
    if (count is None) == (not listed):
        raise UserError("Say --count N to make links, or --list to see what became of those made before.")
    if url is not None and not url.startswith(("http://", "https://")):
        raise UserError(f"--url {url}: write the whole address, for example https://{url}.")
    if out is not None and out.exists():
        raise UserError(f"{out}: is there already; links that were made before are not overwritten.")
    hosted = host(server_config(folder, "pilot" if pilot else "live"), verify=False)
    try:
        if count is None:
            _list(hosted)
        else:
            _make(hosted, count, (url or DEFAULT_URL).rstrip("/"), out)
    finally:
        hosted.database.close()


def _make(hosted: HostedStudy, count: int, base: str, out: Path | None) -> None:
    settings = hosted.study.recruitment
    if settings.name != "direct":
        raise UserError(
            f"{hosted.config.folder}/study.toml: [recruitment] name = {settings.name!r}: links are made for direct only."
        )
    check_places(hosted)  # and that this is the study's own secret key
    if not settings.invites_only:
        warn(
            "the study is open to anybody with its plain link, too. [recruitment] invites_only = true in study.toml "
            "leaves only these links."
        )
    if base == DEFAULT_URL:
        warn(
            f"the links lead to {DEFAULT_URL}, which only this computer can open; --url names the public address."
        )
    links = [f"{base}/?invite={code}\n" for code in invites.create(hosted, count)]
    say(
        f"{count} single-use links for {hosted.data} data. They are not kept here: store them, send each to one person."
    )
    if out is None:
        click.echo("".join(links), nl=False)
        return
    partial = out.with_name(f".{out.name}.{secrets.token_hex(8)}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.writelines(links)
    partial.rename(out)
    click.echo(out)


def _list(hosted: HostedStudy) -> None:
    made = invites.batches(hosted)
    for batch in made:
        click.echo(f"{iso(batch.created_at)[:19]}Z  {batch.made} made  {batch.used} used")
    total, used = sum(batch.made for batch in made), sum(batch.used for batch in made)
    click.echo(f"{hosted.data}: {total} links, {used} used, {total - used} unused")
