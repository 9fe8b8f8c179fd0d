"""The published tables as a page of the documentation: `python -m evalkit.reference.page > docs/reference-tables.md`."""

import sys
from collections.abc import Iterator

from evalkit.reference.between_studies import between_study_shifts, not_comparable
from evalkit.reference.published import PublishedTable, tables

_HEAD = """# Published tables

The numbers of the papers, as `evalkit.reference` holds them for a report to set beside yours. Written by
`python -m evalkit.reference.page`; a test holds this page against the data. Every number was read in the source and is
shown as printed. What could not be verified is not shipped; each table names it.

```python
from evalkit import reference

reference.table("pix2pix2017_maps").number("l1_cgan", "fool_rate", "map→photo").proportion  # 0.189
```
Each number knows its paper, version, table, dataset, task, quantity, unit, direction and what its ± means.
"""


def markdown() -> str:
    """The page."""
    parts = [_HEAD, "## The same method in two studies", not_comparable(), "", *_shifts()]
    paper = None
    for one in tables():
        if one.paper != paper:
            paper = one.paper
            parts += [
                "",
                f"## {paper.short}",
                f"{paper.authors}: {paper.title}. {paper.venue}, {paper.version}.",
            ]
            parts += [paper.numbering] * bool(paper.numbering)
        parts += ["", *_table(one)]
    return "\n".join(parts) + "\n"


def _shifts() -> Iterator[str]:
    yield "| method | quantity | task | first | second | shift | what else differs |"
    yield "|---|---|---|---|---|---|---|"
    for one in between_study_shifts():
        first, second = one.first, one.second
        unit = " points" if first.quantity.unit == "percent" else ""
        yield (
            f"| {one.method} | {first.quantity.label} | {first.task} | {first.printed}, {first.paper.short}, "
            f"{first.where} | {second.printed}, {second.paper.short}, {second.where} | {one.shift:+g}{unit} | {one.differs} |"
        )


def _table(one: PublishedTable) -> Iterator[str]:
    yield f"### {one.where}: {one.title}"
    people = f" {one.participants.capitalize()}, protocol of the preset `{one.preset}`." if one.preset else ""
    yield f"`{one.key}`. {one.dataset[:1].upper()}{one.dataset[1:]}.{people}"
    if one.uncertainty:
        yield f"±: {one.uncertainty}."
    yield ""
    yield f"| method | {' | '.join(f'{quantity.label}, {task}' for quantity, task in one.columns)} |"
    yield f"|---|{'---|' * len(one.columns)}"
    for method, cells in one.rows:
        yield f"| {method} | {' | '.join('' if cell is None else cell.printed for cell in cells)} |"
    if one.notes or one.left_out:
        yield ""
    yield from one.notes
    if one.left_out:
        yield f"Not here, because not verified: {one.left_out}."


if __name__ == "__main__":
    sys.stdout.write(markdown())
