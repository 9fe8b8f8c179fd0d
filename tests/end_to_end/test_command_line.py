"""Every command on bad input: one clear line, exit 1 for what a user can fix, 2 for wrong usage, nothing half-written."""

import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalkit.cli import COMMANDS, STUDY_COMMANDS, main
from evalkit.cli.server import free_port
from evalkit.cli.server_lock import only_server
from tests.made_up_study import make_study
from webapp.config import server_config
from webapp.hosting import host, prepare


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of a user error."""
        lines = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, self.err
        assert self.err.splitlines()[-1] == lines[0]
        assert "Traceback" not in self.err
        return lines[0].removeprefix("Error: ")


class CommandLine:
    """`evalkit ...` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ran:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        out, err = self._capsys.readouterr()
        assert isinstance(exit_.value.code, int)
        return Ran(exit_.value.code, out, err)

    def user_error(self, *arguments: str) -> str:
        """The message of a command that must fail with 1."""
        ran = self(*arguments)
        assert ran.code == 1, ran
        assert ran.out == ""
        return ran.error

    def usage_error(self, *arguments: str) -> str:
        """The message of a command that must fail with 2."""
        ran = self(*arguments)
        assert ran.code == 2, ran
        assert ran.err.startswith("Usage: ")
        return ran.error


