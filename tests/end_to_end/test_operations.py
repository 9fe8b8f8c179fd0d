"""The server as it is run: stopping, recycling, the password, and the shipped proxy configuration."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from evalkit.cli import cli
from evalkit.cli.server import Running, free_port, run_server
from tests.end_to_end.visitor import Visitor
from webapp.config import server_config
from webapp.hosting import host

ROOT = Path(__file__).parents[2]
MakeVisitor = Callable[[str, str], Visitor]


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str], list[str]]]:
    """`evalkit study serve` in a process of its own: address, process, and what it said until it listened."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "evalkit.cli",
        "study",
        "serve",
        str(folder),
        "--port",
        str(port),
        *options,
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("Ctrl-C"):
            break
    try:
        yield f"http://127.0.0.1:{port}", process, said
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def test_a_stopping_server_says_so_goes_on_for_a_while_and_loses_nobody(
    study_folder: Path, visitor: MakeVisitor
) -> None:
    with serving(study_folder, "--workers", "2", "--drain", "3") as (url, process, said):
        person = visitor(url, "w1").begin().whole_trial()
        assert requests.get(f"{url}/ready", timeout=10).status_code == 200
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 3
        while requests.get(f"{url}/ready", timeout=10).status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        reply = requests.get(f"{url}/ready", timeout=10)
        assert (reply.status_code, reply.json()) == (503, {"ready": False, "reason": "draining"})
        person.whole_trial()  # who is here is still served
        assert process.wait(30) == 0
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{url}/ready", timeout=5)
    [given] = [line for line in said if "Its password:" in line]
    assert re.search(r"Its password: \w{5}-\w{5}-\w{5}-\w{5} ", given)
    with serving(study_folder, "--workers", "1") as (url, _process, said):
        assert not any("password:" in line for line in said)  # it was told once


def test_workers_are_recycled_without_a_lost_or_doubled_answer(
    study_folder: Path, visitor: MakeVisitor, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "server.log"
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.end_to_end.test_operations import serve_recycling\n"
        "serve_recycling(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(study_folder), str(port), str(log)], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/ready")
        people = [visitor(url, f"w{number}") for number in range(6)]
        stages: list[str] = []
        threads = [
            threading.Thread(target=lambda person=person: stages.append(person.begin().finish()))
            for person in people
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        process.terminate()
        process.wait(60)
    assert stages == ["finished"] * 6
    pids = {json.loads(line)["pid"] for line in log.read_text().splitlines()}
    assert len(pids) > 3  # two workers at a time: some were replaced


def serve_recycling(folder: Path, port: int, log: Path) -> None:
    """For a process of its own: two workers that are replaced after 30 requests or a little more."""
    from webapp.hosting import prepare

    hosted = host(server_config(folder, "live"))
    prepare(hosted)
    running = Running(workers=2, log_format="json", log_file=log, recycle_after=30)
    run_server(hosted, ("127.0.0.1", port), running=running)


def _wait_for(url: str, **options: object) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=5, **options).ok:  # type: ignore[arg-type]
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    pytest.fail(f"{url} did not answer")


# Commands


def test_a_study_is_paused_resumed_and_closed_from_the_command_line(study_folder: Path) -> None:
    def run(*arguments: str, answer: str = "") -> str:
        result = CliRunner().invoke(cli, ["study", *arguments], input=answer)
        return result.output + (str(result.exception) if result.exit_code else "")

    folder = str(study_folder)
    assert "is now paused" in run("pause", folder, "--reason", "lunch")
    assert "was already paused" in run("pause", folder)
    assert "is now open" in run("resume", folder)
    assert "Not closed." in run("close", folder, answer="n\n")
    assert "is now closed" in run("close", folder, answer="y\n")
    assert "is closed already" in run("close", folder, "--yes")
    assert "not reopened" in run("resume", folder)


