"""The examples in docstrings, run in a folder with a study `facades` and the folders of images `real` and `fake`."""

import doctest
import importlib
import shutil
from pathlib import Path

import pytest

from tests.evalkit.made_up_responses import MadeUp

ROOT = Path(__file__).parents[2]
PACKAGES = ("evalkit", "studies", "webapp", "generators")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    study = MadeUp(workers=9, images=16, trials=12).write(folder / "facades")
    for name, images in (("real", study / "real"), ("fake", study / "pix2pix" / "seed0")):
        (folder / name).mkdir()
        for image in sorted(images.glob("*.png"))[:4]:  # a few, since each goes through Inception
            shutil.copy(image, folder / name)
    return folder


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_say_what_happens(
    name: str, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(examples)
    run = doctest.testmod(importlib.import_module(name))
    assert run.attempted > 0
    assert run.failed == 0


def test_what_notebooks_use_has_examples() -> None:
    homes = {
        "evalkit.notebook",
        "evalkit.analyses.plain_tables",
        "evalkit.metrics.functions",
        "studies.imagesets.base",
    }
    assert homes <= set(MODULES)
