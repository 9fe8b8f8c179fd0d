"""The documentation site builds with warnings as errors, and its reference is the code's own."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from evalkit.analyses import ANALYSES
from evalkit.metrics import METRICS
from evalkit.stats.rate_methods import RATE_METHODS
from generators.methods import METHODS
from generators.presets import ABOUT
from studies.presets import preset_names
from studies.protocols import PROTOCOLS
from tests.docs.pages import ROOT
from webapp.recruitment import RECRUITERS

EXPLAINED_IN = {
    "protocols.md": (*PROTOCOLS, *preset_names()),
    "analyze.md": tuple(ANALYSES),
    "metrics.md": tuple(METRICS),
    "generators.md": (*METHODS, *ABOUT),
    "recruitment.md": tuple(RECRUITERS),
    "estimates.md": tuple(RATE_METHODS),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_the_reference_has_a_section_for_every_command_with_its_own_help(site: Path) -> None:
    from click.testing import CliRunner

    from evalkit.cli import COMMANDS, STUDY_COMMANDS, cli

    page = (site / "command-line.html").read_text(encoding="utf-8")
    for name in (*COMMANDS, *(f"study {name}" for name in STUDY_COMMANDS)):
        assert f'id="evalkit-{name.replace(" ", "-")}"' in page, name
    shown = " ".join(text_of(site / "command-line.html").split())
    told = CliRunner().invoke(cli, ["study", "forget", "--help"], prog_name="evalkit", terminal_width=100)
    assert told.exit_code == 0
    assert " ".join(told.output.split()) in shown


@pytest.mark.parametrize("registry", [PROTOCOLS, ANALYSES, METRICS, METHODS, ABOUT, RECRUITERS])
def test_every_name_stands_in_the_reference_with_a_sentence(site: Path, registry: dict[str, object]) -> None:
    page = (site / "names.html").read_text(encoding="utf-8")
    for name in registry:
        row = re.search(rf">{re.escape(name)}</span></code></p></td>\s*<td><p>([^<]*)", page)
        assert row is not None, name
        assert len(row[1].split()) > 2, name


def test_every_name_is_explained_in_its_page_too() -> None:
    for page, names in EXPLAINED_IN.items():
        told = set(re.findall(r"`([^`\n]+)`", (ROOT / "docs" / page).read_text(encoding="utf-8")))
        assert [name for name in names if name not in told] == [], page


def test_every_public_name_of_the_package_is_in_the_reference(site: Path) -> None:
    import evalkit

    page = (site / "python.html").read_text(encoding="utf-8")
    assert [name for name in evalkit.__all__ if f'id="evalkit.{name}"' not in page] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md"])
def test_links_of_a_page_outside_the_site_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not ((ROOT / page).parent / link).exists()] == []