@pytest.fixture
def evalkit(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("template") / "small")


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: `small` is a built study, `images/real|alpha|beta` hold images."""
    shutil.copytree(template, tmp_path / "small")
    shutil.copytree(template / "images", tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALKIT_DATABASE_URL", raising=False)
    monkeypatch.delenv("EVALKIT_SECRET_KEY", raising=False)
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, but for the empty ones that servers lock."""
    found = (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".serving-"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def change(old: str, new: str) -> None:
    path = Path("small/study.toml")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


INIT = ("study", "init", "new", "--real", "images/real", "--fake", "alpha=images/alpha")


# Usage


@pytest.mark.parametrize(
    "command", [(name,) for name in COMMANDS] + [("study", name) for name in STUDY_COMMANDS]
)
def test_every_command_explains_itself(evalkit: CommandLine, command: tuple[str, ...]) -> None:
    ran = evalkit(*command, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: evalkit {' '.join(command)}")
    assert ran.err == ""


def test_the_command_runs_as_a_program_of_its_own() -> None:
    program = [sys.executable, "-m", "evalkit.cli"]
    helped = subprocess.run([*program, "--help"], capture_output=True, text=True, check=False)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "Do your images fool people" in helped.stdout
    failed = subprocess.run([*program, "analyze", "nowhere"], capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        "Error: nowhere: no study.toml here. `evalkit study init nowhere ...` makes a study.\n"
    )
    wrong = subprocess.run([*program, "study", "biuld"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert wrong.stderr.endswith("Error: No such command 'biuld'. Did you mean 'build'?\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stduy",), "No such command 'stduy'. Did you mean 'study'?"),
        (("study", "simulat"), "No such command 'simulat'. Did you mean 'simulate'?"),
        (("analyze",), "Missing argument 'FOLDER'."),
        (("study", "status", "small", "--data", "real"), "Invalid value for '--data': 'real' is not one of "),
        (("analyze", "small", "--data", "Live"), "Invalid value for '--data': 'Live' is not one of "),
        (("study", "amend", "small"), "Missing option '--reason'."),
        (("study", "init", "new", "--real", "images/real"), "Missing option '--fake'."),
        (
            ("study", "simulate", "small", "--participants", "0"),
            "Invalid value for '--participants': 0 is not",
        ),
        (
            ("study", "simulate", "small", "--observer", "knwon"),
            "Invalid value for '--observer': 'knwon' is ",
        ),
        (("study", "serve", "small", "--port", "0"), "Invalid value for '--port': 0 is not in the range"),
        (("study", "serve", "small", "--prot", "1"), "No such option"),
    ],
)
def test_wrong_usage_exits_with_2(
    evalkit: CommandLine, here: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = files(here)
    assert evalkit.usage_error(*arguments).startswith(message)
    assert files(here) == before


@pytest.mark.parametrize(
    "command",
    [
        ("study", "build"),
        ("study", "preview"),
        ("study", "serve"),
        ("study", "simulate"),
        ("study", "status"),
        ("study", "export"),
        ("study", "amend", "--reason", "x"),
        ("analyze",),
        ("report",),
    ],
)
def test_a_folder_that_is_no_study_is_named_and_nothing_is_written(
    evalkit: CommandLine, here: Path, command: tuple[str, ...]
) -> None:
    before = files(here)
    for folder in ("nowhere", "images"):
        assert evalkit.user_error(*command, folder) == (
            f"{folder}: no study.toml here. `evalkit study init {folder} ...` makes a study."
        )
    assert files(here) == before


# init


def test_init_and_build_make_a_study_and_print_where_it_is(evalkit: CommandLine, here: Path) -> None:
    ran = evalkit(*INIT, "--set", "protocol.practice=2", "--set", "protocol.scored=4")
    assert ran.code == 0
    assert "Read it, then:\n  evalkit study build new" in ran.err
    built = evalkit("study", "build", "new")
    assert (built.code, built.out) == (0, "new/stimuli\n")
    assert (here / "new" / "secret.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ("--preset", "pix2pix2071"),
            "--preset pix2pix2071: no such preset. Did you mean 'pix2pix2017'?",
        ),
        (("--fake", "images/beta"), "--fake images/beta: write NAME=PATH, for example "),
        (("--fake", "beta=images/betta"), "images/betta"),
        (("--fake", "real=images/beta"), "new/study.toml: [conditions]: 'real' is the name of the reference"),
        (("--fake", "Beta=images/beta"), "allowed are lower-case letters, digits, _ and -"),
        (("--set", "protocol.scroed=3"), "[protocol] scroed = 3: unknown key. Did you mean 'scored'?"),
        (("--set", "protocl.scored=3"), "there is no table [protocl]. Did you mean 'protocol'?"),
        (
            ("--set", "scored=3"),
            "--set scored=3: write TABLE.KEY=VALUE, for example --set protocol.scored=20.",
        ),
        (
            ("--set", "protocol.scored=0"),
            "[protocol] scored = 0: Input should be greater than or equal to 1.",
        ),
        (("--set", "protocol.scored=many"), "[protocol] scored = 'many': Input should be a valid integer"),
        (
            ("--set", "study.participants_per_condition=-3"),
            "[study] participants_per_condition = -3: Input should be greater than or equal to 1.",
        ),
        (
            ("--set", "study.question=neither"),
            "[study] question = 'neither': Input should be 'fake' or 'real'.",
        ),
        (("--set", "protocol.name=afc"), "[protocol] name = 'afc': no such protocol."),
    ],
)
def test_what_init_cannot_use_is_named_and_no_folder_is_made(
    evalkit: CommandLine, here: Path, more: tuple[str, ...], message: str
) -> None:
    before = files(here)
    assert message in evalkit.user_error(*INIT, *more)
    assert files(here) == before
    assert not (here / "new").exists()


def test_a_missing_or_empty_folder_of_images_is_named(evalkit: CommandLine, here: Path) -> None:
    (here / "empty").mkdir()
    for name in ("missing", "empty"):
        text = evalkit.user_error("study", "init", "new", "--real", name, "--fake", "alpha=images/alpha")
        assert name in text
        assert not (here / "new").exists()


def test_init_does_not_touch_a_folder_that_has_something_in_it(evalkit: CommandLine, here: Path) -> None:
    before = files(here)
    arguments = ("--real", "images/real", "--fake", "alpha=images/alpha")
    text = evalkit.user_error("study", "init", "small", *arguments)
    assert text == "small: exists and is not empty. Choose another name, or remove it first."
    (here / "file").write_text("x", encoding="utf-8")
    assert "file: exists and is not empty." in evalkit.user_error("study", "init", "file", *arguments)
    (here / "file").unlink()
    assert files(here) == before


# build


