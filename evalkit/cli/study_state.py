"""`evalkit study pause`, `resume`, `close` and `password`: what a researcher does to a running study."""

from pathlib import Path

import click

from evalkit.cli.messages import say
from studies.errors import UserError
from studies.records import DataKind
from webapp import admin
from webapp.admin import password as passwords
from webapp.config import server_config
from webapp.hosting import HostedStudy, check_places, host, prepare

_which = click.option(
    "--data",
    type=click.Choice(["live", "pilot"]),
    default="live",
    show_default=True,
    help="Which data's server.",
)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_which
@click.option("--reason", default="", help="Kept in the audit log.")
def pause(folder: Path, data: DataKind, reason: str) -> None:
    """Let nobody new begin the study in FOLDER; whoever is in the middle goes on."""
    _change(_open(folder, data), "paused", reason)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_which
@click.option("--reason", default="", help="Kept in the audit log.")
def resume(folder: Path, data: DataKind, reason: str) -> None:
    """Let people begin the paused study in FOLDER again."""
    _change(_open(folder, data), "open", reason)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_which
@click.option("--reason", default="", help="Kept in the audit log.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def close(folder: Path, data: DataKind, reason: str, yes: bool) -> None:
    """End the study in FOLDER for good, and erase the raw worker ids."""
    hosted = _open(folder, data)
    now = admin.running(hosted)
    if now.state == "closed":
        say(f"The {data} study is closed already.")
        return
    say(
        f"Closing is for good: nobody new begins, and {now.ids} raw worker id(s) kept for payment are erased."
    )
    if now.unpaid:
        say(
            f"{now.unpaid} finished session(s) have no payment recorded as done: `evalkit study pay {folder}` first."
        )
    if not yes and not click.confirm("Close it?", err=True):
        raise UserError("Not closed.")
    _change(hosted, "closed", reason)


def _open(folder: Path, data: DataKind) -> HostedStudy:
    hosted = host(server_config(folder, data), verify=False)
    check_places(hosted)
    prepare(hosted)  # so that it can be paused before its first start
    return hosted


def _change(hosted: HostedStudy, state: admin.State, reason: str) -> None:
    changed = admin.set_state(hosted, state, "command line", reason)
    say(f"The {hosted.data} study {'is now' if changed else 'was already'} {state}.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--generate", is_flag=True, help="Make one up and print it, instead of asking.")
def password(folder: Path, generate: bool) -> None:
    """Set the password of the dashboard of the study in FOLDER; whoever is signed in must sign in again."""
    server_config(folder, "live")  # a folder that is no study is called so
    chosen = passwords.new_password() if generate else _asked()
    path = passwords.store_password(folder, chosen)
    say(f"Its hash is kept in {path}. A running server takes the new password at once.")
    if passwords.given_by_environment():
        say(f"But {passwords.VARIABLE} is set here, and where it is set for the server, that one counts.")
    if generate:
        click.echo(chosen)


def _asked() -> str:
    chosen: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return chosen
