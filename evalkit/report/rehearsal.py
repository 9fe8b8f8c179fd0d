"""The report's section on the rehearsal: what the design could do, and whether people and images were as assumed."""

from collections.abc import Sequence
from dataclasses import dataclass

from evalkit.rehearsal import certificate, words
from evalkit.report.cells import Cell, Table, make_table, text_cell
from evalkit.report.collect import Collected

WORDS = {"workers": "participants", "source_images": "images", "runs": "training runs"}


@dataclass(frozen=True)
class RehearsalSection:
    """What the page shows of a rehearsal."""

    sentences: tuple[str, ...]
    tables: tuple[Table, ...]
    placements: tuple[str, ...]
    """One sentence for each standard deviation: rehearsed or not."""
    digest: str


def rehearsal_section(collected: Collected) -> RehearsalSection | None:
    """The certificate of the study's rehearsal; None where there is none.

    Raises:
        UserError: Its file cannot be read.
    """
    rehearsed = certificate.read(collected.folder)
    if rehearsed is None:
        return None
    found = rehearsed.found
    made = (
        ("rehearsal", "What the design does, in % of simulated studies", words.point_table(found)),
        (
            "rehearsal_changes",
            "What other designs would do, at the middle setting",
            words.proposal_table(found),
        ),
        ("rehearsal_planned", "Planned analyses in fewer simulated studies", words.slow_table(found)),
    )
    stale = (certificate.STALE,) if rehearsed.other_settings else ()
    return RehearsalSection(
        sentences=(*stale, *words.sentences(found)),
        tables=tuple(
            _table(collected, name, title, headings, rows) for name, title, (headings, rows) in made if rows
        ),
        placements=_placements(collected),
        digest=rehearsed.digest,
    )


def _placements(collected: Collected) -> tuple[str, ...]:
    placed = certificate.inside_grid(collected.folder, collected.records.all)
    if not placed:
        return (
            "Whether people and images were as assumed is not known: `mixed_model`, which estimates it, was not run.",
        )
    return tuple(
        f"Standard deviation of {WORDS[one.group]}: {one.observed:.2f} logits observed, "
        f"{'inside' if one.inside else 'OUTSIDE'} the rehearsed {one.low:g} to {one.high:g}"
        f"{'.' if one.inside else ': what the rehearsal says of this design need not hold.'}"
        for one in placed
    )


def _table(
    collected: Collected, name: str, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> Table:
    keys = [heading.lower().replace(" ", "_").replace(",", "") for heading in headings]
    cells = [
        tuple(
            text_cell(text, key) if number == 0 else Cell(text, {key: text})
            for number, (text, key) in enumerate(zip(row, keys, strict=True))
        )
        for row in rows
    ]
    notes = (
        "± is the simulation error: one standard error over the simulated studies; without it, points or counts.",
    )
    return make_table(collected, name, title, tuple(headings), cells, notes)
