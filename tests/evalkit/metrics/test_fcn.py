"""FCN-scores: one histogram per set, the ground truth on top, and a warning wherever a number is easily misread."""

import numpy as np
import pytest

from evalkit.metrics.base import Options
from evalkit.metrics.confusion import IGNORED, confusion, scores
from evalkit.metrics.fcn import Fcn, confusion_extractor, confusion_feature
from evalkit.metrics.label_maps import classes_from
from evalkit.metrics.pictures import Picture, PictureSet
from evalkit.metrics.scoring import Candidate, score_sets
from evalkit.metrics.segmenters import from_callable, palette_segmenter
from studies.errors import UserError

KEYS = ("fcn_pixel_accuracy", "fcn_class_accuracy", "fcn_class_iou")
TOLD = {"classes": ["dark", "bright", "never"], "palette": [[0, 0, 0], [255, 255, 255], [255, 0, 0]]}
CLASSES = classes_from(TOLD, "classes.json")


def brightness_segmenter(**changes):
    def predict(images):
        return (images.mean(-1) > 127).astype(np.uint8)

    return from_callable(predict, CLASSES, name="brightness", settings={"weights": "none"}, **changes)


def photo_of(labels, rng, noise):
    """A photo of a scene: dark and bright, with some pixels wrong."""
    wrong = rng.random(labels.shape) < noise
    bright = (labels == 1) ^ wrong
    return np.repeat(np.where(bright, 220, 30).astype(np.uint8)[..., None], 3, -1)


def scenes(count=6, noise=0.1, seed=0, shape=(12, 12)):
    rng = np.random.default_rng(seed)
    maps = [rng.integers(0, 2, shape).astype(np.uint8) for _ in range(count)]
    for one in maps:
        one[0, :3] = IGNORED
    return [(photo_of(one, rng, noise), one) for one in maps]


def scored(items, keys=KEYS, segmenter=None, **options):
    chosen = Options(segmenter=segmenter or brightness_segmenter(), **options)
    rows = np.stack(confusion_extractor(chosen.segmenter, "cpu")(items))
    return {(one.key, one.detail): one for one in Fcn().compute(keys, {"histograms": rows}, chosen)}


def main(items, key="fcn_class_iou", **changes):
    return scored(items, **changes)[key, ""]


def picture(name, pixels, kind):
    return Picture(name, f"{kind} {hash(pixels.tobytes())}", lambda: pixels, f"{kind} {name}")


def photo_set(name, items):
    return PictureSet(name, tuple(picture(f"{k}", image, name) for k, (image, _) in enumerate(items)))


def test_the_values_are_those_of_one_histogram_over_all_images():
    items = scenes()
    total = sum(confusion(labels, (image[..., 0] > 127).astype(np.uint8), 3) for image, labels in items)
    expected = scores(total, "zero")
    found = scored(items)
    assert found["fcn_pixel_accuracy", ""].value == pytest.approx(float(expected.pixel_accuracy))
    assert found["fcn_class_accuracy", ""].value == pytest.approx(float(expected.class_accuracy))
    assert found["fcn_class_iou", ""].value == pytest.approx(float(expected.class_iou))
    for number, name in enumerate(CLASSES.names):
        assert found["fcn_class_iou", name].value == pytest.approx(float(expected.ious[number]))
        assert found["fcn_class_accuracy", name].value == pytest.approx(float(expected.accuracies[number]))
    assert ("fcn_pixel_accuracy", "dark") not in found
    assert found["fcn_class_iou", ""].n == {"pixels": 6 * 141, "classes": 3, "classes_in_labels": 2}


def test_the_truth_is_perfect_and_more_noise_is_worse():
    found = [main(scenes(noise=noise), absent="skip").value for noise in (0, 0.1, 0.3)]
    assert found[0] == pytest.approx(1)
    assert found[0] > found[1] > found[2]


def test_absent_classes_count_as_zero_or_not_at_all_and_the_note_says_which():
    as_zero, skipped = main(scenes(noise=0)), main(scenes(noise=0), absent="skip")
    assert as_zero.value == pytest.approx(2 / 3)
    assert skipped.value == pytest.approx(1)
    assert any(
        "no label has never: classes that no label has count as 0, as in pix2pix" in one
        for one in as_zero.notes
    )
    assert any("no label has never: classes that no label has do not count" in one for one in skipped.notes)


