"""The wheel, installed away from the checkout: nothing is left out of it, and a whole study runs from it."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.built_packages import PACKAGES, ROOT, Built, Environment, build
from tests.made_up_study import make_study

LEFT_OUT = (".pyc", ".po", ".cfg")
"""Sources of what is there in another form."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = Environment(tmp_path_factory.mktemp("wheel"))
    made.install("--offline", "--no-deps", str(built.wheel))
    made.borrow_dependencies()
    return made


def test_every_file_of_the_packages_is_in_the_wheel_and_nothing_else(built: Built) -> None:
    there = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix not in LEFT_OUT
    }
    with zipfile.ZipFile(built.wheel) as archive:
        names = {
            name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith(LEFT_OUT)
        }
    assert names == there


def test_the_sdist_brings_readme_and_licence(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "pyproject.toml"} <= names


def test_a_whole_study_runs_from_the_wheel_outside_of_the_checkout(environment: Environment) -> None:
    where = environment.run(
        "python", "-c", "import evalkit, webapp; print(evalkit.__file__, webapp.__file__)"
    ).stdout
    assert str(ROOT) not in where
    assert str(environment.folder.parent / "environment") in where
    assert "Make, run and export a study." in environment.run("evalkit", "--help").stdout
    images = make_study(environment.folder / "made") / "images"
    environment.run(
        "evalkit", "study", "init", "study", "--real", f"{images}/real", "--fake", f"alpha={images}/alpha",
        "--set", "protocol.practice=2", "--set", "protocol.scored=4", "--set", "protocol.reserve=1",
        "--set", "study.participants_per_condition=2", "--approval", "IRB 1", "--contact", "a@b.example",
    )  # fmt: skip
    environment.run("evalkit", "study", "build", "study")
    environment.run("evalkit", "study", "simulate", "study")
    page = Path(environment.folder, environment.run("evalkit", "report", "study").stdout.strip())
    assert "SIMULATED" in page.read_text(encoding="utf-8")
    code = "import evalkit; print(evalkit.Study.open('study').find('fool_rate', 'alpha').n['workers'])"
    assert environment.run("python", "-c", code).stdout == "2\n"
