"""Toy facades."""

from pathlib import Path

import numpy as np
import pytest

from generators.toy_facades import CLASSES, PALETTE, draw_facades, write_toy_facades
from studies.errors import UserError
from studies.imagesets import open_image_set
from studies.stimuli.duplicates import near_duplicates, thumbnail


@pytest.fixture(scope="module")
def facades(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("facades") / "toy"
    write_toy_facades(folder, 16, 64, seed=5, n_test=4)
    return folder


def test_label_map_and_class_map_say_the_same():
    ((labels, photo, classes),) = draw_facades(1, 64, np.random.default_rng(1))
    colours = np.asarray([PALETTE[kind] for kind in CLASSES], np.uint8)
    assert (colours[np.asarray(classes)] == np.asarray(labels)).all()
    assert (labels.mode, photo.mode, classes.mode) == ("RGB", "RGB", "L")
    assert labels.size == photo.size == classes.size == (64, 64)


def test_the_same_seed_draws_the_same_and_another_draws_others():
    def photos(seed: int, n: int) -> list[bytes]:
        return [photo.tobytes() for _, photo, _ in draw_facades(n, 64, np.random.default_rng(seed))]

    assert photos(1, 3) == photos(1, 4)[:3]
    assert set(photos(1, 3)).isdisjoint(photos(2, 3))


def test_facades_vary_in_layout_and_in_look():
    drawn = draw_facades(24, 64, np.random.default_rng(0))
    assert len({labels.tobytes() for labels, _, _ in drawn}) == 24
    assert near_duplicates([thumbnail(photo) for _, photo, _ in drawn]) == {}
    seen = {int(index) for _, _, classes in drawn for index in np.unique(np.asarray(classes))}
    assert seen == set(range(len(CLASSES)))


@pytest.mark.parametrize("size_px", [64, 96, 128])
def test_every_size_between_the_limits_is_drawn(size_px):
    assert draw_facades(2, size_px, np.random.default_rng(3))[0][1].size == (size_px, size_px)


@pytest.mark.parametrize(
    ("n", "size_px", "said"), [(1, 63, "allowed are 64 to 128"), (0, 64, "at least 1 facade")]
)
def test_impossible_counts_and_sizes_are_refused(n, size_px, said):
    with pytest.raises(UserError, match=said):
        draw_facades(n, size_px, np.random.default_rng(0))


def test_labels_and_photos_are_written_as_image_sets_of_the_same_inputs(facades):
    for phase, count in (("train", 12), ("test", 4)):
        labels = open_image_set(f"{phase}/labels", facades)
        photos = open_image_set(f"{phase}/photos", facades)
        assert labels.source_ids == photos.source_ids
        assert len(labels.images) == count
        assert photos.manifest is not None
        assert (photos.manifest["generator"], photos.manifest["seed"]) == ("toy-facades photos", 5)
        assert photos.warnings == ()


def test_writing_again_replaces_toy_facades_but_nothing_else(facades, tmp_path):
    write_toy_facades(tmp_path, 6, 64, seed=1)
    write_toy_facades(tmp_path, 3, 64, seed=1)
    assert len(open_image_set("train/photos", tmp_path).images) == 2
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match=r"holds 'thesis\.txt', which are no toy facades"):
        write_toy_facades(tmp_path, 3, 64, seed=1)


def test_both_parts_need_a_facade(tmp_path):
    with pytest.raises(UserError, match="n_test = 3 of n = 3: both parts need at least one"):
        write_toy_facades(tmp_path / "toy", 3, 64, n_test=3)
