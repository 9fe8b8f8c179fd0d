import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageFilter

from evalkit.metrics import METRICS
from evalkit.metrics.base import Options, Statistics
from evalkit.metrics.cache import Cache
from evalkit.metrics.pictures import PictureSet, picture_set, set_digest
from evalkit.metrics.scoring import Candidate, chosen, score_sets
from evalkit.results import RANDOM_MARK, append_results, read_results
from studies.errors import UserError
from studies.imagesets import pixel_digest

COUNT, SIZE_PX = 6, 32
OPTIONS = Options()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Reals of smooth colour, and blurred ones in their place."""
    place = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(5)
    for name in ("real", "soft", "softer"):
        (place / name).mkdir()
    for number in range(COUNT):
        image = Image.fromarray(rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8))
        image.save(place / "real" / f"{number}.png")
        image.filter(ImageFilter.GaussianBlur(1)).save(place / "soft" / f"{number}.png")
        image.filter(ImageFilter.GaussianBlur(2)).save(place / "softer" / f"{number}.png")
    return place


@pytest.fixture
def sets(folders):
    return {name: picture_set(folders / name) for name in ("real", "soft", "softer")}


def without(images: PictureSet, *names: str) -> PictureSet:
    kept = tuple(picture for picture in images.pictures if picture.source_id not in names)
    return dataclasses.replace(images, pictures=kept)


def test_a_name_stands_for_a_metric_or_for_one_of_its_quantities():
    assert chosen(["psnr", "spectrum", "l1"]) == {
        "pixel": ("psnr", "l1"),
        "spectrum": ("high_frequency_gap_db",),
    }
    assert chosen(["lpips"]) == {"lpips": ("lpips_alex",)}
    assert chosen(["pixel"]) == {"pixel": tuple(one.key for one in METRICS["pixel"].quantities)}


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"psnrr: no such metric. Did you mean 'psnr'\?"):
        chosen(["psnrr"])


def test_a_score_is_a_record_of_all_that_it_rests_on(sets, folders):
    scored = score_sets(sets["real"], [Candidate("soft", 3, sets["soft"])], ["l1"], OPTIONS, study="mine")
    (score,) = scored.scores
    reals, fakes = (
        np.stack([picture.read() for picture in sets[name].pictures]) for name in ("real", "soft")
    )
    assert score.value == pytest.approx(np.abs(reals / 255 - fakes / 255).mean(), abs=1e-6)
    assert (score.condition, score.run, score.provenance.study) == ("soft", 3, "mine")
    assert (score.n["reals"], score.n["fakes"]) == (COUNT, COUNT)
    assert score.interval.low < score.value < score.interval.high
    assert score.settings
    assert score.provenance.software["numpy"] == np.__version__
    digests = []
    for picture in sets["soft"].pictures:
        with Image.open(picture.where) as image:
            digests.append(pixel_digest(image))
    assert score.provenance.digests["fakes"] == set_digest(sets["soft"].source_ids, digests)
    assert score.mark == ""


def test_values_per_image_belong_to_their_inputs(sets):
    scored = score_sets(sets["real"], [Candidate("soft", None, sets["soft"])], ["psnr"], OPTIONS)
    (per_image,) = scored.per_image
    assert per_image.source_ids == sets["soft"].source_ids
    assert np.mean(per_image.values) == pytest.approx(scored.scores[0].value)


def test_the_same_again_is_the_same_record_and_imports_no_torch(sets, folders, tmp_path):
    path = tmp_path / "cache.sqlite"
    candidates = [Candidate("soft", None, sets["soft"]), Candidate("softer", None, sets["softer"])]
    names = ["pixel", "spectrum", "lab_histogram"]
    first = score_sets(sets["real"], candidates, names, OPTIONS, cache=Cache(path))
    code = f"""
