"""The parts of the page about single analyses, in the order of the page."""

from collections.abc import Callable, Iterable

from evalkit.report import against_metrics, answering, modelling
from evalkit.report.cells import Table
from evalkit.report.collect import Collected
from evalkit.report.panel import Draft, Panel, panel
from evalkit.report.tables import exposure_table

EXPOSURE_NOTE = (
    "Both images of every counted trial, by the page’s animation-frame clock. Displays off by more than 1.5 frames are counted,"
    " not left out."
)


def _exposure(collected: Collected) -> Draft:
    tables = (exposure_table(collected), answering.screens(collected))
    return Draft("Time on screen, and screens", (EXPOSURE_NOTE,), tuple(filter(None, tables)))


PANELS: dict[str, Callable[[Collected], Draft | None]] = {
    "equivalence": modelling.equivalence,
    "people_and_metrics": against_metrics.people_and_metrics,
    "attrition": modelling.attrition,
    "signal_detection": answering.signal_detection,
    "response_quality": answering.response_quality,
    "exposure": _exposure,
    "learning": answering.learning,
    "agreement": answering.agreement,
    "mixed_model": modelling.mixed_model,
    "stopping": modelling.stopping,
}
"""By name; records of other analyses, and what these leave over, stand in tables of their own at the end."""
OPEN = ("equivalence", "people_and_metrics", "attrition")
"""Those that stand within other sections of the page; the rest are folded under one heading."""


def panels(collected: Collected) -> dict[str, Panel]:
    """Those that have something to show."""
    made = {name: panel(collected, name, build) for name, build in PANELS.items()}
    return {name: found for name, found in made.items() if found is not None}


def panel_tables(found: Iterable[Panel]) -> dict[str, Table]:
    """Their tables by name, those too long for the page among them."""
    return {
        table.name: table for one in found for table in (*one.draft.tables, *one.draft.files) if table.rows
    }
