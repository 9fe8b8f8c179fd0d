"""Pretrained weights: which files there are, where they are looked for, and how to bring them.

They lie where torch.hub, pytorch-fid and lpips keep them too, so that what one of them has downloaded serves all. Nothing
here imports torch.
"""

import functools
import hashlib
import json
import os
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from evalkit.metrics.base import Options
from evalkit.results import RANDOM
from studies.errors import UserError, did_you_mean

OnProgress = Callable[[int, int | None], None]
"""Bytes fetched so far, and of how many (None: the server does not say)."""

_CONNECTION_TIMEOUT_S = 3.0
_SILENCE_S = 30.0
"""Between two pieces of a download."""
_CHUNK = 2**16


@dataclass(frozen=True)
class PretrainedFile:
    """A published file of weights."""

    title: str
    """What it is, for messages."""
    url: str
    file_name: str
    """In torch.hub's folder `checkpoints`."""
    sha256_begins: str
    """The first digits, as publishers put them into the file name."""
    megabytes: int
    needed_for: str
    source: str
    """Who trained and who publishes it, and under which licence."""


_TORCHVISION = "https://download.pytorch.org/models/"
_IMAGENET = "trained on ImageNet, published by torchvision (BSD 3-Clause); ImageNet itself: research use"

WEIGHTS: Mapping[str, PretrainedFile] = {
    "inception": PretrainedFile(
        title="Inception",
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        file_name="pt_inception-2015-12-05-6726825d.pth",
        sha256_begins="6726825d",
        megabytes=96,
        needed_for="fid, kid, precision_recall",
        source="Szegedy et al. 2015, TensorFlow's inception-2015-12-05, published by pytorch-fid (Apache 2.0)",
    ),
    "alexnet": PretrainedFile(
        title="AlexNet",
        url=f"{_TORCHVISION}alexnet-owt-7be5be79.pth",
        file_name="alexnet-owt-7be5be79.pth",
        sha256_begins="7be5be79",
        megabytes=244,
        needed_for="lpips (lpips_alex), input_sensitivity",
        source=f"Krizhevsky 2014, {_IMAGENET}",
    ),
    "vgg16": PretrainedFile(
        title="VGG-16",
        url=f"{_TORCHVISION}vgg16-397923af.pth",
        file_name="vgg16-397923af.pth",
        sha256_begins="397923af",
        megabytes=553,
        needed_for="lpips (lpips_vgg), perceptual losses of generators",
        source=f"Simonyan & Zisserman 2014, {_IMAGENET}",
    ),
    "squeezenet": PretrainedFile(
        title="SqueezeNet",
        url=f"{_TORCHVISION}squeezenet1_1-b8a52dc0.pth",
        file_name="squeezenet1_1-b8a52dc0.pth",
        sha256_begins="b8a52dc0",
        megabytes=5,
        needed_for="lpips (lpips_squeeze)",
        source=f"Iandola et al. 2016, version 1.1, {_IMAGENET}",
    ),
}
"""Name -> file."""


def folder() -> Path:
    """Where files of weights are looked for: torch.hub's `checkpoints`.

    Source: torch.hub.get_dir: what was set there, $TORCH_HOME/hub, $XDG_CACHE_HOME/torch/hub or ~/.cache/torch/hub.
    """
    hub = sys.modules.get("torch.hub")
    if hub is not None:
        return Path(hub.get_dir()) / "checkpoints"
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))  # noqa: PTH118  (empty names as torch.hub)
    return Path(os.path.expanduser(home)) / "hub" / "checkpoints"  # noqa: PTH111  (an unknown ~user stays)


def path_of(name: str) -> Path:
    """Where the file of `name` is looked for. Raises UserError on an unknown name."""
    return folder() / _file(name).file_name


def is_there(name: str) -> bool:
    """Whether the file is there, published or not."""
    return path_of(name).is_file()


def digest(name: str) -> str:
    """SHA-256 (hex) of the file that is there; remembered beside it until the file changes.

    Raises:
        UserError: It is not there, or cannot be read.
    """
    path = path_of(name)
    try:
        return _digest(path, _state(path))
    except FileNotFoundError:
        raise UserError(how_to_bring(name)) from None
    except OSError as error:
        raise UserError(how_to_bring(name, f"cannot be read ({error.strerror})")) from None


