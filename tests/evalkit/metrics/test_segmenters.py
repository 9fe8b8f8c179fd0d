"""Segmenters give class maps of the size of the labels, by the resizing that they declare, or say why not."""

import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from evalkit.metrics.label_maps import classes_from, open_classes
from evalkit.metrics.networks.fcn_network import ARCHITECTURES, build_network
from evalkit.metrics.pictures import picture_set
from evalkit.metrics.segmenters import (
    FAR_LEVELS,
    check_same_classes,
    choose_segmenter,
    from_callable,
    ids_segmenter,
    open_segmenter,
    palette_segmenter,
    resized,
)
from studies.errors import UserError

TOLD = {
    "classes": ["dark", "bright", "red", "void"],
    "palette": [[0, 0, 0], [255, 255, 255], [255, 0, 0], [9, 9, 9]],
}
CLASSES = classes_from(TOLD, "classes.json")


def brightness(images):
    """A segmenter of two classes that anyone can check by eye."""
    return (images.mean(-1) > 127).astype(np.int64)


def brightness_segmenter(**changes):
    return from_callable(brightness, CLASSES, name="brightness", settings={"weights": "none"}, **changes)


def halves(height, width):
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :] = 255
    return image


def written_segmenter(folder, size=(32, 48), **changes):
    """What `evalkit segmenter train` leaves, with weights drawn at random."""
    folder.mkdir()
    torch.manual_seed(0)
    network = build_network("fcn_small", 3)
    with torch.no_grad():
        for score in network.scores:  # without a class that is best everywhere
            score.bias.zero_()
            score.weight -= score.weight.mean(1, keepdim=True)
    torch.save(network.state_dict(), folder / "segmenter.pt")
    about = {
        "format": 1,
        "architecture": "fcn_small",
        "classes": TOLD,
        "height_px": size[0],
        "width_px": size[1],
        "sha256": hashlib.sha256((folder / "segmenter.pt").read_bytes()).hexdigest(),
        "validation": {"fcn_pixel_accuracy": 0.5},
        **changes,
    }
    (folder / "segmenter.json").write_text(json.dumps(about))
    return folder


def test_a_callable_sees_the_image_at_the_labels_size_as_in_pix2pix():
    seen = []

    def predict(images):
        seen.append(images)
        return brightness(images)

    segmenter = from_callable(predict, CLASSES, name="x", settings={})
    image = halves(8, 16)
    ((found, _),) = segmenter.load("cpu")([image], [(16, 32)])
    assert seen[0].shape == (1, 16, 32, 3)
    assert np.array_equal(seen[0][0], resized(image, (16, 32)))
    assert (found == np.repeat([[0] * 16 + [1] * 16], 16, 0)).all()


def test_a_prediction_is_enlarged_to_the_nearest_pixel_where_that_is_declared():
    ((found, _),) = brightness_segmenter(resize="prediction").load("cpu")([halves(8, 16)], [(16, 32)])
    assert (found == np.repeat([[0] * 16 + [1] * 16], 16, 0)).all()


def test_sizes_that_differ_are_refused_where_no_resizing_is_declared():
    predict = brightness_segmenter(resize="none").load("cpu")
    assert predict([halves(8, 16)], [(8, 16)])[0][0].shape == (8, 16)
    with pytest.raises(
        UserError, match="brightness: an image of 16x8 px and a label map of 32x16, and it declares no"
    ):
        predict([halves(8, 16)], [(16, 32)])


def test_the_declared_resizing_is_part_of_what_scores_depend_on():
    told = {brightness_segmenter(resize=way).settings["resize"] for way in ("image", "prediction", "none")}
    assert len(told) == 3


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            np.zeros((1, 4, 4)),
            r"gave float64 \(1, 4, 4\) for an image of 4x4 px; whole numbers of shape \(1, 4, 4\)",
        ),
        (np.zeros((1, 2, 4), int), r"gave int64 \(1, 2, 4\)"),
        (np.full((1, 4, 4), 300), "gave class 300"),
        (np.arange(-1, 15).reshape(1, 4, 4), "gave class -1"),
    ],
)
def test_what_a_callable_may_not_answer_is_said(answer, message):
    segmenter = from_callable(lambda images: answer, CLASSES, name="odd", settings={})
    with pytest.raises(UserError, match=f"segmenter odd: {message}"):
        segmenter.load("cpu")([np.zeros((4, 4, 3), np.uint8)], [(4, 4)])


