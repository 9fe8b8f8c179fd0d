"""`evalkit study check`: the pre-flight from the folder, and against a real server over real HTTP and TLS."""

import asyncio
import datetime
import ipaddress
import json
import random
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from evalkit.cli import cli
from evalkit.cli.preflight import check_folder
from evalkit.cli.preflight_machine import file_system
from evalkit.cli.preflight_url import check_address, percentile
from evalkit.cli.server import background_server
from studies.errors import UserError
from tests.audited_study import picture, split_study
from webapp.config import server_config
from webapp.hosting import host, prepare

PAID = {"name": "direct", "reward_cents": 100, "fee_share": 0.25, "minimum_cents_per_hour": 800}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(3)
    return split_study(
        tmp_path_factory.mktemp("check") / "s",
        [picture(rng) for _ in range(48)],
        rng,
        study={"participants_per_condition": 6},  # each image is scored once
        recruitment=PAID,
    )


def changed(folder: Path, tmp_path: Path, *replacements: tuple[str, str]) -> Path:
    """A copy of the study with lines of study.toml replaced."""
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(folder), str(copy)], check=True)
    text = (copy / "study.toml").read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    (copy / "study.toml").write_text(text, encoding="utf-8")
    return copy


def items(folder: Path) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for item in check_folder(folder):
        found.setdefault(item.name, []).append((item.state, item.text))
    return found


def only(folder: Path, name: str) -> tuple[str, str]:
    """The one item of that name; what comes after it is not looked at."""
    found = []
    for item in check_folder(folder):
        if item.name == name:
            found.append((item.state, item.text))
        elif found:
            break
    (one,) = found
    return one


def test_a_study_that_is_ready_fails_nothing_and_says_each_thing_on_one_line(folder: Path):
    result = CliRunner().invoke(cli, ["study", "check", str(folder)])
    assert result.exit_code == 0, result.output
    found = items(folder)
    for name in (
        "study.toml",
        "bundle",
        "audit",
        "sizes",
        "cost",
        "freeze",
        "real images",
        "ethics",
        "languages",
    ):
        assert [state for state, _ in found[name]] == ["ok"], (name, found[name])
    for name in ("recruitment", "secret key", "git", "database", "disk"):
        assert [state for state, _ in found[name]] == ["ok"], (name, found[name])
    assert len(result.stdout.splitlines()) == sum(map(len, found.values()))
    assert "0 that must be put right." in result.stderr


def test_cost_and_pay_are_what_a_pocket_calculator_says(folder: Path):
    assert only(folder, "cost") == ("ok", "6 sessions: 6.00 GBP and a fee of 1.50 GBP (25%), 7.50 GBP in all")
    state, text = only(folder, "pay")
    assert (state, text[: text.index(",")]) == ("warn", "1.00 GBP for 8 min: 7.50 GBP an hour")
    assert text.endswith("1.07 GBP would meet it.")


def test_pay_that_meets_the_minimum_is_fine(folder: Path, tmp_path: Path):
    copy = changed(folder, tmp_path, ("reward_cents = 100", "reward_cents = 120"))
    assert only(copy, "pay") == ("ok", "1.20 GBP for 8 min: 9.00 GBP an hour")


def test_a_session_much_shorter_than_participants_are_told_is_noticed(folder: Path):
    state, text = only(folder, "session length")
    assert state == "warn"
    assert text.startswith(
        "about 3 min, if an answer takes 2 s and reading 2 min; participants are told 8 min"
    )


@pytest.mark.parametrize(
    ("old", "new", "name", "state", "words"),
    [
        (
            'contact = "study@lab.example"',
            'contact = "TO BE FILLED IN"',
            "ethics",
            "fail",
            "[ethics] contact must be",
        ),
        ("public = false", "# public =", "real images", "warn", "Can anyone look these photographs up?"),
        ("public = false", 'public = "CMP Facades"', "real images", "warn", "look like those of CMP Facades"),
        (
            "pixel_scale = 1",
            "pixel_scale = 8",
            "sizes",
            "warn",
            "more than a maximised browser has on 1366x768",
        ),
        ("pixel_scale = 1", "pixel_scale = 16", "sizes", "fail", "on 1366x768 or 1920x1080 screens"),
        ('name = "direct"', 'name = "directly"', "recruitment", "fail", "no such recruiter"),
        ("reward_cents = 100", "reward_cents = 0", "pay", "warn", "reward_cents = 0"),
        ('name = "direct"', 'name = "prolific"', "recruitment", "fail", "EVALKIT_PROLIFIC_TOKEN is not set"),
        ("seed = ", "seed = 1", "bundle", "fail", "built with [study] seed"),
        ("practice = 2", "practise = 2", "study.toml", "fail", "practise"),
    ],
)
def test_each_thing_that_is_not_right_is_found(folder: Path, tmp_path: Path, old, new, name, state, words):
    found = only(changed(folder, tmp_path, (old, new)), name)
    assert found[0] == state, found
    assert words in found[1]
    assert "\n" not in found[1]


def test_a_broken_study_toml_ends_the_check_with_exit_code_1(folder: Path, tmp_path: Path):
    copy = changed(folder, tmp_path, ("[study]", "[study"))
    result = CliRunner().invoke(cli, ["study", "check", str(copy), "--json"])
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"], len(told["items"])) == (1, False, 1)


def test_a_key_that_others_may_read_fails(folder: Path, tmp_path: Path):
    copy = changed(folder, tmp_path)
    (copy / "secret.key").chmod(0o644)
    state, text = only(copy, "secret key")
    assert (state, "mode 0644" in text, f"chmod 600 {copy / 'secret.key'}" in text) == ("fail", True, True)


