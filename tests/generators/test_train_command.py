import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from evalkit.cli import main
from generators.runs import load_run
from tests.generators.toy_training import stats, write_pairs

SMALL = (
    "load_size_px=18",
    "crop_size_px=16",
    "base_filters=2",
    "discriminator_filters=2",
    "receptive_field_px=16",
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs")


def arguments(pairs: Path, out: Path, *settings: str) -> list[str]:
    chosen = [part for setting in (*SMALL, "total_images=8", *settings) for part in ("--set", setting)]
    return [
        *("train", "--preset", "pix2pix_facades", "--data", str(pairs), "--out", str(out)),
        *(*chosen, "--accelerator", "cpu"),
    ]


def evalkit(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(words)
    out, err = capsys.readouterr()
    assert isinstance(exit_.value.code, int)
    return exit_.value.code, out, err


def test_the_command_trains_and_the_same_command_says_that_it_is_finished(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    code, out, err = evalkit(capsys, *arguments(pairs, run))
    assert (code, out) == (0, f"{run}\n")
    assert [line.split("  ")[1] for line in err.splitlines() if "run: " in line][-1].startswith(
        "run: 8 of 8 images"
    )
    for again in (arguments(pairs, run), ["train", str(run)]):
        code, out, err = evalkit(capsys, *again)
        assert (code, out) == (0, f"{run}\n")
        assert err.splitlines() == [f"{run}: finished already; all 8 images have been shown."]


def test_a_finished_run_is_made_longer_in_its_folder_only(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    evalkit(capsys, *arguments(pairs, run))
    code, _, err = evalkit(capsys, *arguments(pairs, run, "total_images=12"))
    assert code == 1
    assert "a run with other settings is there: total_images is 8 there, 12 here." in err
    code, _, err = evalkit(capsys, "train", str(run), "--set", "total_images=12")
    assert code == 0
    assert load_run(run).images_shown == 12


def test_a_length_that_does_not_fit_leaves_the_run_as_it_was(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    evalkit(capsys, *arguments(pairs, run, "batch_size=4"))
    before = (run / "config.json").read_text()
    code, _, err = evalkit(capsys, "train", str(run), "--set", "total_images=13")
    assert code == 1
    assert "For example total_images=12." in err
    assert (run / "config.json").read_text() == before


def test_a_dry_run_prints_the_whole_config_and_a_time_and_writes_nothing(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = evalkit(capsys, *arguments(pairs, tmp_path / "run", "total_images=100_000"), "--dry-run")
    assert code == 0
    told = json.loads(out)
    assert told["config"]["data"]["crop_size_px"] == 16
    assert told["config"]["location"] == str(pairs)
    assert told["estimate"]["seconds"] > 0
    assert "for 100,000 images" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train"], 2, "--preset, --data and --out begin a run"),
        (["train", "--preset", "pix2pix_facades", "--out", "x"], 2, "--preset, --data and --out begin a run"),
        (["train", "x", "--out", "y"], 2, "FOLDER goes on with a run"),
        (["train", "x", "--nodes", "2"], 2, "--nodes needs --master HOST:PORT"),
        (["train", "x", "--node-rank", "1"], 2, "machines are numbered from 0 to 0"),
        (["train", "no-such-run"], 1, "is no training run"),
        (["train", "--preset", "pix2pix_facade", "--data", "x", "--out", "y"], 1, "pix2pix_facades"),
        (
            ["train", "--preset", "pix2pix_facades", "--data", "x", "--out", "y", "--set", "total_imags=4"],
            1,
            "total_images",
        ),
    ],
)
def test_wrong_use_is_said_in_one_line_and_writes_nothing(
    words: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    ended, out, err = evalkit(capsys, *words)
    assert (ended, out) == (code, "")
    assert message in err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_data_that_cannot_be_used_leaves_no_run_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = evalkit(capsys, *arguments(tmp_path / "nowhere", tmp_path / "run"))
    assert code == 1
    assert str(tmp_path / "nowhere") in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "evalkit.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_two_processes_train_to_the_weights_of_one(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exact = ("batch_size=2", "precision=fp64", "norm=instance", "dropout=false", "log_images=4")
    process = start(*arguments(pairs, tmp_path / "two", *exact), "--devices", "2")
    code, _, err = evalkit(capsys, *arguments(pairs, tmp_path / "one", *exact))
    assert code == 0, err
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert out == f"{tmp_path / 'two'}\n"
    assert [line for line in err.splitlines() if "two: " not in line] == []
    one, two = (load_run(tmp_path / name).method.state_dict() for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-5, atol=1e-6, msg=name)
    for alone, shared in zip(stats(tmp_path / "one"), stats(tmp_path / "two"), strict=True):
        assert shared == pytest.approx(alone, rel=1e-5)


def test_an_interrupted_command_keeps_what_it_has_and_ends_with_one_line(pairs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(*arguments(pairs, run, "total_images=1_000_000", "log_images=5"))
    while not (run / "stats.jsonl").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(err.splitlines()) == 1
    assert "of 1,000,000 images, which are kept; run the same command to go on." in err
    assert load_run(run).images_shown >= 5