import sys
from pathlib import Path
from evalkit.metrics.base import Options
from evalkit.metrics.cache import Cache
from evalkit.metrics.pictures import picture_set
from evalkit.metrics.scoring import Candidate, score_sets
from evalkit.results import encode_record
place = Path({str(folders)!r})
candidates = [Candidate(name, None, picture_set(place / name)) for name in ("soft", "softer")]
scored = score_sets(picture_set(place / "real"), candidates, {names!r}, Options(), cache=Cache(Path({str(path)!r})))
print(*map(encode_record, scored.scores), sep="\\n")
assert not {{"torch", "skimage", "torchmetrics"}} & set(sys.modules)
"""
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    from evalkit.results import encode_record

    assert again.splitlines() == [encode_record(score) for score in first.scores]


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"confidence_level": 0.9}], ids=lambda change: next(iter(change))
)
def test_other_options_are_not_answered_from_the_cache(sets, tmp_path, change):
    cache, candidates = Cache(tmp_path / "cache.sqlite"), [Candidate("soft", None, sets["soft"])]
    score_sets(sets["real"], candidates, ["psnr"], OPTIONS, cache=cache)
    options = dataclasses.replace(OPTIONS, **change)
    fresh = score_sets(sets["real"], candidates, ["psnr"], options)
    assert score_sets(sets["real"], candidates, ["psnr"], options, cache=cache).scores == fresh.scores


def test_a_changed_image_changes_the_score(folders, sets, tmp_path):
    cache = Cache(tmp_path / "cache.sqlite")
    before = score_sets(sets["real"], [Candidate("soft", None, sets["soft"])], ["l1"], OPTIONS, cache=cache)
    (tmp_path / "changed").mkdir()
    for picture in sets["soft"].pictures:
        with Image.open(picture.where) as image:
            image.convert("L" if picture.source_id == "2" else "RGB").save(
                tmp_path / "changed" / f"{picture.source_id}.png"
            )
    changed = [Candidate("soft", None, picture_set(tmp_path / "changed"))]
    after = score_sets(sets["real"], changed, ["l1"], OPTIONS, cache=cache)
    assert after.scores[0].value != before.scores[0].value
    assert after.scores[0].provenance.digests["reals"] == before.scores[0].provenance.digests["reals"]
    assert after.scores[0].provenance.digests["fakes"] != before.scores[0].provenance.digests["fakes"]


def test_fakes_without_a_real_of_their_name_leave_paired_metrics_out_and_name_them(sets):
    reals = without(sets["real"], "3", "5")
    scored = score_sets(
        reals, [Candidate("soft", None, sets["soft"])], ["l1", "high_frequency_gap_db"], OPTIONS
    )
    assert {score.key for score in scored.scores} == {"high_frequency_gap_db"}
    (line,) = scored.left_out
    assert line.startswith("l1 of soft: 2 of its 6 images have no real image of the same name")
    assert "'3', '5'" in line


def test_reals_without_a_fake_are_said_beside_paired_scores(sets):
    for gone, words in ((("0",), "1 of the reals has no fake"), (("0", "3"), "2 of the reals have no fake")):
        fakes = without(sets["soft"], *gone)
        scored = score_sets(sets["real"], [Candidate("soft", None, fakes)], ["l1"], OPTIONS)
        (score,) = scored.scores
        assert (score.n["reals"], score.n["fakes"]) == (6, 6 - len(gone))
        assert any(words in note for note in score.notes)


def test_missing_weights_leave_a_metric_out_with_the_file_and_the_way_to_get_it(sets, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    scored = score_sets(sets["real"], [Candidate("soft", None, sets["soft"])], ["fid", "l1"], OPTIONS)
    assert [score.key for score in scored.scores] == ["l1"]
    (line,) = scored.left_out
    assert "pt_inception-2015-12-05-6726825d.pth" in line
    assert "evalkit weights get inception" in line


def test_random_weights_are_marked_in_every_record(sets):
    options = dataclasses.replace(OPTIONS, random_weights=7)
    scored = score_sets(sets["real"], [Candidate("soft", None, sets["soft"])], ["kid", "lpips"], options)
    assert not scored.left_out
    assert {score.mark for score in scored.scores} == {RANDOM_MARK}
    assert all("random, seed 7" in score.settings.values() for score in scored.scores)


def test_statistics_of_float32_features_are_not_held_against_features_in_half_precision(sets):
    options = dataclasses.replace(OPTIONS, random_weights=0, precision="fp16")
    statistics = Statistics(np.zeros(2048), np.eye(2048))
    scored = score_sets(statistics, [Candidate("soft", None, sets["soft"])], ["fid"], options)
    assert {score.settings["precision"] for score in scored.scores} == {"fp32"}
    assert any("statistics of float32 features" in line for line in scored.remarks)


def test_the_number_of_images_behind_statistics_counts_among_what_the_cache_asks_for(sets, tmp_path):
    cache, options = Cache(tmp_path / "cache.sqlite"), dataclasses.replace(OPTIONS, random_weights=0)
    for n in (None, 70, 5000):
        statistics = Statistics(np.zeros(2048), np.eye(2048), n)
        scored = score_sets(
            statistics, [Candidate("soft", None, sets["soft"])], ["fid"], options, cache=cache
        )
        assert scored.scores[0].n.get("reals") == n


def test_a_record_whose_words_hold_other_line_separators_is_read_back(sets, tmp_path):
    odd = Candidate("soft\u2028and\x85softer", None, sets["soft"])
    scored = score_sets(sets["real"], [odd], ["l1"], OPTIONS)
    append_results(tmp_path / "scores.jsonl", scored.scores)
    assert read_results(tmp_path / "scores.jsonl") == list(scored.scores)


@pytest.mark.parametrize("line", ["5", '"score"', "null"])
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    (tmp_path / "scores.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"scores\.jsonl, line 1: not a record"):
        read_results(tmp_path / "scores.jsonl")


def test_statistics_in_place_of_reals_serve_fid_only(sets):
    statistics = Statistics(np.zeros(2048), np.eye(2048))
    options = dataclasses.replace(OPTIONS, random_weights=0)
    scored = score_sets(statistics, [Candidate("soft", None, sets["soft"])], ["fid", "l1"], options)
    assert {score.key for score in scored.scores if score.value is not None} == {"fid"}
    assert any(line.startswith("l1: needs the real images themselves") for line in scored.left_out)


def test_a_fake_as_good_as_the_reals_is_noted_where_the_reals_are_the_ceiling(sets, folders):
    from evalkit.metrics.label_maps import label_set, open_classes
    from evalkit.metrics.segmenters import from_callable

    labels = folders / "labels"
    labels.mkdir()
    (labels / "classes.json").write_text(
        '{"classes": ["dark", "light"], "palette": [[0, 0, 0], [255, 255, 255]]}'
    )
    classes = open_classes(str(labels / "classes.json"))
    for picture in sets["real"].pictures:
        light = (picture.read().mean(axis=2) > 127).astype(np.uint8)
        Image.fromarray(light).save(labels / f"{picture.source_id}.png")

    def predict(images):
        return [(image.mean(axis=2) > 127).astype(np.uint8) for image in images]

    segmenter = from_callable(predict, classes, name="threshold", settings={})
    options = dataclasses.replace(OPTIONS, segmenter=segmenter)
    candidates = [Candidate("same", None, sets["real"]), Candidate("softer", None, sets["softer"])]
    scored = score_sets(sets["real"], candidates, ["fcn"], options, labels=label_set(labels, classes))
    noted = {
        score.condition
        for score in scored.scores
        if any(note.startswith("no worse than the real images themselves") for note in score.notes)
    }
    assert noted == {"same"}
    assert {score.condition for score in scored.scores} == {"real", "same", "softer"}
