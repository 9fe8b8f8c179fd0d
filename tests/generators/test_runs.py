import dataclasses
import json
import multiprocessing
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from generators.config import RunConfig, override
from generators.methods.pix2pix import Pix2PixSettings
from generators.runs import (
    check_config,
    check_same_network,
    checkpoint_paths,
    extend,
    last_whole_checkpoint,
    load_run,
    read_config,
    settle_config,
    write_checkpoint,
    write_config,
)
from studies.errors import UserError
from tests.generators.toy_training import toy_config, toy_train, write_pairs

STATE = {"method": {"weight": torch.arange(100_000.0)}, "notes": []}


@pytest.fixture
def config() -> RunConfig:
    config = RunConfig("pix2pix_facades", "pix2pix", "somewhere", settings=Pix2PixSettings())
    return override(
        config, ["loss=cgan", "total_images=4_000", "mirror=false", "load_size_px=18", "crop_size_px=16"]
    )


def test_a_config_comes_back_as_it_was_written(config: RunConfig, tmp_path: Path) -> None:
    write_config(tmp_path / "new" / "run", config)
    assert read_config(tmp_path / "new" / "run") == config
    assert [path.name for path in (tmp_path / "new" / "run").iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "pix2pick"}, r"config\.json: method 'pix2pick' is unknown\. Did you mean 'pix2pix'\?"),
        ({"metod": "pix2pix"}, r"config\.json: unknown key 'metod'\. Did you mean 'method'\?"),
        (
            {"training": {"total_imags": 3}},
            r"config\.json: training: unknown key 'total_imags'.*'total_images'",
        ),
        ({"training": {"precision": "fp8"}}, r"config\.json: training: precision: allowed are fp32, bf16"),
        (
            {"training": {"beta2": 1.5}},
            r"config\.json: training: beta1 = 0\.5 and beta2 = 1\.5 must be below 1",
        ),
        ({"data": {"scale_factor": 4.0}}, r"config\.json: data: scale_factor: allowed are 4, 8"),
        ({"settings": {"receptive_field_px": True}}, r"receptive_field_px: allowed are 1, 16"),
        ({"data": None}, r"config\.json: data is missing or no object"),
        ({"location": 3}, r"config\.json: location is missing or no text"),
    ],
)
def test_a_config_that_was_edited_wrongly_is_refused_with_file_and_key(
    change: dict[str, object], message: str, config: RunConfig, tmp_path: Path
) -> None:
    path = write_config(tmp_path, config)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=message):
        read_config(tmp_path)


