"""`evalkit generate`, `evalkit ablate` and `evalkit study init --from`, as they are typed."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
import torch

from evalkit.cli import main
from generators.networks.unet import UNet
from generators.toy_facades import write_toy_facades
from studies.imagesets import open_image_set

SETTINGS = (
    "load_size_px=36",
    "crop_size_px=32",
    "total_images=4",
    "base_filters=2",
    "discriminator_filters=2",
)
ABLATE = (
    *(
        "ablate",
        "--preset",
        "pix2pix_toy_facades",
        "--data",
        "toy",
        "--out",
        "ablation",
        "--losses",
        "l1,cgan",
    ),
    *("--seeds", "2"),
    *(part for setting in (*SETTINGS, "receptive_field_px=16") for part in ("--set", setting)),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which an ablation of a few images has been made."""
    folder = tmp_path_factory.mktemp("template")
    write_toy_facades(folder / "toy", 16, 64, seed=3, n_test=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(SystemExit, match="0"):
            main(ABLATE)
    return folder


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(template, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def there(template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder itself, for what leaves it as it is."""
    monkeypatch.chdir(template)
    return template


def typed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    out, err = capsys.readouterr()
    assert isinstance(exit_.value.code, int)
    return exit_.value.code, out, err


def test_a_run_of_the_ablation_generates_on_its_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = typed(
        capsys,
        "generate",
        "ablation/runs/l1/seed1",
        "--inputs",
        "toy/test/labels",
        "--out",
        "mine",
        "--seed",
        "3",
    )
    assert (code, out) == (0, "mine\n")
    assert err.endswith(
        "12 images of 32 x 32 px by pix2pix l1, after 4 training images (the last checkpoint).\n"
    )
    assert len(open_image_set("mine", Path()).images) == 12


def test_the_real_images_of_the_inputs_come_along_if_asked_for(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = "ablation/runs/l1/seed0"
    code, out, err = typed(capsys, "generate", run, "--inputs", "toy", "--out", "fake", "--real", "real")
    assert (code, out) == (0, "fake\n")
    assert "12 images of 32 x 32 px by pix2pix l1" in err
    held = [
        json.loads((here / name / "manifest.json").read_text())["held_out"]
        for name in ("ablation/l1/seed0", "fake")
    ]
    assert held == [True, False]  # `toy` is a copy of what was trained on
    made, held_out = (sorted((here / name).glob("*.png")) for name in ("real", "ablation/real"))
    assert [path.name for path in made] == [path.name for path in sorted((here / "fake").glob("*.png"))]
    assert [path.read_bytes() for path in made] == [path.read_bytes() for path in held_out]
    labels = ("--inputs", "toy/test/labels", "--out", "other", "--real", "reals")
    code, _, err = typed(capsys, "generate", run, *labels)
    assert code == 1
    assert "12 of 12 inputs have no real image of their own there, e.g. facade_0004. Leave out --real" in err
    assert not (here / "other").exists()


def test_a_word_that_is_both_a_folder_and_a_dataset_is_not_guessed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "facades").mkdir()
    for command in (
        ("train", "--preset", "pix2pix_facades", "--data", "facades", "--out", "run"),
        ("generate", "ablation/runs/l1/seed0", "--inputs", "facades", "--out", "images"),
    ):
        code, _, err = typed(capsys, *command)
        assert code == 1
        assert "facades: a folder here, and a dataset" in err
        assert "Write ./facades for the folder, or " in err


def test_a_reference_checkpoint_generates_and_says_what_was_inferred(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(UNet(3, 3, 32, 4).state_dict(), "latest_net_G.pth")
    arguments = ("generate", "latest_net_G.pth", "--inputs", "toy/test/labels", "--out", "mine")
    code, out, err = typed(capsys, *arguments, "--no-dropout", "--normalisation", "running")
    assert (code, out) == (0, "mine\n")
    assert "read from the weights, since no options file says so: network, norm, base_filters" in err
    assert json.loads(Path("mine/manifest.json").read_text(encoding="utf-8"))["inference"]["dropout"] is False
    code, _, err = typed(capsys, *arguments, "--network", "unet_64")
    assert (code, err.splitlines()[-1][:7]) == (1, "Error: ")
    assert "a checkpoint of another network" in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--losses", "l1,cgna"), "--losses cgna: pix2pix has no such loss. Did you mean 'cgan'?"),
        (("--seeds", "0"), "--seeds 0: at least 1 training run per loss is needed."),
        (("--set", "loss=l1"), "--set loss=l1: differs between the runs of an ablation; use --losses."),
        (("--set", "seed=4"), "--set seed=4: differs between the runs of an ablation; use --seeds."),
        (("--set", "lamda_l1=4"), "--set lamda_l1: no such key. Did you mean 'lambda_l1'?"),
        (("--set", "lambda_l1=4"), "lambda_l1 is 100.0 there, 4.0 here"),
        (("--preset", "pix2pix_toy_facade"), "Did you mean 'pix2pix_toy_facades'?"),
        (("--preset", "perceptual_toy", "--out", "new"), "no such key"),
        (("--data", "tyo", "--out", "new"), "tyo"),
    ],
)
def test_what_ablate_cannot_do_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], message: str
) -> None:
    before = sorted(here.rglob("*"))
    code, out, err = typed(capsys, *ABLATE, *more)
    assert (code, out) == (1, "")
    assert message in err.splitlines()[-1]
    assert sorted(here.rglob("*")) == before


def test_the_same_ablate_again_has_nothing_left_to_do(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = typed(capsys, *ABLATE)
    assert (code, out) == (0, "ablation\n")
    assert "seed0" not in err
    assert "evalkit study init loss-study --preset pix2pix2017 --from ablation" in err


def test_a_dry_run_tells_what_is_left_and_how_long_it_takes(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(there.rglob("*"))
    code, out, err = typed(capsys, *ABLATE, "--seeds", "3", "--dry-run")
    assert code == 0
    told = json.loads(out)
    assert told["runs"] == ["l1/seed2", "cgan/seed2"]
    assert told["seconds"] > 0
    assert "2 runs of 4 images, 4 are there: about " in err
    assert sorted(there.rglob("*")) == before


def test_a_study_comes_from_an_ablation(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = ("--set", "protocol.practice=1", "--set", "protocol.scored=4", "--set", "protocol.reserve=1")
    code, _, err = typed(capsys, "study", "init", "loss-study", "--from", "ablation", *counts)
    assert code == 0, err
    study = tomllib.loads(Path("loss-study/study.toml").read_text(encoding="utf-8"))
    assert {name: one["images"] for name, one in study["conditions"].items()} == {
        loss: [f"../ablation/{loss}/seed0", f"../ablation/{loss}/seed1"] for loss in ("l1", "cgan")
    }
    assert study["reference"]["images"] == "../ablation/real"
    assert study["analysis"]["target"] == "this loss"
    assert '2 training runs per algorithm: an interval about "this loss" rests on them alone' in err


def test_a_target_of_ones_own_wins_over_the_ablations(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = ("--set", "protocol.practice=1", "--set", "protocol.scored=4", "--set", "protocol.reserve=1")
    target = ("--set", "analysis.target=this generator")
    assert typed(capsys, "study", "init", "loss-study", "--from", "ablation", *counts, *target)[0] == 0
    study = tomllib.loads(Path("loss-study/study.toml").read_text(encoding="utf-8"))
    assert study["analysis"]["target"] == "this generator"


def test_from_stands_alone_and_only_for_what_is_finished(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in (("--real", "ablation/real"), ("--fake", "l1=ablation/l1/seed0")):
        code, _, err = typed(capsys, "study", "init", "loss-study", "--from", "ablation", *more)
        assert (code, err.splitlines()[-1]) == (
            2,
            "Error: --from brings the real images and the fakes: leave out --real and --fake.",
        )
    code, _, err = typed(capsys, "study", "init", "loss-study", "--fake", "l1=ablation/l1/seed0")
    assert (code, err.splitlines()[-1]) == (
        2,
        "Error: Missing option '--real'. Or give a finished ablation with --from.",
    )
    shutil.rmtree("ablation/l1/seed1")
    code, _, err = typed(capsys, "study", "init", "loss-study", "--from", "ablation")
    assert code == 1
    assert (
        "ablation: not finished: 1 of 4 runs have no images yet (l1/seed1). Go on with: evalkit ablate" in err
    )
    assert not Path("loss-study").exists()
