"""`evalkit study pay`: what is due on the panel; asks before money moves, and never moves it twice."""

from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from evalkit.cli.messages import progress_bar, say, warn
from studies.errors import UserError
from webapp import admin, payouts
from webapp.config import server_config
from webapp.freeze import iso
from webapp.hosting import HostedStudy, host
from webapp.recruitment.prolific import NAME
from webapp.recruitment.prolific_api import ProlificApi, api_from_environment

SHOWN = 20
"""Lines of one kind that are shown one by one."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--pilot", is_flag=True, help="Pay those of the pilot.")
@click.option("--dry-run", is_flag=True, help="Show what is due; pay nothing.")
@click.option("--yes", is_flag=True, help="Pay without asking.")
@click.option("--bonus", type=click.Path(path_type=Path), help="File of lines session,cents.")
@click.option(
    "--screen-out",
    "screen_out",
    type=click.Path(path_type=Path),
    help="File of lines session,cents: those who did not finish, and get this instead of the reward.",
)
@click.option(
    "--approve", "also", multiple=True, metavar="SESSION", help="Pay this one although not finished here."
)
@click.option(
    "--bonus-not-paid",
    "not_paid",
    multiple=True,
    metavar="SESSION",
    help="You looked on Prolific: this bonus was sent and never arrived.",
)
def pay(
    folder: Path,
    pilot: bool,
    dry_run: bool,
    yes: bool,
    bonus: Path | None,
    screen_out: Path | None,
    also: tuple[str, ...],
    not_paid: tuple[str, ...],
) -> None:
    """Pay the participants of the study in FOLDER: approve, bonus, screen out."""
    hosted = host(server_config(folder, "pilot" if pilot else "live"), verify=False)
    try:
        if hosted.study.recruitment.name != NAME:
            raise UserError(
                f'{folder}/study.toml: [recruitment] name = "{hosted.study.recruitment.name}": only prolific is paid '
                "from here. Elsewhere compare the completion codes in sessions.csv, and pay there."
            )
        bonuses = payouts.read_amounts(bonus) if bonus else {}
        screen_outs = payouts.read_amounts(screen_out) if screen_out else {}
        api = api_from_environment()
        synced = payouts.sync(hosted, api)
        if settled := payouts.settle(hosted, api, synced):
            say(f"{settled} acts of an earlier call are settled: Prolific was asked what became of them.")
        if not_paid and not dry_run:
            payouts.not_paid(hosted, synced, not_paid)
        due = payouts.due(hosted, synced, bonuses, screen_outs, also)
        drafts = [] if dry_run or not due.bonuses else payouts.bonus_draft(hosted, api, due.bonuses)
        _show(hosted, due)
        cost = _tell_cost(hosted, due, drafts, dry_run)
        if dry_run:
            say("Nothing was paid.")
        elif not cost:
            _tell_end(hosted, due)
        elif yes or click.confirm("Pay this now?", default=False, err=True):
            _carry_out(hosted, api, due, drafts)
        else:
            say("Nothing was paid.")
    finally:
        hosted.database.close()


def _show(hosted: HostedStudy, due: payouts.Due) -> None:
    table = Table(
        title=f"{hosted.study.id}: {hosted.data} data", title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    table.add_column("what")
    table.add_column("how many", justify="right")
    table.add_column("why")
    names = {
        "approve": "to approve",
        "look": "to look at",
        "waiting": "waiting",
        "left": "left",
        "paid": "settled",
        "refused": "refused",
    }
    for kind, name in names.items():
        for why, count in Counter(line.why for line in due.lines if line.kind == kind).items():
            table.add_row(name, str(count), why)
    if due.screen_outs:
        table.add_row("to screen out", str(len(due.screen_outs)), "as your file says")
    if due.bonuses:
        table.add_row("bonuses", str(len(due.bonuses)), "as your file says")
    Console().print(table)
    for line in due.of("look")[:SHOWN]:
        say(f"Look at {line.name}: {line.why}.")
    for act in due.unclear:
        warn(
            f"a {act.act.replace('_', '-')} of {act.amount_cents / 100:.2f} was sent {iso(act.at)[:16]}Z and does not "
            "show on Prolific (yet). It is not sent again by itself. If it is not there an hour later either: "
            "--bonus-not-paid."
        )


def _tell_cost(
    hosted: HostedStudy, due: payouts.Due, drafts: list[payouts.BonusDraft], dry_run: bool
) -> float:
    """Say what it costs; returns cents."""
    settings = hosted.study.recruitment
    with_fee = 1 + settings.fee_share
    approving = sum(1 for line in due.of("approve") if line.submission.payment)
    rewards = approving * settings.reward_cents * with_fee
    leaving = sum(each.cents for each in due.screen_outs) * with_fee
    if drafts and all(draft.total_cents for draft in drafts):
        bonuses, said = sum(draft.total_cents for draft in drafts), "as Prolific says"
    else:
        counted = due.bonuses if dry_run else [each for draft in drafts for each in draft.bonuses]
        bonuses, said = sum(each.cents for each in counted) * with_fee, "with the same fee"
    fee = (
        f"a fee of {settings.fee_share:.0%}"
        if settings.fee_share
        else "no fee (fee_share = 0; ask Prolific for today's)"
    )
    say(f"Rewards    {rewards / 100:8.2f} {settings.currency}, with {fee}")
    if due.screen_outs:
        say(f"Screen-outs{leaving / 100:8.2f} {settings.currency}")
    if bonuses:
        say(f"Bonuses    {bonuses / 100:8.2f} {settings.currency}, {said}")
    say(f"In all     {(rewards + leaving + bonuses) / 100:8.2f} {settings.currency}")
    return rewards + leaving + bonuses


def _carry_out(
    hosted: HostedStudy, api: ProlificApi, due: payouts.Due, drafts: list[payouts.BonusDraft]
) -> None:
    with progress_bar("Paying", len(due.of("approve")) + len(due.screen_outs) + len(drafts)) as step:
        outcome = payouts.carry_out(hosted, api, due, drafts, step)
    done = f"{outcome.approved} approved, {outcome.screened_out} screened out, {outcome.bonuses} bonuses"
    with hosted.database.write() as db:
        admin.note_act(hosted, db, "command line", "pay", f"{done}.")
    say(f"Done: {done}.")
    for problem in outcome.problems or []:
        warn(problem)
    _tell_end(hosted, due)


def _tell_end(hosted: HostedStudy, due: payouts.Due) -> None:
    still = len(due.of("look")) + len(due.of("waiting")) + len(due.unclear)
    if still:
        say(f"{still} more to come or to look at; call this again later.")
    else:
        say(
            "Nobody else is due. Once the study is over, close it (dashboard, or `evalkit study close "
            f"{hosted.config.folder}`): the participants' ids are dropped then."
        )
