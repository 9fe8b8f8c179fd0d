"""The sdist and the wheel made from it, and environments that hold them away from the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("evalkit", "studies", "webapp", "generators")
_FORGOTTEN = ("EVALKIT_", "PYTHON", "VIRTUAL_ENV")
"""How the names of variables begin that would lead back to the checkout or to another database."""


@dataclass(frozen=True)
class Built:
    """What goes to an index."""

    sdist: Path
    wheel: Path


def build(folder: Path) -> Built:
    """Make the sdist from a copy of the checkout, and the wheel from the unpacked sdist."""
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    sdist = _made("build_sdist", source, folder / "dist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return Built(sdist, _made("build_wheel", unpacked, folder / "dist"))


def _made(hook: str, source: Path, out: Path) -> Path:
    out.mkdir(exist_ok=True)
    code = f"import sys; from setuptools import build_meta; build_meta.{hook}(sys.argv[1])"
    before = set(out.iterdir())
    subprocess.run([sys.executable, "-c", code, str(out)], cwd=source, check=True, capture_output=True)
    (made,) = set(out.iterdir()) - before
    return made


class Environment:
    """A virtual environment with the wheel, and a folder elsewhere to work in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "elsewhere"
        self.folder.mkdir()
        self._bin = folder / "environment" / "bin"
        venv.create(folder / "environment", with_pip=False, symlinks=True)

    def install(self, *arguments: str) -> None:
        """`uv pip install ...`."""
        uv = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
        command = [uv, "pip", "install", "--quiet", "--python", str(self._bin / "python"), *arguments]
        subprocess.run(command, check=True, cwd=self.folder)

    def borrow_dependencies(self) -> None:
        """See what is installed beside pytest, after this environment's own packages; editable installs are not seen."""
        (site,) = (self._bin.parent / "lib").glob("python*/site-packages")
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    def run(self, command: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """A command of this environment, run elsewhere; it must end with `code`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FORGOTTEN)}
        ran = subprocess.run(
            [self._bin / command, *arguments],
            cwd=self.folder,
            env={**kept, "PATH": f"{self._bin}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert ran.returncode == code, (arguments, ran.stdout[-2000:], ran.stderr[-4000:])
        return ran
