"""`evalkit data`: fetching over real HTTP, with whatever goes wrong on the way."""

import hashlib
import io
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from evalkit.cli.data import data as data_command
from generators.config import DataSettings
from generators.data import downloads, locations, open_dataset
from generators.data.downloads import fetch, get
from generators.data.locations import ARCHIVES, Archive
from studies.errors import UserError
from tests.generators.data.made_up_images import fill


@dataclass
class Host:
    """A web server of one file, and how it behaves."""

    content: bytes
    etag: str | None = '"first"'
    ranges: bool = True
    break_off_after: list[int] = field(default_factory=list)
    """Bytes to send in each of the next connections before it breaks."""
    status: int = 200
    asked: list[str | None] = field(default_factory=list)
    """The Range of every request so far."""
    port: int = 0

    def archive(self, file_name: str, sha256: str = "") -> Archive:
        return Archive(f"http://127.0.0.1:{self.port}/{file_name}", "", "", None, sha256)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.asked.append(asked)
        start = self._start(asked, request.headers.get("If-Range"))
        if self.status != 200:
            request.send_error(self.status)
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.etag:
            request.send_header("ETag", self.etag)
        request.send_header("Content-Length", str(len(self.content) - start))
        request.end_headers()
        body = self.content[start:]
        request.wfile.write(body[: self.break_off_after.pop(0)] if self.break_off_after else body)
        request.close_connection = True

    def _start(self, asked: str | None, if_range: str | None) -> int:
        if not asked or not self.ranges or (if_range is not None and if_range != self.etag):
            return 0
        return int(asked.removeprefix("bytes=").rstrip("-"))


@pytest.fixture
def serve() -> Iterator[object]:
    servers = []

    def start(content: bytes, **behaviour) -> Host:
        host = Host(content, **behaviour)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        host.port = server.server_port
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return host

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> bytes:
    """A small dataset as .tar.gz, in a folder of its own name."""
    folder = tmp_path_factory.mktemp("packed") / "facades"
    fill(folder / "train", " ".join(map(str, range(20))), size=(64, 32))
    fill(folder / "test", "1 2", size=(64, 32))
    return as_tar({str(path.relative_to(folder.parent)): path.read_bytes() for path in folder.rglob("*.png")})