def note(name: str) -> str:
    """Says so where the file that is there is not the published one; empty where it is. Raises as `digest`."""
    sha256 = digest(name)
    published = sha256.startswith(_file(name).sha256_begins)
    return "" if published else f"not the published weights (sha256 {sha256})"


def settings_of(name: str, options: Options) -> str:
    """How these weights are named in settings: SHA-256 of the file, or `random, seed N`. Raises as `digest`."""
    if options.random_weights is not None:
        _file(name)
        return f"{RANDOM}{options.random_weights}"
    return digest(name)


def how_to_bring(name: str, reason: str = "is not there") -> str:
    """One line: which file, where it is looked for, and how to get it."""
    file, path = _file(name), path_of(name)
    first = "delete it, then " if path.exists() else ""  # what is there is never replaced
    return (
        f"{file.title} weights: {path} {reason}; {first}run `evalkit weights get {name}`, or download {file.url} where "
        f"there is a network and put it there as {file.file_name}, or point TORCH_HOME at a folder that has it in "
        "hub/checkpoints."
    )


def missing(name: str) -> str:
    """One short line for a file that is not there; `how_to_bring` says more."""
    file = _file(name)
    return (
        f"{file.file_name} is not in {folder()}; `evalkit weights get {name}` brings it ({file.megabytes} MB), "
        "`evalkit weights` says how else."
    )


def bring(name: str, on_progress: OnProgress | None = None) -> Path:
    """Download the file if it is not there; returns where it lies.

    It appears whole and with the published digest or not at all.

    Raises:
        UserError: No server answers, the connection breaks off, or what arrives is not the published file.
    """
    path = path_of(name)
    if path.is_file():
        return path
    if not answers(_file(name).url):
        raise UserError(how_to_bring(name, "is not there, and the download server does not answer"))
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(name, partial, on_progress or (lambda *_: None))
        partial.replace(path)
    except OSError as error:  # of the disk, and of requests, whose errors are such too
        raise UserError(how_to_bring(name, f"could not be brought ({error})")) from None
    finally:
        partial.unlink(missing_ok=True)
    return path


def answers(url: str) -> bool:
    """Whether the server answers soon.

    In a thread, because looking up a name may hang far longer than any timeout of the connection.
    """
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")  # noqa: S310  (our own addresses)
            with urllib.request.urlopen(request, timeout=_CONNECTION_TIMEOUT_S):  # noqa: S310  (likewise)
                answered.set()
        except OSError:
            pass  # not answered

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_CONNECTION_TIMEOUT_S + 0.5)
    return answered.is_set()


def _file(name: str) -> PretrainedFile:
    if name not in WEIGHTS:
        raise UserError(f"{name}: no pretrained weights of that name.{did_you_mean(name, WEIGHTS)}")
    return WEIGHTS[name]


def _download(name: str, partial: Path, on_progress: OnProgress) -> None:
    """The published file at `partial`. Raises OSError, and UserError if it is another."""
    import requests

    sha256, done = hashlib.sha256(), 0
    timeouts = (_CONNECTION_TIMEOUT_S, _SILENCE_S)
    with requests.get(_file(name).url, stream=True, timeout=timeouts) as response, partial.open("wb") as out:
        response.raise_for_status()
        total = int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
        for chunk in response.iter_content(_CHUNK):
            out.write(chunk)
            sha256.update(chunk)
            done += len(chunk)
            on_progress(done, total)
        out.flush()
        os.fsync(out.fileno())
    if not sha256.hexdigest().startswith(_file(name).sha256_begins):
        reason = f"could not be brought (what arrived is not the published file: sha256 {sha256.hexdigest()})"
        raise UserError(how_to_bring(name, reason))


def _state(path: Path) -> tuple[int, ...]:
    """What changes whenever the file does."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@functools.lru_cache(maxsize=32)
def _digest(path: Path, state: tuple[int, ...]) -> str:
    beside = path.with_name(f".{path.name}.sha256.json")
    try:
        remembered = json.loads(beside.read_text(encoding="utf-8"))
        if remembered["state"] == list(state):
            return str(remembered["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or not ours
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    partial = beside.with_name(f"{beside.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps({"state": state, "sha256": sha256}), encoding="utf-8")
        partial.replace(beside)
    except OSError:
        pass  # a folder that others only lend us: the next process will compute it again
    return sha256
