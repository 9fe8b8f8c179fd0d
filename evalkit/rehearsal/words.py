"""The tables and sentences of a rehearsal, made from its records alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from evalkit.results import Estimate, Result

Rows = list[list[str]]
OTHER_TARGET = "It is itself about"
"""Begins the note of a planned analysis that has another target than the study."""
AS_IT_IS = "as it is"
"""The study's own design among those that are proposed."""


@dataclass(frozen=True)
class Found:
    """The records of one rehearsal."""

    results: tuple[Result, ...]

    @property
    def head(self) -> Result:
        """What was rehearsed."""
        return self.results[0]

    @cached_property
    def _index(self) -> Mapping[tuple[str, str], Estimate]:
        return {
            (one.key, one.detail): one
            for one in self.results
            if isinstance(one, Estimate) and not one.condition
        }

    def get(self, key: str, detail: str) -> Estimate | None:
        """One pooled record."""
        return self._index.get((key, detail))

    def points(self) -> list[str]:
        """Names of the grid points, the middle one first."""
        return [detail for key, detail in self._index if key == "coverage_of_fool_rate"]

    def details(self, key: str) -> list[str]:
        """What the pooled records of one key are about."""
        return [detail for found, detail in self._index if found == key]

    def deviations(self) -> dict[str, list[float]]:
        """The rehearsed standard deviations of each group, in logits."""
        grid: dict[str, list[float]] = {}
        for (key, detail), one in self._index.items():
            if key == "rehearsed_standard_deviation" and one.value is not None:
                grid.setdefault(detail.partition(" @ ")[0], []).append(one.value)
        return grid

    def per_condition(self, key: str) -> list[Estimate]:
        """The records of one key that are about one algorithm or contrast."""
        return [one for one in self.results if isinstance(one, Estimate) and one.key == key and one.condition]


POINT_COLUMNS = (
    ("coverage_of_fool_rate", "coverage, rate"),
    ("coverage_of_difference", "coverage, difference"),
    ("false_positive_rate", "false positives"),
    ("family_false_positive_rate", "any, after Holm"),
    ("power", "power"),
    ("power_after_holm", "power, Holm"),
    ("power_for_indistinguishable", "power, 50 %"),
    ("power_for_as_good_as", "power, as good as"),
    ("half_width_of_fool_rate", "± rate"),
    ("half_width_of_difference", "± difference"),
    ("sessions_until_stop", "sessions at stop"),
)
"""Key and heading; columns that nothing was recorded for are left out."""


def percent(estimate: Estimate | None) -> str:
    """A share with its simulation error, in percent.

    >>> percent(Estimate(key="power", value=0.8, unit="proportion", method="", standard_error=0.01))
    '80.0 ± 1.0'
    """
    if estimate is None or estimate.value is None:
        return "–"
    if estimate.unit == "sessions":
        return f"{estimate.value:.0f}"
    if estimate.standard_error is None or estimate.key.startswith(("half_width", "proposed_half")):
        return f"{100 * estimate.value:.1f}"
    return f"{100 * estimate.value:.1f} ± {100 * estimate.standard_error:.1f}"


def point_table(found: Found) -> tuple[list[str], Rows]:
    """Headings and rows: what the design does at each grid point, in percent and points."""
    points = found.points()
    columns = [column for column in POINT_COLUMNS if any(found.get(column[0], point) for point in points)]
    rows = [[point, *(percent(found.get(key, point)) for key, _ in columns)] for point in points]
    return ["SD, logits", *(heading for _, heading in columns)], rows


def proposal_table(found: Found) -> tuple[list[str], Rows]:
    """Headings and rows: what half as many of one thing again would change, at the middle grid point."""
    keys = ("half_width_of_fool_rate", "half_width_of_difference", "power", "cost")
    designs = found.details("proposed_half_width_of_fool_rate")
    if len(designs) < 2:
        return [], []
    rows = [[name, *(_cell(found.get(f"proposed_{key}", name)) for key in keys)] for name in designs]
    kept = [0, *(column for column in range(1, 5) if any(row[column] != "–" for row in rows))]
    headings = ["design", "± rate", "± difference", "power", "cost"]
    return [headings[column] for column in kept], [[row[column] for column in kept] for row in rows]


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "–"
    if estimate.key.endswith("cost"):
        return f"{estimate.value:,.0f} {estimate.unit}"
    return percent(estimate)