def as_tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def as_zip(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def left(data: Path) -> list[str]:
    return sorted(path.name for path in data.iterdir())


def test_an_archive_is_fetched_unpacked_and_opened(serve, packed, tmp_path):
    told = []
    folder = fetch(
        "facades", serve(packed).archive("facades.tar.gz"), tmp_path, lambda *done: told.append(done)
    )
    assert folder == tmp_path / "facades"
    assert len(open_dataset(str(folder), DataSettings()).train) == 20
    assert told[-1] == (len(packed), len(packed))
    assert left(tmp_path) == ["facades", "facades.tar.gz.sha256"]


def test_what_is_there_is_not_fetched_again(serve, packed, tmp_path):
    host = serve(packed)
    for _ in range(2):
        fetch("facades", host.archive("facades.tar.gz"), tmp_path)
    assert host.asked == [None]


class TestResume:
    def test_a_connection_that_breaks_off_is_taken_up_where_it_was(self, serve, packed, tmp_path):
        host = serve(packed, break_off_after=[40_000, 20_000])
        fetch("facades", host.archive("facades.tar.gz", sha256(packed)), tmp_path)
        assert host.asked == [None, "bytes=32768-", "bytes=49152-"]
        assert left(tmp_path) == ["facades"]

    def test_the_next_command_goes_on_from_what_is_there(self, serve, packed, tmp_path):
        host = serve(packed, break_off_after=[20_000, 0, 0, 0, 0, 0])
        archive = host.archive("facades.tar.gz", sha256(packed))
        with pytest.raises(
            UserError, match=r"the connection broke off after 0 MB, which are kept\. The same command"
        ):
            fetch("facades", archive, tmp_path)
        assert left(tmp_path) == [".facades.tar.gz.partial", ".facades.tar.gz.partial.json"]
        fetch("facades", archive, tmp_path)
        assert host.asked == [None, *["bytes=16384-"] * 6]
        assert left(tmp_path) == ["facades"]

    def test_a_server_that_ignores_ranges_starts_over(self, serve, packed, tmp_path):
        host = serve(packed, ranges=False, break_off_after=[20_000])
        fetch("facades", host.archive("facades.tar.gz", sha256(packed)), tmp_path)
        assert host.asked == [None, "bytes=16384-"]

    def test_an_archive_that_has_changed_meanwhile_starts_over(self, serve, packed, tmp_path):
        host = serve(b"x" * 90_000, break_off_after=[20_000, 0, 0, 0, 0, 0])
        archive = host.archive("facades.tar.gz")
        with pytest.raises(UserError, match="broke off"):
            fetch("facades", archive, tmp_path)
        host.content, host.etag = packed, '"second"'
        assert (fetch("facades", archive, tmp_path) / "train").is_dir()

    def test_without_an_etag_the_size_must_agree(self, serve, packed, tmp_path):
        host = serve(b"x" * 90_000, etag=None, break_off_after=[20_000, 0, 0, 0, 0, 0])
        archive = host.archive("facades.tar.gz", sha256(packed))
        with pytest.raises(UserError, match="broke off"):
            fetch("facades", archive, tmp_path)
        host.content = packed
        fetch("facades", archive, tmp_path)
        assert host.asked[-2:] == ["bytes=16384-", None]

    def test_a_partial_file_of_unknown_origin_starts_over(self, serve, packed, tmp_path):
        (tmp_path / ".facades.tar.gz.partial").write_bytes(b"x" * 1000)
        host = serve(packed, etag=None)
        fetch("facades", host.archive("facades.tar.gz", sha256(packed)), tmp_path)
        assert host.asked[-1] is None


class TestChecksum:
    def test_an_archive_other_than_published_is_refused_and_removed(self, serve, packed, tmp_path):
        with pytest.raises(UserError, match=rf"has SHA-256 {sha256(packed)}, not the one published, 0123"):
            fetch("facades", serve(packed).archive("facades.tar.gz", "0123"), tmp_path)
        assert left(tmp_path) == []

    def test_without_a_published_one_the_first_download_counts(self, serve, packed, tmp_path):
        host = serve(packed)
        archive = host.archive("facades.tar.gz")
        fetch("facades", archive, tmp_path).rename(tmp_path / "elsewhere")
        host.content, host.etag = as_tar({"facades/train/1.png": b""}), '"second"'
        with pytest.raises(UserError, match=r"noted in .* at the first download"):
            fetch("facades", archive, tmp_path)
        assert (tmp_path / "facades.tar.gz.sha256").read_text() == f"{sha256(packed)}  facades.tar.gz\n"

    def test_what_cannot_be_unpacked_does_not_count_as_the_first_download(self, serve, packed, tmp_path):
        host = serve(b"<html>Please log in to this network.</html>")
        archive = host.archive("facades.tar.gz")
        with pytest.raises(UserError, match=r"damaged or incomplete \(.*successfully\)\. Remove it"):
            fetch("facades", archive, tmp_path)
        assert left(tmp_path) == ["facades.tar.gz"]
        (tmp_path / "facades.tar.gz").unlink()
        host.content = packed
        assert (fetch("facades", archive, tmp_path) / "train").is_dir()


class TestTwoAtOnce:
    def test_the_second_is_refused_and_leaves_the_first_alone(self, serve, packed, tmp_path):
        host = serve(packed)
        archive = host.archive("facades.tar.gz")
        command = (
            "import fcntl, sys; lock = open(sys.argv[1], 'a'); fcntl.lockf(lock, fcntl.LOCK_EX);"
            "print('held', flush=True); sys.stdin.read()"
        )
        lock = tmp_path / ".facades.tar.gz.lock"
        with subprocess.Popen(
            [sys.executable, "-c", command, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            other.stdout.readline()
            with pytest.raises(UserError, match=r"facades\.tar\.gz: another process is fetching it already"):
                fetch("facades", archive, tmp_path)
            assert host.asked == []
            other.kill()
        fetch("facades", archive, tmp_path)
        assert left(tmp_path) == ["facades", "facades.tar.gz.sha256"]


class TestBroughtByHand:
    def test_an_archive_that_lies_there_is_taken_and_kept(self, packed, tmp_path):
        (tmp_path / "facades.tar.gz").write_bytes(packed)
        nowhere = Archive("http://127.0.0.1:1/facades.tar.gz", "", "")
        assert (fetch("facades", nowhere, tmp_path) / "train").is_dir()
        assert "facades.tar.gz" in left(tmp_path)

    def test_a_wrong_one_is_named_and_kept(self, packed, tmp_path):
        (tmp_path / "facades.tar.gz").write_bytes(packed)
        with pytest.raises(UserError, match=r"Remove .*/facades\.tar\.gz and get it again"):
            fetch("facades", Archive("http://127.0.0.1:1/facades.tar.gz", "", "", None, "0123"), tmp_path)
        assert left(tmp_path) == ["facades.tar.gz"]

    def test_offline_the_way_by_hand_is_said_at_once(self, tmp_path):
        with socket.socket() as taken:  # bound but not listening: refuses connections
            taken.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{taken.getsockname()[1]}/facades.tar.gz"
            started = time.monotonic()
            with pytest.raises(UserError) as error:
                fetch("facades", Archive(address, "", ""), tmp_path)
        assert time.monotonic() - started < 3
        assert "no connection. Where there is a network, download" in str(error.value)
        assert f"put it at {tmp_path}/facades.tar.gz, and give the same command again" in str(error.value)

    def test_a_missing_file_on_the_server_is_said(self, serve, tmp_path):
        with pytest.raises(UserError, match=r"the server answers 404 Not Found\. Where there is a network"):
            fetch("facades", serve(b"", status=404).archive("facades.tar.gz"), tmp_path)


class TestUnpacking:
    def test_a_zip_is_unpacked_too_and_need_not_have_a_folder(self, serve, tmp_path):
        host = serve(as_zip({"trainA/1.png": b"1", "trainB/2.png": b"2", "__MACOSX/x": b""}))
        folder = fetch("horses", host.archive("horses.zip"), tmp_path)
        assert (folder / "trainB/2.png").read_bytes() == b"2"

    @pytest.mark.parametrize("name", ["../outside.png", "facades/../../../outside.png"])
    @pytest.mark.parametrize(("pack", "ending"), [(as_tar, "tar.gz"), (as_zip, "zip")])
    def test_an_archive_that_reaches_outside_is_refused(self, serve, tmp_path, pack, ending, name):
        host = serve(pack({"facades/1.png": b"", name: b"evil"}))
        with pytest.raises(UserError, match="not unpacked, for it reaches outside its folder"):
            fetch("facades", host.archive(f"facades.{ending}"), tmp_path / "data")
        assert not (tmp_path / "data/facades").exists()
        assert not list(tmp_path.rglob("outside.png"))

    @pytest.mark.parametrize("name", ["/outside.png", "..\\outside.png", "C:\\outside.png"])
    def test_so_is_a_zip_with_absolute_or_windows_paths(self, serve, tmp_path, name):
        host = serve(as_zip({"facades/1.png": b"", name: b"evil"}))
        with pytest.raises(UserError, match="not unpacked, for it reaches outside its folder"):
            fetch("facades", host.archive("facades.zip"), tmp_path)

    @pytest.mark.parametrize("file_name", ["facades.zip", "facades.tar.gz"])
    def test_a_damaged_archive_leaves_no_half_dataset(self, serve, packed, tmp_path, file_name):
        host = serve(packed[: len(packed) // 2])
        with pytest.raises(UserError, match="the archive is damaged or incomplete"):
            fetch("facades", host.archive(file_name), tmp_path)
        assert not any(path.is_dir() for path in tmp_path.iterdir())


class TestDisk:
    def test_a_full_disk_is_one_line(self, serve, packed, tmp_path):
        (tmp_path / ".facades.tar.gz.partial").symlink_to("/dev/full")
        with pytest.raises(UserError, match=r"no space left\. Make room and give the same command again"):
            fetch("facades", serve(packed).archive("facades.tar.gz"), tmp_path)

    def test_too_little_room_is_said_before_the_download(self, serve, packed, tmp_path, monkeypatch):
        monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
        with pytest.raises(UserError, match=r"0 MB are still to come and 0 MB are free\. Make room"):
            fetch("facades", serve(packed).archive("facades.tar.gz"), tmp_path)

    def test_a_place_that_is_no_folder_is_named(self, serve, packed, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(UserError, match=r"/file.*: (File exists|Not a directory). Name a folder"):
            fetch("facades", serve(packed).archive("facades.tar.gz"), tmp_path / "file")


class TestCommands:
    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        monkeypatch.setenv("EVALKIT_DATA", str(tmp_path / "data"))

        def invoke(*arguments: str):
            return CliRunner().invoke(data_command, arguments)

        return invoke

    def test_list_shows_every_name_and_what_is_here(self, run, tmp_path):
        (tmp_path / "data/facades").mkdir(parents=True)
        lines = run("list").stdout.splitlines()
        rows = {line.split()[0]: line.split() for line in lines[1:]}
        assert {"toy-facades", *ARCHIVES} <= set(rows)
        assert rows["facades"][-1] == "yes"
        assert rows["maps"][-1] == "MB"
        assert str(tmp_path / "data") in run("list").stdout

    def test_get_prints_the_folder(self, run, serve, packed, tmp_path, monkeypatch):
        monkeypatch.setitem(ARCHIVES, "facades", serve(packed).archive("facades.tar.gz"))
        ran = run("get", "facades")
        assert ran.stdout == f"{tmp_path}/data/facades\n"
        assert len(open_dataset("facades", DataSettings()).test) == 2
        elsewhere = run("get", "facades", "--folder", str(tmp_path / "else"))
        assert elsewhere.stdout == f"{tmp_path}/else/facades\n"
        assert "give its path, not its name" in elsewhere.stderr

    def test_get_draws_the_toy_facades(self, run, tmp_path, monkeypatch):
        monkeypatch.setattr(locations, "TOY_TRAIN_IMAGES", 2)
        monkeypatch.setattr(locations, "TOY_TEST_IMAGES", 1)
        assert run("get", "toy-facades").stdout == f"{tmp_path}/data/toy-facades-64\n"

    def test_an_unknown_name_is_answered_with_the_nearest(self, tmp_path):
        with pytest.raises(UserError, match=r"facade: no dataset of that name\. Did you mean 'facades'"):
            get("facade", tmp_path)


def test_every_known_archive_has_an_address_a_file_name_and_a_digest_or_none():
    assert len({archive.file_name for archive in ARCHIVES.values()}) == len(ARCHIVES)
    for archive in ARCHIVES.values():
        assert archive.file_name.endswith((".zip", ".tar.gz"))
        assert archive.sha256 == "" or len(archive.sha256) == 64