def test_a_misspelt_key_or_impossible_value_in_study_toml_is_named(evalkit: CommandLine, here: Path) -> None:
    good = Path("small/study.toml").read_text(encoding="utf-8")
    for old, new, message in [
        ("scored = 4", "scroed = 4", "[protocol] scroed = 4: unknown key. Did you mean 'scored'?"),
        ("participants_per_condition = 3", "participants_per_condition = 0", "greater than or equal to 1."),
        (
            'question = "fake"',
            'question = "Fake"',
            "[study] question = 'Fake': Input should be 'fake' or 'real'.",
        ),
        ("scored = 4", "scored = ", "not valid TOML"),
    ]:
        change(old, new)
        before = files(here)
        for command in (("study", "build"), ("study", "serve"), ("analyze",), ("study", "status")):
            text = evalkit.user_error(*command, "small")
            assert text.startswith("small/study.toml: ")
            assert message in text
        assert files(here) == before
        Path("small/study.toml").write_text(good, encoding="utf-8")


def test_more_trials_than_the_images_allow_are_refused_by_build(evalkit: CommandLine, here: Path) -> None:
    change("scored = 4", "scored = 40")
    before = files(here)
    text = evalkit.user_error("study", "build", "small")
    assert text.startswith("16 inputs are too few: 2 practice + 40 scored trials need at least 42")
    assert files(here) == before


def test_one_broken_image_among_many_is_named_and_the_old_bundle_stays(
    evalkit: CommandLine, here: Path
) -> None:
    path = here / "small" / "images" / "alpha" / "7.png"
    path.write_bytes(path.read_bytes()[:300])
    before = files(here)
    text = evalkit.user_error("study", "build", "small")
    assert "images/alpha/7.png" in text
    assert files(here) == before


def test_different_names_on_the_two_sides_are_named(evalkit: CommandLine, here: Path) -> None:
    (here / "small" / "images" / "alpha" / "7.png").rename(here / "small" / "images" / "alpha" / "seven.png")
    before = files(here)
    assert "seven" in evalkit.user_error("study", "build", "small")
    assert files(here) == before


# serve and preview


@pytest.mark.parametrize("mode", [(), ("--pilot",)])
def test_serve_refuses_while_a_placeholder_stands_and_names_the_keys(
    evalkit: CommandLine, here: Path, mode: tuple[str, ...]
) -> None:
    change('approval = "IRB 1"', 'approval = "TO BE FILLED IN"')
    change('contact = "study@lab.example"', 'contact = " "')
    assert evalkit.user_error("study", "serve", "small", *mode) == (
        "small/study.toml: [ethics] approval, contact must be filled in before real people take part. Until then: "
        "evalkit study preview small."
    )


