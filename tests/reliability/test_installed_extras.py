"""The wheel with each extra in an environment of its own, from the package index, at the versions of the lock file."""

from pathlib import Path

import pytest

from tests.built_packages import ROOT, Built, Environment, build
from tests.made_up_study import make_study

pytestmark = [pytest.mark.reliability, pytest.mark.timeout(1800)]
SETTINGS = (
    "protocol.practice=2",
    "protocol.scored=4",
    "protocol.reserve=1",
    "study.participants_per_condition=2",
)
ANSWERS = "who,pic,fake,real\n" + "".join(f"w{k % 8},i{k // 8},1,{k % 3 == 0:d}\n" for k in range(72))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("built"))


@pytest.mark.parametrize("extra", ["", "web", "metrics", "train", "all"])
def test_the_wheel_with_an_extra_does_what_the_extra_is_for(extra: str, built: Built, tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    wheel = f"evalkit[{extra}] @ file://{built.wheel}" if extra else str(built.wheel)
    environment.install("--constraint", str(ROOT / "requirements.lock"), wheel)
    images = make_study(environment.folder / "made") / "images"
    assert "Commands:" in environment.run("evalkit", "--help").stdout
    _without_any_extra(environment, images)
    _serves(environment, works=extra in ("web", "all"))
    _scores(environment, images, works=extra in ("metrics", "train", "all"))
    _trains(environment, works=extra in ("train", "all"))


def _without_any_extra(environment: Environment, images: Path) -> None:
    options = [part for setting in SETTINGS for part in ("--set", setting)]
    environment.run(
        "evalkit", "study", "init", "study", "--real", f"{images}/real", "--fake", f"alpha={images}/alpha",
        "--approval", "IRB 1", "--contact", "a@b.example", *options,
    )  # fmt: skip
    environment.run("evalkit", "study", "build", "study")
    (environment.folder / "answers.csv").write_text(ANSWERS, encoding="utf-8")
    columns = "worker=who,image=pic,is_fake=fake,said_real=real"
    environment.run("evalkit", "study", "import", "csv", "answers.csv", "--map", columns, "--out", "old")
    environment.run("evalkit", "report", "old")


def _serves(environment: Environment, *, works: bool) -> None:
    told = environment.run("evalkit", "study", "simulate", "study", code=0 if works else 1)
    assert works or "pip install 'evalkit[web]'" in told.stderr
    if works:
        environment.run("evalkit", "report", "study")


def _scores(environment: Environment, images: Path, *, works: bool) -> None:
    told = environment.run(
        "evalkit",
        "metrics",
        f"{images}/real",
        f"{images}/alpha",
        "--metrics",
        "psnr,ssim",
        code=0 if works else 1,
    )
    assert works or "pip install 'evalkit[metrics]'" in told.stderr


def _trains(environment: Environment, *, works: bool) -> None:
    code = "import generators.training_loop.loop, generators.methods; print('here')"
    ran = environment.run("python", "-c", code, code=0 if works else 1)
    assert works == ("here" in ran.stdout)