def test_an_absent_class_has_a_record_of_its_own_that_says_so():
    as_zero, skipped = (
        scored(scenes())["fcn_class_iou", "never"],
        scored(scenes(), absent="skip")["fcn_class_iou", "never"],
    )
    assert as_zero.value == 0
    assert skipped.value is None
    assert "no label has this class" in as_zero.notes[0]
    assert "no label has this class" in skipped.notes[0]


def test_the_order_of_images_and_the_size_of_batches_do_not_matter():
    items = scenes()
    extract = confusion_extractor(brightness_segmenter(), "cpu")
    together, one_by_one = extract(items), [extract([one])[0] for one in items]
    assert np.array_equal(together, one_by_one)
    assert main(items).value == main(items[::-1]).value


def test_the_interval_covers_the_value_narrows_with_more_images_and_is_repeatable():
    few, many = main(scenes(6), seed=4), main(scenes(60), seed=4)
    for found in (few, many):
        assert found.interval.low <= found.value <= found.interval.high
        assert found.seed == 4
    assert few.interval.high - few.interval.low > 2 * (many.interval.high - many.interval.low)
    assert main(scenes(6), seed=4).interval == few.interval
    assert main(scenes(6), seed=5).interval != few.interval
    wide = main(scenes(60), seed=4, confidence_level=0.99).interval
    assert wide.high - wide.low > many.interval.high - many.interval.low


def test_the_standard_error_is_the_spread_over_sets_of_images():
    over_sets = np.std(
        [main(scenes(20, seed=seed), "fcn_pixel_accuracy").value for seed in range(40)], ddof=1
    )
    assert main(scenes(20), "fcn_pixel_accuracy").standard_error == pytest.approx(over_sets, rel=0.5)


@pytest.mark.parametrize("absent", ["zero", "skip"])
def test_a_class_that_only_one_image_has_widens_no_interval(absent):
    """Resamples of images without it know nothing of it, which is not the same as failing at it."""
    dark = np.zeros((12, 12), np.uint8)
    items = scenes(1, noise=0) + [(photo_of(dark, np.random.default_rng(0), 0), dark)] * 9
    for key in KEYS:
        found = main(items, key, absent=absent)
        assert (found.interval.low, found.interval.high) == pytest.approx((found.value, found.value)), key


def test_a_single_image_has_no_interval():
    found = main(scenes(1))
    assert found.interval is None
    assert found.standard_error is None
    assert found.value is not None


def test_each_image_has_its_own_scores_in_order():
    items = scenes(4)
    found = scored(items, absent="skip")
    for index, one in enumerate(items):
        alone = scored([one], absent="skip")
        for key in KEYS:
            assert found[key, ""].per_image[index] == pytest.approx(alone[key, ""].value)


def test_maps_without_a_label_are_refused():
    items = [(image, np.full_like(labels, IGNORED)) for image, labels in scenes()]
    with pytest.raises(UserError, match="fcn: no pixel of any label map counts"):
        main(items)


def test_a_prediction_that_is_no_class_is_refused():
    odd = from_callable(lambda images: np.full(images.shape[:3], 7), CLASSES, name="odd", settings={})
    with pytest.raises(
        UserError, match=r"fcn: segmenter odd: the prediction has class 7, but there are 3 in classes"
    ):
        main(scenes(), segmenter=odd)


def test_without_a_segmenter_it_says_what_to_give():
    with pytest.raises(UserError, match=r"fcn: no segmenter\. Give --segmenter: a folder"):
        Fcn().wants(KEYS, Options())


def test_images_of_another_size_than_the_photos_that_were_trained_on_are_said():
    trained = brightness_segmenter(photo_px=(24, 36))
    (note,) = [one for one in main(scenes(3), segmenter=trained).notes if "trained on" in one]
    assert note.startswith(
        "3 images are 12x12 px, the photos that the segmenter was trained on 36x24: detail"
    )
    fitting = brightness_segmenter(photo_px=(12, 12))
    assert not [one for one in main(scenes(3), segmenter=fitting).notes if "trained on" in one]


def test_images_of_another_size_than_their_labels_are_resized_and_that_is_said():
    small = [
        (image[::2, ::2], np.kron(labels[::2, ::2], np.ones((2, 2), np.uint8)))
        for image, labels in scenes(noise=0)
    ]
    found = main(small, segmenter=brightness_segmenter(resize="prediction"), absent="skip")
    assert found.value == pytest.approx(1)
    assert "6 images are 6x6 px, their label maps 12x12: resized as declared" in found.notes


