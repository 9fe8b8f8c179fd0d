"""Metrics next to the fool rate: on the very images, never pooled, never compared where they may not be, marked."""

import csv
import dataclasses
import html
import re
import shutil
from pathlib import Path

import pytest

from evalkit.analyses import analyze
from evalkit.metrics.pictures import picture_set, set_digest
from evalkit.report import write_report
from evalkit.results import FAKE_FILES, REAL_FILES, Interval, Provenance, Score, append_results
from studies.design import load_study
from studies.errors import UserError
from studies.stimuli import collect as open_sources
from studies.stimuli import load_bundle

SETTINGS = {"weights": "6726825d" * 8, "precision": "fp32", "resize": "bilinear 299"}
DRAWN = {**SETTINGS, "weights": "random, seed 3"}
FEW = "FID needs 2048 images or more of each set; of 24 it lies far too high."


class Scored:
    """A reported study whose scores are written by hand."""

    def __init__(self, folder, made):
        self.folder, self.made = folder, made
        self.bundle = load_bundle(folder)

    def digest(self, condition, run=0):
        own = [one for one in self.bundle.stimuli if (one.condition, one.run) == (condition, run)]
        return set_digest([one.source_id for one in own], [one.digest for one in own])

    def score(self, condition, value, run=None, *, key="fid", digests=None, **changes):
        told = {"reals": self.digest("real"), "fakes": self.digest(condition, run or 0)} | (digests or {})
        fields = {
            "key": key,
            "value": value,
            "unit": "distance",
            "method": "exact Fréchet distance",
            "n": {"reals": 24, "fakes": 24},
            "condition": condition,
            "run": run,
            "higher_is_better": False,
            "source": "Heusel et al. 2017",
            "settings": SETTINGS,
            "provenance": Provenance(study="made-up", digests=told),
        }
        return Score(**{**fields, **changes})

    def write(self, *scores):
        append_results(self.folder / "scores.jsonl", scores)
        return self

    def report(self):
        path = write_report(self.folder, self.made.data)
        self.page = path.read_text(encoding="utf-8")
        self.tables = path.parent / "tables"
        words = html.unescape(re.sub(r"<[^>]+>", " ", self.page.partition("</style>")[2]))
        self.text = re.sub(r"\s+", " ", words)
        return self

    def rows(self):
        text = (self.tables / "metrics.csv").read_text(encoding="utf-8")
        return {row["condition"]: row for row in csv.DictReader(text.splitlines())}


@pytest.fixture
def scored(analysed):
    def make(**changes):
        folder, made, _, _ = analysed(bundle=True, **changes)
        return Scored(folder, made)

    return make


def test_a_study_without_scores_says_how_to_compute_them_and_has_no_table(scored):
    study = scored().report()
    assert "No metrics of these images yet: evalkit metrics study computes them." in study.text
    assert not (study.tables / "metrics.csv").exists()


def test_fool_rate_and_score_with_interval_and_sizes_stand_in_one_row(scored):
    study = scored()
    interval = Interval(30.0, 36.5, 0.95, "bootstrap over images")
    study.write(study.score("pix2pix", 32.25, interval=interval), study.score("cyclegan", 61.5)).report()
    assert "Scored at the images' own size" not in study.text
    assert "In brackets: the 95 % interval over images" in study.text
    row = study.rows()["pix2pix"]
    assert (row["fid"], row["fid_low"], row["fid_high"]) == ("32.25", "30.0", "36.5")
    assert (row["n_reals"], row["n_fakes"], row["fid_mark"]) == ("24", "24", "")
    assert 0 < float(row["fool_rate"]) < 1
    text = (study.tables / "metrics.md").read_text(encoding="utf-8")
    assert "# Metrics on the same images (N = 24 real and 24 fake images)" in text
    assert re.search(r"\| pix2pix \| \d+\.\d \| .* \| 32\.2 \[30\.0 to 36\.5\] \| 24 / 24 \|", text)
    assert "| FID ↓ |" in text
    made = (study.tables / "metrics_made.csv").read_text(encoding="utf-8")
    assert "Heusel et al. 2017" in made
    assert SETTINGS["weights"] in made
    assert "exact Fréchet distance (distance)" in study.text


def test_training_runs_are_shown_by_mean_and_range(scored):
    study = scored(runs=2)
    values = {("pix2pix", 0): 30.0, ("pix2pix", 1): 40.0, ("cyclegan", 0): 60.0, ("cyclegan", 1): 60.5}
    interval = Interval(1.0, 99.0, 0.95, "bootstrap over images")
    study.write(*(study.score(c, value, r, interval=interval) for (c, r), value in values.items())).report()
    row = study.rows()["pix2pix"]
    assert (row["fid"], row["fid_of_runs_min"], row["fid_of_runs_max"]) == ("35.0", "30.0", "40.0")
    assert (row["fid_runs"], row["fid_low"]) == ("2", "")  # the interval of one run is not that of the mean
    assert "35.0 (30.0 to 40.0)" in study.text
    assert "never pooled with others: mean over the runs, and their range" in study.text