def test_a_busy_port_is_named(evalkit: CommandLine, here: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for command in ("serve", "preview"):
            text = evalkit.user_error("study", command, "small", "--port", str(port))
            assert text == (
                f"--port {port}: this port is taken by another program. Choose another one, for example "
                f"--port {port + 1}."
            )


@pytest.mark.parametrize(("command", "data"), [("serve", "live"), ("preview", "preview")])
def test_a_second_server_on_the_same_study_and_data_is_refused(
    evalkit: CommandLine, here: Path, command: str, data: str
) -> None:
    from evalkit.cli.server import free_port

    with only_server(Path("small"), data):
        text = evalkit.user_error("study", command, "small", "--port", str(free_port()))
    assert text == (
        f"small: another server is already running this study's {data} data. Stop it first, or use it."
    )


def test_a_second_rehearsal_at_the_same_time_is_refused(evalkit: CommandLine, here: Path) -> None:
    with only_server(Path("small"), "simulated"):
        text = evalkit.user_error("study", "simulate", "small")
    assert text.startswith("small: another server is already running this study's simulated data.")


@pytest.mark.parametrize("command", ["serve", "preview", "simulate"])
def test_a_changed_image_is_found_before_anybody_sees_it(
    evalkit: CommandLine, here: Path, command: str
) -> None:
    path = sorted(Path("small/stimuli").glob("*.png"))[3]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    text = evalkit.user_error("study", command, "small")
    assert text == f"{path}: changed after the bundle was built. Run `evalkit study build small` again."


@pytest.mark.parametrize("command", ["serve", "preview", "simulate"])
def test_a_study_that_was_not_built_says_how(evalkit: CommandLine, here: Path, command: str) -> None:
    shutil.rmtree("small/stimuli")
    before = files(here)
    text = evalkit.user_error("study", command, "small")
    assert text == "small: no stimulus bundle yet. Run `evalkit study build small`."
    assert files(here) == before


@pytest.mark.parametrize("command", ["serve", "preview", "simulate"])
def test_a_lost_key_is_not_replaced_in_silence(evalkit: CommandLine, here: Path, command: str) -> None:
    Path("small/secret.key").unlink()
    text = evalkit.user_error("study", command, "small")
    assert text.startswith("small/secret.key: missing. It hashes worker ids;")
    assert not Path("small/secret.key").exists()


def test_a_database_of_another_kind_is_refused(
    evalkit: CommandLine, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALKIT_DATABASE_URL", "mysql://me:hidden@host/study")
    text = evalkit.user_error("study", "serve", "small")
    assert text.startswith("EVALKIT_DATABASE_URL: only postgresql+psycopg://")
    assert "hidden" not in text


# simulate


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("alpha=1.5", "--rate alpha=1.5: a rate lies between 0 and 1, for example alpha=0.25."),
        ("alpha=-0.1", "--rate alpha=-0.1: a rate lies between 0 and 1"),
        ("alpha=often", "--rate alpha=often: a rate lies between 0 and 1"),
        ("alpha=nan", "--rate alpha=nan: a rate lies between 0 and 1"),
        ("alpha", "--rate alpha: a rate lies between 0 and 1"),
        ("alpa=0.3", "--rate alpa=0.3: the study has no algorithm 'alpa'. Did you mean 'alpha'?"),
    ],
)
def test_a_rate_that_makes_no_sense_is_refused(
    evalkit: CommandLine, here: Path, rate: str, message: str
) -> None:
    text = evalkit.user_error("study", "simulate", "small", "--observer", "known", "--rate", rate)
    assert text.startswith(message)


def test_rates_are_only_for_observers_that_know(evalkit: CommandLine, here: Path) -> None:
    text = evalkit.user_error("study", "simulate", "small", "--rate", "alpha=0.3")
    assert text == "--rate is for --observer known; the seeing observer makes up its own mind."


# numbers


def test_numbers_are_not_made_for_a_study_that_nobody_met(evalkit: CommandLine, here: Path) -> None:
    assert evalkit("study", "simulate", "small", "--participants", "2", "--observer", "known").code == 0
    assert evalkit("report", "small").code == 0
    change("exposure_ms = 1000", "exposure_ms = 500")
    for command in ("analyze", "report"):
        assert evalkit.user_error(command, "small") == (
            "small: changed since the first simulated session: protocol.exposure_ms: 1000 -> 500. Change it back, "
            "or collect simulated data anew."
        )
    change("exposure_ms = 500", "exposure_ms = 1000")
    change("confidence_level = 0.95", "confidence_level = 0.9")  # what is made of rehearsals may still change
    assert evalkit("analyze", "small").code == 0


def test_what_was_collected_can_be_read_without_the_key(evalkit: CommandLine, here: Path) -> None:
    assert evalkit("study", "simulate", "small", "--participants", "2", "--observer", "known").code == 0
    Path("small/secret.key").unlink()
    for command in (("study", "status"), ("study", "export"), ("analyze",), ("report",)):
        assert evalkit(*command, "small").code == 0


@pytest.mark.parametrize("command", [("analyze",), ("report",), ("study", "status"), ("study", "export")])
def test_without_any_data_every_reader_says_how_to_get_some(
    evalkit: CommandLine, here: Path, command: tuple[str, ...]
) -> None:
    assert evalkit.user_error(*command, "small") == (
        "small: nobody has taken part yet. `evalkit study serve small` is for people, "
        "`evalkit study simulate small` for a rehearsal."
    )
    assert evalkit.user_error(*command, "small", "--data", "pilot").startswith(
        "small: nobody has taken part yet in pilot data."
    )
    for data in ("live", "pilot", "simulated", "preview"):
        assert not Path("small", data).exists()


