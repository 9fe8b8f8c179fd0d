"""`evalkit study serve` and `preview`: the study in a browser."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from evalkit.cli.messages import say, warn
from evalkit.cli.server_lock import only_server
from studies.design import Study
from studies.errors import UserError
from studies.records import DataKind
from webapp import admin, freeze
from webapp.admin import password
from webapp.config import ServerConfig, server_config
from webapp.hosting import HostedStudy, check_places, host, prepare
from webapp.recruitment import recruiter_of
from webapp.sessions import keep_freeze

if TYPE_CHECKING:
    from evalkit.cli.server import Running
    from webapp.logs import Format

MOST_WORKERS = 9
"""By default; more only where somebody counted the database's connections."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--host", "host_name", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--url", help="The public address, where a proxy stands in front (https://study.example.org).")
@click.option("--workers", type=click.IntRange(1, 64), help="Server processes; by default 2 per core + 1.")
@click.option(
    "--pilot",
    is_flag=False,
    flag_value="",
    metavar="[N]",
    help="Collect pilot data, N sessions in all: kept apart, and does not freeze the study.",
)
@click.option(
    "--behind-proxy",
    is_flag=True,
    help="Believe the X-Forwarded headers of one proxy; only where there is one.",
)
@click.option(
    "--log-format",
    type=click.Choice(["json", "plain", "errors"]),
    default="errors",
    show_default=True,
    help="A line per request (without ids or addresses), or errors only.",
)
@click.option("--log-file", type=click.Path(path_type=Path, dir_okay=False), help="Instead of stderr.")
@click.option(
    "--drain",
    "drain_s",
    type=click.IntRange(0, 600),
    default=0,
    show_default=True,
    help="Seconds to go on after SIGTERM with /ready saying no, for a balancer.",
)
def serve(
    folder: Path,
    host_name: str,
    port: int,
    url: str | None,
    workers: int | None,
    pilot: str | None,
    behind_proxy: bool,
    log_format: str,
    log_file: Path | None,
    drain_s: int,
) -> None:
    """Run the study in FOLDER for real people."""
    from evalkit.cli.server import Running  # gunicorn: not for --help

    _refuse_half_an_address(url)
    if behind_proxy and url is None:
        raise UserError(
            "--behind-proxy: --url is missing, the address that people open (https://study.example.org). Without it "
            "cookies would not be kept to https."
        )
    config = server_config(
        folder,
        "live" if pilot is None else "pilot",
        secure_cookies=bool(url and url.startswith("https://")),
        behind_proxy=behind_proxy,
    )
    config = dataclasses.replace(config, pilot_sessions=_pilot_sessions(pilot))
    running = Running(
        workers=workers or min(2 * (os.cpu_count() or 1) + 1, MOST_WORKERS),
        log_format=None if log_format == "errors" else cast("Format", log_format),
        log_file=log_file,
        drain_s=drain_s,
    )
    serve_study(config, (host_name, port), url=url, running=running)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--host", "host_name", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8001, show_default=True)
@click.option("--url", help="The public address, to try it with `evalkit study check --url`.")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Server processes.")
def preview(folder: Path, host_name: str, port: int, url: str | None, workers: int) -> None:
    """Go through a whole session of the study in FOLDER yourself; never counted."""
    _refuse_half_an_address(url)
    secure = bool(url and url.startswith("https://"))
    config = server_config(folder, "preview", secure_cookies=secure)
    from evalkit.cli.server import Running  # gunicorn: not for --help

    serve_study(config, (host_name, port), url=url, running=Running(workers))


def _pilot_sessions(typed: str | None) -> int | None:
    if not typed:
        return None
    if not typed.isdecimal() or int(typed) < 1:
        raise UserError(
            f"--pilot {typed}: not a number of sessions. Write the folder first: evalkit study serve FOLDER --pilot 10."
        )
    return int(typed)


def _tell_if_too_many(config: ServerConfig, study: Study) -> None:
    if (wanted := config.pilot_sessions or 0) > study.sessions_planned:
        say(f"--pilot {wanted}: the study has {study.sessions_planned} places, so the pilot has as many.")


def _refuse_half_an_address(url: str | None) -> None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise UserError(f"--url {url}: write the whole address, for example https://{url}.")


def serve_study(
    config: ServerConfig,
    address: tuple[str, int],
    *,
    url: str | None = None,
    running: "Running | None" = None,
) -> None:
    """Check everything that can be checked before the first participant, then serve until stopped.

    Raises:
        UserError: Placeholders stand, the study changed after its freeze, the port or the study is taken, or
            study, bundle or database are not usable.
    """
    from evalkit.cli.server import Running, check_port, run_server

    folder, data = config.folder, config.data
    say("Checking the study ...")
    hosted = host(config)
    recruiter_of(hosted.study.recruitment, data).connect(
        hosted
    )  # what it lacks is said here, not by a worker process
    if data == "pilot":
        _refuse_pilot_of_frozen(folder)
    if data in ("live", "pilot"):
        _refuse_placeholders(folder, hosted.study.ethics.placeholders())
        keep_freeze(hosted)
        check_places(hosted)
        freeze.check(folder, hosted.study, hosted.bundle)
    check_port(*address)
    _tell_if_too_many(config, hosted.study)
    with only_server(folder, data):
        prepare(hosted)
        base = (url or f"http://{address[0]}:{address[1]}").rstrip("/")
        made = _password_of(folder)
        run_server(hosted, address, running=running or Running(), ready=lambda: _tell(hosted, base, made))


def _refuse_pilot_of_frozen(folder: Path) -> None:
    if freeze.in_force(folder) is not None:
        raise UserError(
            f"{folder}: real data are being collected already, and whoever takes part in a pilot cannot take part again. "
            f"Go on with: evalkit study serve {folder}. To try something, use: evalkit study preview {folder}."
        )


def _refuse_placeholders(folder: Path, keys: list[str]) -> None:
    if keys:
        raise UserError(
            f"{folder}/study.toml: [ethics] {', '.join(keys)} must be filled in before real people take part. Until "
            f"then: evalkit study preview {folder}."
        )


def _password_of(folder: Path) -> str | None:
    """A new password where there was none; None where there is one."""
    if password.has_password(folder):
        return None
    made = password.new_password()
    password.store_password(folder, made)
    return made


def _tell(hosted: HostedStudy, base: str, made: str | None) -> None:
    config = hosted.config
    data: DataKind = config.data
    link = f"{base}/" if data == "preview" else recruiter_of(hosted.study.recruitment).participant_link(base)
    say(
        f"{data.capitalize()} data of {config.folder} in {'PostgreSQL' if 'postgresql' in config.database_url else 'SQLite'}."
    )
    say(f"Participants: {link}")
    if (state := admin.running(hosted).state) != "open":
        way_on = (
            f"; evalkit study resume {config.folder} lets people begin again" if state == "paused" else ""
        )
        warn(f"the study is {state}: nobody new can begin{way_on}.")
    say(f"Dashboard:    {base}/dashboard")
    if made:
        say(
            f"Its password: {made}   (shown this once; `evalkit study password {config.folder}` sets another)"
        )
    if data == "live" and base.startswith("http://") and "127.0.0.1" not in base:
        warn(
            "without https, ids and answers travel in clear; put a proxy with a certificate in front and pass --url."
        )
    say("Ctrl-C stops the server; whoever is in the middle can go on when it runs again.")