def test_a_cell_that_does_not_speak_of_all_training_runs_says_so(scored):
    study = scored(runs=2)
    interval = Interval(1.0, 99.0, 0.95, "bootstrap over images")
    one = study.score("pix2pix", 30.0, 0, interval=interval)
    study.write(one, *(study.score("cyclegan", 60.0, run) for run in (0, 1))).report()
    assert "30.0 (1 of 2 runs)" in study.text
    assert "60.0 (60.0 to 60.0)" in study.text
    assert study.rows()["pix2pix"]["fid_runs"] == "1"


def test_the_reals_stand_last_as_the_ceiling_where_they_have_a_score(scored):
    study = scored()
    iou = {"key": "fcn_class_iou", "unit": "proportion", "higher_is_better": True}
    study.write(
        *(study.score(c, v, **iou) for c, v in (("real", 0.71), ("pix2pix", 0.25), ("cyclegan", 0.2)))
    )
    study.report()
    rows = study.rows()
    assert list(rows) == ["pix2pix", "cyclegan", "real"]
    assert (rows["real"]["fcn_class_iou"], rows["real"]["fool_rate"]) == ("0.71", "")
    assert "FCN class IoU ↑" in study.text
    assert "real (ceiling): the real images in the place of the fakes" in study.text


def test_random_weights_are_marked_in_title_headings_rows_notes_and_csv(scored):
    study = scored()
    lpips = {"key": "lpips_alex", "settings": DRAWN}
    study.write(*(study.score(c, 0.4, **lpips) for c in ("pix2pix", "cyclegan")))
    study.write(*(study.score(c, 12.0, key="psnr") for c in ("pix2pix", "cyclegan"))).report()
    mark = "random features, not comparable"
    (heading,) = re.findall(r"<h2[^>]*>Metrics.*?</h2>", study.page)
    assert mark in heading
    honest, drawn = re.findall(r"<caption>Metrics.*?</caption>", study.page)
    assert mark in drawn
    assert mark not in honest
    title = (study.tables / "metrics.md").read_text(encoding="utf-8").splitlines()[0]
    assert title.endswith(f"LPIPS alex: {mark})")
    assert f"LPIPS alex ↓, {mark} †" in study.text
    main, _, metrics = study.text.partition("Differences between algorithms")
    assert main.count("0.400†") == metrics.count("0.400†") == 2
    assert f"LPIPS alex: {mark}" in main or f"; {mark})" in main
    assert "† Random features, not comparable: the network" in main
    assert "PSNR ↓," not in study.text
    assert "12.0†" not in study.text
    assert "(partly random features" in heading
    assert "† Random features, not comparable: the network that this rests on has drawn weights" in study.text
    row = study.rows()["cyclegan"]
    assert (row["lpips_alex_mark"], row["psnr_mark"]) == (mark, "")
    assert mark in (study.tables / "metrics_made.csv").read_text(encoding="utf-8")


def test_where_all_weights_are_drawn_the_heading_does_not_say_partly(scored):
    study = scored()
    study.write(*(study.score(c, 0.4, settings=DRAWN) for c in ("pix2pix", "cyclegan"))).report()
    (heading,) = re.findall(r"<h2[^>]*>Metrics.*?</h2>", study.page)
    assert "(random features, not comparable)" in heading


def test_what_must_be_known_of_a_score_is_marked_beside_it_told_beneath_and_in_the_csv(scored):
    study = scored()
    study.write(
        study.score("pix2pix", 32.0, notes=(FEW,)), study.score("cyclegan", 60.0, notes=(FEW,))
    ).report()
    assert "32.0*" in study.text
    assert f"* FID: {FEW}" in study.text
    assert study.rows()["pix2pix"]["fid_notes"] == FEW
    assert "N = 24 real and 24 fake images" in study.text


def test_simulated_answers_mark_the_metrics_table_too(scored):
    study = scored(data="simulated", observer="seeing")
    study.write(study.score("pix2pix", 32.0), study.score("cyclegan", 60.0)).report()
    assert study.rows()["pix2pix"]["observer"] == "seeing"
    assert "# SIMULATED" in (study.tables / "metrics.md").read_text(encoding="utf-8")


def test_scores_of_other_images_are_left_out_with_a_line(scored):
    study = scored()
    other = {"fakes": "0" * 64}
    study.write(*(study.score(c, 32.0, digests=other) for c in ("pix2pix", "cyclegan"))).report()
    assert "32.0" not in study.text
    assert (
        "Left out: scores.jsonl has fid of pix2pix for other images only, not for this study's." in study.text
    )
    assert not (study.tables / "metrics.csv").exists()


