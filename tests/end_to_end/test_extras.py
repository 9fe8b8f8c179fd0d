"""What each extra brings, and what a command says and does where it is not installed."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import evalkit
from evalkit.cli import COMMANDS, STUDY_COMMANDS
from evalkit.extras import EXTRAS, PURPOSES
from studies.errors import UserError
from tests.made_up_study import make_study

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = [package for packages in EXTRAS.values() for package in packages]
COME_WITH = {"urllib3": "requests", "markupsafe": "jinja2"}
"""Imported, and brought by a requirement that stands on them."""
ADVICE = re.compile(
    r"Error: \w+ is not installed; it is for .+\. Run: pip install 'evalkit\[(web|metrics|train)\]'\n"
)


def requirement(line: str) -> str:
    return re.split(r"[\[<>=;! ]", line)[0].lower()


def imported() -> Iterator[tuple[str, str]]:
    """File and first name of every import of the packages."""
    for package in ("evalkit", "studies", "webapp", "generators"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                yield from ((str(path.relative_to(ROOT)), name.partition(".")[0]) for name in names)


def test_every_import_is_of_a_requirement_or_of_an_extra() -> None:
    of_modules = importlib.metadata.packages_distributions()
    required = {requirement(line) for line in PROJECT["dependencies"]}
    own = {"evalkit", "studies", "webapp", "generators", *sys.stdlib_module_names, *PACKAGES}
    stray = {
        (path, name)
        for path, name in imported()
        if name not in own
        and not {COME_WITH.get(name, ""), *(one.lower() for one in of_modules.get(name, []))} & required
    }
    assert stray == set()


def test_every_requirement_of_an_extra_is_told_of_where_it_is_missing() -> None:
    of_modules = importlib.metadata.packages_distributions()
    for extra, packages in EXTRAS.items():
        told = {one.lower() for package in packages for one in of_modules[package]}
        lines = PROJECT["optional-dependencies"][extra]
        assert {requirement(line) for line in lines} - {"evalkit"} <= told, extra
    assert set(PURPOSES) == set(EXTRAS)
    assert not {requirement(line) for line in PROJECT["dependencies"]} & {
        one.lower() for package in PACKAGES for one in of_modules[package]
    }


def test_all_is_every_extra_but_that_of_development() -> None:
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(re.findall(r"\w+", everything)) == {"evalkit", *extras} - {"all", "dev"}


@pytest.fixture
def bare(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`evalkit ...` without any of the extras."""

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        script = ROOT / "tests" / "without_extras.py"
        ran = subprocess.run(
            [sys.executable, "-P", str(script), ",".join(PACKAGES), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == code, ran.stderr[-3000:]
        return ran

    return run


def test_a_study_is_made_and_built_without_any_extra(bare, tmp_path: Path) -> None:
    images = make_study(tmp_path / "made") / "images"
    settings = ("protocol.practice=2", "protocol.scored=4", "protocol.reserve=1")
    options = [part for setting in settings for part in ("--set", setting)]
    bare("study", "init", "study", "--real", f"{images}/real", "--fake", f"alpha={images}/alpha", *options)
    bare("study", "build", "study")
    for arguments in (["study", "serve", "study"], ["analyze", "study"], ["study", "check", "study"]):
        assert "pip install 'evalkit[web]'" in bare(*arguments, code=1).stderr


def test_answers_given_elsewhere_are_analysed_and_reported_without_any_extra(bare, tmp_path: Path) -> None:
    rows = [
        f"w{worker},i{image},1,{(worker + image) % 3 == 0:d}" for worker in range(8) for image in range(9)
    ]
    (tmp_path / "a.csv").write_text("who,pic,fake,real\n" + "\n".join(rows) + "\n", encoding="utf-8")
    columns = "worker=who,image=pic,is_fake=fake,said_real=real"
    bare("study", "import", "csv", "a.csv", "--map", columns, "--out", "old")
    assert bare("analyze", "old").stdout == "old/imported/estimates.jsonl\n"
    assert bare("report", "old").stdout == "old/imported/report.html\n"


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("web", "study serve x"),
        ("web", "demo"),
        ("metrics", "metrics images/real images/alpha"),
        ("train", "train facades-unet"),
    ],
)
def test_a_command_without_its_extra_names_it_in_one_line(
    bare, extra: str, arguments: str, tmp_path: Path
) -> None:
    make_study(tmp_path)
    told = bare(*arguments.split(), code=1).stderr
    assert ADVICE.fullmatch(told), told
    assert f"evalkit[{extra}]" in told


def test_every_command_gives_its_help_or_names_its_extra(tmp_path: Path) -> None:
    code = f"""
import sys
sys.argv = ["", {",".join(PACKAGES)!r}, "--version"]
import runpy
try:
    runpy.run_path({str(ROOT / "tests" / "without_extras.py")!r}, run_name="__main__")
except SystemExit:
    pass
from evalkit.cli import COMMANDS, STUDY_COMMANDS, main
for name in [*COMMANDS, *(f"study {{one}}" for one in STUDY_COMMANDS)]:
    try:
        main([*name.split(), "--help"])
    except SystemExit as ended:
        print("ENDED", name, ended.code, flush=True)
"""
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    ended = re.findall(r"^ENDED (.+) (\d)$", ran.stdout, re.MULTILINE)
    assert len(ended) == len(COMMANDS) + len(STUDY_COMMANDS), ran.stderr
    failed = [name for name, status in ended if status != "0"]
    lines = ran.stderr.splitlines(keepends=True)
    assert len(lines) == len(failed)
    assert all(ADVICE.fullmatch(line) for line in lines), lines
    helped = {name for name, status in ended if status == "0"}
    assert {
        "analyze",
        "report",
        "power",
        "rehearse",
        "doctor",
        "study init",
        "study build",
        "study import",
    } <= helped


def test_a_metric_in_a_notebook_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    score = evalkit.fid
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        UserError, match=r"^torch is not installed; .* Run: pip install 'evalkit\[metrics\]'$"
    ):
        score("real", "fake")


def test_another_missing_module_is_a_bug_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "power", ("evalkit.cli.no_such_module:power", "x"))
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        evalkit.cli.main(["power"])
