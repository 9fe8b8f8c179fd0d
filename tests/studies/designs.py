"""Made-up studies and bundles without pixels, for tests of the plan."""

from typing import Any

from studies.design import Study, parse_study
from studies.records import REAL, Stimulus


def make_design(
    inputs: int, *, conditions: tuple[str, ...] = ("alpha", "beta"), runs: int = 1, **tables: Any
) -> tuple[Study, list[Stimulus]]:
    """A study and its stimuli: `inputs` inputs in each condition, run and the reference."""
    tree: dict[str, Any] = {
        "study": {"id": "made-up", "participants_per_condition": 10, **tables.pop("study", {})},
        "reference": {"images": "real"},
        "conditions": {name: {"images": [f"{name}/{run}" for run in range(runs)]} for name in conditions},
        **tables,
    }
    sources = [f"i{number}" for number in range(inputs)]
    images = [
        _stimulus(name, run, source) for name in conditions for run in range(runs) for source in sources
    ]
    return parse_study(tree, "made-up"), images + [_stimulus(REAL, 0, source) for source in sources]


def _stimulus(condition: str, run: int, source: str) -> Stimulus:
    name = f"{condition}-{run}-{source}"
    return Stimulus(name, condition, run, source, digest="", file=f"{name}.png", file_digest="")