def test_coloured_label_maps_are_read_by_the_nearest_colour_and_photos_are_far_from_all():
    predict = palette_segmenter(CLASSES).load("cpu")
    exact = np.array([[[0, 0, 0], [250, 250, 255], [240, 10, 0]]], np.uint8)
    ((found, near),) = predict([exact], [(1, 3)])
    assert found.tolist() == [[0, 1, 2]]
    photo = np.full((4, 4, 3), 128, np.uint8)
    assert predict([photo], [(4, 4)])[0][1] > 100 > near
    assert predict([exact], [(2, 6)])[0][0].tolist() == [[0, 0, 1, 1, 2, 2]] * 2


@pytest.mark.shared_data
def test_real_label_maps_are_nearer_to_their_palette_than_any_photo(shared_data):
    predict = palette_segmenter(open_classes("cityscapes")).load("cpu")
    results = shared_data / "results" / "cityscapes_pix2pix"

    def distances(kind):
        images = [one.read() for one in picture_set(f"{results}:{kind}").pictures[:10]]
        return [distance for _, distance in predict(images, [one.shape[:2] for one in images])]

    assert max(distances("real_A")) < FAR_LEVELS < min(distances("real_B"))


def test_index_maps_are_taken_as_they_are_in_the_numbers_of_the_label_files():
    between = classes_from({"classes": ["a", "void", "b"]}, "x.json")
    indices = np.repeat(np.array([[0, 2], [2, 1]], np.uint8)[..., None], 3, -1)
    ((found, _),) = ids_segmenter(between).load("cpu")([indices], [(2, 2)])
    assert found.tolist() == [[0, 1], [1, 255]]


def test_index_maps_in_colour_or_of_unknown_classes_are_refused():
    predict = ids_segmenter(CLASSES).load("cpu")
    with pytest.raises(UserError, match="ids: an image in colour; index maps are grayscale"):
        predict([np.array([[[1, 2, 3]]], np.uint8)], [(1, 1)])
    with pytest.raises(UserError, match=r"ids: an image has index 77, which is no class of classes\.json"):
        predict([np.full((2, 2, 3), 77, np.uint8)], [(2, 2)])


def test_a_trained_segmenter_is_opened_from_its_folder_and_predicts_at_its_own_size(tmp_path):
    segmenter = open_segmenter(written_segmenter(tmp_path / "seg"))
    assert segmenter.size_px == (32, 48)
    assert segmenter.classes.names == ("dark", "bright", "red")
    assert segmenter.validation == {"fcn_pixel_accuracy": 0.5}
    digest = hashlib.sha256((tmp_path / "seg" / "segmenter.pt").read_bytes()).hexdigest()
    assert segmenter.settings["weights"] == digest
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    predict = segmenter.load("cpu")
    ((found, _),) = predict([image], [(40, 50)])
    ((same, _),) = predict([resized(image, (32, 48))], [(40, 50)])
    assert found.shape == (40, 50)
    assert np.array_equal(found, same)
    assert len(np.unique(found)) > 1


def test_a_trained_segmenter_predicts_the_same_whatever_else_is_in_the_batch(tmp_path):
    predict = open_segmenter(written_segmenter(tmp_path / "seg")).load("cpu")
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (40 + 8 * k, 48, 3), dtype=np.uint8) for k in range(4)]
    sizes = [(40, 40 + k) for k in range(4)]
    together = predict(images, sizes)
    for image, size, (found, _) in zip(images, sizes, together, strict=True):
        assert (predict([image], [size])[0][0] != found).mean() < 1e-3  # ties of float32 at most


