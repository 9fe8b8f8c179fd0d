"""What the documentation must keep up with."""

import re
import typing
from pathlib import Path

import pytest

from evalkit.analyses import ANALYSES
from evalkit.metrics import METRICS
from generators.data import TASKS
from generators.methods import METHODS
from generators.presets import ABOUT
from studies.presets import preset_names
from studies.records import Arrival, Response, Session, columns

ROOT = Path(__file__).parents[1]


def words(path: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", (ROOT / path).read_text(encoding="utf-8")))


@pytest.mark.parametrize("record", [Response, Session, Arrival])
def test_every_column_of_an_exported_file_is_explained(record: type) -> None:
    assert set(columns(record)) <= words("docs/responses.md")


def test_every_preset_stands_in_the_readme() -> None:
    assert set(preset_names()) <= words("README.md")


def test_every_analysis_that_a_study_may_plan_is_named_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert [name for name in ANALYSES if name not in text] == []


def test_training_presets_stand_in_their_page_as_the_command_line_tells_them() -> None:
    text = (ROOT / "docs/generators.md").read_text(encoding="utf-8")
    rows = text[text.index("## Presets") :].splitlines()[4:]
    assert rows == [f"| `{name}` | {' '.join(about.split())} |" for name, about in ABOUT.items()]


def test_methods_their_losses_and_tasks_are_named_in_the_page_on_generators() -> None:
    named = words("docs/generators.md")
    losses = [
        typing.get_args(typing.get_type_hints(one.Settings).get("loss", str)) for one in METHODS.values()
    ]
    assert {*METHODS, *TASKS, *(name for names in losses for name in names)} <= named


def test_every_metric_and_its_quantities_stand_in_their_page_with_the_direction_that_is_better() -> None:
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    told = {
        key: better
        for _, keys, better, *_ in (row for row in rows if len(row) == 4)
        for key in re.findall(r"`(\w+)`", keys)
    }
    for name, metric in METRICS.items():
        assert f"| `{name}` |" in text, name
        for quantity in metric.quantities:
            direction = "higher" if quantity.higher_is_better else "lower"
            assert told[quantity.key].strip().startswith(direction), quantity.key


def test_every_path_in_the_documentation_exists() -> None:
    for page in (
        "README.md",
        "CONTRIBUTING.md",
        "benchmarks/README.md",
        *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))),
    ):
        for name in words(page):
            if (
                re.fullmatch(r"(docs|studies|webapp|evalkit|generators|tests|benchmarks)/[\w./]+", name)
                and "NAME" not in name
            ):
                assert (ROOT / name).exists(), f"{page}: {name}"
