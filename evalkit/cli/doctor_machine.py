"""The doctor's look at Python and its packages, cores, memory, disk, clock and loopback."""

import ctypes
import datetime
import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from evalkit.cli.doctor_finding import Finding, gib

OLDEST_PYTHON = (3, 11)
EXTRAS = ("web", "metrics", "train")
"""Those without which a command does not work at all."""
SHOWN = ("numpy", "pandas", "scipy", "pillow", "pydantic", "flask", "sqlalchemy", "matplotlib")
FOR_TRAINING_AND_METRICS = frozenset(
    {"torch", "torchvision", "torchmetrics", "lightning-fabric", "lpips", "pytorch-fid", "scikit-image", "tensorboard"}
)  # fmt: skip
"""Without these, studies can still be made, run and analysed."""
FEW_GIB_FREE, NO_ROOM_GIB = 5.0, 0.5
"""Below the first the weights of all metrics and a training run hardly fit; below the second neither does a study."""
LITTLE_MEMORY_GIB = 2.0
"""Inception on one batch and a study server take about as much."""
PORT = 8000
"""Default of `evalkit study serve`."""
_TIME_ERROR = 5
"""Source: adjtimex(2): the clock is not synchronised."""


def python() -> Iterator[Finding]:
    """Python itself, and whether this is a system that evalkit runs on."""
    found = f"{platform.python_version()} ({sys.executable}), {platform.system()} {platform.machine()}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        yield Finding("python", "missing", f"{found}: {wanted} or newer is needed.", stops=True)
    elif os.name != "posix":
        text = f"{found}: evalkit needs Linux or macOS; on Windows use WSL."
        yield Finding("python", "missing", text, stops=True)
    else:
        yield Finding("python", "ok", found)


def installed() -> Mapping[str, str]:
    """Versions of evalkit's own requirements that are installed, by name; empty for what is not."""
    return {name: _version(name) for name in ("evalkit", *_required())}


def packages(versions: Mapping[str, str]) -> Iterator[Finding]:
    """Whether all packages are there, and new enough."""
    required = _required()
    if not required:
        text = "evalkit is not installed here, so its packages are not known. Run: make setup"
        yield Finding("packages", "warn", text)
        return
    wrong = {
        name: f"{version or 'not installed'}; {least or 'any version'} or newer is needed"
        for name, least in required.items()
        if not (version := versions.get(name, "")) or _parts(version) < _parts(least)
    }
    shown = ", ".join(f"{name} {versions[name]}" for name in SHOWN if versions.get(name))
    right = len(required) - len(wrong)
    state = f"evalkit {versions['evalkit']}; {right} of {len(required)} packages are right: {shown}"
    yield Finding("packages", "warn" if wrong else "ok", state)
    for name, reason in wrong.items():
        if name != "torch":  # has a line of its own
            stops = name not in FOR_TRAINING_AND_METRICS
            yield Finding(
                name, "missing", f"{reason}. Run: make setup, or pip install 'evalkit[all]'", stops=stops
            )


