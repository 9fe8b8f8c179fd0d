"""`evalkit study serve` and `preview`: the study in a browser."""

from pathlib import Path

import click

from evalkit.cli.messages import say, warn
from evalkit.cli.server_lock import only_server
from studies.errors import UserError
from studies.records import DataKind
from webapp import freeze
from webapp.config import ServerConfig, server_config
from webapp.hosting import HostedStudy, check_places, host, prepare
from webapp.identity import dashboard_key
from webapp.recruitment import recruiter_of
from webapp.sessions import keep_freeze


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--host", "host_name", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--url", help="The public address, where a proxy stands in front (https://study.example.org).")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Server processes.")
@click.option("--pilot", is_flag=True, help="Collect pilot data: kept apart, and does not freeze the study.")
def serve(folder: Path, host_name: str, port: int, url: str | None, workers: int, pilot: bool) -> None:
    """Run the study in FOLDER for real people."""
    if url is not None and not url.startswith(("http://", "https://")):
        raise UserError(f"--url {url}: write the whole address, for example https://{url}.")
    config = server_config(
        folder, "pilot" if pilot else "live", secure_cookies=bool(url and url.startswith("https://"))
    )
    serve_study(config, (host_name, port), url=url, workers=workers)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(1, 65535), default=8001, show_default=True)
def preview(folder: Path, port: int) -> None:
    """Go through a whole session of the study in FOLDER yourself; never counted."""
    serve_study(server_config(folder, "preview"), ("127.0.0.1", port))


def serve_study(
    config: ServerConfig, address: tuple[str, int], *, url: str | None = None, workers: int = 2
) -> None:
    """Check everything that can be checked before the first participant, then serve until stopped.

    Raises:
        UserError: Placeholders stand, the study changed after its freeze, the port or the study is taken, or
            study, bundle or database are not usable.
    """
    from evalkit.cli.server import check_port, run_server

    folder, data = config.folder, config.data
    say("Checking the study ...")
    hosted = host(config)
    if data in ("live", "pilot"):
        _refuse_placeholders(folder, hosted.study.ethics.placeholders())
        keep_freeze(hosted)
        check_places(hosted)
        freeze.check(folder, hosted.study, hosted.bundle)
    check_port(*address)
    with only_server(folder, data):
        prepare(hosted)
        base = (url or f"http://{address[0]}:{address[1]}").rstrip("/")
        run_server(hosted, address, workers=workers, ready=lambda: _tell(hosted, base))


def _refuse_placeholders(folder: Path, keys: list[str]) -> None:
    if keys:
        raise UserError(
            f"{folder}/study.toml: [ethics] {', '.join(keys)} must be filled in before real people take part. Until "
            f"then: evalkit study preview {folder}."
        )


def _tell(hosted: HostedStudy, base: str) -> None:
    config = hosted.config
    data: DataKind = config.data
    link = f"{base}/" if data == "preview" else recruiter_of(hosted.study.recruitment).participant_link(base)
    say(
        f"{data.capitalize()} data of {config.folder} in {'PostgreSQL' if 'postgresql' in config.database_url else 'SQLite'}."
    )
    say(f"Participants: {link}")
    say(f"Dashboard:    {base}/dashboard/{dashboard_key(config.secret_key)}")
    if data == "live" and base.startswith("http://") and "127.0.0.1" not in base:
        warn(
            "without https, ids and answers travel in clear; put a proxy with a certificate in front and pass --url."
        )
    say("Ctrl-C stops the server; whoever is in the middle can go on when it runs again.")