def test_a_password_is_set_by_asking_twice_or_made_up(study_folder: Path) -> None:
    from webapp.admin import password

    hosted = host(server_config(study_folder, "live"))
    from webapp.hosting import prepare

    prepare(hosted)
    asked = CliRunner().invoke(
        cli, ["study", "password", str(study_folder)], input="some words\nsome words\n"
    )
    assert asked.exit_code == 0, asked.output
    assert password.is_right(hosted, "some words")
    made = CliRunner().invoke(cli, ["study", "password", str(study_folder), "--generate"])
    assert password.is_right(hosted, made.stdout.strip())
    hosted.database.close()


# The shipped proxy configuration


@pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is not installed (sudo apt-get install nginx)"
)
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_session_goes_through_the_shipped_nginx_configuration(
    study_folder: Path, visitor: MakeVisitor, tmp_path: Path
) -> None:
    log = tmp_path / "server.log"
    options = (
        "--workers",
        "2",
        "--url",
        "https://study.example.org",
        "--behind-proxy",
        "--log-format",
        "json",
    )
    with (
        serving(study_folder, *options, "--log-file", str(log)) as (url, _process, _said),
        nginx(tmp_path, url.removeprefix("http://")) as port,
    ):
        base = f"https://study.example.org:{port}"
        person = visitor(base, "wörker-4711")
        person.http.trust_env = False  # else a bundle named in the environment counts before ours
        person.http.verify = str(tmp_path / "cert.pem")
        with resolved("study.example.org"):
            _wait_for(f"{base}/ready", verify=person.http.verify)
            person.begin()
            image = person.http.get(base + person.state["trials"][0]["images"]["1"], timeout=10)
            assert image.status_code == 200
            assert int(image.headers["Content-Length"]) == len(image.content)
            assert person.finish() == "finished"
            cookies = person.http.cookies
            assert all(cookie.secure for cookie in cookies)
            page = person.http.get(f"{base}/dashboard", timeout=10)
            assert page.url == f"{base}/dashboard/sign-in"
            assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
            tries = [person.http.get(f"{base}/dashboard/sign-in", timeout=10).status_code for _ in range(20)]
            assert 429 in tries
    written = log.read_text() + "".join(path.read_text() for path in (tmp_path / "nginx").rglob("*.log"))
    for secret in ("4711", "127.0.0.1", *(cookie.value or "" for cookie in cookies)):
        assert secret not in written
    assert '"/i/<address>"' in written


@contextmanager
def nginx(tmp_path: Path, upstream: str) -> Iterator[int]:
    """The shipped configuration with other ports, paths and certificate; everything else as it is."""
    folder, port = tmp_path / "nginx", free_port()
    folder.mkdir()
    subject = ["-subj", "/CN=study.example.org", "-addext", "subjectAltName=DNS:study.example.org"]
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject),
            *("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    shipped = (ROOT / "docs" / "deployment" / "nginx.conf").read_text()
    for old, new in {
        "127.0.0.1:8000": upstream,
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/letsencrypt/live/study.example.org/fullchain.pem": str(tmp_path / "cert.pem"),
        "/etc/letsencrypt/live/study.example.org/privkey.pem": str(tmp_path / "key.pem"),
        "/var/log/nginx": str(folder),
        "Host $host;": "Host $http_host;",  # the test's port is not 443
    }.items():
        assert old in shipped, old
        shipped = shipped.replace(old, new)
    kept = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; worker_processes 1; error_log stderr crit;\n"
        f"events {{}}\nhttp {{\n{kept}{shipped}\n}}\n"
    )
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def resolved(name: str) -> Iterator[None]:
    """In this process the name means the loopback."""
    real = socket.getaddrinfo

    def look_up(host_name: str, *arguments: object, **options: object) -> object:
        return real("127.0.0.1" if host_name == name else host_name, *arguments, **options)  # type: ignore[arg-type]

    socket.getaddrinfo = look_up  # type: ignore[assignment]
    try:
        yield
    finally:
        socket.getaddrinfo = real
