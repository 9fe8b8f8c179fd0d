"""Runs the study server under gunicorn: one per study and kind of data, in this process or in a child."""

import errno
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from evalkit.cli.live_estimate import live_estimate
from studies.errors import UserError
from webapp import logs
from webapp.app import create_app
from webapp.config import ServerConfig
from webapp.hosting import HostedStudy, host

START_TIMEOUT_S = 60.0
THREADS = 8
"""Per worker process; as many connections to the database at most."""
SWITCH_S = 0.0005
"""How long a thread may compute while others wait; Python's own 5 ms is what a request needs altogether, and who has just
been given SQLite's write lock would wait for that long with the lock in hand."""
FINISH_S = 20
"""How long a stopping server waits for requests that are being answered."""


@dataclass(frozen=True)
class Running:
    """How a server runs; nothing of it touches the study."""

    workers: int = 2
    """Processes."""
    log_format: logs.Format | None = None
    """One line per request, in this form; None = errors only."""
    log_file: Path | None = None
    """None = stderr."""
    drain_s: int = 0
    """After SIGTERM go on for so long, with /ready saying 503, so that a balancer turns elsewhere first."""
    recycle_after: int = 50_000
    """Requests after which a worker process is replaced by a new one, up to a fifth later; 0 = never."""


class _QuietLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's own messages, through the server's log: without addresses and requests."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers = logs.handlers()


class _Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker that says `not ready` once it was told to stop, and may go on for a while then."""

    drain_s = 0

    def handle_exit(self, sig: int, frame: Any) -> None:
        if not hasattr(self.wsgi, "extensions"):  # told to stop before it began
            super().handle_exit(sig, frame)
            return
        self.wsgi.extensions["evalkit_draining"].set()
        if not self.drain_s:
            super().handle_exit(sig, frame)
            return
        timer = threading.Timer(self.drain_s, super().handle_exit, (sig, frame))
        timer.daemon = True
        timer.start()


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    def __init__(
        self, hosted: HostedStudy, address: tuple[str, int], running: Running, ready: Callable[[], None]
    ) -> None:
        self._hosted, self._address, self._running, self._ready = hosted, address, running, ready
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": f"{self._address[0]}:{self._address[1]}",
            "workers": self._running.workers,
            "worker_class": type("Worker", (_Worker,), {"drain_s": self._running.drain_s}),
            "threads": THREADS,
            "loglevel": "warning",
            "logger_class": _QuietLogger,
            "graceful_timeout": self._running.drain_s + FINISH_S,
            "keepalive": 75,  # longer than the proxy keeps its connections, so that the proxy ends them
            "max_requests": self._running.recycle_after,
            "max_requests_jitter": self._running.recycle_after // 5,  # not all workers at once
            "forwarded_allow_ips": "",  # only --behind-proxy believes such headers, and one place decides
            "control_socket_disable": True,
            "when_ready": lambda _server: self._ready(),
        }
        for name, value in settings.items():
            if name in self.cfg.settings:  # older gunicorns have no control socket to disable
                self.cfg.set(name, value)

    def load(self) -> Any:
        """One application per worker process, made after the fork, so that none shares a connection.

        A worker that is started anew shows the study that was checked, whatever lies on disk by then.
        """
        sys.setswitchinterval(SWITCH_S)
        return create_app(self._hosted.reconnected(), live_estimate)


def run_server(
    hosted: HostedStudy,
    address: tuple[str, int],
    *,
    running: Running = Running(),
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until told to stop (Ctrl-C or SIGTERM); does not return.

    Args:
        hosted: The study, checked and with its places drawn.
        address: Host and port.
        running: How.
        ready: Called once it listens.
    """
    logs.configure(running.log_format, running.log_file)
    hosted.database.close()  # connections do not survive the fork
    _Server(hosted, address, running, ready).run()


def check_port(host_name: str, port: int) -> None:
    """Find out early whether the port can be used.

    Raises:
        UserError: It is taken, or may not be used.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host_name, port))
        except OSError as error:
            reason = (
                "is taken by another program"
                if error.errno == errno.EADDRINUSE
                else f"cannot be used: {error.strerror}"
            )
            raise UserError(
                f"--port {port}: this port {reason}. Choose another one, for example --port {port + 1}."
            ) from error


def free_port() -> int:
    """A port on the loopback that nobody uses right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _serve_in_child(config: ServerConfig, port: int, workers: int, parent: int) -> None:
    def stop_without_parent() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_without_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    run_server(host(config, verify=False), ("127.0.0.1", port), running=Running(workers))


@contextmanager
def background_server(config: ServerConfig, *, workers: int = 2) -> Iterator[str]:
    """A server in a child process on a free loopback port; yields its address and stops it afterwards.

    It also stops by itself when the parent is gone.

    Raises:
        UserError: It did not start in time.
    """
    port = free_port()
    child = multiprocessing.get_context("spawn").Process(
        target=_serve_in_child, args=(config, port, workers, os.getpid())
    )
    child.start()
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/ready", child.is_alive)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.join(20)
        if child.is_alive():
            child.kill()
            child.join()


def _wait_until_ready(url: str, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while alive() and time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise UserError("The study server did not start; what it printed above says why.")