def test_nothing_of_torch_is_imported_to_open_a_segmenter(tmp_path):
    import subprocess
    import sys

    folder = written_segmenter(tmp_path / "seg")
    script = (
        "import sys; from pathlib import Path; from evalkit.metrics import fcn; "
        "from evalkit.metrics.segmenters import open_segmenter; from evalkit.metrics.base import Options; "
        f"options = Options(segmenter=open_segmenter(Path({str(folder)!r}))); "
        "fcn.Fcn().wants(['fcn_class_iou'], options); fcn.Fcn().settings(['fcn_class_iou'], options); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_folder_that_is_no_segmenter_or_a_half_finished_one_is_said(tmp_path):
    with pytest.raises(
        UserError, match=r"--segmenter .*nothing: no segmenter\.json there. Allowed are a folder"
    ):
        open_segmenter(tmp_path / "nothing")
    (tmp_path / "half" / "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match=r"half: its training is not finished\. Run the same"):
        open_segmenter(tmp_path / "half")


def test_weights_that_were_exchanged_or_lost_are_noticed(tmp_path):
    folder = written_segmenter(tmp_path / "seg")
    (folder / "segmenter.pt").write_bytes(b"other")
    with pytest.raises(
        UserError, match=r"segmenter\.pt: not the weights that segmenter\.json beside it describes"
    ):
        open_segmenter(folder)
    (folder / "segmenter.pt").unlink()
    with pytest.raises(UserError, match=r"segmenter\.pt: no such file"):
        open_segmenter(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "format, architecture, classes, height_px, width_px, sha256 are needed"),
        (json.dumps({"format": 1}), "are needed"),
    ],
)
def test_a_broken_description_is_said(tmp_path, text, message):
    folder = written_segmenter(tmp_path / "seg")
    (folder / "segmenter.json").write_text(text)
    with pytest.raises(UserError, match=message):
        open_segmenter(folder)


def test_a_segmenter_of_another_format_or_network_is_said(tmp_path):
    with pytest.raises(UserError, match="format 9; this version reads 1"):
        open_segmenter(written_segmenter(tmp_path / "new", format=9))
    odd = open_segmenter(written_segmenter(tmp_path / "odd", architecture="fcn_smal"))
    with pytest.raises(UserError, match=r"'fcn_smal': no such network\. Did you mean 'fcn_small'"):
        odd.load("cpu")
    other = open_segmenter(written_segmenter(tmp_path / "other", classes={"classes": ["a", "b"]}))
    with pytest.raises(UserError, match="not the weights of fcn_small with 2 classes"):
        other.load("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UserError, match="cuda: PyTorch finds no GPU here"):
        open_segmenter(written_segmenter(tmp_path / "seg")).load("cuda")


def test_classes_of_labels_and_segmenter_must_be_the_same(tmp_path):
    segmenter = open_segmenter(written_segmenter(tmp_path / "seg"))
    check_same_classes(segmenter, CLASSES)
    with pytest.raises(UserError, match=r"in another order\. Bring them into its order: dark, bright, red"):
        check_same_classes(segmenter, classes_from({"classes": ["red", "dark", "bright"]}, "x.json"))
    with pytest.raises(
        UserError, match=r"x\.json: other classes .* \(blue only in the labels; bright only in the seg"
    ):
        check_same_classes(segmenter, classes_from({"classes": ["dark", "blue", "red"]}, "x.json"))


def test_a_segmenter_is_chosen_by_word_or_folder(tmp_path):
    folder = written_segmenter(tmp_path / "seg")
    assert choose_segmenter("palette", CLASSES).name == "palette"
    assert choose_segmenter("ids", CLASSES).name == "ids"
    assert choose_segmenter(str(folder), None).classes.names == CLASSES.names
    with pytest.raises(UserError, match="--segmenter palette: needs --classes FILE"):
        choose_segmenter("palette", None)
    with pytest.raises(UserError, match="other classes than those"):
        choose_segmenter(str(folder), classes_from({"classes": ["a"]}, "x.json"))
    with pytest.raises(UserError, match=r"x\.json: no palette, which --segmenter palette needs"):
        choose_segmenter("palette", classes_from({"classes": ["a"]}, "x.json"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_scores_every_class_all_over_the_image(architecture):
    network = build_network(architecture, 4).eval()
    with torch.inference_mode():
        scores = network(torch.zeros(1, 3, 64, 96))
    assert scores.shape[:2] == (1, 4)
    assert scores.shape[2] * 96 == scores.shape[3] * 64
    with pytest.raises(UserError, match="no such network"):
        build_network("fcn", 4)


def test_an_image_of_the_right_size_is_not_touched_by_resizing():
    image = np.asarray(Image.effect_noise((9, 7), 50).convert("RGB"))
    assert resized(image, (7, 9)) is image
