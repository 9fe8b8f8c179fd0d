"""Every `evalkit …` that a page tells a reader to type is one that the command line takes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from evalkit.cli import cli
from tests.docs.pages import PAGES, shell_lines

STARTS = re.compile(r"^(?:sudo -u \w+ )?(?:/opt/evalkit/)?(?:\.venv/bin/)?evalkit (.+)")
ENDS = {"|", "||", "&&", "&", ";", ">", "2>&1"}
ELLIPSIS = "…"


def typed(line: str) -> list[str]:
    """The words of the line's evalkit command, up to what the shell does with it; empty if there is none."""
    found = STARTS.match(line.strip())
    if found is None:
        return []
    words = []
    for word in shlex.split(found[1].replace(";", " ; "), comments=True):
        if word in ENDS:
            break
        words.append(word)
    return words


def faults(words: list[str]) -> list[str]:
    """What the command line would say against these words: no such command, no such option."""
    command: click.Command = cli
    left = list(words)
    while isinstance(command, click.Group) and left and not left[0].startswith("-") and left[0] != ELLIPSIS:
        under = command.get_command(click.Context(command), left[0])
        if under is None:
            return [f"no command {left[0]!r}"]
        command, left = under, left[1:]
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {
        "--help",
        "-h",
    }
    if command is cli:
        known |= {"--version"}
    options = [word.partition("=")[0] for word in left if word.startswith("--")]
    return [f"no option {name}" for name in options if name not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_on_the_page_exist_with_their_options(page: Path) -> None:
    wrong = {line: found for line in shell_lines(page) if (found := faults(typed(line)))}
    assert wrong == {}


def test_a_command_or_an_option_that_does_not_exist_is_found() -> None:
    assert faults(typed("evalkit study bild S")) == ["no command 'bild'"]
    assert faults(typed("sudo -u evalkit /opt/evalkit/.venv/bin/evalkit study serve S --prot 1 &")) == [
        "no option --prot"
    ]
    assert faults(typed("evalkit report S --data live > out.txt")) == []


def test_every_command_is_shown_in_use_on_some_page() -> None:
    def ends(command: click.Command, path: str) -> Iterator[str]:
        if not isinstance(command, click.Group):
            yield path
            return
        for name in command.list_commands(click.Context(command)):
            under = command.get_command(click.Context(command), name)
            assert under is not None
            yield from ends(under, f"{path} {name}".strip())

    shown = {" ".join(typed(line)) for page in PAGES for line in shell_lines(page)}
    missing = [
        path
        for path in ends(cli, "")
        if not any(each == path or each.startswith(f"{path} ") for each in shown)
    ]
    assert missing == []
