"""`evalkit doctor`: what is on this machine, said without falling over, and without writing anything."""

import dataclasses
import importlib.metadata
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evalkit.cli import doctor_commands, doctor_machine, doctor_surroundings
from evalkit.cli.doctor_commands import Known, commands
from evalkit.cli.doctor_finding import Finding, looked
from evalkit.cli.doctor_torch import Device, Torch, TorchProbe, heard, torch_findings
from evalkit.metrics import METRICS, weights

H200 = Device("NVIDIA H200", 140 * 1024**3, 139 * 1024**3, "9.0", bf16=True)


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real command, away from any checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVALKIT_")}
    return subprocess.run(
        [sys.executable, "-m", "evalkit.cli", "doctor", *arguments],
        cwd=folder,
        env={**kept, "TORCH_HOME": str(folder / "torch"), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in findings}


def verdicts(**changed: Any) -> dict[str, Finding]:
    known = Known([], Torch("2.9", "13.0", 2), {"torch": "2.9"})
    return by_name(list(commands(dataclasses.replace(known, **changed))))


def no_torch(folder: Path, line: str) -> str:
    """A folder for PYTHONPATH with a package torch that does this when it is imported."""
    (folder / "broken" / "torch").mkdir(parents=True)
    (folder / "broken" / "torch" / "__init__.py").write_text(f"{line}\n", encoding="utf-8")
    return str(folder / "broken")


@pytest.fixture
def empty_weights(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    if "torch.hub" in sys.modules:
        monkeypatch.setattr(sys.modules["torch.hub"], "_hub_dir", None)
    weights.folder().mkdir(parents=True)
    return weights.folder()


# The command itself


def test_every_line_is_aligned_without_colours_when_piped_and_names_what_waits_for_what(tmp_path):
    ran = run(tmp_path)
    assert ran.returncode == 0, ran
    assert "\x1b" not in ran.stdout + ran.stderr
    items, works = ran.stdout.split("\n\nWhat works here, and what will not until what\n")
    for line in (items + "\n" + works).splitlines():
        assert line[:9].rstrip() in ("ok", "warn", "missing")
        assert line[34:36] == "  "
        assert line[36] != " "
    names = [line[9:34].strip() for line in items.splitlines()]
    for name in (
        "python",
        "packages",
        "cores",
        "memory",
        "disk",
        "time",
        "port",
        "database",
        "browser",
        "network",
    ):
        assert name in names
    assert [f"weights {name}" in names for name in weights.WEIGHTS] == [True] * len(weights.WEIGHTS)
    assert importlib.metadata.version("torch") in items
    commands_named = [line[9:34].strip() for line in works.splitlines()]
    for name in ("train, generate, ablate", "study serve", "study launch, pay", "make test"):
        assert name in commands_named
    assert {f"metrics {name}" for name in METRICS} <= set(commands_named)
    assert "not until `evalkit weights get inception` (96 MB)" in works
    assert "Studies can be run here" in ran.stderr
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert [name for name in names if f"`{name.split(' ')[0]}" not in page] == []
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_looked_at_and_left_as_it_is_and_an_unreachable_database_is_an_exit_1(
    study_folder, tmp_path
):
    before = {path: path.stat().st_mtime_ns for path in study_folder.rglob("*")}
    address = "postgresql+psycopg://someone:SECRET@127.0.0.1:1/x"
    broken = no_torch(tmp_path, "import os; os.abort()")
    ran = run(
        tmp_path, "--study", str(study_folder), "--json", EVALKIT_DATABASE_URL=address, PYTHONPATH=broken
    )
    assert ran.returncode == 1, ran
    told = json.loads(ran.stdout)
    items = {one["name"]: one for one in told["items"]}
    assert told["ok"] is False
    assert (items["database"]["state"], items["database"]["stops"]) == ("missing", True)
    assert "the database cannot be opened" in items["database"]["text"]
    assert "SECRET" not in ran.stdout + ran.stderr
    assert (items["study's secret key"]["state"], items["study's disk"]["state"]) == ("ok", "ok")
    assert items["torch"]["state"] == "missing"  # it crashed its process, not this one
    assert not items["torch"]["stops"]
    waiting = {one["name"]: one for one in told["commands"]}
    assert waiting["study init … export"]["text"] == "not until this is put right: database"
    assert waiting["train, generate, ablate"]["text"].startswith("not until torch can be imported.")
    assert waiting["metrics spectrum"]["state"] == "ok"
    assert told["versions"]["numpy"] == importlib.metadata.version("numpy")
    assert {path: path.stat().st_mtime_ns for path in study_folder.rglob("*")} == before


def test_a_folder_that_is_no_study_is_one_clear_line(tmp_path):
    ran = run(tmp_path, "--study", "nowhere")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "Error: nowhere: no study.toml here. `evalkit study init nowhere ...` makes a study.\n"
    )


# Torch


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("raise ModuleNotFoundError(\"No module named 'torch'\")", "not installed. Run: make setup"),
        (
            "raise OSError('libcudart.so.13: cannot open')",
            "cannot be imported (OSError: libcudart.so.13: cannot open)",
        ),
        ("import os; os._exit(7)", "cannot be imported (Python ended with code 7)"),
    ],
)
def test_torch_that_is_absent_or_broken_is_said_and_stops_no_study(tmp_path, monkeypatch, line, words):
    monkeypatch.setenv("PYTHONPATH", no_torch(tmp_path, line))
    (found,) = torch_findings(TorchProbe().answer())
    assert (found.state, found.stops) == ("missing", False)
    assert found.text.startswith(words)