def test_many_sizes_make_one_note_of_the_commonest():
    sizes = [(12, 12), (12, 12), (10, 12), (12, 14)]
    items = [scenes(1, shape=shape)[0] for shape in sizes]
    trained = brightness_segmenter(photo_px=(24, 36))
    (note,) = [one for one in main(items, segmenter=trained).notes if "trained on" in one]
    assert note.startswith(
        "4 images are of 3 sizes (2 are 12x12 px), the photos that the segmenter was trained on"
    )
    halved = [(image[::2, ::2], labels) for image, labels in items]
    (note,) = [one for one in main(halved, segmenter=brightness_segmenter()).notes if "resized" in one]
    assert note == "4 images are of 3 sizes (2 are 6x6 px, their label maps 12x12): resized as declared"


def test_photos_in_the_place_of_label_maps_are_noticed():
    labels = np.zeros((8, 8), np.uint8)
    rng = np.random.default_rng(0)
    photo = rng.integers(90, 170, (8, 8, 3)).astype(np.uint8)
    coloured = np.zeros((8, 8, 3), np.uint8) + 4
    read = palette_segmenter(CLASSES)
    assert any(
        "these look like photos, or like" in one for one in main([(photo, labels)], segmenter=read).notes
    )
    assert not any("look like photos" in one for one in main([(coloured, labels)], segmenter=read).notes)


def test_settings_change_with_all_that_the_score_depends_on():
    def told(segmenter, **options):
        return dict(Fcn().settings(KEYS, Options(segmenter=segmenter, **options)))

    other_classes = classes_from({"classes": ["dark", "bright", "else"]}, "classes.json")
    renamed = from_callable(
        lambda images: images[..., 0], other_classes, name="brightness", settings={"weights": "none"}
    )
    variants = [
        told(brightness_segmenter()),
        told(brightness_segmenter(), absent="skip"),
        told(brightness_segmenter(resize="prediction")),
        told(palette_segmenter(CLASSES)),
        told(renamed),
    ]
    assert all(one != other for index, one in enumerate(variants) for other in variants[:index])
    assert {"segmenter", "weights", "resize", "classes", "absent"} <= variants[0].keys()


def test_the_cached_histograms_do_not_depend_on_how_absent_classes_count():
    (one,), (other,) = (
        Fcn().wants(KEYS, Options(segmenter=brightness_segmenter(), absent=absent)).values()
        for absent in ("zero", "skip")
    )
    assert one.feature.key == other.feature.key == confusion_feature(brightness_segmenter()).key
    assert one.over == "labelled fakes"
    assert confusion_feature(brightness_segmenter(resize="none")).key != one.feature.key


def test_only_the_quantities_asked_for_come():
    assert {key for key, _ in scored(scenes(), keys=["fcn_class_accuracy"])} == {"fcn_class_accuracy"}


def test_through_the_whole_flow_the_reals_are_scored_first_and_noise_costs_points():
    items = scenes(8, noise=0, shape=(16, 16))
    labels = PictureSet("labels", tuple(picture(f"{k}", one, "map") for k, (_, one) in enumerate(items)))
    reals = photo_set("reals", items)
    noisy = photo_set(
        "fakes", [(photo_of(one, np.random.default_rng(k), 0.2), one) for k, (_, one) in enumerate(items)]
    )
    options = Options(segmenter=brightness_segmenter(), device="cpu")
    found = score_sets(reals, [Candidate("noisy", None, noisy)], ["fcn"], options, labels=labels)
    assert found.left_out == ()
    main_scores = {(one.condition, one.key): one for one in found.scores if not one.detail}
    assert list(main_scores)[:3] == [("real", key) for key in KEYS]
    for key in KEYS:
        assert main_scores["real", key].value > main_scores["noisy", key].value
    assert main_scores["real", "fcn_pixel_accuracy"].value == pytest.approx(1)
    assert {one.detail for one in found.scores} == {"", *CLASSES.names}
    assert main_scores["noisy", KEYS[0]].settings["segmenter"] == "brightness"


def test_an_image_without_a_label_map_is_named_and_nothing_is_scored_without_it():
    items = scenes(3, noise=0)
    labels = PictureSet("labels", tuple(picture(f"{k}", one, "map") for k, (_, one) in enumerate(items[:2])))
    reals = photo_set("reals", items)
    options = Options(segmenter=brightness_segmenter(), device="cpu")
    found = score_sets(reals, [Candidate("copy", None, reals)], ["fcn"], options, labels=labels)
    assert found.scores == ()
    assert any("has no label map of the same name in labels ('2'" in line for line in found.left_out)
