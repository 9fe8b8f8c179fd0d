"""What of evalkit works on this machine, and what will not until what."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.cli.doctor_finding import Finding, State
from evalkit.cli.doctor_torch import INSTALL, Torch

if TYPE_CHECKING:
    from evalkit.metrics import Metric

WITHOUT_TORCH = ("lab_histogram", "spectrum")
"""Metrics that need no network and no tensors."""
TEST_PROGRAMS = {"chromium": "chromium", "Xvfb": "xvfb", "nginx": "nginx-light"}
"""Programs that the tests run -> Debian package."""


@dataclass(frozen=True)
class Known:
    """What the verdicts are made from."""

    findings: Sequence[Finding]
    torch: Torch
    versions: Mapping[str, str]
    """Of evalkit's requirements; empty for what is not installed."""

    def absent(self, *names: str) -> list[str]:
        """Which of these packages are required and not installed."""
        return [name for name in names if self.versions.get(name) == ""]


def commands(known: Known) -> Iterator[Finding]:
    """One finding per command or family of commands; the name is what one types."""
    yield from _studies(known)
    yield from _training(known)
    yield from _metrics(known)
    yield _prolific()
    yield _tests()


def _studies(known: Known) -> Iterator[Finding]:
    stopping = [one for one in known.findings if one.stops]
    names = ("study init … export", "analyze, report")
    if stopping:
        until = "not until this is put right: " + ", ".join(dict.fromkeys(one.name for one in stopping))
        yield from (Finding(name, "missing", until) for name in names)
        return
    yield from (Finding(name, "ok", "works") for name in names)
    text = "works on this machine; for people elsewhere a public https address must lead here (docs/deployment.md)"
    yield Finding("study serve", "ok", text)
    if absent := known.absent("scikit-learn"):
        yield Finding("study audit", "missing", f"not until {absent[0]} is installed")


def _training(known: Known) -> Iterator[Finding]:
    from evalkit.metrics.weights import is_there

    names = ("train, generate, ablate", "segmenter", "demo")
    if why := _no_torch(known):
        yield from (Finding(name, "missing", why) for name in names)
        return
    where, slow = _where(known.torch)
    yield Finding(
        names[0],
        "warn" if slow else "ok",
        f"works {where}" + ("; `--dry-run` tells how long a run takes here" if slow else ""),
    )
    if not is_there("vgg16"):
        text = "the perceptual loss not until `evalkit weights get vgg16`"
        yield Finding("train (perceptual)", "missing", text)
    yield Finding("segmenter", "warn" if slow else "ok", f"works {where}")
    yield Finding("demo", "ok", "works: made-up images and small networks, a few minutes on two cores")


def _metrics(known: Known) -> Iterator[Finding]:
    from evalkit.metrics import METRICS

    why = _no_torch(known)
    for name, metric in METRICS.items():
        command = f"metrics {name}"
        if why and name not in WITHOUT_TORCH:
            yield Finding(command, "missing", why)
            continue
        if metric.labelled:
            text = "with label maps and your own segmenter: none is published, `evalkit segmenter train` makes one"
            yield Finding(command, "warn", text)
            continue
        yield Finding(command, *_with_weights(metric))


def _with_weights(metric: "Metric") -> tuple[State, str]:
    """Which quantities of a metric wait for which pretrained files."""
    from evalkit.metrics.weights import WEIGHTS, is_there

    waiting: dict[tuple[str, ...], list[str]] = {}
    for quantity in metric.quantities:
        lacks = tuple(one for one in metric.weights([quantity.key]) if not is_there(one))
        waiting.setdefault(lacks, []).append(quantity.key)
    works = waiting.pop((), [])
    if not waiting:
        return "ok", "works"
    told = [f"{', '.join(works)} works"] if works else []
    for files, keys in waiting.items():
        bring = " and ".join(f"`evalkit weights get {one}` ({WEIGHTS[one].megabytes} MB)" for one in files)
        whole = not works and len(waiting) == 1
        told.append(f"not until {bring}" if whole else f"{', '.join(keys)} not until {bring}")
    return "warn" if works else "missing", "; ".join(told)


def _prolific() -> Finding:
    from webapp.recruitment.prolific_api import TOKEN_VARIABLE

    if os.environ.get(TOKEN_VARIABLE, "").strip():
        text = (
            f"{TOKEN_VARIABLE} is set (not tried out here); `study launch --dry-run` shows what would be sent"
        )
        return Finding("study launch, pay", "ok", text)
    text = f"not until {TOKEN_VARIABLE} is set and a public https address leads here (docs/prolific.md)"
    return Finding("study launch, pay", "missing", text)


def _tests() -> Finding:
    import importlib.util

    programs = [
        package
        for program, package in TEST_PROGRAMS.items()
        if shutil.which(program) is None and shutil.which(f"/usr/sbin/{program}") is None
    ]
    modules = [
        name for name in ("pytest", "playwright", "hypothesis") if importlib.util.find_spec(name) is None
    ]
    until = [f"sudo apt-get install {' '.join(programs)}"] * bool(programs) + ["make setup"] * bool(modules)
    if until:
        return Finding("make test", "missing", f"not until {' and '.join(f'`{one}`' for one in until)}")
    return Finding("make test", "ok", "works (from a checkout)")


def _no_torch(known: Known) -> str:
    """Why nothing with tensors works; empty where it does."""
    if not known.torch.version:
        return f"not until torch can be imported. {INSTALL}"
    absent = known.absent("torchvision", "lightning-fabric", "torchmetrics", "lpips", "pytorch-fid")
    return f"not until {', '.join(absent)} is installed. Run: make setup" if absent else ""


def _where(torch: Torch) -> tuple[str, bool]:
    """On what it works, and whether that is slow."""
    if torch.usable:
        names = [one.name for one in torch.usable]
        return f"on {len(names)} GPU{'s' * (len(names) > 1)}: {', '.join(dict.fromkeys(names))}", False
    return "on the CPU: small networks and images in minutes to hours, the papers' own settings in days", True
