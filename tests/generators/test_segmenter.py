"""The segmenter is trained by the one loop: it learns, goes on where it stopped, and tells real photos from bad ones."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evalkit.metrics.base import Options
from evalkit.metrics.confusion import IGNORED
from evalkit.metrics.fcn import Fcn, confusion_extractor
from evalkit.metrics.label_maps import Classes, classes_from, label_set, open_classes
from evalkit.metrics.pictures import picture_set
from evalkit.metrics.segmenters import open_segmenter, trained_on
from generators.segmenter import segmenter_config, train_segmenter, train_toy_segmenter, training, verify
from generators.segmenter.photos import LabelledPhotos, jittered, labelled, split
from generators.segmenter.settings import SegmenterSettings
from generators.segmenter.training import count
from generators.segmenter.verifying import BLURRED, HALVED, REAL, SHUFFLED
from generators.toy_facades import write_toy_facades
from generators.training_loop import Hardware, TrainingStoppedError
from studies.errors import UserError
from tests.generators.toy_training import CPU, last_state, same_bits, stats

CLASSES = classes_from(
    {"classes": ["dark", "bright", "void"], "palette": [[0, 0, 0], [255, 255, 255], [255, 0, 0]]}, "x"
)
SIZE = ("height_px=32", "width_px=32")


def write_photos(folder: Path, count: int = 10, size_px: int = 40) -> Path:
    """Scenes of dark and bright boxes; the border of each map is void."""
    rng = np.random.default_rng(0)
    for name in ("photos", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        coarse = rng.integers(0, 2, (4, 4), dtype=np.uint8)
        labels = np.kron(coarse, np.ones((size_px // 4, size_px // 4), np.uint8))
        noise = rng.integers(-20, 20, (size_px, size_px, 3))
        photo = np.clip(np.where(labels[..., None] == 1, 190, 60) + noise, 0, 255).astype(np.uint8)
        labels[0] = 2
        Image.fromarray(photo).save(folder / "photos" / f"{number}.png")
        Image.fromarray(labels).save(folder / "labels" / f"{number}.png")
    return folder


def config(folder: Path, *assignments: str):
    lengths = ("total_images=32", "batch_size=4", "checkpoint_images=8", "sample_images=16", "log_images=8")
    return segmenter_config(
        str(folder / "photos"), str(folder / "labels"), CLASSES, [*SIZE, *lengths, *assignments]
    )


def test_an_interrupted_training_ends_with_the_same_bits_as_an_undisturbed_one(tmp_path):
    data = write_photos(tmp_path / "data")
    whole = train_segmenter(config(data), CLASSES, tmp_path / "whole", CPU)

    class Interrupting(LabelledPhotos):
        def __getitem__(self, k):
            if k == 12:
                os.kill(os.getpid(), signal.SIGINT)
            return super().__getitem__(k)

    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "LabelledPhotos", Interrupting)
        with pytest.raises(TrainingStoppedError):
            train_segmenter(config(data), CLASSES, tmp_path / "stopped", CPU)
    with pytest.raises(UserError, match=r"its training is not finished\. Run the same"):
        open_segmenter(tmp_path / "stopped")
    again = train_segmenter(config(data), CLASSES, tmp_path / "stopped", CPU, tell=told.append)
    assert 0 < again.resumed_at < 32
    assert any(line.startswith("Going on at") for line in told)
    assert same_bits(last_state(tmp_path / "whole"), last_state(tmp_path / "stopped"))
    assert stats(tmp_path / "whole") == stats(tmp_path / "stopped")
    assert again.validation == whole.validation
    assert sorted(path.name for path in (tmp_path / "whole" / "samples").iterdir()) == [
        "000000016.png",
        "000000032.png",
    ]


def test_the_folder_is_a_segmenter_that_predicts_as_the_network_did_in_validation(tmp_path):
    data = write_photos(tmp_path / "data")
    trained = train_segmenter(
        config(data, "total_images=240", "sample_images=0"), CLASSES, tmp_path / "seg", CPU
    )
    assert (trained.n_train, trained.n_validation) == (9, 1)
    segmenter = open_segmenter(tmp_path / "seg")
    assert segmenter.validation == trained.validation
    assert segmenter.classes.digest == CLASSES.digest
    assert segmenter.size_px == (32, 32)
    assert segmenter.photo_px == (40, 40)
    photos = picture_set(data / "photos")
    pairs = labelled(photos, label_set(data / "labels", CLASSES))
    held_out = split(pairs, 0.1, 0).validation
    histogram = count(segmenter.load("cpu"), held_out, 2)
    assert np.diag(histogram).sum() / histogram.sum() == pytest.approx(
        trained.validation["fcn_pixel_accuracy"]
    )
    assert trained.validation["fcn_pixel_accuracy"] > 0.8  # 0.5 by chance
    assert trained_on(segmenter, photos) == 9


def test_a_finished_training_is_left_as_it_is_and_lost_files_are_written_again(tmp_path):
    data = write_photos(tmp_path / "data")
    train_segmenter(config(data), CLASSES, tmp_path / "seg", CPU)
    weights = (tmp_path / "seg" / "segmenter.pt").read_bytes()
    before = (tmp_path / "seg" / "segmenter.json").stat().st_mtime_ns
    again = train_segmenter(config(data), CLASSES, tmp_path / "seg", CPU)
    assert again.resumed_at == 32
    assert (tmp_path / "seg" / "segmenter.json").stat().st_mtime_ns == before
    (tmp_path / "seg" / "segmenter.pt").unlink()
    train_segmenter(config(data), CLASSES, tmp_path / "seg", CPU)
    assert (tmp_path / "seg" / "segmenter.pt").read_bytes() == weights
    open_segmenter(tmp_path / "seg")


def test_a_folder_keeps_the_settings_it_began_with(tmp_path):
    data = write_photos(tmp_path / "data")
    train_segmenter(config(data), CLASSES, tmp_path / "seg", CPU)
    with pytest.raises(UserError, match=r"least_crop is 0\.6 there, 0\.5 here"):
        train_segmenter(config(data, "least_crop=0.5"), CLASSES, tmp_path / "seg", CPU)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("heigth_px=64", "no such key. Did you mean 'height_px'"),
        ("height_px=16", "must be at least 32"),
        ("architecture=unet", "allowed are fcn_small, fcn_resnet50, fcn_resnet101"),
        ("validation_share=1", "must be above 0 and below 1"),
        ("least_crop=0", "must be above 0 and at most 1"),
        ("brightness=1", "must be below 1"),
        ("labels=elsewhere", "is told by --labels and --classes"),
        ("crop_size_px=64", "is a generator's; a segmenter has height_px"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, assignment, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        segmenter_config("photos", "labels", CLASSES, [assignment])


def test_the_learning_rate_falls_to_zero_unless_said_otherwise():
    assert segmenter_config("a", "b", CLASSES, ["total_images=800"]).training.decay_images == 800
    assert segmenter_config("a", "b", CLASSES, ["decay_images=0"]).training.decay_images == 0


def test_photos_without_a_label_map_are_named_and_maps_without_a_photo_are_left_out(tmp_path):
    data = write_photos(tmp_path / "data")
    (data / "photos" / "3.png").unlink()
    maps = label_set(data / "labels", CLASSES)
    assert len(labelled(picture_set(data / "photos"), maps)) == 9
    (data / "labels" / "4.png").unlink()
    with pytest.raises(UserError, match=r"1 of 9 photos have no label map of their name in .*labels \(4\)"):
        train_segmenter(config(data), CLASSES, tmp_path / "seg", CPU)
    assert not (tmp_path / "seg").exists()


def test_a_map_of_another_shape_than_its_photo_is_named(tmp_path):
    data = write_photos(tmp_path / "data")
    Image.fromarray(np.zeros((40, 80), np.uint8)).save(data / "labels" / "5.png")
    with pytest.raises(UserError, match=r"5\.png: 80x40 px, and its photo .*5\.png 40x40: not of one shape"):
        train_segmenter(config(data), CLASSES, tmp_path / "seg", CPU)


def test_maps_of_other_classes_are_refused_before_anything_is_trained(tmp_path):
    data = write_photos(tmp_path / "data")
    one = classes_from({"classes": ["dark"]}, "one.json")
    settings = segmenter_config(str(data / "photos"), str(data / "labels"), one, SIZE)
    with pytest.raises(UserError, match=r"has index \d, which is no class of one\.json"):
        train_segmenter(settings, one, tmp_path / "seg", CPU)
    assert not (tmp_path / "seg").exists()


def test_a_batch_without_any_label_teaches_nothing_and_breaks_nothing(tmp_path):
    from generators.segmenter.method import SegmenterMethod

    torch.manual_seed(0)
    method = SegmenterMethod(SegmenterSettings(class_names=("a", "b")), 3, 2, 32)
    ((_, terms),) = method.losses(torch.zeros(1, 3, 32, 32), torch.full((1, 32, 32), IGNORED))
    terms["cross_entropy"].backward()
    assert terms["cross_entropy"].item() == 0
    assert all(weight.grad is None or not weight.grad.any() for weight in method.parameters())


def test_the_loss_is_the_mean_over_labelled_pixels(tmp_path):
    from generators.segmenter.method import SegmenterMethod

    torch.manual_seed(0)
    method = SegmenterMethod(SegmenterSettings(class_names=("a", "b", "c")), 3, 3, 32)
    photos, target = torch.randn(2, 3, 32, 32), torch.randint(0, 3, (2, 32, 32))
    target[0, :20] = IGNORED
    ((_, terms),) = method.losses(photos, target)
    chances = method.generate(photos).log_softmax(1)
    picked = chances.gather(1, target.clamp(max=2)[:, None])[:, 0][target != IGNORED]
    assert terms["cross_entropy"].item() == pytest.approx(-picked.mean().item(), rel=1e-5)


def test_photo_and_map_are_cut_and_mirrored_alike():
    labels = np.kron(
        np.random.default_rng(0).integers(0, 5, (8, 8)).astype(np.uint8), np.ones((8, 8), np.uint8)
    )
    photo = np.repeat((labels * 50)[..., None], 3, -1)
    settings = SegmenterSettings(brightness=0.0)
    for seed in range(20):
        seen, classes = jittered(photo, labels, settings, np.random.default_rng(seed))
        back = ((seen[0] + 1) * 127.5 / 50).round().long()
        inner = (classes[1:-1, 1:-1] == classes[:-2, 1:-1]) & (classes[1:-1, 1:-1] == classes[2:, 1:-1])
        inner &= (classes[1:-1, 1:-1] == classes[1:-1, :-2]) & (classes[1:-1, 1:-1] == classes[1:-1, 2:])
        assert inner.float().mean() > 0.3
        assert (back[1:-1, 1:-1] == classes[1:-1, 1:-1])[inner].float().mean() > 0.98


def test_every_epoch_shows_each_photo_once_and_any_item_can_be_asked_for_first(tmp_path):
    data = write_photos(tmp_path / "data", count=5)
    pairs = labelled(picture_set(data / "photos"), label_set(data / "labels", CLASSES))
    still = SegmenterSettings(height_px=40, width_px=40, mirror=False, least_crop=1.0, brightness=0.0)
    shown = LabelledPhotos(pairs, still, seed=1)
    for epoch in range(2):
        means = {round(shown[5 * epoch + k][0].mean().item(), 6) for k in range(5)}
        assert len(means) == 5
    assert torch.equal(LabelledPhotos(pairs, still, seed=1)[7][0], shown[7][0])
    jumping = SegmenterSettings(height_px=40, width_px=40)
    assert not torch.equal(LabelledPhotos(pairs, jumping, 1)[3][0], LabelledPhotos(pairs, jumping, 2)[3][0])


def test_the_held_out_share_is_drawn_by_the_seed_and_is_never_trained_on(tmp_path):
    data = write_photos(tmp_path / "data")
    pairs = labelled(picture_set(data / "photos"), label_set(data / "labels", CLASSES))
    parts = split(pairs, 0.3, 0)
    assert len(parts.validation) == 3
    assert not {one.photo.source_id for one in parts.train} & {
        one.photo.source_id for one in parts.validation
    }
    assert parts == split(pairs, 0.3, 0)
    assert {split(pairs, 0.3, seed).validation for seed in range(5)} != {parts.validation}
    assert len(split(pairs, 0.999, 0).train) == 1
    with pytest.raises(UserError, match="1 labelled photo: at least 2 are needed"):
        split(pairs[:1], 0.1, 0)


def fcn_iou(segmenter, photos: list[np.ndarray], maps: list[np.ndarray]) -> float:
    """Through the metric itself."""
    options = Options(segmenter=segmenter)
    rows = np.stack(confusion_extractor(segmenter, "cpu")(list(zip(photos, maps, strict=True))))
    (value, *_) = Fcn().compute(["fcn_class_iou"], {"histograms": rows}, options)
    assert value.value is not None
    return value.value


def test_the_toy_segmenter_ranks_photos_above_blurred_and_halved_ones_and_other_labels(tmp_path):
    write_toy_facades(tmp_path / "facades", 90, 64, seed=1, n_test=30)
    train_toy_segmenter(tmp_path / "facades", tmp_path / "seg", photos_shown=1200)
    segmenter = open_segmenter(tmp_path / "seg")
    test = tmp_path / "facades" / "test"
    rows = {
        row.title: row.found
        for row in verify(segmenter, str(test / "photos"), str(test / "labels"), device="cpu")
    }
    for key in ("pixel_accuracy", "class_iou"):
        worse = [getattr(rows[title], key) for title in (HALVED, BLURRED, SHUFFLED)]
        assert getattr(rows[REAL], key) > max(worse), key
    assert rows[REAL].pixel_accuracy > rows[SHUFFLED].pixel_accuracy + 0.15
    photos = [one.read() for one in picture_set(test / "photos").pictures]
    maps = [one.read() for one in label_set(test / "labels", segmenter.classes).pictures]
    assert fcn_iou(segmenter, photos, maps) == pytest.approx(float(rows[REAL].class_iou))


def camvid(shared_data: Path, part: str) -> tuple[str, str, Classes]:
    folder = shared_data / "camvid"
    return str(folder / part / "images"), str(folder / part / "labels"), open_classes(folder / "classes.json")


@pytest.mark.shared_data
def test_trained_on_camvid_for_half_a_minute_it_ranks_real_above_blurred_above_other_labels(
    shared_data, tmp_path
):
    images, labels, classes = camvid(shared_data, "train")
    lengths = [
        "total_images=1600",
        "checkpoint_images=1600",
        "sample_images=0",
        "height_px=64",
        "width_px=64",
    ]
    train_segmenter(
        segmenter_config(images, labels, classes, lengths),
        classes,
        tmp_path / "seg",
        Hardware(accelerator="cpu"),
    )
    segmenter = open_segmenter(tmp_path / "seg")
    test_images, test_labels, _ = camvid(shared_data, "test")
    assert trained_on(segmenter, picture_set(test_images)) == 0
    rows = {row.title: row.found for row in verify(segmenter, test_images, test_labels, device="cpu")}
    for key in ("pixel_accuracy", "class_iou"):
        real, blurred, shuffled = (getattr(rows[title], key) for title in (REAL, BLURRED, SHUFFLED))
        assert real > blurred > shuffled, key
    about = json.loads((tmp_path / "seg" / "segmenter.json").read_text())
    assert about["classes"]["void"] == [11]