def test_a_gpu_is_told_with_its_memory_and_half_precision():
    told = json.dumps({"version": "2.9", "cuda": "13.0", "threads": 4, "devices": [dataclasses.asdict(H200)]})
    torch = heard(f"noise\n{told}\n", "", 0)
    assert torch.usable == (H200,)
    _, device = torch_findings(torch)
    assert device.state == "ok"
    assert device.text == (
        "cuda:0 NVIDIA H200, 140.0 GiB (139.0 GiB free), compute capability 9.0; half precision: bf16 and fp16"
    )
    assert verdicts(torch=torch)["train, generate, ablate"].text == "works on 1 GPU: NVIDIA H200"


def test_a_gpu_that_computes_nothing_or_that_torch_does_not_see_is_missing_or_explained(tmp_path):
    broken = dataclasses.replace(H200, fault="no kernel image is available")
    _, device = torch_findings(Torch("2.9", "13.0", 4, (broken,)))
    assert device.state == "missing"
    assert device.text.endswith("nothing can be computed on it: no kernel image is available")
    assert verdicts(torch=Torch("2.9", "13.0", 4, (broken,)))["train, generate, ablate"].state == "warn"
    _, none = torch_findings(Torch("2.9", "13.0", 4), tmp_path)
    assert none.text.startswith("no NVIDIA GPU here")
    (tmp_path / "nvidia0").touch()
    _, unseen = torch_findings(Torch("2.9", "13.0", 4, fault="CUDA initialization: driver too old"), tmp_path)
    assert "torch cannot use it (CUDA initialization: driver too old)" in unseen.text
    _, cpu_build = torch_findings(Torch("2.9", "", 4), tmp_path)
    assert "torch is a build without CUDA" in cpu_build.text


# Packages, machine


def test_a_missing_or_old_package_is_named_and_stops_studies_only_if_they_need_it():
    versions = {**doctor_machine.installed(), "numpy": "1.26.4", "lpips": "", "flask": ""}
    found = by_name(list(doctor_machine.packages(versions)))
    assert found["packages"].state == "warn"
    assert found["numpy"].text.startswith("1.26.4; 2.0 or newer is needed. Run: make setup")
    assert (found["numpy"].stops, found["flask"].stops, found["lpips"].stops) == (True, True, False)
    assert set(found) == {"packages", "numpy", "flask", "lpips"}
    assert verdicts(findings=[found["flask"]])["analyze, report"].text == "not until this is put right: flask"
    assert "lpips is installed" in verdicts(versions={"lpips": ""})["metrics fid"].text


def test_here_all_packages_are_right():
    (found,) = doctor_machine.packages(doctor_machine.installed())
    assert found.state == "ok", found


def test_a_full_disk_stops_studies_and_a_folder_that_is_not_there_yet_is_looked_for_above(
    tmp_path, monkeypatch
):
    places = {"study": tmp_path / "not" / "yet"}
    for free_gib, state in ((0.1, "missing"), (2, "warn"), (50, "ok")):
        usage = SimpleNamespace(free=int(free_gib * 1024**3))
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, usage=usage: usage)
        (found,) = doctor_machine.disk(places)
        assert (found.state, found.stops) == (state, state == "missing")
        assert f"free at {tmp_path} (study)" in found.text


def test_limits_of_a_container_count(tmp_path):
    (tmp_path / "cpu.max").write_text("150000 100000\n", encoding="ascii")
    (tmp_path / "memory.max").write_text(f"{1024**3}\n", encoding="ascii")
    (tmp_path / "memory.current").write_text(f"{1024**3 // 2}\n", encoding="ascii")
    (tmp_path / "meminfo").write_text("MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n", encoding="ascii")
    cores, memory = doctor_machine.cores_and_memory(tmp_path, tmp_path / "meminfo")
    assert "limited to 1.5 by the container" in cores.text
    assert (memory.state, memory.text[:23]) == ("warn", "1.0 GiB, 0.5 GiB free: ")
    for name in ("cpu.max", "memory.max"):
        (tmp_path / name).write_text("max 100000\n", encoding="ascii")
    cores, memory = doctor_machine.cores_and_memory(tmp_path, tmp_path / "meminfo")
    assert "container" not in cores.text
    assert (memory.state, memory.text) == ("ok", "8.0 GiB, 4.0 GiB free")


def test_a_taken_port_is_named_with_another():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (found,) = doctor_machine.loopback(port)
    assert (found.state, found.stops) == ("warn", False)
    assert found.text == f"{port} is taken by another program. Choose another one: --port {port + 1}"
    assert next(iter(doctor_machine.loopback(port))).state == "ok"


