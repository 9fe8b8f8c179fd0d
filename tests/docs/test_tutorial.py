"""A stranger types what the pages say, top to bottom, and it works."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from studies.design import Ethics
from tests.docs.pages import PAGES, ROOT, blocks

TUTORIAL = ROOT / "docs/tutorial.md"
WAITS_FOR_PEOPLE = ("study preview", "study serve")
"""What a block may hold that is not run here."""


@pytest.mark.timeout(600)
def test_every_block_of_the_tutorial_runs_in_the_order_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("EVALKIT_DATA", str(tmp_path / "data"))
    for block in blocks(TUTORIAL, "bash"):
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{block}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"
    simulated = tmp_path / "facades-study/simulated"
    table = (simulated / "tables/main.md").read_text(encoding="utf-8")
    assert "SIMULATED" in table
    assert "| l1 |" in table
    assert "| l1_cgan |" in table
    assert "SIMULATED" in (simulated / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "scores/scores.jsonl").read_text(encoding="utf-8").count("\n") > 8


def test_what_the_tutorial_does_not_run_waits_for_people() -> None:
    lines = [line for block in blocks(TUTORIAL, "sh", "", "console") for line in block.splitlines()]
    assert lines
    for line in lines:
        assert line.startswith(tuple(f"evalkit {command}" for command in WAITS_FOR_PEOPLE)), line


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem
)
def test_the_python_of_a_page_runs_as_printed(page: Path) -> None:
    code = "\n".join(blocks(page, "python"))
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "py")], ids=lambda page: page.stem)
def test_python_that_needs_something_of_the_readers_own_imports_what_there_is(page: Path) -> None:
    for block in blocks(page, "py"):
        compile(block, page.name, "exec")
        exec("\n".join(line for line in block.splitlines() if line.startswith(("import ", "from "))), {})


def test_the_settings_of_the_page_on_ethics_are_settings() -> None:
    (block,) = blocks(ROOT / "docs/ethics.md", "toml")
    settings = tomllib.loads(block)["ethics"]
    assert Ethics(**settings).placeholders() == []
    assert set(settings) == set(Ethics.model_fields)
