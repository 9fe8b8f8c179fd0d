"""`evalkit study invite` and `forget` as a researcher uses them, with a real server between."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from evalkit.cli import main
from evalkit.cli.server import background_server
from studies.design import load_study
from tests.end_to_end.visitor import Visitor
from tests.webapp.coming import recruit
from webapp.config import server_config
from webapp.hosting import host, prepare


class Ran:
    """What a command printed and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main(["study", *arguments])
        self.code = exit_.value.code
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    monkeypatch.delenv("EVALKIT_DATABASE_URL", raising=False)
    return lambda *arguments: Ran(capsys, *map(str, arguments))


def test_links_are_made_opened_listed_and_their_holder_forgotten(
    run: Callable[..., Ran], study_folder: Path, tmp_path: Path
) -> None:
    recruit(study_folder, recruitment={"invites_only": True})
    out = tmp_path / "links.txt"
    made = run("invite", study_folder, "--count", 3, "--url", "https://study.example.org/", "--out", out)
    assert (made.code, made.out) == (0, f"{out}\n")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    links = out.read_text(encoding="ascii").splitlines()
    assert [link.startswith("https://study.example.org/?invite=") for link in links] == [True] * 3
    codes = [link.split("=")[1] for link in links]
    prepare(host(server_config(study_folder, "live")))  # as `serve` does; links may be made before
    with background_server(server_config(study_folder, "live"), workers=2) as base_url:
        person = Visitor(base_url, "unused")
        opened = person.http.get(f"{base_url}/?invite={codes[0]}", timeout=60)
        person.consent_form = opened.text.split('name="csrf_token" value="')[1].split('"')[0]
        assert person.consent().url == f"{base_url}/session"
        assert requests.get(f"{base_url}/?invite={codes[0]}", timeout=60).status_code == 403
        person.close()
    listed = run("invite", study_folder, "--list")
    assert listed.out.splitlines()[-1] == "live: 3 links, 1 used, 2 unused"
    run("export", study_folder)
    session = (study_folder / "live" / "sessions.csv").read_text(encoding="utf-8").splitlines()
    assert len(session) == 2
    gone = run("forget", study_folder, "--worker", codes[0], "--yes")
    assert gone.code == 0
    assert "live: a session (active, 0 answers), 2 arrivals" in gone.err
    assert "Exported anew" in gone.err
    for name in ("sessions.csv", "arrivals.csv", "responses.csv"):
        assert len((study_folder / "live" / name).read_text(encoding="utf-8").splitlines()) == 1
    again = run("forget", study_folder, "--worker", codes[0], "--yes")
    assert (again.code, again.out) == (1, "")
    assert again.err.splitlines() == [f"Error: {study_folder}: nobody came to this study under that id."]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Say --count N to make links, or --list"),
        (("--count", 2, "--list"), "Say --count N to make links, or --list"),
        (("--count", 2, "--url", "study.example.org"), "write the whole address, for example https://study"),
    ],
)
def test_invite_says_what_it_needs(
    run: Callable[..., Ran], study_folder: Path, arguments: tuple[object, ...], message: str
) -> None:
    ran = run("invite", study_folder, *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert message in ran.err


def test_links_that_were_written_are_not_overwritten(
    run: Callable[..., Ran], study_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "links.txt"
    out.write_text("precious", encoding="ascii")
    ran = run("invite", study_folder, "--count", 1, "--out", out)
    assert ran.code == 1
    assert "not overwritten" in ran.err
    assert out.read_text(encoding="ascii") == "precious"


def test_a_closed_study_gets_no_more_links(run: Callable[..., Ran], study_folder: Path) -> None:
    assert run("close", study_folder, "--yes").code == 0
    refused = run("invite", study_folder, "--count", 1)
    assert (refused.code, refused.out) == (1, "")
    assert "the live study is closed, so a link would open nothing" in refused.err


def test_links_are_for_direct_recruitment_and_say_so_where_the_study_is_open_to_all(
    run: Callable[..., Ran], study_folder: Path
) -> None:
    opened = run("invite", study_folder, "--count", 1)
    assert opened.code == 0
    assert "open to anybody with its plain link" in opened.err
    assert "--url names the public address" in opened.err
    recruit(study_folder, recruitment={"name": "panel"})
    assert load_study(study_folder).recruitment.name == "panel"
    refused = run("invite", study_folder, "--count", 1)
    assert (refused.code, refused.out) == (1, "")
    assert "links are made for direct only" in refused.err


def test_forget_asks_first_and_touches_only_the_data_that_were_named(
    run: Callable[..., Ran], study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.webapp.people import Person
    from webapp.hosting import count_sessions

    kinds = [host(server_config(study_folder, data)) for data in ("live", "preview")]
    for hosted in kinds:
        prepare(hosted)
        Person.begin(hosted, "Ann").walk(1)
    monkeypatch.setattr("click.confirm", _no)
    asked = run("forget", study_folder, "--worker", "Ann")
    assert asked.code == 1
    assert "live: a session (active, 1 answer), 1 arrival" in asked.err
    assert "preview: a session (active, 1 answer), 1 arrival" in asked.err
    assert "[ethics] on_request = remove" in asked.err
    assert [count_sessions(hosted) for hosted in kinds] == [1, 1]
    assert run("forget", study_folder, "--worker", "Ann", "--data", "preview", "--yes").code == 0
    assert [count_sessions(hosted) for hosted in kinds] == [1, 0]
    assert run("forget", study_folder, "--worker", "Ann", "--yes").code == 0
    assert [count_sessions(hosted) for hosted in kinds] == [0, 0]
    for hosted in kinds:
        hosted.database.close()


def _no(*_: object, **__: object) -> None:
    import click

    raise click.Abort
