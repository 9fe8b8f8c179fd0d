import dataclasses
import html
import json
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from evalkit.cli.study_init import images_of_ablation
from generators.ablation import AblationProgress, ablate, estimate_ablation, read_ablation
from generators.ablation.curves import draw_curves
from generators.ablation.page import duration
from generators.config import RunConfig
from generators.presets import load_preset, new_run
from generators.toy_facades import PALETTE, write_toy_facades
from studies.errors import UserError
from studies.imagesets import open_image_set
from tests.generators.data.made_up_images import picture

SMALL = (
    "load_size_px=36",
    "crop_size_px=32",
    "total_images=8",
    "log_images=4",
    "base_filters=4",
    "discriminator_filters=4",
    "receptive_field_px=16",
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "toy"
    write_toy_facades(folder, 9, 64, seed=3, n_test=5)
    return folder


def config(toy: Path, *settings: str, preset: str = "pix2pix_toy_facades") -> RunConfig:
    return new_run(preset, str(toy), [*SMALL, *settings])


@pytest.fixture(scope="module")
def finished(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ablations") / "ablation"
    assert ablate(config(toy), ["l1", "cgan"], 2, out) == out / "index.html"
    return out


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "ablation"))


def fill_one(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path)


def names(folder: Path) -> tuple[str, ...]:
    found = open_image_set(str(folder), Path())
    assert found.warnings == ()
    return found.source_ids


def images(folder: Path) -> dict[str, list[str]]:
    """Digests of the image sets of all runs."""
    return {
        str(path.parent.relative_to(folder)): [
            one["digest"] for one in json.loads(path.read_text())["images"]
        ]
        for path in sorted(folder.glob("*/seed*/manifest.json"))
    }


class Watcher:
    """Which runs were trained."""

    def __init__(self, stop_at: str = "") -> None:
        self.trained: list[str] = []
        self._stop_at = stop_at

    def __call__(self, progress: AblationProgress) -> None:
        if progress.training is not None and progress.run.name not in self.trained:
            self.trained.append(progress.run.name)
        if progress.run.name == self._stop_at:
            raise KeyboardInterrupt


# The folder


def test_a_finished_ablation_is_one_folder_with_everything_in_it(finished: Path) -> None:
    held_out = tuple(f"facade_000{number}" for number in range(4, 9))
    for part in ("inputs", "real", "labels", "l1/seed0", "l1/seed1", "cgan/seed0", "cgan/seed1"):
        assert names(finished / part) == held_out
    for run in ("l1/seed0", "l1/seed1", "cgan/seed0", "cgan/seed1"):
        folder = finished / "runs" / run
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        assert f"{settings['settings']['loss']}/seed{settings['training']['seed']}" == run
        assert (folder / "stats.jsonl").is_file()
        assert list((folder / "samples").glob("*.png"))
        assert (folder / "checkpoints" / "000000008.pt").is_file()
    split = json.loads((finished / "split.json").read_text(encoding="utf-8"))
    assert (split["how"], split["seed"], len(split["train"]), tuple(split["test"])) == (
        "given by the folder",
        None,
        4,
        held_out,
    )
    assert not list(finished.rglob(".*.partial"))


def test_runs_differ_by_loss_and_seed_and_by_nothing_else(finished: Path) -> None:
    made = images(finished)
    assert len({tuple(digests) for digests in made.values()}) == 4
    settings = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((finished / "runs").rglob("config.json"))
    ]
    for one in settings:
        del one["settings"]["loss"], one["training"]["seed"]
    assert settings.count(settings[0]) == 4


def test_real_images_and_label_maps_are_those_of_the_inputs(finished: Path, toy: Path) -> None:
    colours = {tuple(colour) for colour in PALETTE.values()}
    for name in names(finished / "inputs"):
        photo = Image.open(toy / "test" / "photos" / f"{name}.png").resize((32, 32), Image.Resampling.BICUBIC)
        assert np.array_equal(np.asarray(Image.open(finished / "real" / f"{name}.png")), np.asarray(photo))
        labels = Image.open(finished / "labels" / f"{name}.png")
        assert {colour for _, colour in labels.getcolors() or []} <= colours
    classes = json.loads((finished / "labels" / "classes.json").read_text(encoding="utf-8"))
    assert dict(zip(classes["classes"], map(tuple, classes["palette"]), strict=True)) == dict(PALETTE)


def test_photos_to_labels_has_photos_as_inputs_and_label_maps_as_the_real_images(
    toy: Path, tmp_path: Path
) -> None:
    ablate(config(toy, "direction=BtoA"), ["l1"], 1, tmp_path / "out")
    name = "facade_0005.png"
    real = np.asarray(Image.open(tmp_path / "out" / "real" / name))
    assert np.array_equal(real, np.asarray(Image.open(tmp_path / "out" / "labels" / name)))
    assert not np.array_equal(real, np.asarray(Image.open(tmp_path / "out" / "inputs" / name)))


