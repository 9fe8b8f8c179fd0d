"""What the documentation must keep up with."""

import re
from pathlib import Path

import pytest

from evalkit.analyses import ANALYSES
from evalkit.cli import COMMANDS, STUDY_COMMANDS
from studies.presets import preset_names
from studies.records import Arrival, Response, Session, columns

ROOT = Path(__file__).parents[1]


def words(path: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", (ROOT / path).read_text(encoding="utf-8")))


@pytest.mark.parametrize("record", [Response, Session, Arrival])
def test_every_column_of_an_exported_file_is_explained(record: type) -> None:
    assert set(columns(record)) <= words("docs/responses.md")


def test_every_command_and_preset_stands_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in STUDY_COMMANDS:
        assert f"evalkit study {name}" in text or f"`{name}`" in text, name
    for name in COMMANDS:
        assert f"evalkit {name}" in text or f"make {name}" in text, name
    assert set(preset_names()) <= words("README.md")


def test_every_analysis_that_a_study_may_plan_is_named_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert [name for name in ANALYSES if name not in text] == []


def test_every_path_in_the_documentation_exists() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/statistics.md"):
        for name in words(page):
            if (
                re.fullmatch(r"(docs|studies|webapp|evalkit|generators|tests)/[\w./]+", name)
                and "NAME" not in name
            ):
                assert (ROOT / name).exists(), f"{page}: {name}"