def cores_and_memory(
    root: Path = Path("/sys/fs/cgroup"), meminfo: Path = Path("/proc/meminfo")
) -> Iterator[Finding]:
    """What there is to compute with, limits of a container included."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _first_numbers(root / "cpu.max")
    limited = f", limited to {quota[0] / quota[1]:g} by the container" if len(quota) == 2 else ""
    busy = f", load {os.getloadavg()[0]:.1f}"
    yield Finding("cores", "ok", f"{cores}{limited}{busy}")
    if not meminfo.is_file():
        yield Finding("memory", "ok", "how much is free cannot be told on this system")
        return
    sizes = {
        name: int(value) * 1024
        for name, value in re.findall(
            r"^(\w+):\s+(\d+) kB", meminfo.read_text(encoding="ascii"), re.MULTILINE
        )
    }
    total, free = sizes["MemTotal"], sizes["MemAvailable"]
    limit, used = _first_numbers(root / "memory.max"), _first_numbers(root / "memory.current")
    if limit and limit[0] < total:
        total, free = limit[0], min(free, limit[0] - (used or [0])[0])
    text = f"{gib(total)}, {gib(free)} free"
    if free < LITTLE_MEMORY_GIB * 1024**3:
        yield Finding("memory", "warn", f"{text}: a server runs; metrics with networks and training may not.")
    else:
        yield Finding("memory", "ok", text)


def disk(places: Mapping[str, Path]) -> Iterator[Finding]:
    """Room on each file system that evalkit writes to.

    Args:
        places: What lies there -> folder, which need not exist yet.
    """
    systems: dict[int, tuple[Path, list[str]]] = {}
    for name, place in places.items():
        there = next(one for one in (place.absolute(), *place.absolute().parents) if one.exists())
        systems.setdefault(there.stat().st_dev, (there, []))[1].append(name)
        if not os.access(there, os.W_OK):
            yield Finding("disk", "warn", f"{there} ({name}) may not be written to by this user.")
    for there, names in systems.values():
        free = shutil.disk_usage(there).free
        text = f"{gib(free)} free at {there} ({', '.join(names)})"
        if free < NO_ROOM_GIB * 1024**3:
            yield Finding("disk", "missing", f"{text}: a full disk refuses answers. Make room.", stops=True)
        elif free < FEW_GIB_FREE * 1024**3:
            yield Finding(
                "disk", "warn", f"{text}: enough for a study; little for weights and training runs."
            )
        else:
            yield Finding("disk", "ok", text)


def writable_places(folder: Path) -> dict[str, Path]:
    """What evalkit writes, and where, without the weights."""
    return {"study" if folder != Path() else "here": folder, "temporary files": Path(tempfile.gettempdir())}


def clock() -> Iterator[Finding]:
    """Whether the time can be right: leases, dates of consent and signed links go by it."""
    now = datetime.datetime.now(datetime.UTC)
    newest = datetime.datetime.fromtimestamp(Path(__file__).stat().st_mtime, datetime.UTC)
    text = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if now < newest - datetime.timedelta(days=1):
        yield Finding(
            "time", "warn", f"{text}, which is before evalkit's own files were written. Set the clock."
        )
        return
    synchronised = _synchronised()
    if synchronised is None:
        yield Finding("time", "ok", f"{text}; whether it is synchronised cannot be told here")
    elif synchronised:
        yield Finding("time", "ok", f"{text}, synchronised")
    else:
        yield Finding(
            "time",
            "warn",
            f"{text}; the system says that nothing synchronises it. Leases, dates of consent and the panel's signed links "
            "go by it: run chrony or systemd-timesyncd (on the host, for a container).",
        )


def loopback(port: int = PORT) -> Iterator[Finding]:
    """Whether a server can listen on this machine."""
    if _can_listen(port):
        yield Finding("port", "ok", f"{port} is free on the loopback")
    elif _can_listen(0):
        yield Finding(
            "port", "warn", f"{port} is taken by another program. Choose another one: --port {port + 1}"
        )
    else:
        yield Finding(
            "port", "missing", "no program may listen on 127.0.0.1: no study can be served.", stops=True
        )


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
        return True


def _synchronised() -> bool | None:
    """Whether the kernel calls its clock synchronised; None where it cannot be asked."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))  # zeros: only reads
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != _TIME_ERROR)


def _required() -> dict[str, str]:
    """Requirements of evalkit and of its EXTRAS -> least version; without those of development."""
    try:
        lines = importlib.metadata.requires("evalkit") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found = {}
    for line in lines:
        name, rest = re.fullmatch(r"([\w.-]+)(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]
        condition = rest.partition(";")[2]
        extra = re.search(r"extra\s*==\s*['\"](\w+)", condition)
        if (
            name == "evalkit"
            or (extra and extra[1] not in EXTRAS)
            or ("sys_platform" in condition and os.name != "posix")
        ):
            continue
        least = re.search(r">=\s*([\d.]+)", rest)
        found[name.lower()] = least[1] if least else ""
    return found


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _parts(version: str) -> tuple[int, ...]:
    """`2.15.0+cu132` -> (2, 15, 0)."""
    match = re.match(r"[\d.]*", version)
    return tuple(int(part) for part in match[0].split(".") if part) if match else ()


def _first_numbers(path: Path) -> list[int]:
    """The numbers of a cgroup file; none where it is absent or says `max`."""
    if not path.is_file():
        return []
    words = path.read_text(encoding="ascii").split()
    return [int(word) for word in words] if all(word.isdigit() for word in words) else []