def slow_table(found: Found) -> tuple[list[str], Rows]:
    """Headings and rows: planned analyses that were run in fewer studies."""
    rows = []
    for kind, heading in (("coverage", "coverage"), ("false_positive_rate", "false positives")):
        for detail in found.details(f"{kind}_of_planned"):
            record = found.get(f"{kind}_of_planned", detail)
            assert record is not None
            other = any(note.startswith(OTHER_TARGET) for note in record.notes)
            what = f"{heading}, of another target" if other else heading
            rows.append([detail.partition(" @ ")[0], what, percent(record), str(record.n["studies"])])
    return ["planned analysis", "what", "%", "studies"], rows


def sentences(found: Found) -> Iterator[str]:
    """What a reader should take away."""
    head, middle = found.head, found.points()[0]
    yield (
        f"This very study, run {round(head.value or 0):,} times at each of {head.n['grid_points']} settings with simulated people, "
        f"through its own plan ({head.n['inputs']} inputs, {head.n['people_per_condition']} people"
        f"{'' if head.n['conditions'] == 1 else ' per algorithm'}), exclusions, stopping rule and analyses. Target: "
        f"“{head.provenance.target}”. Seed {head.seed}."
    )
    yield from head.notes
    power = found.get("power", middle)
    if power is not None and power.value is not None:
        yield (
            f"At the middle setting a {power.method.partition(';')[0]} is found in {100 * power.value:.0f} % of studies"
            f" (each contrast by itself)."
        )
    losses = [
        found.get("equal_losses_that_differ", name) for name in found.details("equal_losses_that_differ")
    ]
    for one in losses:
        if one is not None and one.value is not None:
            yield (
                f"Nothing here separates a loss from the seed: of two equal losses with training runs of their own, "
                f"{100 * one.value:.0f} % would be found to “differ” ({one.method.partition(';')[0]})."
            )
    yield from advice_sentences(found)


def advice_sentences(found: Found) -> Iterator[str]:
    """What would buy most, and what it would take."""
    widths = _widths(found)
    if len(widths) > 1:
        best = min((name for name in widths if name != AS_IT_IS), key=lambda name: widths[name])
        costs = [found.get("proposed_cost", name) for name in (AS_IT_IS, best)]
        paid = [f"{one.value:,.0f} {one.unit}" for one in costs if one is not None and one.value is not None]
        what = "difference" if "difference" in _width_key(found) else "rate"
        yield (
            f"Of these changes most is bought by {best}: the interval of a {what} narrows from ± "
            f"{100 * widths[AS_IT_IS]:.1f} to ± {100 * widths[best]:.1f} points"
            f"{f', for {paid[1]} instead of {paid[0]} paid to participants' if len(paid) > 1 and paid[0] != paid[1] else ''}."
        )
    needed = [
        one for name in found.details("people_for_power") if (one := found.get("people_for_power", name))
    ]
    told = [
        f"{one.detail}: {'no number is enough' if one.value is None else f'{one.value:,.0f}'}"
        for one in needed
    ]
    if told:
        yield f"{needed[0].method[0].upper()}{needed[0].method[1:]}: {'; '.join(told)}."


def _width_key(found: Found) -> str:
    has = found.get("half_width_of_difference", found.points()[0]) is not None
    return "half_width_of_difference" if has else "half_width_of_fool_rate"


def _widths(found: Found) -> dict[str, float]:
    """Half width of the interval that matters, by design, the study's own first."""
    key = f"proposed_{_width_key(found)}"
    records = ((name, found.get(key, name)) for name in found.details(key))
    return {name: one.value for name, one in records if one is not None and one.value is not None}


def markdown_sections(found: Found) -> Iterator[str]:
    """Sentences and tables as Markdown, one block each."""
    yield from sentences(found)
    for headings, rows in (point_table(found), proposal_table(found), slow_table(found)):
        if rows:
            yield "\n".join([_row(headings), _row(["---"] * len(headings)), *map(_row, rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def text_lines(found: Found) -> Iterator[str]:
    """Tables and sentences for a terminal."""
    for headings, rows in (point_table(found), proposal_table(found), slow_table(found)):
        if rows:
            widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
            for row in (headings, *rows):
                cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
                yield "  ".join([row[0].ljust(widths[0]), *cells])
            yield ""
    yield from sentences(found)
