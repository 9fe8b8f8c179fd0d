"""`evalkit segmenter train` and `verify`, as they are typed."""

import json
import shutil
from pathlib import Path

import pytest

from evalkit.cli import main
from evalkit.metrics.segmenters import open_segmenter
from evalkit.results import read_results
from generators.segmenter.toy import toy_classes
from generators.toy_facades import write_toy_facades

SHORT = ("total_images=64", "checkpoint_images=64", "sample_images=64", "height_px=64", "width_px=64")
TRAIN = (
    *("segmenter", "train", "--images", "toy/train/photos", "--labels", "toy/train/labels", "--out", "seg"),
    *("--accelerator", "cpu", "--workers", "0"),
    *(part for setting in SHORT for part in ("--set", setting)),
)
VERIFY = ("segmenter", "verify", "seg", "--accelerator", "cpu")
TEST = ("--images", "toy/test/photos", "--labels", "toy/test/labels")


def run(arguments: tuple[str, ...], code: int = 0) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == code


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    write_toy_facades(folder / "toy", 20, 64, seed=2, n_test=6)
    (folder / "classes.json").write_text(json.dumps(toy_classes().to_json()))
    return folder


@pytest.fixture(scope="module")
def trained(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "here"
    shutil.copytree(template, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run((*TRAIN, "--classes", "classes.json"))
    return folder


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(template, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def there(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path / "there")
    monkeypatch.chdir(tmp_path / "there")
    return tmp_path / "there"


def test_the_same_command_again_finds_it_finished(there, capsys):
    run((*TRAIN, "--classes", "classes.json"))
    said = capsys.readouterr()
    assert said.out == "seg\n"
    assert "seg: finished already." in said.err
    assert "Trained on 13 photos; on the 1 held out: per-pixel accuracy 0." in said.err
    assert "evalkit segmenter verify seg" in said.err
    assert open_segmenter(there / "seg").classes.names == toy_classes().names


def test_classes_are_found_beside_the_label_maps(here, capsys):
    (here / "classes.json").rename(here / "toy" / "classes.json")
    run((*TRAIN, "--dry-run"))
    said = capsys.readouterr()
    assert "Classes from" in said.err
    assert json.loads(said.out)["settings"]["class_names"] == list(toy_classes().names)
    assert not (here / "seg").exists()


def test_without_classes_it_says_what_to_give(here, capsys):
    (here / "classes.json").unlink()
    run(TRAIN, code=1)
    assert "no classes.json there or in the two folders above. Give --classes FILE" in capsys.readouterr().err


def test_verify_shows_the_ceiling_first_then_what_spoils_it_then_every_class(there, capsys):
    run((*VERIFY, *TEST))
    said = capsys.readouterr()
    order = [
        said.out.index(word)
        for word in ("real photos", "strongly blurred", "at half size", "labels of other", "class by class")
    ]
    assert order == sorted(order)
    assert all(name in said.out for name in toy_classes().names)
    assert "trained on" not in said.err
    assert "on 6 real photos (absent classes: zero)" in " ".join(said.out.split())


def test_one_photo_cannot_be_verified(there, capsys):
    for name in ("photos", "labels"):
        for path in sorted((there / "toy/test" / name).glob("*.png"))[1:]:
            path.unlink()
    run((*VERIFY, *TEST), code=1)
    assert "toy/test/photos: 1 photo; at least 2 are needed" in capsys.readouterr().err


def test_the_ceiling_says_so_where_the_segmenter_was_trained_on_the_reals(there, capsys):
    words = (
        "--labels",
        "toy/train/labels",
        "--segmenter",
        "seg",
        "--metrics",
        "fcn_pixel_accuracy",
        "--no-cache",
    )
    run(("metrics", "toy/train/photos", "a=toy/train/photos", "--accelerator", "cpu", *words))
    note = "the segmenter was trained on 13 of these photos, so the ceiling is too high; take others"
    assert f"* FCN pixel acc. of real: {note}" in capsys.readouterr().out
    records = [one for one in read_results(there / "scores.jsonl") if note in one.notes]
    assert {one.condition for one in records} == {"real"}


def test_verify_warns_of_photos_that_were_trained_on_and_of_a_segmenter_that_sees_nothing(there, capsys):
    run((*VERIFY, "--images", "toy/train/photos", "--labels", "toy/train/labels"))
    said = capsys.readouterr().err
    assert "the segmenter was trained on 13 of these photos, so the ceiling is too high" in said
    assert "by chance" in said


def test_what_is_no_segmenter_is_said(here, capsys):
    run((*VERIFY, *TEST), code=1)
    assert "--segmenter seg: no segmenter.json there" in capsys.readouterr().err
