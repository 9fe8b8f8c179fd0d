"""What shells and pipes see: completion, help at once, no colours where nobody looks."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evalkit.cli import COMMANDS, STUDY_COMMANDS
from tests.made_up_study import make_study

EVALKIT = [sys.executable, "-m", "evalkit.cli"]
HEAVY = ("numpy", "pandas", "scipy", "matplotlib", "torch", "flask", "sqlalchemy", "pydantic", "rich", "PIL")


def complete(words: str, count: int, shell: str = "bash") -> list[str]:
    code = "from evalkit.cli import main; main()"
    told = {"COMP_WORDS": words, "COMP_CWORD": str(count), "_EVALKIT_COMPLETE": f"{shell}_complete"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **told}, capture_output=True, text=True, check=True
    )
    return ran.stdout.splitlines()


def test_commands_are_completed_in_the_order_of_help() -> None:
    assert complete("evalkit ", 1) == [f"plain,{name}" for name in COMMANDS]
    assert complete("evalkit study pre", 2) == [
        f"plain,{name}" for name in STUDY_COMMANDS if name.startswith("pre")
    ]


def test_options_and_their_values_are_completed() -> None:
    assert "plain,--data" in complete("evalkit analyze study --", 3)
    assert "plain,simulated" in complete("evalkit analyze study --data s", 4)


def test_completing_a_command_imports_none() -> None:
    code = (
        "import sys, click; from evalkit.cli import cli, study; context = click.Context(cli);"
        "cli.shell_complete(context, ''); study.shell_complete(context, '');"
        f"print(sorted({HEAVY!r} & sys.modules.keys()))".replace("('numpy'", "{'numpy'").replace(
            "'PIL')", "'PIL'}"
        )
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_understands_its_script(shell: str) -> None:
    script = subprocess.run(
        [*EVALKIT, "completion", shell], capture_output=True, text=True, check=True
    ).stdout
    assert f"_EVALKIT_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_bash_completes_after_the_line_that_help_tells() -> None:
    helped = subprocess.run(
        [*EVALKIT, "completion", "--help"], capture_output=True, text=True, check=True
    ).stdout
    line = next(line for line in helped.splitlines() if "bash:" in line)
    assert 'eval "$(evalkit completion bash)"' in line
    folder = Path(sys.executable).parent
    code = (
        'eval "$(evalkit completion bash)"; COMP_WORDS=(evalkit rep); COMP_CWORD=1;'
        ' compopt() { :; }; _evalkit_completion evalkit; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", "--norc", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "report"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from evalkit.cli import main\n"
        "try: main(['--help'])\n"
        f"except SystemExit: print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("HEAVY []\n")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("shells") / "study")


COLOURFUL = [["study", "check", "STUDY"], ["doctor"], ["power", "--rate", "0.3", "--difference", "0.1"],
             ["data", "list"], ["train", "--presets"], ["analyze", "nowhere"]]  # fmt: skip


def arguments_of(command: list[str], study: Path) -> list[str]:
    return [*EVALKIT, *(str(study) if part == "STUDY" else part for part in command)]


@pytest.mark.parametrize("command", COLOURFUL, ids=" ".join)
def test_nothing_is_coloured_when_piped(command: list[str], study: Path) -> None:
    kept = {
        name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "CLICOLOR_FORCE")
    }
    ran = subprocess.run(
        arguments_of(command, study), env=kept, capture_output=True, text=True, check=False, cwd=study
    )
    assert ran.returncode in (0, 1), ran.stderr
    assert ran.stdout + ran.stderr != ""
    assert "\x1b" not in ran.stdout + ran.stderr


def test_errors_are_coloured_at_a_terminal(study: Path) -> None:
    leader, follower = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    subprocess.run(
        arguments_of(["analyze", "nowhere"], study), env=kept, stdout=follower, stderr=follower, check=False
    )
    os.close(follower)
    with os.fdopen(leader, "rb") as stream:
        assert b"\x1b[31m" in stream.read1()