def test_what_is_no_run_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no training run"):
        read_config(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        read_config(tmp_path)


def test_a_run_may_only_grow_and_only_at_a_constant_learning_rate(config: RunConfig, tmp_path: Path) -> None:
    write_config(tmp_path, config)
    assert extend(tmp_path, ["total_images=8000"]).training.total_images == 8000
    with pytest.raises(UserError, match="may only grow, not shrink to 10"):
        extend(tmp_path, ["total_images=10"])
    with pytest.raises(UserError, match=r"only total_images may grow \(loss is cgan there, l1 here\)"):
        extend(tmp_path, ["total_images=8000", "loss=l1"])
    write_config(tmp_path, override(config, ["decay_images=2000"]))
    with pytest.raises(UserError, match="falls to zero over the last 2000 of 4000 images"):
        extend(tmp_path, ["total_images=8000"])


def test_a_folder_with_checkpoints_and_no_config_is_not_taken_over(config: RunConfig, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 5, STATE)
    with pytest.raises(UserError, match=r"has checkpoints but no config\.json"):
        settle_config(tmp_path, config)


def test_a_folder_of_something_else_is_not_trained_into(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(UserError, match=r"holds 'notes\.txt' and is no training run"):
        check_config(tmp_path, config)


def test_the_last_two_checkpoints_stay(tmp_path: Path) -> None:
    for images in (5, 10, 15):
        write_checkpoint(tmp_path, images, STATE)
    assert [path.name for path in checkpoint_paths(tmp_path)] == ["000000010.pt", "000000015.pt"]
    last = last_whole_checkpoint(tmp_path)
    assert last is not None
    assert (last.images_shown, last.damaged) == (15, ())
    assert torch.equal(last.state["method"]["weight"], STATE["method"]["weight"])  # type: ignore[call-overload]


def test_checkpoints_are_in_the_order_of_their_images_beyond_nine_digits(tmp_path: Path) -> None:
    for images in (999_999_999, 1_000_000_000):
        write_checkpoint(tmp_path, images, STATE)
    assert [int(path.stem) for path in checkpoint_paths(tmp_path)] == [999_999_999, 1_000_000_000]


def _cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _one_bit_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [_cut_short, _emptied, _one_bit_flipped])
def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(harm: object, tmp_path: Path) -> None:
    for images in (5, 10):
        write_checkpoint(tmp_path, images, STATE)
    harm(checkpoint_paths(tmp_path)[-1])  # type: ignore[operator]
    last = last_whole_checkpoint(tmp_path)
    assert last is not None
    assert last.images_shown == 5
    assert [path.name for path in last.damaged] == ["000000010.pt"]
    harm(checkpoint_paths(tmp_path)[0])  # type: ignore[operator]
    with pytest.raises(UserError, match="none of the 2 checkpoints is whole"):
        last_whole_checkpoint(tmp_path)


def test_whichever_bit_is_wrong_a_checkpoint_is_read_as_it_was_or_taken_for_damaged(tmp_path: Path) -> None:
    state = {"method": {"weight": torch.arange(8.0)}}
    write_checkpoint(tmp_path, 5, state)
    path = write_checkpoint(tmp_path, 10, state)
    content = path.read_bytes()
    read = {5: 0, 10: 0}
    for place in range(0, len(content), 3):
        harmed = bytearray(content)
        harmed[place] ^= 1 << (place % 8)
        path.write_bytes(harmed)
        last = last_whole_checkpoint(tmp_path)
        assert last is not None
        assert torch.equal(last.state["method"]["weight"], torch.arange(8.0))
        read[last.images_shown] += 1
    assert min(read.values()) > 100


def test_a_checkpoint_that_may_not_be_read_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_checkpoint(tmp_path, 5, STATE)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("zipfile.ZipFile", refuse)
    with pytest.raises(PermissionError):
        last_whole_checkpoint(tmp_path)


def test_training_goes_on_from_the_checkpoint_before_a_damaged_one_and_says_so(tmp_path: Path) -> None:
    toy_train(toy_config(), tmp_path)
    _cut_short(checkpoint_paths(tmp_path)[-1])
    (tmp_path / "checkpoints" / "000000032.pt.writing").write_bytes(b"left by a killed process")
    told: list[str] = []
    finished = toy_train(toy_config(), tmp_path, tell=told.append)
    assert (finished.resumed_at, finished.images_shown) == (16, 24)
    assert told[0] == "Going on at 16 images."
    assert told[1].endswith("000000024.pt: damaged and put aside; going on from 000000016.pt.")
    assert len(told) == 2
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["000000016.pt", "000000024.pt", "000000024.pt.damaged"]


def test_a_checkpoint_of_another_network_is_refused_with_the_keys_that_differ() -> None:
    ours = {"a": torch.zeros(3), "b": torch.zeros(2, 3), "c": torch.zeros(1)}
    theirs = {"a": torch.zeros(3), "b": torch.zeros(4, 3), "d": torch.zeros(1), "e": 1, "f": 1, "g": 1}
    message = (
        r"old\.pt: a checkpoint of another network: 1 missing \(c\); 4 unexpected \(d, e, f, \.\.\.\); "
        r"1 of another shape \(b 4x3 instead of 2x3\)\."
    )
    with pytest.raises(UserError, match=message):
        check_same_network(ours, theirs, "old.pt")


def test_a_checkpoint_of_another_version_is_not_gone_on_from(tmp_path: Path) -> None:
    toy_train(toy_config(), tmp_path)
    last = last_whole_checkpoint(tmp_path)
    assert last is not None
    write_checkpoint(tmp_path, 16, {**last.state, "format": 0})
    last.path.unlink()
    with pytest.raises(UserError, match=r"000000016\.pt: written by another version of evalkit \(format 0,"):
        toy_train(toy_config(), tmp_path)


def _fill_up(folder: Path, limit: int) -> None:
    """In a process of its own: no file may grow beyond `limit`; exits with 7 on the right message."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        write_checkpoint(folder, 10, STATE)
    except UserError as error:
        os._exit(7 if "0.4 MB are needed and the last checkpoint, 000000005.pt, stays" in str(error) else 8)
    os._exit(9)


def test_a_full_disk_says_how_much_is_needed_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 5, STATE)
    process = multiprocessing.get_context("fork").Process(target=_fill_up, args=(tmp_path, 100_000))
    process.start()
    process.join(60)
    assert process.exitcode == 7
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000000005.pt"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_run_on_a_disk_that_fills_up_stops_with_one_line_and_goes_on_when_there_is_room(
    small_disk: Path,
) -> None:
    config = toy_config(checkpoint_images=1)
    filler = small_disk / "filler"
    toy_train(
        dataclasses.replace(config, training=dataclasses.replace(config.training, total_images=4)),
        small_disk / "a",
    )
    filler.write_bytes(b"0" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize - 60_000))
    with pytest.raises(UserError, match="no space left"):
        toy_train(config, small_disk / "b")
    filler.unlink()
    assert toy_train(config, small_disk / "b").images_shown == 24


def test_a_trained_run_opens_with_the_weights_of_its_last_checkpoint(tmp_path: Path) -> None:
    from generators.training_loop import Hardware, train

    data = write_pairs(tmp_path / "pairs")
    settings = Pix2PixSettings(base_filters=2, discriminator_filters=2, receptive_field_px=16)
    config = RunConfig("pix2pix_facades", "pix2pix", str(data), settings=settings)
    config = override(config, ["load_size_px=18", "crop_size_px=16", "total_images=6"])
    write_config(tmp_path / "run", config)
    with pytest.raises(UserError, match="no checkpoint yet"):
        load_run(tmp_path / "run")
    finished = train(config, tmp_path / "run", Hardware(accelerator="cpu"))
    run = load_run(tmp_path / "run")
    assert (run.config, run.images_shown, run.checkpoint) == (config, 6, finished.checkpoint)
    last = last_whole_checkpoint(tmp_path / "run")
    assert last is not None
    for name, value in run.method.state_dict().items():
        assert torch.equal(value, last.state["method"][name]), name
    config_path = tmp_path / "run" / "config.json"
    config_path.write_text(config_path.read_text().replace('"base_filters": 2', '"base_filters": 3'))
    with pytest.raises(UserError, match=r"a checkpoint of another network: .* of another shape"):
        load_run(tmp_path / "run")
