import json

import numpy as np
import pytest
import torch
from PIL import Image

import evalkit
from evalkit.metrics.label_maps import classes_from
from evalkit.metrics.segmenters import from_callable
from evalkit.results import RANDOM_MARK
from studies.errors import UserError
from studies.imagesets import open_image_set

RNG = np.random.default_rng(12)
REAL = RNG.integers(0, 256, (5, 40, 40, 3), np.uint8)
FAKE = (REAL // 2 + RNG.integers(0, 128, REAL.shape)).astype(np.uint8)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache.sqlite"))
    return tmp_path / "cache.sqlite"


@pytest.fixture
def folders(tmp_path):
    for name, images in (("real", REAL), ("fake", FAKE)):
        (tmp_path / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_folders_image_sets_arrays_and_tensors_score_alike(folders):
    expected = 10 * np.log10(255**2 / ((REAL.astype(float) - FAKE) ** 2).mean(axis=(1, 2, 3))).mean()
    ways = [
        (folders / "real", folders / "fake"),
        (str(folders / "real"), str(folders / "fake")),
        tuple(open_image_set(name, folders) for name in ("real", "fake")),
        (REAL, FAKE),
        tuple(torch.from_numpy(images).permute(0, 3, 1, 2) for images in (REAL, FAKE)),
    ]
    for real, fake in ways:
        score = evalkit.psnr(real, fake)
        assert score.value == pytest.approx(expected, rel=1e-9)
        assert score.higher_is_better


def test_each_function_answers_with_its_own_record():
    options = {"random_weights": 0, "device": "cpu"}
    for function, key in ((evalkit.fid, "fid"), (evalkit.kid, "kid"), (evalkit.lpips, "lpips_alex")):
        score = function(REAL, FAKE, **options)
        assert score.key == key
        assert score.mark == RANDOM_MARK
        assert score.interval is not None
    assert evalkit.ssim(REAL, FAKE).key == "ssim"
    found = evalkit.score_images(REAL, FAKE, ["l1", "high_frequency_gap_db"])
    assert set(found) == {"l1", "high_frequency_gap_db"}


def test_fcn_scores_come_from_a_function_of_ones_own_or_by_the_words_of_the_command_line(folders):
    (folders / "labels").mkdir()
    for number, image in enumerate(REAL):
        Image.fromarray((image[..., 0] > 127).astype(np.uint8)).save(folders / "labels" / f"{number}.png")
    told = {"classes": ["dark", "bright"], "palette": [[0, 0, 0], [255, 255, 255]]}
    (folders / "labels" / "classes.json").write_text(json.dumps(told), encoding="utf-8")
    own = from_callable(
        lambda images: (images[..., 0] > 127).astype(np.uint8),
        classes_from(told, "told"),
        name="red",
        settings={"recipe": "1"},
    )
    real, fake, labels = (folders / name for name in ("real", "fake", "labels"))
    found = evalkit.score_images(real, fake, "fcn", labels=labels, segmenter=own)
    right = (FAKE[..., 0] > 127) == (REAL[..., 0] > 127)
    assert found["fcn_pixel_accuracy"].value == pytest.approx(right.mean())
    assert {score.condition for score in found.values()} == {"fake"}
    by_word = evalkit.score_images(real, fake, "fcn_pixel_accuracy", labels=labels, segmenter="palette")
    assert by_word["fcn_pixel_accuracy"].settings["segmenter"] == "palette"
    with pytest.raises(UserError, match="needs label maps of the inputs"):
        evalkit.score_images(real, fake, "fcn", segmenter=own)


def test_the_cache_is_used_unless_it_is_not_wanted(own_cache):
    evalkit.score_images(REAL, FAKE, "l1", cache=False)
    assert not own_cache.exists()
    evalkit.score_images(REAL, FAKE, "l1")
    assert own_cache.exists()


def test_what_cannot_be_computed_is_raised(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match="evalkit weights get inception"):
        evalkit.fid(REAL, FAKE)
    with pytest.raises(UserError, match="Did you mean 'psnr'"):
        evalkit.score_images(REAL, FAKE, "psnrr")
    with pytest.raises(UserError, match="psnr: 3 real images and 5 fakes; arrays are matched by index"):
        evalkit.psnr(REAL[:3], FAKE)
