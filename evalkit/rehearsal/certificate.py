"""What a rehearsal found, as it is quoted: by the preregistration, by the report, and against the observed variances."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evalkit.rehearsal.words import Found, markdown_sections
from evalkit.results import Result, read_results
from studies.design import load_study
from studies.errors import UserError

FILE = "rehearsal.jsonl"
"""Name of the records in the study folder."""
GROUPS = ("workers", "source_images", "runs")
"""Of the grid, by the names that the mixed model gives them."""


@dataclass(frozen=True)
class Rehearsed:
    """One rehearsal as its file tells it."""

    found: Found
    digest: str
    """SHA-256 of the file."""
    other_settings: bool
    """Whether the study's settings have changed since."""

    @property
    def results(self) -> tuple[Result, ...]:
        """Its records."""
        return self.found.results


@dataclass(frozen=True)
class Placement:
    """One observed standard deviation, held against the rehearsed grid."""

    group: str
    """workers, source_images or runs."""
    observed: float
    """Logit scale."""
    low: float
    high: float
    """Smallest and largest rehearsed value."""

    @property
    def inside(self) -> bool:
        """Whether the rehearsal covered it."""
        return self.low <= self.observed <= self.high


def read(folder: Path) -> Rehearsed | None:
    """The rehearsal in a study folder; None where there is none.

    Raises:
        UserError: Its file cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        results = tuple(read_results(path))
    except ValueError as error:
        raise UserError(f"{error}. Run `evalkit rehearse {folder}` again.") from error
    if not results or results[0].key != "rehearsal":
        raise UserError(f"{path}: not the records of a rehearsal. Run `evalkit rehearse {folder}` again.")
    settings = results[0].provenance.digests.get("study settings")
    return Rehearsed(
        found=Found(results),
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        other_settings=settings != load_study(folder).digest(),
    )


def markdown(folder: Path) -> str:
    """The rehearsal as a section of Markdown for the preregistration; empty where there is none.

    Raises:
        UserError: As `read`.
    """
    rehearsed = read(folder)
    if rehearsed is None:
        return ""
    lines = list(markdown_sections(rehearsed.found))
    if rehearsed.other_settings:
        lines.append(STALE)
    lines.append(f"Records: `{FILE}`, SHA-256 `{rehearsed.digest}`.")
    return "\n\n".join(lines) + "\n"


STALE = (
    "The study's settings have changed since this rehearsal; it speaks of the settings before. `evalkit rehearse` repeats "
    "it."
)


def observed(estimates: Iterable[Result]) -> dict[str, float]:
    """The standard deviations that a mixed model found, by the grid's names, on the logit scale.

    An image's deviation is that of the input and of the input by algorithm together, as in the grid: the model's record
    of `source_images` is already both.
    """
    return {
        one.detail: one.value
        for one in estimates
        if one.key == "standard_deviation"
        and one.value is not None
        and not one.condition
        and one.detail in GROUPS
    }


def inside_grid(folder: Path, estimates: Iterable[Result]) -> list[Placement]:
    """Whether the observed standard deviations (records `standard_deviation`) lay inside the rehearsed grid.

    Args:
        folder: The study folder.
        estimates: Records of the study's own data, those of `mixed_model` among them.

    Returns:
        One placement for each deviation that was both rehearsed and observed; none without a rehearsal.

    Raises:
        UserError: As `read`.
    """
    rehearsed = read(folder)
    if rehearsed is None:
        return []
    seen = observed(estimates)
    grid = rehearsed.found.deviations()
    return [
        Placement(group, value, min(grid[group]), max(grid[group]))
        for group, value in seen.items()
        if group in grid
    ]