def test_a_work_tree_that_would_take_the_key_along_is_noticed_and_a_tracked_key_fails(
    folder: Path, tmp_path: Path
):
    copy = changed(folder, tmp_path)

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    git("init")
    assert only(copy, "git")[0] == "warn"
    (tmp_path / ".gitignore").write_text("copy/\n")
    assert only(copy, "git")[0] == "ok"
    git("add", "--force", "copy/secret.key")
    state, text = only(copy, "git")
    assert (state, "is tracked by git" in text) == ("fail", True)


def test_a_database_that_does_not_answer_fails(folder: Path, monkeypatch: pytest.MonkeyPatch):
    url = "postgresql+psycopg://nobody:secret@127.0.0.1:1/nothing"
    monkeypatch.setenv("EVALKIT_DATABASE_URL", url)
    state, text = only(folder, "database")
    assert (state, "the database cannot be opened" in text, "secret" in text) == ("fail", True, False)


def test_the_file_system_is_that_of_the_longest_mount(tmp_path: Path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\nb {tmp_path}/other xfs rw 0 0\n"
    )
    (tmp_path / "study").mkdir()
    (tmp_path / "other").mkdir()
    assert file_system(tmp_path / "study", mounts) == "nfs4"
    assert file_system(tmp_path / "other", mounts) == "xfs"
    assert file_system(Path("/"), mounts) == "ext4"


def test_percentiles_are_values_that_were_measured():
    values = [float(value) for value in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile([7.0], 0.95)) == (50, 95, 7)


@contextmanager
def served(folder: Path, data: str, *, secure: bool = False) -> Iterator[str]:
    config = server_config(folder, data, secure_cookies=secure)  # type: ignore[arg-type]
    prepare(host(config))
    with background_server(config, workers=1) as base:
        yield base


def by_name(folder: Path, url: str) -> dict[str, tuple[str, str]]:
    return {item.name: (item.state, item.text) for item in check_address(folder, url)}


def test_a_whole_preview_session_is_taken_at_the_address(folder: Path):
    with served(folder, "preview") as base:
        result = CliRunner().invoke(cli, ["study", "check", str(folder), "--url", base, "--json"])
        again = by_name(folder, base)
    assert result.exit_code == 0, result.output
    found = {item["name"]: item for item in json.loads(result.stdout)["items"]}
    assert found["session"]["text"] == "a whole preview session: 6 trials, 12 images; never counted"
    for name in ("session", "headers", "cookies", "image lengths", "clock"):
        assert found[name]["state"] == "ok", found[name]
    assert found["certificate"]["state"] == "warn"
    assert found["answers take"]["text"].startswith("median ")
    assert again["session"][0] == "ok"  # as often as one likes


def test_a_server_that_collects_answers_is_refused_in_one_line(folder: Path):
    with served(folder, "live") as base:
        found = by_name(folder, base)
    assert list(found) == ["certificate", "server"]
    state, text = found["server"]
    assert state == "fail"
    assert f"the server at {base} collects live data" in text
    assert f"evalkit study preview {folder} --host 127.0.0.1 --port 8001 --url {base}" in text
    assert "\n" not in text


def test_an_address_where_nothing_answers_is_named(folder: Path):
    assert (
        "no study server answers at http://127.0.0.1:1" in by_name(folder, "http://127.0.0.1:1")["server"][1]
    )


def test_plain_http_across_the_network_fails(folder: Path):
    item = next(iter(check_address(folder, "http://192.0.2.1")))
    assert (item.name, item.state) == ("certificate", "fail")


def test_half_an_address_is_refused(folder: Path):
    with pytest.raises(UserError, match="write the whole address, for example https://study"):
        CliRunner().invoke(
            cli, ["study", "check", str(folder), "--url", "study.example.org"], catch_exceptions=False
        )


def certificate(folder: Path, days: float) -> Path:
    """A key and a certificate for 127.0.0.1 that ends in so many days, signed by itself; one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"certificate-{days}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def tls_proxy(pem: Path, behind: int) -> Iterator[str]:
    """Takes TLS at a free port of the loopback and passes the bytes on, as a proxy in front of a server does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    loop, ports = asyncio.new_event_loop(), []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", behind)
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

    async def listen() -> asyncio.Server:
        server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
        return server

    server = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def test_a_certificate_is_checked_and_cookies_must_be_secure(folder: Path, tmp_path: Path, monkeypatch):
    pem = certificate(tmp_path, 60)
    with served(folder, "preview", secure=True) as base, tls_proxy(pem, int(base.rpartition(":")[2])) as url:
        unknown = by_name(folder, url)
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
        trusted = by_name(folder, url)
    assert list(unknown) == ["certificate"]
    assert unknown["certificate"][0] == "fail"
    assert "not valid for 127.0.0.1" in unknown["certificate"][1]
    assert trusted["certificate"] == ("ok", "valid for 127.0.0.1, 60 days left")
    assert trusted["cookies"] == ("ok", "1, with Secure, HttpOnly, SameSite")
    assert trusted["session"][0] == "ok"


def test_a_certificate_near_its_end_and_cookies_without_secure_are_noticed(
    folder: Path, tmp_path: Path, monkeypatch
):
    pem = certificate(tmp_path, 5)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with served(folder, "preview") as base, tls_proxy(pem, int(base.rpartition(":")[2])) as url:
        found = by_name(folder, url)
    assert found["certificate"][0] == "warn"
    assert "5 days left" in found["certificate"][1]
    assert found["cookies"][0] == "fail"
    assert "lacks Secure" in found["cookies"][1]
