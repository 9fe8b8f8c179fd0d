"""Pretrained files: found where torch.hub looks, known by their digests, brought whole or not at all."""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evalkit.metrics import weights
from evalkit.metrics.base import Options
from studies.errors import UserError

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def torch_home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path


def put(content: bytes, name: str = "inception") -> Path:
    path = weights.path_of(name)
    path.write_bytes(content)
    return path


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def published(monkeypatch, content: bytes, url: str = "") -> None:
    """Let `content` be what the publisher of `inception` offers."""
    entry = weights.WEIGHTS["inception"]
    changed = replace(entry, sha256_begins=sha256_of(content)[:8], url=url or entry.url)
    monkeypatch.setattr(weights, "WEIGHTS", {**weights.WEIGHTS, "inception": changed})


class Served(BaseHTTPRequestHandler):
    content = CONTENT
    status = 200
    sent: int | None = None
    """Bytes after which the connection breaks; None: all arrive."""

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: self.sent])

    def log_message(self, *_):
        pass


@pytest.fixture
def served() -> Iterator[tuple[type[Served], str]]:
    handler = type("Handler", (Served,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}/weights.pth"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"TORCH_HOME": "/somewhere/torch"},
        {"TORCH_HOME": "~/torch"},
        {"XDG_CACHE_HOME": "/somewhere/cache"},
        {"TORCH_HOME": ""},
        {"XDG_CACHE_HOME": ""},
        {"TORCH_HOME": "/one", "XDG_CACHE_HOME": "/two"},
    ],
    ids=str,
)
def test_the_folder_is_that_of_torch_hub_with_and_without_torch(variables, monkeypatch):
    import torch

    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    expected = Path(torch.hub.get_dir()) / "checkpoints"
    assert weights.folder() == expected
    monkeypatch.delitem(sys.modules, "torch.hub")
    assert weights.folder() == expected


def test_a_folder_set_in_torch_hub_counts(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    assert weights.path_of("alexnet") == tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth"


def test_the_files_are_those_that_the_reference_tools_load():
    from torchvision import models

    package = importlib.util.find_spec("pytorch_fid").origin
    (line,) = re.findall(
        r"^FID_WEIGHTS_URL = '(.*?)'", Path(package).with_name("inception.py").read_text(), re.M
    )
    urls = {name: file.url for name, file in weights.WEIGHTS.items()}
    assert urls == {
        "inception": line,
        "alexnet": models.AlexNet_Weights.IMAGENET1K_V1.url,
        "vgg16": models.VGG16_Weights.IMAGENET1K_V1.url,
        "squeezenet": models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url,
    }


@pytest.mark.parametrize("name", weights.WEIGHTS)
def test_each_entry_names_file_and_digest_as_its_address_does(name):
    file = weights.WEIGHTS[name]
    assert file.url.rpartition("/")[2] == file.file_name
    assert file.file_name.endswith(f"-{file.sha256_begins}.pth")


def test_the_digest_is_that_of_the_file_and_changes_with_it(torch_home):
    path = put(b"one")
    assert weights.digest("inception") == sha256_of(b"one")
    status = path.stat()
    path.write_bytes(b"two")  # as long, and made to look as old
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert weights.digest("inception") == sha256_of(b"two")


def test_another_process_does_not_read_the_file_again(torch_home, monkeypatch):
    put(CONTENT)
    expected = weights.digest("inception")
    weights._digest.cache_clear()

    def no_reading(*_):
        raise AssertionError("the file was read again")

    monkeypatch.setattr(hashlib, "file_digest", no_reading)
    assert weights.digest("inception") == expected


def test_a_spoilt_note_beside_the_file_is_not_believed(torch_home):
    path = put(CONTENT)
    beside = path.with_name(f".{path.name}.sha256.json")
    for rubbish in ("", "{", "[]", '{"state": 1}', '{"state": [1, 2, 3, 4], "sha256": "00"}'):
        beside.write_text(rubbish)
        weights._digest.cache_clear()
        assert weights.digest("inception") == sha256_of(CONTENT)


def test_a_folder_that_cannot_be_written_is_no_obstacle(torch_home, monkeypatch):
    put(CONTENT)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert weights.digest("inception") == sha256_of(CONTENT)


def test_other_weights_under_the_published_name_are_used_and_said(torch_home, monkeypatch):
    put(CONTENT)
    assert weights.note("inception") == f"not the published weights (sha256 {sha256_of(CONTENT)})"
    published(monkeypatch, CONTENT)
    assert weights.note("inception") == ""


def test_settings_name_the_digest_or_the_seed(torch_home):
    put(CONTENT)
    assert weights.settings_of("inception", Options()) == sha256_of(CONTENT)
    assert weights.settings_of("inception", Options(random_weights=7)) == "random, seed 7"
    assert weights.settings_of("vgg16", Options(random_weights=7)) == "random, seed 7"


@pytest.mark.parametrize(
    "ask", [weights.digest, weights.note, lambda name: weights.settings_of(name, Options())]
)
def test_a_missing_file_and_the_way_to_bring_it_are_named_in_one_line(torch_home, ask):
    with pytest.raises(UserError) as caught:
        ask("alexnet")
    message = str(caught.value)
    assert f"{torch_home}/hub/checkpoints/alexnet-owt-7be5be79.pth is not there" in message
    for part in ("; run `evalkit weights get alexnet`", weights.WEIGHTS["alexnet"].url, "TORCH_HOME"):
        assert part in message
    assert "\n" not in message


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"vgg: no pretrained weights of that name\. Did you mean 'vgg16'"):
        weights.digest("vgg")


def test_a_file_is_brought_with_progress_and_lies_where_it_is_looked_for(torch_home, monkeypatch, served):
    published(monkeypatch, CONTENT, served[1])
    told: list[tuple[int, int | None]] = []
    path = weights.bring("inception", lambda done, total: told.append((done, total)))
    assert path == weights.path_of("inception")
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_there_is_not_brought_again(torch_home):
    path = put(b"mine")
    assert weights.bring("inception") == path
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"content": b"a page that asks you to log in"}, "what arrived is not the published file"),
        ({"status": 404}, "404"),
        ({"sent": 1000}, "could not be brought"),
    ],
)
def test_what_does_not_arrive_as_published_leaves_nothing_behind(
    torch_home, monkeypatch, served, changed, said
):
    handler, url = served
    published(monkeypatch, CONTENT, url)
    for name, value in changed.items():
        setattr(handler, name, value)
    with pytest.raises(UserError, match=said) as caught:
        weights.bring("inception")
    assert "\n" not in str(caught.value)
    assert list(weights.folder().iterdir()) == []


def test_a_server_that_is_not_there_is_said(torch_home, monkeypatch, served):
    published(monkeypatch, CONTENT, "http://127.0.0.1:9/weights.pth")
    with pytest.raises(UserError, match="the download server does not answer"):
        weights.bring("inception")


def test_settings_of_cached_scores_need_no_torch(torch_home):
    for name in weights.WEIGHTS:
        put(name.encode(), name)
    script = (
        "import sys; from evalkit.metrics.base import Options; from evalkit.metrics.inception import pool3; "
        "from evalkit.metrics.lpips import Lpips, lpips_spread; options = Options(); "
        "pool3(options).key, lpips_spread(options).key; Lpips().settings(['lpips_vgg'], options); "
        "print([name for name in ('torch', 'torchvision', 'lpips', 'pytorch_fid') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
