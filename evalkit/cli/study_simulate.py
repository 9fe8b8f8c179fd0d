"""`evalkit study simulate`: observers go through the real server over HTTP."""

import random
import shlex
from pathlib import Path

import click

from evalkit.cli.messages import progress_bar, say
from evalkit.cli.server_lock import only_server
from studies.design import Study
from studies.errors import UserError, did_you_mean
from studies.records import REAL
from studies.simulate import OBSERVERS, make_observer
from webapp.config import server_config
from webapp.hosting import count_sessions, discard, host, prepare
from webapp.simulated_participants import SimulatedParticipant, run_participants

DEFAULT_RATE = 0.3


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--participants", type=click.IntRange(1, 100_000), help="How many; without it, all places.")
@click.option(
    "--observer",
    type=click.Choice(OBSERVERS),
    default="seeing",
    show_default=True,
    help="seeing judges the pixels; known is fooled at given rates.",
)
@click.option(
    "--rate",
    "rates",
    multiple=True,
    metavar="NAME=RATE",
    help="How often `known` observers are mistaken about an algorithm's images, or prefer them (docs/protocols.md).",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--replace", is_flag=True, help="Discard the simulated data that there are.")
def simulate(
    folder: Path, participants: int | None, observer: str, rates: tuple[str, ...], seed: int, replace: bool
) -> None:
    """Let simulated people take part in the study in FOLDER; their data are kept apart and marked."""
    outcomes = run_simulation(folder, participants, observer, rates, seed, replace=replace)
    listed = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in sorted(set(outcomes)))
    say(f"Simulated participants ({observer}): {listed}. SIMULATED data are never counted as people's.")
    say(f"Next: evalkit analyze {shlex.quote(str(folder))}")


def run_simulation(
    folder: Path, participants: int | None, observer: str, rates: tuple[str, ...], seed: int, *, replace: bool
) -> list[str]:
    """Start a server for simulated data, send observers through it, stop it; returns what became of each.

    Raises:
        UserError: There are simulated data already, a rate makes no sense, or the study cannot be served.
    """
    from evalkit.cli.server import background_server

    config = server_config(folder, "simulated", observer=observer)
    hosted = host(config)
    fool_rates = _parse_rates(hosted.study, rates, observer)
    with only_server(folder, "simulated"):
        if (present := count_sessions(hosted)) and not replace:
            raise UserError(
                f"{folder}: {present} simulated sessions are there already. --replace discards them."
            )
        with hosted.database.write() as db:
            discard(db, hosted.study.id, "simulated")
        prepare(hosted)
        count = min(participants or hosted.study.sessions_planned, hosted.study.sessions_planned)
        if participants and participants > count:
            say(f"The study has {count} places, so {count} take part.")
        try:
            with (
                background_server(config) as base_url,
                progress_bar("Simulated participants", count) as advance,
            ):
                people = []
                for number in range(count):
                    rng = random.Random(f"{seed}/{number}")
                    needs_time = hosted.study.protocol.adapts_exposure
                    person = make_observer(observer, fool_rates, rng, needs_time=needs_time)
                    worker_id = f"simulated-{seed}-{number}"
                    people.append(SimulatedParticipant(base_url, worker_id, person, rng, hosted.database))
                return run_participants(people, done=advance)
        except KeyboardInterrupt:
            raise UserError(
                f"Stopped. What was answered is kept; `evalkit study simulate {folder} --replace` begins anew."
            ) from None
        finally:
            hosted.database.close()


def _parse_rates(study: Study, rates: tuple[str, ...], observer: str) -> dict[str, float]:
    if rates and observer != "known":
        raise UserError("--rate is for --observer known; the seeing observer makes up its own mind.")
    judged = [*study.conditions, *([REAL] if study.protocol.layout == "one_image" else [])]
    parsed = dict.fromkeys(judged, DEFAULT_RATE)
    for entry in rates:
        name, _, text = entry.partition("=")
        if name not in judged:
            raise UserError(
                f"--rate {entry}: the study has no algorithm {name!r}.{did_you_mean(name, judged)}"
            )
        try:
            parsed[name] = float(text)
        except ValueError:
            parsed[name] = -1.0
        if not 0 <= parsed[name] <= 1:
            raise UserError(f"--rate {entry}: a rate lies between 0 and 1, for example {name}=0.25.")
    return parsed
