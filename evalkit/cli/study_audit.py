"""`evalkit study audit`: what besides the picture tells real from fake."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click
from rich.console import Console
from rich.table import Table

from evalkit.cli.messages import progress_bar
from studies.audit import PICTURE_PROPERTIES

if TYPE_CHECKING:
    from evalkit.analyses.stimulus_audit import Audit, Finding
    from evalkit.results import Interval

RECORDS = "audit.jsonl"
CHANCE = 0.5
FILE_WORDS = {
    "size_bytes": "file size",
    "width_px": "width",
    "height_px": "height",
    "format": "format",
    "mode": "kind of pixels",
    "encoding": "how the pixels are coded",
    "metadata": "metadata in the file",
    "name_length": "length of the file name",
    "name_digits": "digits in the file name",
    "name_pattern": "pattern of the file name",
    "modified_s": "time of last change",
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def audit(folder: Path, as_json: bool) -> None:
    """Say what besides the picture tells real from fake in the study in FOLDER; exit 1 if a file does."""
    found, path = run_audit(folder)
    if as_json:
        click.echo(json.dumps(_tree(found)))
    else:
        for line in verdicts(found, folder):
            click.echo(line)
        console = Console()
        for title, table in _tables(found):
            click.echo(f"\n{title}")
            console.print(table)
        click.echo(f"\n{path}")
    if found.leaks:
        sys.exit(1)


def run_audit(folder: Path) -> "tuple[Audit, Path]":
    """Audit a study folder and write its audit.jsonl; returns both.

    Raises:
        UserError: As `evalkit.analyses.stimulus_audit.audit_study`.
    """
    from evalkit.analyses.stimulus_audit import audit_study
    from evalkit.results import write_results

    with progress_bar("Audit") as advance:
        found = audit_study(folder, progress=advance)
    path = folder / RECORDS
    write_results(path, found.records())
    return found, path


def verdicts(found: "Audit", folder: Path) -> Iterator[str]:
    """What matters, one line each, worst first."""
    for name, values in found.leaks.items():
        yield (
            f"FAIL  {FILE_WORDS[name]} differs between the files of the bundle: {values}. Build it again: evalkit study "
            f"build {shlex.quote(str(folder))}"
        )
    if not found.leaks:
        yield "ok    No property of the files that participants get tells real from fake."
    yield from (f"warn  {text}" for text in warning_texts(found))
    if not found.warnings:
        yield "ok    No property of the pictures that one could use without judging realism was found to tell them apart."
    if found.public is not None and found.public:
        yield f"warn  {public_text(found.public)}"
    yield from (f"note  {note}" for note in found.notes)


def warning_texts(found: "Audit") -> Iterator[str]:
    """One warning for each property and direction: the AUCs with intervals, what it means and what to do."""
    groups: dict[tuple[str, bool], list[Finding]] = {}
    for finding in found.warnings:
        assert finding.auc is not None
        groups.setdefault((finding.name, finding.auc.value > CHANCE), []).append(finding)
    for (name, is_larger), findings in groups.items():
        if findings[0].kind == "together":
            yield (
                f"All picture properties together tell real images from {_listed(findings)}: found by a classifier on inputs "
                "that it never met. The single properties say by what; where none stands out, their mixture does."
            )
            continue
        about = PICTURE_PROPERTIES[name]
        way = about.larger if is_larger else about.smaller
        yield (
            f"{about.words[0].upper()}{about.words[1:]}: {_listed(findings)} are {way} than real images. {about.advice}"
        )


def _listed(findings: "Sequence[Finding]") -> str:
    """Whose fakes, each with the AUC and its interval after Holm's correction."""
    told = []
    for finding in findings:
        assert finding.auc is not None
        assert finding.corrected is not None
        numbers = f"(AUC {finding.auc.value:.2f} [{_range(finding.corrected)}])"
        told.append(f"{finding.condition or 'all algorithms together'} {numbers}")
    return f"the fakes of {' and '.join(told)}"


def public_text(name: str) -> str:
    """The warning about real images that anyone may know."""
    known = "a public data set" if name == "public" else name
    return (
        f"The real images look like those of {known}: anyone may know these photographs, or find them. Say so in the report, "
        "ask participants whether they had seen them, or take photographs of your own; [reference] public = false says that "
        "they are not public."
    )


def _range(interval: "Interval") -> str:
    return f"{interval.low:.2f}, {interval.high:.2f}"


Cells: TypeAlias = "Mapping[tuple[str, str, str], Finding]"
"""By stage, property and algorithm."""


def _tables(found: "Audit") -> Iterator[tuple[str, Table]]:
    """File properties before and after; then picture properties."""
    conditions = list(dict.fromkeys(finding.condition for finding in found.findings))
    cells: Cells = {
        (finding.stage, finding.name, finding.condition): finding
        for finding in found.findings
        if finding.auc is not None
    }
    title = "AUC of file properties: originals -> what participants get"
    yield title, _table(conditions, FILE_WORDS, cells, _pair)
    pictures = {**{name: name.replace("_", " ") for name in PICTURE_PROPERTIES}, "together": "all together"}
    title = "AUC of picture properties, as participants get them [95 %]; * = warned of"
    yield title, _table(conditions, pictures, cells, _with_interval)


def _table(
    conditions: Sequence[str],
    rows: Mapping[str, str],
    cells: Cells,
    show: Callable[[Cells, str, str], str],
) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for condition in conditions:
        table.add_column(condition or "all", justify="right")
    for name, words in rows.items():
        if any(name == measured for _, measured, _ in cells):
            table.add_row(words, *(show(cells, name, condition) for condition in conditions))
    return table


def _pair(cells: Cells, name: str, condition: str) -> str:
    """The AUC before and after the bundle; `-` where it was not looked at."""
    found = [cells.get((stage, name, condition)) for stage in ("originals", "bundle")]
    return " -> ".join(f"{one.auc.value:.2f}" if one is not None and one.auc else "-" for one in found)


def _with_interval(cells: Cells, name: str, condition: str) -> str:
    finding = cells.get(("bundle", name, condition))
    if finding is None or finding.auc is None or finding.interval is None:
        return "-"
    return f"{finding.auc.value:.2f} [{_range(finding.interval)}]{'*' if finding.warns else ' '}"


def _tree(found: "Audit") -> dict[str, Any]:
    return {
        "ok": not found.leaks,
        "bundle": found.digest,
        "leaks": found.leaks,
        "warnings": list(warning_texts(found)),
        "public": found.public,
        "notes": list(found.notes),
        "findings": [_finding_tree(finding) for finding in found.findings],
    }


def _finding_tree(finding: "Finding") -> dict[str, Any]:
    interval, corrected = finding.interval, finding.corrected
    return {
        "stage": finding.stage,
        "kind": finding.kind,
        "property": finding.name,
        "condition": finding.condition,
        "auc": finding.auc.value if finding.auc else None,
        "interval": [interval.low, interval.high] if interval else None,
        "corrected_interval": [corrected.low, corrected.high] if corrected else None,
        "p_adjusted": finding.p_adjusted,
        "warns": finding.warns,
    }
