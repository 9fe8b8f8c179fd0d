"""What `evalkit doctor` says of one thing, and how it looks without falling over."""

import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from evalkit.extras import missing_package
from studies.errors import UserError

State = Literal["ok", "warn", "missing"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    text: str
    """What was found, and what to do where it is not right."""
    stops: bool = False
    """Whether no study can be made, run and analysed until it is put right."""


def looked(name: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a look finds; a package or file that it stumbles over is a finding, too."""
    try:
        return list(look())
    except ImportError as error:
        advice = missing_package(error) if isinstance(error, ModuleNotFoundError) else ""
        return [Finding(name, "missing", advice or f"cannot be looked at: {error}", stops=True)]
    except (OSError, UserError) as error:
        return [Finding(name, "missing", str(error))]


def output_of(*command: str, timeout_s: float = 5.0) -> str:
    """What a program prints; empty where it is not there, fails or takes too long."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""


def gib(size_bytes: float) -> str:
    """`12.3 GiB`."""
    return f"{size_bytes / 1024**3:.1f} GiB"
