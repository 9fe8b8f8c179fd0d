"""What the server writes down of a whole session, and of faults: nothing that tells who it was."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from tests.webapp.people import display
from webapp import logs, sessions
from webapp.app import create_app
from webapp.hosting import HostedStudy
from webapp.views.limits import Buckets, Limits

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
ADDRESS = "203.0.113.77"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite only: logs do not depend on the database."""
    return f"sqlite:///{tmp_path / 'database.sqlite'}"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A file with JSON lines; the logger is as before in the end."""
    path = tmp_path / "server.log"
    logs.configure("json", path)
    yield path
    server = logging.getLogger("evalkit.server")
    for handler in server.handlers[:]:
        server.removeHandler(handler)
        handler.close()
    server.setLevel(logging.NOTSET)
    server.propagate = True


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_log_of_a_whole_session_names_nobody(hosted: HostedStudy, log: Path) -> None:
    client = create_app(hosted).test_client()
    secrets = [ADDRESS, "wörker-4711", "4711"]

    def asked(method: str, path: str, **options: Any) -> Any:
        return client.open(path, method=method, environ_base={"REMOTE_ADDR": ADDRESS}, **options)

    asked("GET", "/?worker_id=wörker-4711&SESSION_ID=0123456789abcdef")
    form = asked("GET", "/consent")
    found = CSRF.search(form.text)
    assert found is not None
    asked("POST", "/consent", data={"csrf_token": found[1], "agree": "yes"})
    asked("GET", "/session")
    state = asked("POST", "/api/page").json
    page = state["page"]
    while state["trials"]:
        trial = state["trials"][0]
        for address in trial["images"].values():
            assert asked("GET", address).status_code == 200
            secrets.append(address.removeprefix("/i/"))
        headers = {"X-Evalkit-Page": page}
        path = f"/api/trials/{trial['id']}"
        asked("POST", f"{path}/begun", headers=headers)
        shown = display().model_dump(mode="json")
        asked("POST", f"{path}/ended", headers=headers, json=shown)
        given = {"choice": "first", "rt_ms": 731.25, "input": "key"}
        state = asked("POST", f"{path}/answer", headers=headers, json=given).json
    done = asked("GET", "/done")
    asked("GET", "/nowhere/wörker-4711?key=4711")
    asked("WÖRKER4711"[1:], "/")
    cookie = client.get_cookie("evalkit_small_live")
    assert cookie is not None
    secrets += [page, cookie.value, found[1], "731", "0123456789abcdef", hosted.config.secret_key]
    with hosted.database.read() as db:
        row = db.get_one(
            sessions.SessionRow, db.connection().exec_driver_sql("SELECT id FROM sessions").scalar()
        )
    secrets += [row.id, row.worker, row.token]
    written = log.read_text()
    for secret in secrets:
        assert secret not in written, secret
    assert done.status_code == 200
    found_lines = lines(log)
    assert len(found_lines) >= 6 * 5
    assert {"time", "level", "method", "route", "status", "ms", "pid"} == set(found_lines[0])
    routes = {line["route"] for line in found_lines}
    assert {"/", "/i/<address>", "(no such page)"} <= routes
    assert all(line["level"] == "info" for line in found_lines)


def test_a_fault_is_written_with_its_places_but_without_values(hosted: HostedStudy, log: Path) -> None:
    app = create_app(hosted)
    secret_local = "f00dfeedf00dfeedf00dfeed"

    def broken() -> str:
        local = secret_local
        cause = KeyError(f"{local} of 203.0.113.77")
        raise IntegrityError(
            f"INSERT ... {local}", {"worker": local}, ValueError(f"Key\nDETAIL: {local}")
        ) from cause

    app.add_url_rule("/broken/<word>", view_func=broken_for(broken))
    assert app.test_client().get(f"/broken/{secret_local}?a={secret_local}").status_code == 500
    written = log.read_text()
    assert secret_local not in written
    assert "203.0.113.77" not in written
    fault, request = lines(log)
    assert (fault["level"], fault["where"]) == ("error", "/broken/<word>")
    assert any("in broken" in line for line in fault["error"])
    assert any(line.startswith("IntegrityError") for line in fault["error"])
    assert any(line.startswith("KeyError") for line in fault["error"])
    assert (request["route"], request["status"]) == ("/broken/<word>", 500)


def broken_for(call: Any) -> Any:
    return lambda word: call()


def test_messages_of_the_server_software_lose_what_came_from_outside() -> None:
    def message(template: str, *args: object) -> str:
        return logs.message_of(logging.LogRecord("gunicorn.error", 30, "", 0, template, args, None))

    assert message("Invalid request from ip=203.0.113.77: GET /?worker_id=w HTTP/1.1") == "Invalid request"
    assert message("Error handling request %s", "/?worker_id=w") == "Error handling request …"
    assert message("Worker (pid:%s) was sent %s!", 812, "SIGKILL") == "Worker (pid:812) was sent …!"
    assert message("from 203.0.113.77 and 2001:db8::8a2e:370:7334") == "from … and …"


def test_plain_lines_are_to_be_read(hosted: HostedStudy, tmp_path: Path, log: Path) -> None:
    plain = tmp_path / "plain.log"
    logs.configure("plain", plain)
    create_app(hosted).test_client().get("/health")
    assert re.fullmatch(r"\S+ info GET /health 200 [\d.]+ \d+\n", plain.read_text())
    assert log.read_text() == ""


def test_without_a_format_only_faults_are_written(hosted: HostedStudy, log: Path, tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.log"
    logs.configure(None, quiet)
    create_app(hosted).test_client().get("/health")
    assert quiet.read_text() == ""
    assert log.read_text() == ""


# Health and readiness


def test_health_asks_no_database_and_readiness_does(hosted: HostedStudy) -> None:
    app = create_app(hosted)
    client = app.test_client()
    assert client.get("/ready").json == {"ready": True, "study": "small", "data": "live"}
    app.extensions["evalkit_draining"].set()
    assert (client.get("/ready").status_code, client.get("/ready").json["reason"]) == (503, "draining")  # type: ignore[index]
    app.extensions["evalkit_draining"].clear()
    hosted.database.close()
    path = Path(hosted.config.database_url.removeprefix("sqlite:///"))
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()
    path.mkdir()  # no database can be opened here
    assert (client.get("/ready").status_code, client.get("/ready").json["reason"]) == (503, "database")  # type: ignore[index]
    assert client.get("/health").json == {"alive": True}


# Limits


def test_a_bucket_lets_through_so_many_at_once_and_so_many_per_second() -> None:
    now = [0.0]
    bucket = Buckets(at_once=3, per_second=2, clock=lambda: now[0])
    assert [bucket.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert bucket.take("b")
    now[0] += 1
    assert [bucket.take("a") for _ in range(3)] == [True, True, False]


def test_a_bucket_does_not_grow_for_ever() -> None:
    now = [0.0]
    bucket = Buckets(at_once=3, per_second=2, clock=lambda: now[0])
    for number in range(20_001):
        now[0] += 0.001
        bucket.take(str(number))
    assert len(bucket._left) <= 10_000


def test_floods_are_refused_and_others_are_not(hosted: HostedStudy) -> None:
    app = create_app(hosted)
    limits: Limits = app.extensions["evalkit_limits"]
    limits.strangers = Buckets(at_once=5, per_second=0.001)
    client = app.test_client()
    codes = [client.get("/", environ_base={"REMOTE_ADDR": ADDRESS}).status_code for _ in range(7)]
    assert codes == [200] * 5 + [429] * 2
    assert client.get("/", environ_base={"REMOTE_ADDR": "203.0.113.78"}).status_code == 200
    assert client.get("/health", environ_base={"REMOTE_ADDR": ADDRESS}).status_code == 200
    assert client.post("/api/page", environ_base={"REMOTE_ADDR": ADDRESS}).json["error"] == "too_many"  # type: ignore[index]


def test_500_people_behind_one_address_are_let_in() -> None:
    limits = Limits()
    assert all(limits.strangers.take(ADDRESS) for _ in range(500 * 6))


# Proxies


def test_forwarded_headers_count_only_behind_a_proxy(hosted: HostedStudy, hosting: Any) -> None:
    told = {
        "X-Forwarded-For": "198.51.100.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
    }
    for behind, expected in ((False, ("127.0.0.1", "http")), (True, ("198.51.100.9", "https"))):
        app = create_app(hosting(behind_proxy=behind))
        seen: list[tuple[str | None, str]] = []

        @app.before_request
        def look(seen: list[tuple[str | None, str]] = seen) -> None:
            from flask import request

            seen.append((request.remote_addr, request.scheme))

        app.test_client().get("/health", headers=told)
        assert seen == [expected]