def test_a_drawn_split_is_kept_with_its_seed(toy: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for side, part in (("A", "labels"), ("B", "photos")):
        shutil.copytree(toy / "train" / part, data / side, ignore=shutil.ignore_patterns("*.json"))
    ablate(config(data, "test_share=0.5", "split_seed=3"), ["l1"], 1, tmp_path / "out")
    split = json.loads((tmp_path / "out" / "split.json").read_text(encoding="utf-8"))
    assert (split["how"], split["seed"]) == ("drawn: share 0.5, seed 3", 3)
    assert names(tmp_path / "out" / "real") == tuple(split["test"])
    assert not (tmp_path / "out" / "labels").exists()


# The page


def test_every_link_of_the_page_leads_somewhere_and_no_script_is_needed(finished: Path) -> None:
    page = (finished / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert {"grid.png", "curves.svg", "l1/seed1/", "ablation.json"} <= set(links)
    for link in links:
        assert not link.startswith(("/", "http"))
        assert (finished / link).exists(), link
    assert "<script" not in page
    assert str(finished) not in re.sub(r"<code>.*?</code>", "", page)


def test_the_page_says_what_is_missing_and_how_to_go_on(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ablate(config(toy), ["l1", "cgan"], 1, tmp_path / "out", Watcher("cgan/seed0"))
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "<strong>Not finished:</strong> 1 of 2 runs have no images yet (cgan/seed0)" in page
    assert "One training run per loss" in page
    assert f"--out {tmp_path / 'out'} --losses l1,cgan --seeds 1 --set " in page


def test_grid_and_curves_show_every_loss(finished: Path) -> None:
    with Image.open(finished / "grid.png") as grid:
        assert grid.size[0] == 4 * (128 + 6) + 6
        cells = np.asarray(grid)[30:158, :, :].astype(int)
    for column in range(4):
        left = 6 + column * 134
        assert cells[:, left : left + 128].std() > 1
    curves = (finished / "curves.svg").read_text(encoding="utf-8")
    for text in ("generator: l1", "generator: gan", "discriminator: real", ">cgan<"):
        assert text in curves


def test_a_training_that_was_logged_once_has_a_dot_for_a_curve(copy: Path) -> None:
    longer = draw_curves(read_ablation(copy))
    for stats in (copy / "runs").rglob("stats.jsonl"):
        stats.write_text(stats.read_text(encoding="utf-8").splitlines(keepends=True)[-1], encoding="utf-8")
    once = draw_curves(read_ablation(copy))
    assert once.count("<use") > longer.count("<use")


def test_times_are_told_as_people_tell_them() -> None:
    assert [duration(seconds) for seconds in (4.4, 62, 12_000)] == ["4 s", "1 min 2 s", "3 h 20 min"]


def test_names_of_any_kind_can_be_followed_and_other_collections_are_no_partners(tmp_path: Path) -> None:
    """Of unpaired data an image of the same name on the other side is another scene."""
    for seed, side in enumerate("AB"):
        for name in ("50%20", "q?x", "e#1 <b>", "plain"):
            fill_one(tmp_path / "data" / f"test{side}" / f"{name}.png", seed)
        fill_one(tmp_path / "data" / f"train{side}" / "1.png", seed)
    settings = ("n_blocks=1", "history_images=2", "total_images=2", "decay_images=0", "direction=AtoB")
    out = tmp_path / "my ablation"
    ablate(config(tmp_path / "data", *settings, preset="cyclegan_toy_facades"), ["cycle_alone"], 1, out)
    page = (out / "index.html").read_text(encoding="utf-8")
    pictures = re.findall(r'<img src="([^"]+)"', page)
    assert len(pictures) == 4 * 2
    assert not [link for link in pictures if link.startswith("real/")]
    for link in pictures:
        assert (out / unquote(urlsplit(link).path)).is_file(), link
    assert "4 of 4 held-out inputs" in page
    assert "the inputs here have no real partners" in page


def test_the_command_for_a_study_can_be_typed_as_it_stands(toy: Path, tmp_path: Path) -> None:
    ablate(config(toy), ["l1"], 1, tmp_path / "my ablation")
    page = (tmp_path / "my ablation" / "index.html").read_text(encoding="utf-8")
    assert f"--from {html.escape(shlex.quote(str(tmp_path / 'my ablation')), quote=True)}<" in page.replace(
        "&#39;", "&#x27;"
    )


# Going on


def test_what_is_finished_is_not_done_again(copy: Path, toy: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*.png") if path.name != "grid.png"}
    watcher = Watcher()
    ablate(config(toy), ["l1", "cgan"], 2, copy, watcher)
    assert watcher.trained == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_interrupted_ablation_goes_on_to_the_very_same_images(
    finished: Path, toy: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        ablate(config(toy), ["l1", "cgan"], 2, out, Watcher("l1/seed1"))
    assert set(images(out)) == {"l1/seed0", "cgan/seed0"}
    watcher = Watcher()
    ablate(config(toy), ["l1", "cgan"], 2, out, watcher)
    assert watcher.trained == ["l1/seed1", "cgan/seed1"]
    assert images(out) == images(finished)


def test_images_that_were_lost_are_made_again_without_training(copy: Path, toy: Path, finished: Path) -> None:
    (copy / "l1" / "seed1" / "facade_0006.png").unlink()
    shutil.rmtree(copy / "cgan" / "seed0")
    assert [run.name for run in read_ablation(copy).missing()] == ["l1/seed1", "cgan/seed0"]
    ablate(config(toy), ["l1", "cgan"], 2, copy)
    assert names(copy / "l1" / "seed1") == names(finished / "l1" / "seed1")
    assert images(copy) == images(finished)
    assert [(copy / "runs" / run / "stats.jsonl").read_text() for run in ("l1/seed1", "cgan/seed0")] == [
        (finished / "runs" / run / "stats.jsonl").read_text() for run in ("l1/seed1", "cgan/seed0")
    ]


def test_losses_and_seeds_may_be_added_later(copy: Path, toy: Path) -> None:
    watcher = Watcher()
    ablate(config(toy), ["l1", "gan", "cgan"], 3, copy, watcher)
    assert watcher.trained == ["gan/seed0", "gan/seed1", "l1/seed2", "gan/seed2", "cgan/seed2"]
    record = read_ablation(copy)
    assert (record.losses, record.seeds, record.missing()) == (("l1", "gan", "cgan"), (0, 1, 2), [])


@pytest.mark.parametrize(
    ("settings", "losses", "seeds", "message"),
    [
        (
            ("lambda_l1=50",),
            ["l1", "cgan"],
            2,
            "other settings is there: lambda_l1 is 100.0 there, 50.0 here.",
        ),
        ((), ["l1"], 2, "other settings is there: loss cgan is there and not among --losses."),
        ((), ["l1", "cgan"], 1, "other settings is there: seeds is 2 there, 1 here."),
    ],
)
def test_other_settings_are_refused_by_name(
    copy: Path, toy: Path, settings: Sequence[str], losses: list[str], seeds: int, message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        ablate(config(toy, *settings), losses, seeds, copy)


def test_data_that_changed_under_an_ablation_are_noticed(copy: Path, toy: Path, tmp_path: Path) -> None:
    shutil.copytree(toy, tmp_path / "toy")
    for part in ("labels", "photos"):
        (tmp_path / "toy" / "test" / part / "facade_0007.png").unlink()
    record = json.loads((copy / "ablation.json").read_text(encoding="utf-8"))
    record["config"]["location"] = str(tmp_path / "toy")
    (copy / "ablation.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(
        UserError, match=r"other test images than when the ablation began: .* e.g. 'facade_0007'"
    ):
        ablate(config(tmp_path / "toy"), ["l1", "cgan"], 2, copy)


# Refusals


@pytest.mark.parametrize(
    ("losses", "seeds", "message"),
    [
        (["l1", "cgna"], 1, "--losses cgna: pix2pix has no such loss. Did you mean 'cgan'?"),
        (["l1", "l1"], 1, "--losses: l1 is named twice"),
        ([], 1, "--losses: at least one is needed. Known: l1, gan, cgan, l1_gan, l1_cgan."),
        (["l1"], 0, "--seeds 0: at least 1 training run per loss is needed."),
    ],
)
def test_losses_and_seeds_that_cannot_be_are_refused(
    toy: Path, tmp_path: Path, losses: list[str], seeds: int, message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        ablate(config(toy), losses, seeds, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_method_without_a_choice_of_losses_is_refused(toy: Path, tmp_path: Path) -> None:
    chosen = dataclasses.replace(load_preset("perceptual_toy"), location=str(toy))
    with pytest.raises(UserError, match=r"perceptual_toy: perceptual has no choice of losses"):
        ablate(chosen, ["l1"], 1, tmp_path / "out")


def test_cyclegan_ablates_its_own_losses(toy: Path, tmp_path: Path) -> None:
    settings = ("n_blocks=1", "history_images=2", "total_images=2", "decay_images=0")
    ablate(
        config(toy, *settings, preset="cyclegan_toy_facades"),
        ["cycle_alone", "gan_forward"],
        1,
        tmp_path / "out",
    )
    assert names(tmp_path / "out" / "gan_forward" / "seed0") == names(tmp_path / "out" / "real")


def test_a_folder_that_holds_something_else_is_refused(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"exists and is no ablation. Choose another --out"):
        ablate(config(toy), ["l1"], 1, tmp_path)


def test_images_of_ones_own_are_never_removed_to_make_room(toy: Path, tmp_path: Path) -> None:
    for part in ("real", "inputs"):
        shutil.copytree(toy / "test" / "photos", tmp_path / "images" / part)  # with a manifest, but not ours
    (tmp_path / "plain" / "real").mkdir(parents=True)
    (tmp_path / "plain" / "real" / "1.png").touch()
    before = sorted(tmp_path.rglob("*"))
    for out in ("images", "plain"):
        with pytest.raises(UserError, match=r"exists and is no ablation. Choose another --out"):
            ablate(config(toy), ["l1"], 1, tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_kill_while_the_held_out_images_are_written_does_not_stand_in_the_way(
    copy: Path, toy: Path, finished: Path
) -> None:
    for name in ("l1", "cgan", "runs", "labels"):
        shutil.rmtree(copy / name)
    for name in ("ablation.json", "grid.png", "curves.svg", "index.html"):
        (copy / name).unlink()
    (copy / "real").rename(copy / ".real.partial")
    (copy / ".real.partial" / "manifest.json").unlink()
    (copy / "ablation.json.writing").write_text('{"format"', encoding="utf-8")
    ablate(config(toy), ["l1"], 1, copy)
    assert names(copy / "real") == names(finished / "real")
    assert not list(copy.rglob("*.partial"))


def test_an_ablation_does_not_lie_among_its_own_data(toy: Path) -> None:
    with pytest.raises(UserError, match=r"toy/out: lies in .*toy, whose images are the inputs"):
        ablate(config(toy), ["l1"], 1, toy / "out")
    assert not (toy / "out").exists()


def test_settings_that_make_preset_and_data_fit_are_part_of_the_command(toy: Path, tmp_path: Path) -> None:
    photos = toy / "train" / "photos"
    chosen = config(photos, "task=colorization", "direction=AtoB", "test_share=0.5")
    ablate(chosen, ["l1"], 1, tmp_path / "out")
    command = read_ablation(tmp_path / "out").command()
    assert "--set task=colorization --set direction=AtoB" in command
    assert "--set test_share=0.5" in command


def test_a_beginning_that_failed_for_its_data_does_not_stand_in_the_way(toy: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "toy", tmp_path / "out"
    shutil.copytree(toy, data)
    photo = data / "test" / "photos" / "facade_0008.png"
    photo.write_bytes(photo.read_bytes()[:80])
    with pytest.raises(UserError, match=r"facade_0008.png"):
        ablate(config(data), ["l1"], 1, out)
    photo.write_bytes((toy / "test" / "photos" / "facade_0008.png").read_bytes())
    ablate(config(data, "lambda_l1=10"), ["l1"], 1, out)
    assert read_ablation(out).missing() == []


def test_an_estimate_has_a_time_for_every_loss_and_writes_nothing(toy: Path, tmp_path: Path) -> None:
    estimate = estimate_ablation(config(toy), ["l1", "cgan"])
    assert list(estimate) == ["l1", "cgan"]
    assert all(one.seconds > 0 for one in estimate.values())
    assert list(tmp_path.iterdir()) == []


# For a study


def test_a_study_gets_one_condition_per_loss_with_its_training_runs(finished: Path) -> None:
    real, fakes, target = images_of_ablation(finished)
    assert real == str(finished / "real")
    assert fakes == tuple(
        f"{loss}={finished / loss / seed}" for loss in ("l1", "cgan") for seed in ("seed0", "seed1")
    )
    assert target == ("analysis.target=this loss",)


def test_a_study_of_an_unfinished_ablation_is_told_how_to_finish_it(copy: Path) -> None:
    shutil.rmtree(copy / "cgan" / "seed1")
    with pytest.raises(UserError) as caught:
        images_of_ablation(copy)
    text = str(caught.value)
    assert (
        f"{copy}: not finished: 1 of 4 runs have no images yet (cgan/seed1). Go on with: evalkit ablate"
        in text
    )
    assert f"--out {copy} --losses l1,cgan --seeds 2 --set " in text


def test_what_is_no_ablation_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no ablation here .no ablation.json.. `evalkit ablate --preset"):
        read_ablation(tmp_path)
    (tmp_path / "ablation.json").write_text('{"format": "other"}', encoding="utf-8")
    with pytest.raises(UserError, match=r"ablation.json: cannot be read as 'evalkit ablation 1'"):
        read_ablation(tmp_path)