def test_the_command_that_computes_anew_names_folder_and_quantities_wherever_it_is_typed(scored, monkeypatch):
    study = scored()
    monkeypatch.chdir(study.folder)
    assert "evalkit metrics study computes" in study.report().text
    study.folder = Path()
    assert "evalkit metrics study computes" in study.report().text
    other = {"key": "lpips_vgg", "digests": {"fakes": "0" * 64}}
    study.write(*(study.score(c, 32.0, **other) for c in ("pix2pix", "cyclegan"))).report()
    assert "`evalkit metrics study --metrics lpips_vgg` computes them anew." in study.text


def test_scores_of_what_is_not_in_the_study_are_left_out_as_such(scored):
    study = scored()
    study.write(study.score("pix2pix", 32.0), study.score("cyclegan", 60.0))
    dropped = dataclasses.replace(study.score("pix2pix", 7.0), condition="dropped")
    study.write(dropped, study.score("cyclegan", 8.0, run=1)).report()
    assert "Left out: scores.jsonl has fid of dropped, which is not in this study." in study.text
    assert "Left out: scores.jsonl has fid of cyclegan (run 1), which is not in this study." in study.text
    assert "for other images only" not in study.text


def test_scores_against_other_real_images_are_left_out_too(scored):
    study = scored()
    other = {"reals": "0" * 64}
    study.write(*(study.score(c, 32.0, digests=other) for c in ("pix2pix", "cyclegan"))).report()
    assert "Left out: scores.jsonl has fid of cyclegan for other images only" in study.text


def test_stale_records_beside_new_ones_are_passed_over(scored):
    study = scored()
    study.write(*(study.score(c, 99.0, digests={"fakes": "0" * 64}) for c in ("pix2pix", "cyclegan")))
    study.write(study.score("pix2pix", 32.0), study.score("cyclegan", 60.0)).report()
    assert study.rows()["pix2pix"]["fid"] == "32.0"
    assert "Left out" not in study.text


def test_images_that_the_bundle_resized_are_known_by_their_files(analysed):
    folder, made, _, _ = analysed(bundle=True)
    study = Scored(folder, made)
    sources, _ = open_sources(load_study(folder), folder)
    files = {source.condition: picture_set(source.images).key for source in sources}
    for condition in ("pix2pix", "cyclegan"):
        told = {
            "reals": "0" * 64,
            "fakes": "1" * 64,
            REAL_FILES: files["real"],
            FAKE_FILES: files[condition],
        }
        study.write(study.score(condition, 32.0, digests=told))
    assert study.report().rows()["pix2pix"]["fid"] == "32.0"
    assert "Scored at the images' own size and cut; shown to people at 64 × 64 px." in study.text


def test_without_a_bundle_the_table_says_that_the_images_may_be_others(analysed):
    folder, made, _, _ = analysed(bundle=True)
    study = Scored(folder, made)
    shutil.rmtree(folder / "stimuli")
    study.write(study.score("pix2pix", 32.0, digests={"fakes": "0" * 64})).report()
    assert study.rows()["pix2pix"]["fid"] == "32.0"
    assert "it is not known whether these are the images that people saw" in study.text


def test_trained_weights_are_preferred_to_drawn_ones_that_came_later(scored):
    study = scored()
    study.write(*(study.score(c, 32.0) for c in ("pix2pix", "cyclegan")))
    study.write(*(study.score(c, 300.0, settings=DRAWN) for c in ("pix2pix", "cyclegan"))).report()
    assert (study.rows()["pix2pix"]["fid"], study.rows()["pix2pix"]["fid_mark"]) == ("32.0", "")


def test_scores_that_were_not_made_alike_are_not_shown_side_by_side(scored):
    study = scored()
    half = {**SETTINGS, "precision": "fp16"}
    study.write(study.score("pix2pix", 32.0), study.score("cyclegan", 60.0, settings=half)).report()
    assert (
        "Left out: fid of pix2pix and of cyclegan cannot be compared; they differ in precision: fp32 and fp16."
        in study.text
    )
    assert not (study.tables / "metrics.csv").exists()


def test_the_last_settings_that_all_algorithms_were_scored_with_count(scored):
    study = scored()
    half = {**SETTINGS, "precision": "fp16"}
    both = ("pix2pix", "cyclegan")
    study.write(*(study.score(c, 32.0, settings=half) for c in both))
    study.write(*(study.score(c, 33.0) for c in both))
    assert study.report().rows()["pix2pix"]["fid"] == "33.0"
    study.write(study.score("pix2pix", 34.0, settings={**SETTINGS, "recipe": "2"}))
    assert study.report().rows()["pix2pix"]["fid"] == "33.0"  # the newest has no partner
    study.write(*(study.score(c, 32.0, settings=half) for c in both))
    assert study.report().rows()["pix2pix"]["fid"] == "32.0"


