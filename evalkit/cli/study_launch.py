"""`evalkit study launch`: the study on a panel, from draft to stop."""

import json
import time
from pathlib import Path
from typing import Any

import click
import requests

from evalkit.cli.messages import say, warn
from studies.errors import UserError
from webapp import admin, payouts
from webapp.config import server_config
from webapp.hosting import HostedStudy, host
from webapp.recruitment import recruiter_of
from webapp.recruitment.launched import launched
from webapp.recruitment.prolific import NAME
from webapp.recruitment.prolific_api import ProlificApi, api_from_environment
from webapp.recruitment.prolific_study import (
    Rehearsal,
    check_launch,
    launched_id,
    more_places,
    transition,
)
from webapp.recruitment.prolific_study import (
    launch as make_draft,
)

POLL_S = 600.0
"""Prolific asks not to be polled more often than every ten minutes."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--recruiter", type=click.Choice([NAME]), default=NAME, show_default=True, help="The panel.")
@click.option("--url", help="The server's public address, https://study.example.org.")
@click.option("--pilot", is_flag=True, help="For `serve --pilot`: a study of its own there.")
@click.option("--places", type=click.IntRange(1), help="How many participants; later, only more of them.")
@click.option("--dry-run", is_flag=True, help="Show each request as it would be sent; send nothing.")
@click.option("--publish", is_flag=True, help="Publish without asking.")
@click.option("--pause", "action", flag_value="PAUSE", help="Nobody new can begin, until --resume.")
@click.option("--resume", "action", flag_value="START", help="Go on after --pause.")
@click.option("--stop", "action", flag_value="STOP", help="End the recruitment for good.")
@click.option("--watch", is_flag=True, help="Look every ten minutes who came and who left, until Ctrl-C.")
def launch(
    folder: Path,
    recruiter: str,  # noqa: ARG001  (there is one panel yet)
    url: str | None,
    pilot: bool,
    places: int | None,
    dry_run: bool,
    publish: bool,
    action: str | None,
    watch: bool,
) -> None:
    """Bring the study in FOLDER to a panel: draft, publish, pause, resume, stop, more places."""
    hosted = host(server_config(folder, "pilot" if pilot else "live"), verify=False)
    try:
        if action is not None:
            _steer(hosted, api_from_environment(), action)
        elif watch:
            _watch(hosted, api_from_environment())
        elif places is not None and _is_published(hosted):
            _add_places(hosted, api_from_environment(), places)
        elif dry_run:
            _rehearse(hosted, _address(hosted, url), places)
        else:
            _launch(hosted, api_from_environment(), _address(hosted, url), places, publish)
    finally:
        hosted.database.close()


def _address(hosted: HostedStudy, url: str | None) -> str:
    row = launched(hosted, NAME)
    url = url or (str(row.detail.get("url", "")) if row else "")
    if not url:
        raise UserError(
            "--url is missing: the server's public address, for example https://study.example.org."
        )
    check_launch(hosted, url.rstrip("/"))
    recruiter_of(hosted.study.recruitment)  # its settings are usable
    if url.startswith("http://"):  # only the loopback gets so far
        warn("this address is on this machine: participants and reports of the panel cannot reach it.")
    return url.rstrip("/")


def _places(hosted: HostedStudy, places: int | None) -> int:
    planned = hosted.study.sessions_planned
    if places is None and hosted.data == "pilot":
        raise UserError("--places is missing: as many as you say to `evalkit study serve FOLDER --pilot N`.")
    if places is not None and places > planned:
        warn(f"the study has {planned} places here; whoever comes after them meets a full study, unpaid.")
    return places or planned


def _rehearse(hosted: HostedStudy, url: str, places: int | None) -> None:
    api = Rehearsal()
    study = make_draft(hosted, api, url, _places(hosted, places), keep=lambda **_detail: None)
    api.get(f"studies/{study['id']}/")
    api.call("POST", f"studies/{study['id']}/transition/", {"action": "PUBLISH"})
    for number, (method, path, body) in enumerate(api.requests, 1):
        click.echo(f"{number}. {method} {path}")
        if body is not None:
            click.echo(json.dumps(body, indent=2, ensure_ascii=False))
    say(
        f"{len(api.requests)} requests, none of them sent. What stands in <> comes from Prolific's answers; a thing that "
        "is there already is not made again."
    )


def _launch(hosted: HostedStudy, api: ProlificApi, url: str, places: int | None, publish: bool) -> None:
    study = make_draft(hosted, api, url, _places(hosted, places))
    if not url.startswith("https://"):
        warn("no reports are subscribed to for an address on this machine; `--watch` polls instead.")
    _note(hosted, "launch", f"Draft {study['id']} on Prolific.")
    _show(hosted, study)
    if study.get("status") != "UNPUBLISHED":
        say(f"Prolific has published it already: it is {study.get('status')}.")
    elif publish or click.confirm(
        "Publish it? From then on people come and money is spent", default=False, err=True
    ):
        _refuse_without_server(hosted, url)
        _changed, state = transition(hosted, api, "PUBLISH")
        _note(hosted, "publish", f"Now {state}.")
        say(f"Published: {state}. `evalkit study launch {hosted.config.folder} --watch` looks who comes.")
    else:
        say("It stays a draft; the same command again asks again.")
    click.echo(study["id"])


def _show(hosted: HostedStudy, study: dict[str, Any]) -> None:
    recruitment = hosted.study.recruitment
    places, reward = study.get("total_available_places", 0), study.get("reward", recruitment.reward_cents)
    fee = (
        f" with a fee of {recruitment.fee_share:.0%}" if recruitment.fee_share else " without Prolific's fee"
    )
    say(f"Study {study['id']} on Prolific, {study.get('status')}: {study.get('name')}")
    say(f"  link     {study.get('external_study_url')}")
    say(
        f"  places   {places}, {hosted.study.ethics.minutes} minutes, {reward / 100:.2f} {recruitment.currency} each"
    )
    say(
        f"  filters  {', '.join(each.get('filter_id', '?') for each in study.get('filters') or []) or 'none'}"
    )
    say(f"  cost     {places * reward * (1 + recruitment.fee_share) / 100:.2f} {recruitment.currency}{fee}")


def _refuse_without_server(hosted: HostedStudy, url: str) -> None:
    try:
        answer = requests.get(f"{url}/ready", timeout=15)
        ready = answer.ok
    except requests.RequestException:
        ready = False
    if not ready:
        raise UserError(
            f"{url}/ready does not answer, so participants would find nothing. Start the server "
            f"(`evalkit study serve {hosted.config.folder} --url {url}`) and publish then; the draft stays."
        )


def _is_published(hosted: HostedStudy) -> bool:
    row = launched(hosted, NAME)
    return row is not None and row.state not in ("", "UNPUBLISHED")


def _steer(hosted: HostedStudy, api: ProlificApi, action: str) -> None:
    changed, state = transition(hosted, api, action)
    if changed:
        _note(hosted, action.lower(), f"Now {state} on Prolific.")
    say(f"{'Now' if changed else 'Was already'} {state} on Prolific.")
    if action in ("PAUSE", "STOP"):
        say("Who has a place there already may still come and finish.")


def _add_places(hosted: HostedStudy, api: ProlificApi, places: int) -> None:
    before, now = more_places(hosted, api, _places(hosted, places))
    if now > before:
        _note(hosted, "places", f"{now} instead of {before} places on Prolific.")
    say(f"{now} places on Prolific{f', {before} before' if now > before else ' already'}.")


def _watch(hosted: HostedStudy, api: ProlificApi) -> None:
    launched_id(hosted)
    while True:
        synced = payouts.sync(hosted, api)
        counts: dict[str, int] = {}
        for each in synced.submissions:
            counts[each.state] = counts.get(each.state, 0) + 1
        told = (
            ", ".join(f"{count} {state.lower()}" for state, count in sorted(counts.items())) or "nobody yet"
        )
        back = f"; {synced.given_back} places given back" if synced.given_back else ""
        say(f"{time.strftime('%H:%M')}  {synced.state}: {told}{back}")
        if synced.state == "COMPLETED":
            return
        time.sleep(POLL_S)


def _note(hosted: HostedStudy, act: str, detail: str) -> None:
    with hosted.database.write() as db:
        admin.note_act(hosted, db, "command line", act, detail)
