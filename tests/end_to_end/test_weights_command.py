"""`evalkit weights`: what is here of the pretrained files, and how to bring the rest."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evalkit.cli.weights import weights as command
from evalkit.metrics import weights
from studies.errors import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights.folder().mkdir(parents=True)
    return weights.folder()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def row(output: str, name: str) -> str:
    (line,) = [line for line in output.splitlines() if line.startswith(f"{name} ")]
    return line


def test_every_file_is_listed_with_the_way_to_bring_what_is_missing(folder):
    ran = run()
    assert ran.exit_code == 0, ran.output
    for name, file in weights.WEIGHTS.items():
        assert row(ran.output, name).split()[-1] == "no"
        assert weights.how_to_bring(name) in ran.output
        assert f"{file.title}: {file.source}." in ran.output
    assert f"In {folder}" in ran.output


def test_published_and_other_files_are_told_apart(folder, monkeypatch):
    weights.path_of("alexnet").write_bytes(b"mine")
    weights.path_of("vgg16").write_bytes(b"published")
    entry = weights.WEIGHTS["vgg16"]
    sha256 = weights.digest("vgg16")
    changed = {**weights.WEIGHTS, "vgg16": type(entry)(**{**vars(entry), "sha256_begins": sha256[:8]})}
    monkeypatch.setattr(weights, "WEIGHTS", changed)
    ran = run()
    assert row(ran.output, "alexnet").split()[-2:] == ["yes", "no"]
    assert row(ran.output, "vgg16").split()[-2:] == ["yes", "yes"]
    assert f"alexnet: not the published weights (sha256 {weights.digest('alexnet')})" in ran.output
    assert "weights get alexnet" not in ran.output
    assert "weights get squeezenet" in ran.output


def test_get_prints_the_path_of_a_file_that_is_there(folder):
    path = weights.path_of("squeezenet")
    path.write_bytes(b"mine")
    ran = run("get", "squeezenet")
    assert (ran.exit_code, ran.stdout.strip()) == (0, str(path))


def test_get_leaves_another_file_of_that_name_as_it_is_and_says_so(folder):
    weights.path_of("alexnet").write_bytes(b"mine")
    ran = run("get", "alexnet")
    assert ran.exit_code == 0
    assert "not the published weights" in ran.output
    assert "delete it and run this again" in ran.output
    assert weights.path_of("alexnet").read_bytes() == b"mine"


def test_get_without_a_network_names_file_and_address(folder, monkeypatch):
    monkeypatch.setattr(weights, "answers", lambda url: False)
    ran = run("get", "inception")
    assert isinstance(ran.exception, UserError)
    assert str(ran.exception) == weights.how_to_bring(
        "inception", "is not there, and the download server does not answer"
    )
    assert isinstance(run("get", "incepton").exception, UserError)