def test_an_algorithm_without_a_score_has_an_empty_cell(scored):
    study = scored()
    row = study.write(study.score("cyclegan", 60.0)).report().rows()["pix2pix"]
    assert (row["fid"], row["fid_runs"], row["n_fakes"]) == ("", "0", "")


def test_classes_of_fcn_scores_and_values_that_could_not_be_estimated_are_no_columns(scored):
    study = scored()
    study.write(study.score("pix2pix", 0.3, key="fcn_class_iou", detail="road"))
    study.write(study.score("pix2pix", None, key="fid_infinity"), study.score("pix2pix", 32.0)).report()
    assert "fcn_class_iou" not in study.rows()["pix2pix"]
    assert "fid_infinity" not in study.rows()["pix2pix"]


def test_the_digest_of_the_scores_stands_among_the_sources_and_the_page_is_reproducible(scored):
    study = scored()
    study.write(study.score("pix2pix", 32.0), study.score("cyclegan", 60.0)).report()
    first = study.page
    assert re.search(r"scores\.jsonl</th><td class=\"digest\">[0-9a-f]{64}", first)
    assert study.report().page == first


def test_a_broken_scores_file_is_named_by_line_with_what_to_do(scored):
    study = scored()
    (study.folder / "scores.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"scores\.jsonl, line 1: not a record .* Move the file away and run `evalkit"
    ):
        study.report()


def test_many_quantities_stand_in_pieces_that_each_have_algorithm_and_fool_rate(scored):
    study = scored()
    keys = [f"metric{number}" for number in range(9)]
    study.write(*(study.score(c, 7.25, key=key) for c in ("pix2pix", "cyclegan") for key in keys)).report()
    found = re.findall(r"<caption>Metrics[^<]*</caption>\s*<thead>(.*?)</thead>", study.page, re.DOTALL)
    assert len(found) == 2
    assert all("labeled real %" in head and "algorithm" in head for head in found)
    assert [key for head in found for key in re.findall(r"metric\d", head)] == keys
    assert len(study.rows()["pix2pix"]["metric8"]) > 0  # the CSV file has them all in one


def test_the_quantities_of_one_metric_stay_in_one_piece(scored):
    study = scored()
    keys = {"psnr": "pixel", "ssim": "pixel", "l1": "pixel", "lab_intersection_l": "lab_histogram"}
    keys |= {"lab_intersection_a": "lab_histogram", "lab_intersection_b": "lab_histogram"}
    for key, metric in keys.items():
        score = study.score("pix2pix", 7.25, key=key)
        about = dataclasses.replace(score.provenance, analysis=f"metrics.{metric}")
        study.write(dataclasses.replace(score, provenance=about))
    heads = re.findall(
        r"<caption>Metrics[^<]*</caption>\s*<thead>(.*?)</thead>", study.report().page, re.DOTALL
    )
    assert [("PSNR" in head, "L1" in head, "Lab intersection L" in head) for head in heads] == [
        (True, True, False),
        (False, False, True),
    ]


def test_a_note_that_does_not_hold_for_all_says_for_which(scored):
    study = scored()
    study.write(study.score("pix2pix", 32.0, notes=("Odd.",)), study.score("cyclegan", 60.0)).report()
    assert "* FID of pix2pix: Odd." in study.text


def test_people_stand_against_each_metric_with_k_and_without_the_analysis_its_command(scored):
    study = scored()
    study.write(*(study.score(c, 30.0 + place) for place, c in enumerate(("pix2pix", "cyclegan")))).report()
    assert "Labeled real % against each metric over 2 algorithms" in study.text
    assert ">FID, N = 24 / 24</text>" in study.page
    assert "evalkit analyze study --also people_and_metrics" in study.text
    assert not (study.tables / "people_and_metrics.csv").exists()


def test_a_planned_comparison_with_metrics_says_why_it_was_refused(scored):
    study = scored(planned='["fool_rate", "people_and_metrics"]')
    study.write(*(study.score(c, 30.0 + place) for place, c in enumerate(("pix2pix", "cyclegan"))))
    analyze(study.folder, study.made.data)
    study.report()
    assert "n is the number of algorithms (K = 2)" in study.text
    (row, *_) = csv.DictReader((study.tables / "people_and_metrics.csv").read_text().splitlines())
    assert (row["metric"], row["n"], row["spearman"]) == ("fid", "2", "")
    assert "Not estimated" in study.text.partition("People and metrics")[2]
