"""A hosted study whose clock the test moves, and people who walk through it."""

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from studies.design import load_study
from studies.records import DataKind
from studies.stimuli import build_bundle
from tests.made_up_study import make_study
from tests.webapp.fake_prolific import TOKEN, FakeProlific, running_prolific
from tests.webapp.people import Clock
from webapp.config import ServerConfig, load_secret_key
from webapp.hosting import HostedStudy, host, prepare

Hosting = Callable[..., HostedStudy]


def make_named_study(folder: Path, **settings: Any) -> Path:
    """The small study, its inputs called so that their names can be searched for: `facade_00` to `facade_15`."""
    make_study(folder, **settings)
    for image in sorted(folder.glob("images/*/*.png")):
        image.rename(image.with_stem(f"facade_{int(image.stem):02}"))
    build_bundle(load_study(folder), folder)
    return folder


@pytest.fixture(scope="session")
def built_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; tests copy it."""
    return make_named_study(tmp_path_factory.mktemp("built") / "small")


@pytest.fixture
def folder(built_study: Path, tmp_path: Path) -> Path:
    """A study of one's own: 2 algorithms x 3 places, 2 + 4 trials, reserve 1."""
    return Path(shutil.copytree(built_study, tmp_path / "small"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hosting(folder: Path, database_url: str, clock: Clock) -> Iterator[Hosting]:
    """Hosts a study, `folder` by default; may be called several times for several kinds of data or servers."""
    opened: list[HostedStudy] = []

    def start(data: DataKind = "live", *, where: Path | None = None, **changes: Any) -> HostedStudy:
        at = where or folder
        config = ServerConfig(at, data, load_secret_key(at), database_url)
        hosted = host(dataclasses.replace(config, **changes), clock)
        opened.append(hosted)
        prepare(hosted)
        return hosted

    yield start
    for hosted in opened:
        hosted.database.close()


@pytest.fixture
def hosted(hosting: Hosting) -> HostedStudy:
    """The study with live data."""
    return hosting()


@pytest.fixture
def prolific(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProlific]:
    """A stand-in for Prolific, to which the environment leads."""
    with running_prolific() as fake:
        monkeypatch.setenv("EVALKIT_PROLIFIC_API", fake.api)
        monkeypatch.setenv("EVALKIT_PROLIFIC_TOKEN", TOKEN)
        yield fake