@pytest.mark.parametrize(("synchronised", "state"), [(True, "ok"), (False, "warn"), (None, "ok")])
def test_a_clock_that_nothing_synchronises_is_to_be_looked_at(monkeypatch, synchronised, state):
    monkeypatch.setattr(doctor_machine, "_synchronised", lambda: synchronised)
    (found,) = doctor_machine.clock()
    assert (found.state, found.stops) == (state, False)


def test_a_clock_before_the_programs_own_files_is_wrong(tmp_path, monkeypatch):
    late = tmp_path / "late.py"
    late.touch()
    os.utime(late, (4e9, 4e9))
    monkeypatch.setattr(doctor_machine, "__file__", str(late))
    (found,) = doctor_machine.clock()
    assert "before evalkit's own files were written" in found.text


# Weights, database, network, browser


def test_weights_that_are_there_are_told_from_missing_and_other_ones(empty_weights, monkeypatch):
    before = verdicts()
    assert before["metrics lpips"].state == before["metrics fid"].state == "missing"
    assert "lpips_vgg not until `evalkit weights get vgg16` (553 MB);" in before["metrics lpips"].text
    weights.path_of("alexnet").write_bytes(b"mine")
    found = by_name(list(doctor_surroundings.weights()))
    assert found["weights alexnet"].state == "warn"
    assert "is not the published weights (sha256 " in found["weights alexnet"].text
    assert found["weights inception"].state == "missing"
    assert "`evalkit weights get inception` brings it (96 MB)" in found["weights inception"].text
    after = verdicts()
    assert (after["metrics lpips"].state, after["metrics input_sensitivity"].state) == ("warn", "ok")
    assert after["metrics lpips"].text.startswith("lpips_alex works; lpips_vgg not until ")


def test_a_postgresql_that_answers_is_told_with_its_version(empty_postgresql, monkeypatch):
    monkeypatch.setenv("EVALKIT_DATABASE_URL", empty_postgresql)
    (found,) = doctor_surroundings.database(Path())
    assert found.state == "ok", found
    assert found.text.startswith("PostgreSQL ")
    assert found.text.endswith("of EVALKIT_DATABASE_URL answers, 0 tables")


def test_an_address_of_another_kind_or_a_file_that_is_no_database_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("EVALKIT_DATABASE_URL", "mysql://x")
    (found,) = doctor_surroundings.database(tmp_path)
    assert (found.state, found.stops) == ("missing", True)
    assert "only postgresql+psycopg://" in found.text
    monkeypatch.delenv("EVALKIT_DATABASE_URL")
    (tmp_path / "study.sqlite").write_bytes(b"no database at all, but long enough to be looked at " * 20)
    (found,) = doctor_surroundings.database(tmp_path)
    assert (found.state, found.stops) == ("missing", True)
    assert "file is not a database" in found.text
    (tmp_path / "study.sqlite").unlink()
    (found,) = doctor_surroundings.database(tmp_path)
    assert (found.state, sqlite3.sqlite_version in found.text) == ("ok", True)
    assert list(tmp_path.iterdir()) == []


def test_the_network_names_what_is_configured_and_never_its_value(monkeypatch):
    monkeypatch.setattr(weights, "answers", lambda _url: False)
    monkeypatch.setenv("https_proxy", "http://me:SECRET@proxy.example:1")
    monkeypatch.setenv("UV_INDEX_URL", "https://me:SECRET@index.example")
    (found,) = doctor_surroundings.NetworkProbe().findings()
    assert (found.state, found.stops) == ("warn", False)
    assert "does not answer" in found.text
    assert "HTTPS_PROXY" in found.text
    assert "UV_INDEX_URL" in found.text
    assert "SECRET" not in found.text
    monkeypatch.setattr(weights, "answers", lambda _url: True)
    (found,) = doctor_surroundings.NetworkProbe().findings()
    assert found.state == "ok"


def test_without_browser_and_test_programs_only_the_tests_wait(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    (found,) = doctor_surroundings.browser()
    assert (found.state, found.stops) == ("missing", False)
    programs = " ".join(doctor_commands.TEST_PROGRAMS.values())
    assert verdicts()["make test"].text == f"not until `sudo apt-get install {programs}`"


def test_the_panel_waits_for_its_token_which_is_never_shown(monkeypatch):
    monkeypatch.delenv("EVALKIT_PROLIFIC_TOKEN", raising=False)
    assert verdicts()["study launch, pay"].state == "missing"
    monkeypatch.setenv("EVALKIT_PROLIFIC_TOKEN", "SECRET")
    assert verdicts()["study launch, pay"].state == "ok"
    assert "SECRET" not in verdicts()["study launch, pay"].text


def test_a_look_that_stumbles_over_a_missing_package_becomes_a_line():
    def look():
        raise ModuleNotFoundError("No module named 'flask'")

    (found,) = looked("database", look)
    assert (found.state, found.stops) == ("missing", True)
    assert found.text == "cannot be looked at: No module named 'flask'"
