"""`evalkit doctor`: what is on this machine, and what will not work until what."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from evalkit.cli import doctor_machine as machine
from evalkit.cli import doctor_surroundings as surroundings
from evalkit.cli.doctor_commands import Known, commands
from evalkit.cli.doctor_finding import Finding, State, looked
from evalkit.cli.doctor_torch import TorchProbe, torch_findings

COLOURS: dict[State, str] = {"ok": "green", "warn": "yellow", "missing": "red"}

WIDTH = 25
"""Of the names."""
Section = tuple[str, Callable[[], Iterable[Finding]]]


@click.command()
@click.option(
    "--study", "folder", type=click.Path(path_type=Path), help="Look at this study's folder as well."
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(folder: Path | None, as_json: bool) -> None:
    """Look at this machine, and say what of evalkit works on it and what will not until what.

    Changes nothing. Exit 1 only if no study can be made, run and analysed here.
    """
    if folder is not None:
        from studies.design import load_study

        load_study(folder)  # a folder that is no study is called so at once
    show = _Lines(quiet=as_json)
    probe, network = TorchProbe(), surroundings.NetworkProbe()
    versions = machine.installed()
    findings: list[Finding] = []
    for name, look in _sections(versions, folder, network):
        findings += show(looked(name, look))
    torch = probe.answer()
    findings += show(list(torch_findings(torch)))
    show.heading("What works here, and what will not until what")
    known = Known(findings, torch, versions)
    verdicts = show(looked("commands", lambda: commands(known)))
    stopping = [one.name for one in findings if one.stops]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "ok": not stopping,
                    "items": [dataclasses.asdict(one) for one in findings],
                    "commands": [dataclasses.asdict(one) for one in verdicts],
                    "versions": versions,
                    "torch": dataclasses.asdict(torch),
                }
            )
        )
    else:
        click.echo(_summary(findings, verdicts, stopping, folder), err=True)
    if stopping:
        sys.exit(1)


def _sections(
    versions: Mapping[str, str], folder: Path | None, network: surroundings.NetworkProbe
) -> Iterator[Section]:
    """What is looked at, in order; torch comes last, as it is asked meanwhile."""
    here = folder or Path()
    yield "python", machine.python
    yield "packages", lambda: machine.packages(versions)
    yield "cores", machine.cores_and_memory
    yield "disk", lambda: machine.disk({**machine.writable_places(here), **_weights_folder()})
    yield "time", machine.clock
    yield "port", machine.loopback
    yield "database", lambda: surroundings.database(here)
    yield "browser", surroundings.browser
    yield "fonts", surroundings.fonts
    if folder is not None:
        yield "study", lambda: _study(folder)
    yield "weights", surroundings.weights
    yield "network", network.findings


def _weights_folder() -> dict[str, Path]:
    try:
        from evalkit.metrics.weights import folder
    except ImportError:  # told of by the look at packages
        return {}
    return {"weights": folder()}


def _study(folder: Path) -> Iterator[Finding]:
    """What `evalkit study check` sees of the machine, for this study."""
    from evalkit.cli.preflight_machine import NETWORK_FILE_SYSTEMS, disk, file_system, git_state, key
    from studies.design import load_study

    for item in (key(folder), git_state(folder), disk(folder, load_study(folder))):
        state: State = "missing" if item.state == "fail" else item.state
        yield Finding(f"study's {item.name}", state, item.text, stops=item.state == "fail")
    if (kind := file_system(folder)) in NETWORK_FILE_SYSTEMS:
        text = f"on a network file system ({kind}), where SQLite's locks do not hold: use a local disk or PostgreSQL"
        yield Finding("study's folder", "warn", text)


def _summary(
    findings: Sequence[Finding], verdicts: Sequence[Finding], stopping: Sequence[str], folder: Path | None
) -> str:
    if stopping:
        return f"No study can be run here until this is put right: {', '.join(dict.fromkeys(stopping))}."
    counts = {state: sum(one.state == state for one in findings) for state in COLOURS}
    waiting = sum(one.state == "missing" for one in verdicts)
    text = f"{counts['ok']} ok, {counts['warn']} to look at, {counts['missing']} missing. Studies can be run here"
    text += f"; {waiting} other things wait for what their lines say." if waiting else "."
    return f"{text} The study itself: evalkit study check {folder}" if folder is not None else text


class _Lines:
    """Prints findings as they come."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def __call__(self, findings: list[Finding]) -> list[Finding]:
        for one in findings:
            if not self._quiet:
                state = click.style(f"{one.state:7}", fg=COLOURS[one.state], bold=one.state != "ok")
                click.echo(f"{state}  {one.name:{WIDTH}}  {one.text}")
        return findings

    def heading(self, text: str) -> None:
        if not self._quiet:
            click.echo(f"\n{click.style(text, bold=True)}")
