"""`evalkit metrics` as it is typed: on folders, on a study, with labels; what is kept, shown and refused."""

import csv
import html
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evalkit.analyses import analyze
from evalkit.cli import main
from evalkit.cli.metrics_inputs import Asked, open_task
from evalkit.cli.metrics_running import images_read
from evalkit.cli.study_init import labels_of_ablation
from evalkit.report import write_report
from evalkit.results import Score, read_results
from studies.design import load_study
from studies.stimuli import build_bundle
from tests.evalkit.made_up_responses import MadeUp

CHEAP = ("--metrics", "psnr,l1,lab_histogram")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder of its own, no weights and a cache that nobody else uses."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache.sqlite"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def draw(folder, *, noise=0.0, count=6, size=32, seed=0):
    """Smooth pictures, the same for one seed, with so much noise."""
    folder.mkdir(parents=True)
    rng, noisy = np.random.default_rng(seed), np.random.default_rng(seed + 100)
    for number in range(count):
        coarse = rng.integers(30, 220, (4, 4, 3)).repeat(size // 4, 0).repeat(size // 4, 1)
        image = np.clip(coarse + noisy.normal(0, noise or 1e-9, coarse.shape), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def sets(here):
    draw(here / "real", noise=1)
    draw(here / "near", noise=5)
    draw(here / "far", noise=40)
    return here


@pytest.fixture
def run(capsys):
    """`evalkit metrics ...`: exit code, stdout, stderr."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main(["metrics", *map(str, arguments)])
        out, err = capsys.readouterr()
        return exit_.value.code or 0, out, err

    return call


def scores(path="scores.jsonl"):
    return [one for one in read_results(Path(path)) if isinstance(one, Score)]


def values(key, path="scores.jsonl"):
    return {(one.condition, one.run): one.value for one in scores(path) if one.key == key and not one.detail}


def test_every_set_gets_a_row_a_record_and_values_of_its_images(sets, run):
    code, out, err = run("real", "a=near", "b=far", *CHEAP)
    assert code == 0, err
    assert out.splitlines()[-1] == "scores.jsonl"
    assert "PSNR ↑" in out
    assert "L1 ↓" in out
    found = values("psnr")
    assert found["a", None] > found["b", None] + 5
    (row,) = [line for line in out.splitlines() if line.startswith("a ")][:1]
    assert f"{found['a', None]:.2f} ±" in row
    assert "6/6" in row
    (record,) = [one for one in scores() if one.key == "psnr" and one.condition == "a"]
    assert set(record.provenance.digests) == {"reals", "fakes"}
    assert record.n == {"reals": 6, "fakes": 6, **record.n}
    table = list(csv.DictReader(Path("scores_per_image.csv").read_text(encoding="utf-8").splitlines()))
    mine = [float(row["value"]) for row in table if (row["condition"], row["key"]) == ("a", "psnr")]
    assert len(mine) == 6
    assert sum(mine) / 6 == pytest.approx(found["a", None])


def test_a_name_given_twice_means_training_runs_and_no_name_means_the_path(sets, run):
    code, _, err = run("real", "a=near", "a=far", "far", *CHEAP)
    assert code == 0, err
    assert set(values("l1")) == {("a", 0), ("a", 1), ("far", None)}


def test_a_path_may_have_an_equals_sign_and_a_name_may_look_like_markup(sets, run):
    (sets / "near").rename(sets / "lr=0.1")
    code, _, err = run("real", "lr=0.1:fake_B")
    assert (code, err.splitlines()[-1][:57]) == (
        1,
        "Error: lr=0.1:fake_B: a plain folder of images has no lab",
    )
    code, out, err = run("real", "lr=0.1", "a[b]=far", *CHEAP)
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines() if line.startswith(("lr", "a"))][:2] == [
        "lr=0.1",
        "a[b]",
    ]


def test_results_go_to_out_and_are_appended(sets, run):
    run("real", "a=near", "--out", "deep/results", *CHEAP)
    run("real", "b=far", "--out", "deep/results", *CHEAP)
    path = Path("deep/results/scores.jsonl")
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"kind": "score", "key": "torn by a kil')
    run("real", "c=far", "--out", "deep/results", *CHEAP)
    assert [name for name, _ in values("psnr", path)] == ["a", "b", "c"]
    table = list(csv.DictReader(path.with_name("scores_per_image.csv").read_text().splitlines()))
    assert {row["condition"] for row in table} == {"a", "b", "c"}
    assert not Path("scores.jsonl").exists()


def test_values_of_images_are_replaced_for_the_same_set_and_quantity(sets, run):
    for _ in range(2):
        run("real", "a=near", "--metrics", "psnr")
    run("real", "a=near", "--metrics", "l1")
    table = list(csv.DictReader(Path("scores_per_image.csv").read_text().splitlines()))
    assert [(row["key"], row["source_id"]) for row in table] == [
        (key, str(number)) for key in ("psnr", "l1") for number in range(6)
    ]


def test_metrics_whose_weights_are_missing_are_left_out_with_one_line_and_the_others_computed(sets, run):
    code, out, err = run("real", "a=near", "--metrics", "fid,psnr")
    assert code == 0
    (line,) = [line for line in err.splitlines() if line.startswith("Left out: ")]
    assert "pt_inception-2015-12-05-6726825d.pth is not in " in line
    assert "evalkit weights get inception" in line
    assert "PSNR" in out
    assert {one.key for one in scores()} == {"psnr"}


def test_a_segmenter_without_label_maps_is_not_passed_over_in_silence(sets, run):
    label_maps(sets)
    code, _, err = run("labels", "a=ids", "--segmenter", "ids", "--classes", "labels/classes.json")
    assert code == 0, err
    keys = "fcn_pixel_accuracy, fcn_class_accuracy, fcn_class_iou"
    assert f"Left out: {keys}: needs label maps of the inputs (--labels, --classes)." in err.splitlines()


def test_what_would_spoil_the_results_is_said_before_anything_is_computed(sets, run):
    cache = Path(os.environ["EVALKIT_CACHE"])
    code, _, err = run("real", "a=near", "--metrics", "psnr", "--write-npz", "real.npz")
    assert (code, "pt_inception-2015-12-05-6726825d.pth is not there" in err) == (1, True)
    Path("scores_per_image.csv").write_text("mine\n1\n", encoding="utf-8")
    code, _, err = run("real", "a=near", *CHEAP)
    assert (code, "scores_per_image.csv: not a table that evalkit wrote." in err) == (1, True)
    Path("scores_per_image.csv").unlink()
    Path("scores.jsonl").write_text("mine\n", encoding="utf-8")
    code, _, err = run("real", "a=near", *CHEAP)
    assert (code, "scores.jsonl, line 1: not a record" in err) == (1, True)
    code, _, err = run("real", "a=near", "--out", "scores.jsonl", *CHEAP)
    assert (code, "scores.jsonl: cannot be written to" in err) == (1, True)
    assert not cache.exists()
    assert Path("scores.jsonl").read_text(encoding="utf-8") == "mine\n"


def test_an_image_without_a_value_has_an_empty_one(here, run):
    draw(here / "real", size=8)
    draw(here / "tiny", noise=9, size=8)
    assert run("real", "a=tiny", "--metrics", "ssim")[0] == 0  # SSIM needs 11 px
    table = list(csv.DictReader(Path("scores_per_image.csv").read_text().splitlines()))
    assert [row["value"] for row in table] == [""] * 6


def test_where_nothing_can_be_computed_the_command_fails_and_writes_nothing(sets, run):
    code, out, err = run("real", "a=near", "--metrics", "fid")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "Error: Nothing could be computed; the lines above say why."
    assert not Path("scores.jsonl").exists()


def test_without_a_choice_all_metrics_that_apply_are_tried(sets, run):
    code, _, err = run("real", "a=near")
    assert code == 0, err
    assert {"psnr", "ssim", "lab_intersection_l", "input_sensitivity_pixel", "high_frequency_gap_db"} <= {
        one.key for one in scores()
    }
    assert "fcn" not in err  # no labels, so it does not apply
    assert {line.split(":")[1].split(",")[0].strip() for line in err.splitlines() if "Left out" in line} >= {
        "fid",
        "lpips_alex",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("real", "near", "--metrics", "lpisp"), 1, "lpisp: no such metric. Did you mean 'lpips'?"),
        (("real", "naer"), 1, "naer: no such folder: "),
        (("real",), 1, "real: nothing to score against it. Give one FAKE or more, or a study's folder"),
        (("real", "real=near"), 1, "real=near: `real` is the name of the real images; give the fakes another one."),
        (("real", "=near"), 1, "=near: write NAME=PATH, for example"),
        ((), 2, "Give REAL and one FAKE or more, or a study's folder."),
        (("real", "near", "--cache", "c", "--no-cache"), 2, "--cache and --no-cache exclude each other."),
        (("real", "near", "--nodes", "2"), 2, "--nodes needs --master HOST:PORT"),
        (("real", "near", "--write-npz", "a.npz", "--random-weights", "1"), 2, "--write-npz: such a file cannot say"),
        (("a.npz", "near", "--write-npz", "b.npz"), 2, "--write-npz: REAL (a.npz) is such a file already."),
        (("real", "near", "--write-npz", "b.np"), 2, "--write-npz b.np: a statistics file's name ends in .npz."),
        (("real", "near", "--classes", "cityscapes"), 2, "--classes says what label maps mean: give --labels"),
        (("real", "./lr=0.1/naer"), 1, "./lr=0.1/naer: no such folder: "),
        (("real", "near:fake_B"), 1, "near:fake_B: a plain folder of images has no labels."),
        (("real.npz", "near", "--random-weights", "1"), 1, "real.npz: statistics of features of the pretrained network"),
        (("real", "near", "--labels", "near"), 1, "near: what do these label maps mean? Name their classes"),
        (("real", "near", "--segmenter", "ids"), 1, "--segmenter ids: needs --classes FILE"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_one_line_and_nothing_is_written(sets, run, arguments, code, message):
    before = sorted(sets.rglob("*.json*"))
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert err.splitlines()[-1].startswith(f"Error: {message}")
    assert sorted(sets.rglob("*.json*")) == before


def test_scores_of_other_settings_in_the_same_file_are_pointed_at(sets, run):
    label_maps(sets)
    fcn = ("--metrics", "fcn", "--labels", "labels", "--segmenter", "ids")
    run("labels", "a=ids", *fcn)
    _, _, err = run("labels", "b=ids", "--absent", "skip", *fcn)
    keys = "fcn_pixel_accuracy, fcn_class_accuracy, fcn_class_iou"
    (line,) = [line for line in err.splitlines() if line.startswith("Warning: ")]
    assert line == (
        f"Warning: scores.jsonl also holds {keys} of a, not to be compared with these: absent: zero and skip."
    )
    _, _, err = run("labels", "b=ids", "--absent", "skip", "--out", "elsewhere", *fcn)
    assert "also holds" not in err


def label_maps(folder):
    """Label maps of three classes, and what two segmenters of different diligence made of the images."""
    rng = np.random.default_rng(3)
    for name in ("labels", "ids"):
        (folder / name).mkdir()
    for number in range(6):
        truth = rng.integers(0, 3, (8, 8)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
        guess = np.where(rng.random(truth.shape) < 0.25, 0, truth).astype(np.uint8)
        Image.fromarray(truth).save(folder / "labels" / f"{number}.png")
        Image.fromarray(guess).save(folder / "ids" / f"{number}.png")
    classes = {"classes": ["wall", "window", "door"], "palette": [[0, 0, 170], [0, 85, 255], [255, 0, 0]]}
    (folder / "labels" / "classes.json").write_text(json.dumps(classes), encoding="utf-8")


def test_fcn_scores_come_with_labels_and_a_segmenter(sets, run):
    label_maps(sets)
    code, out, err = run("labels", "a=ids", "--metrics", "fcn", "--labels", "labels", "--segmenter", "ids")
    assert code == 0, err
    found = values("fcn_pixel_accuracy")
    assert found["real", None] == pytest.approx(1.0)  # the ceiling: labels read as labels
    assert 0.7 < found["a", None] < 0.95
    rows = [line.split()[0] for line in out.splitlines() if line.startswith(("a ", "real (ceiling)"))]
    assert rows == ["a", "real"]


def test_a_second_run_computes_nothing_and_loads_no_library_of_images_or_networks(sets, run):
    first = ("real", "a=near", "--metrics", "ssim,psnr", "--out")
    assert run(*first, "one")[0] == 0
    script = (
        "import sys\nfrom evalkit.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as exit:\n    assert not exit.code\n"
        "assert not {'torch', 'skimage', 'torchmetrics', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script, "metrics", *first, "two"], check=True, capture_output=True)
    assert values("ssim", "two/scores.jsonl") == values("ssim", "one/scores.jsonl")


def test_no_cache_keeps_nothing(sets, run):
    assert run("real", "a=near", "--no-cache", *CHEAP)[0] == 0
    assert not Path(os.environ["EVALKIT_CACHE"]).exists()


def test_ctrl_c_says_where_the_computed_features_are(sets, run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("evalkit.metrics.scoring.score_sets", interrupted)
    code, out, err = run("real", "a=near", *CHEAP)
    assert (code, out) == (1, "")
    cache = os.environ["EVALKIT_CACHE"]
    assert (
        err.splitlines()[-1]
        == f"Error: Stopped. What was computed is kept in {cache}; the same command goes on."
    )


def test_a_dry_run_tells_what_would_be_computed_and_writes_nothing(sets, run):
    code, out, err = run("real", "a=near", "a=far", "--dry-run", *CHEAP)
    assert code == 0, err
    told = json.loads(out)
    assert (told["reals"], told["fakes"]) == (6, {"a, run 0": 6, "a, run 1": 6})
    assert told["quantities"][:2] == ["psnr", "l1"]
    assert told["seconds_without_cache"] > 0
    assert "for 18 images" in err
    assert not Path("scores.jsonl").exists()
    assert not Path(os.environ["EVALKIT_CACHE"]).exists()


def test_a_dry_run_tells_what_would_be_left_out_and_is_one_process(sets, run):
    code, out, err = run(
        "real", "a=near", "--metrics", "fid,psnr", "--dry-run", "--devices", "2", "--accelerator", "cpu"
    )
    assert code == 0, err
    (line,) = json.loads(out)["left_out"]
    assert line.startswith("fid, fid_infinity: pt_inception-2015-12-05-6726825d.pth is not in ")
    assert f"Would be left out: {line}" in err


def test_images_held_against_every_set_count_in_the_estimate_every_time(sets):
    fakes = [f"{name}=near" for name in "abcd"]
    paired, whole = (open_task(Asked(("real", *fakes), names)) for names in ("psnr", "lab_histogram"))
    assert (images_read(paired), images_read(whole)) == (48, 30)


def test_the_statistics_of_the_reals_are_written_for_other_tools(sets, run, monkeypatch):
    from evalkit.metrics import inception
    from evalkit.metrics.base import Feature

    def mean_colours(_):
        return lambda items: [image.mean((0, 1)) for (image,) in items]

    monkeypatch.setattr(inception, "pool3", lambda _: Feature("mean colour", {}, mean_colours))
    code, out, err = run("real", "--write-npz", "real.npz")
    assert (code, out) == (0, ""), err
    colours = np.stack([np.asarray(Image.open(f"real/{n}.png"), float).mean((0, 1)) for n in range(6)])
    with np.load("real.npz") as stored:
        assert stored["mu"] == pytest.approx(colours.mean(0))
        assert stored["sigma"] == pytest.approx(np.cov(colours, rowvar=False))


def test_two_processes_give_the_numbers_of_one(sets, run):
    run("real", "a=near", "--out", "one", *CHEAP)
    words = ["metrics", "--devices", "2", "--accelerator", "cpu", "--no-cache", "--out", "two", *CHEAP]
    subprocess.run(
        [sys.executable, "-m", "evalkit.cli", *words, "real", "a=near"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    for key in ("psnr", "l1", "lab_intersection_l"):
        assert values(key, "two/scores.jsonl")["a", None] == pytest.approx(
            values(key, "one/scores.jsonl")["a", None], abs=1e-9
        )


@pytest.fixture
def study(here):
    """A made-up study that people have answered, two training runs per algorithm."""
    made = MadeUp(workers=4, images=12, trials=8, runs=2, planned='["fool_rate"]')
    folder = made.write(here / "study")
    analyze(folder, "live")
    return folder


def test_a_study_is_scored_run_by_run_and_the_report_shows_it_beside_the_fool_rate(study, run):
    code, out, err = run(study, *CHEAP)
    assert code == 0, err
    assert out.splitlines()[-1] == str(study / "scores.jsonl")
    found = values("psnr", study / "scores.jsonl")
    assert set(found) == {(name, number) for name in ("pix2pix", "cyclegan") for number in (0, 1)}
    record = scores(study / "scores.jsonl")[0]
    assert (record.provenance.study, record.provenance.target) == ("made-up", "this generator")
    tables = write_report(study, "live").parent / "tables"
    rows = {
        row["condition"]: row for row in csv.DictReader((tables / "metrics.csv").read_text().splitlines())
    }
    runs = [found["pix2pix", 0], found["pix2pix", 1]]
    assert float(rows["pix2pix"]["psnr"]) == pytest.approx(sum(runs) / 2)
    assert float(rows["pix2pix"]["psnr_of_runs_min"]) == min(runs)
    assert rows["pix2pix"]["fool_rate"]


def test_the_reference_is_reduced_to_the_inputs_of_the_study(study, run):
    extra = study / "real" / "not_in_the_study.png"
    Image.new("RGB", (64, 64), "red").save(extra)
    code, _, err = run(study, *CHEAP)
    assert code == 0
    assert "1 more images than inputs in the conditions; they are left out" in err
    assert {one.n["reals"] for one in scores(study / "scores.jsonl")} == {12}


def test_of_several_processes_only_the_first_repeats_the_warnings_of_the_study(study, monkeypatch, capsys):
    Image.new("RGB", (64, 64), "red").save(study / "real" / "not_in_the_study.png")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    for rank, warned in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        open_task(Asked((str(study),), "psnr"))
        assert ("more images than inputs" in capsys.readouterr().err) == warned


def test_the_folder_of_a_study_is_no_set_of_images(study, sets, run):
    for sets_ in ((study, "near"), ("real", f"a={study}")):
        code, _, err = run(*sets_, "--metrics", "lab_histogram")
        assert code == 1
        assert (
            f"Error: {study}: a study's folder, which is scored as a whole: evalkit metrics {study}." in err
        )


def test_fakes_that_are_the_reals_are_noticed(sets, run):
    for number in (0, 1):
        (sets / "far" / f"{number}.png").write_bytes((sets / "real" / f"{number}.png").read_bytes())
    code, _, err = run("real", "a=near", "b=far", *CHEAP)
    assert code == 0
    (line,) = [line for line in err.splitlines() if line.startswith("Warning: ")]
    assert line.startswith("Warning: b: 2 of its 6 images are among the real ones, byte by byte.")


def test_the_images_of_a_study_are_scored_as_people_see_them(study, run):
    code, _, told = run(str(study), "--as-stored", "--metrics", "l1")
    assert code == 1
    assert "--as-stored: the images of a study" in told
    assert not (study / "scores.jsonl").exists()


def test_a_metric_that_study_toml_misspells_is_said_with_the_file(study, run):
    toml = study / "study.toml"
    toml.write_text(toml.read_text() + '[metrics]\nnames = ["fidd"]\n', encoding="utf-8")
    code, _, err = run(study)
    assert code == 1
    assert err.splitlines()[-1].startswith(
        f"Error: {toml}: [metrics] names: fidd: no such metric. Did you mean 'fid'"
    )


def test_label_maps_of_study_toml_are_needed_only_where_a_metric_needs_them(study, run):
    toml = study / "study.toml"
    toml.write_text(toml.read_text() + '[metrics]\nlabels = "nowhere"\n', encoding="utf-8")
    code, _, err = run(study, "--metrics", "psnr")
    assert code == 0, err
    for names in ((), ("--metrics", "fcn")):
        code, _, err = run(study, *names)
        assert (code, "nowhere: no such folder" in err) == (1, True)


def test_the_report_leaves_out_scores_of_images_that_were_changed_since(study, run):
    run(study, *CHEAP)
    fake = min((study / "pix2pix" / "seed1").glob("*.png"))
    Image.new("RGB", (64, 64), "red").save(fake)
    build_bundle(load_study(study), study, allow_near_duplicates=True)
    page = html.unescape(write_report(study, "live").read_text(encoding="utf-8"))
    assert "Left out: scores.jsonl has psnr, l1, lab_intersection_l" in page
    assert "of pix2pix (run 1) for other images only, not for this study's." in page
    assert "of cyclegan" not in page.partition("Left out")[2].partition("</section>")[0]
    run(study, *CHEAP)
    assert "Left out" not in write_report(study, "live").read_text(encoding="utf-8")


def test_scores_at_the_images_own_size_stand_beside_what_people_saw_in_another(study, run):
    toml = study / "study.toml"
    toml.write_text(toml.read_text() + "[stimuli]\nsize_px = 32\n", encoding="utf-8")
    build_bundle(load_study(study), study, allow_near_duplicates=True)
    analyze(study, "live")
    run(study, *CHEAP)
    page = html.unescape(write_report(study, "live").read_text(encoding="utf-8"))
    assert "PSNR ↑" in page
    assert "Scored at the images' own size and cut; shown to people at 32 × 32 px." in page


def test_the_settings_of_study_toml_are_used_and_typed_ones_win(here, run):
    made = MadeUp(workers=2, images=6, planned='["fool_rate"]', rates={"only": 0.3})
    folder = made.write(here / "study", bundle=False)
    label_maps(here)
    for path in (here / "labels").glob("*.png"):
        path.rename(path.with_name(f"input{int(path.stem):03d}.png"))
    for label in (here / "labels").glob("*.png"):
        image = Image.open(label).resize((64, 64), Image.Resampling.NEAREST)
        image.save(label)
    toml = folder / "study.toml"
    metrics = '[metrics]\nnames = ["fcn_pixel_accuracy"]\nlabels = "../labels"\nsegmenter = "palette"\n'
    toml.write_text(toml.read_text() + metrics, encoding="utf-8")
    code, _, err = run(folder)
    assert code == 0, err
    assert {one.key for one in scores(folder / "scores.jsonl")} == {"fcn_pixel_accuracy"}
    code, _, err = run(folder, "--metrics", "psnr", "--out", "elsewhere")
    assert {one.key for one in scores("elsewhere/scores.jsonl")} == {"psnr"}
    code, _, err = run(folder, "--labels", "nowhere")
    assert (code, "nowhere" in err) == (1, True)


def test_a_study_made_from_an_ablation_names_its_labels_and_classes(here):
    assert labels_of_ablation(here / "ablation", here / "study") == ()
    (here / "ablation" / "labels").mkdir(parents=True)
    (here / "ablation" / "labels" / "classes.json").write_text("{}")
    settings = labels_of_ablation(Path("ablation"), Path("study"))
    told = tomllib.loads("\n".join(settings))
    assert told == {"metrics": {"labels": "../ablation/labels", "classes": "../ablation/labels/classes.json"}}


def test_the_report_says_which_metrics_of_study_toml_were_not_computed(study, run):
    toml = study / "study.toml"
    toml.write_text(toml.read_text() + '[metrics]\nnames = ["lpips", "l1"]\n', encoding="utf-8")
    code, _, err = run(study)
    assert code == 0, err
    assert "alexnet-owt-7be5be79.pth is not in" in err
    page = html.unescape(write_report(study, "live").read_text(encoding="utf-8"))
    assert "lpips: named in [metrics] of study.toml and not computed." in page


def test_what_may_be_wrong_with_a_results_folder_is_said_without_a_study_too(sets, run):
    images = sets / "results" / "facades" / "test_latest" / "images"
    images.mkdir(parents=True)
    for kind, name in (("real_A", "far"), ("fake_B", "near"), ("rec_A", "far"), ("real_B", "real")):
        for path in (sets / name).iterdir():
            (images / f"{path.stem}_{kind}.png").write_bytes(path.read_bytes())
    code, _, err = run("results:real_B", "cyclegan=results:fake_B", "--metrics", "l1")
    assert code == 0, err
    assert "index-aligned" in err


def test_a_metric_may_be_spelt_in_capitals(sets, run):
    code, _, err = run("real", "near", "--metrics", "SSIM,L1")
    assert code == 0, err
    assert {one.key for one in scores()} == {"ssim", "l1"}