def test_amend_has_nothing_to_do_before_the_freeze(evalkit: CommandLine, here: Path) -> None:
    before = files(here)
    text = evalkit.user_error("study", "amend", "small", "--reason", "why not")
    assert text == "small: not frozen yet, so there is nothing to amend. The first live session freezes it."
    assert files(here) == before


def test_a_frozen_study_is_not_built_again_and_changes_need_an_amendment(
    evalkit: CommandLine, here: Path
) -> None:
    from webapp import sessions
    from webapp.config import server_config
    from webapp.hosting import host, prepare

    hosted = host(server_config(Path("small"), "live"))
    prepare(hosted)
    sessions.claim(hosted, "a worker's hash", None, "1")
    hosted.database.close()
    assert evalkit.user_error("study", "build", "small").startswith("small: the study is frozen by its first")
    change("exposure_ms = 1000", "exposure_ms = 500")
    text = evalkit.user_error("study", "serve", "small")
    assert text.startswith(
        "small: changed since the study was frozen by its first live session: protocol.exposure_ms: 1000 -> 500."
    )
    assert 'evalkit study amend small --reason "..."' in text
    amended = evalkit("study", "amend", "small", "--reason", "the display was too slow")
    assert (amended.code, amended.out) == (0, "small/amendments.jsonl\n")
    assert amended.err == "Recorded a dated deviation: protocol.exposure_ms: 1000 -> 500.\n"
    with socket.socket() as other:  # the amended study is accepted: the next check is the port
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert evalkit.user_error("study", "serve", "small", "--port", str(port)).startswith(
            f"--port {port}:"
        )
    change("participants_per_condition = 3", "participants_per_condition = 4")
    text = evalkit.user_error("study", "amend", "small", "--reason", "more people")
    assert text.startswith("small: the design or the images changed after the first live session")
    assert (here / "small/amendments.jsonl").read_text(encoding="utf-8").count("\n") == 1


def test_a_planned_analysis_that_does_not_exist_is_named(evalkit: CommandLine, here: Path) -> None:
    from webapp import sessions
    from webapp.config import server_config
    from webapp.hosting import host, prepare

    hosted = host(server_config(Path("small"), "pilot"))
    prepare(hosted)
    sessions.claim(hosted, "a worker's hash", None, "1")
    hosted.database.close()
    change('planned = ["fool_rate"', 'planned = ["fol_rate"')
    text = evalkit.user_error("analyze", "small")
    assert "fol_rate" in text
    assert "Did you mean 'fool_rate'?" in text
    assert not Path("small/pilot/estimates.jsonl").exists()


@pytest.mark.usefixtures("here")
def test_behind_a_proxy_the_public_address_is_needed_since_it_keeps_cookies_to_https(
    evalkit: CommandLine,
) -> None:
    error = evalkit.user_error("study", "serve", "small", "--behind-proxy")
    assert error.startswith("--behind-proxy: --url is missing")


def test_a_backup_of_a_study_that_was_not_built_says_how(evalkit: CommandLine, here: Path) -> None:
    shutil.rmtree("small/stimuli")
    message = evalkit.user_error("study", "backup", "small", "--out", "backups")
    assert "study build" in message
    assert not (here / "backups").exists()


def test_status_shows_what_a_server_waits_for_before_anybody_came(evalkit: CommandLine, here: Path) -> None:
    assert "nobody has taken part yet" in evalkit.user_error("study", "status", "small")
    hosted = host(server_config(Path("small"), "live"))
    prepare(hosted)
    hosted.database.close()
    ran = evalkit("study", "status", "small")
    assert ran.code == 0
    assert "live data" in ran.out
    assert "0/3" in ran.out


def test_a_server_of_a_paused_study_says_so(
    evalkit: CommandLine, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = host(server_config(Path("small"), "live"))
    prepare(hosted)
    hosted.database.close()
    assert evalkit("study", "pause", "small").code == 0
    monkeypatch.setattr("evalkit.cli.server.run_server", lambda *_arguments, **named: named["ready"]())
    assert "evalkit study resume" in evalkit("study", "serve", "small", "--port", str(free_port())).err
