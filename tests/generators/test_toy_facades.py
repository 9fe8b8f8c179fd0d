"""Toy facades and the baselines fitted on them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generators.baselines import NearestPatches, write_mean_colour, write_nearest_patches
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


class TestBaselines:
    def folders(self, facades: Path) -> tuple[Path, Path, Path]:
        return facades / "train/labels", facades / "train/photos", facades / "test/labels"

    def test_mean_colour_paints_each_class_with_its_mean_over_the_training_photos(self, facades, tmp_path):
        write_mean_colour(*self.folders(facades), tmp_path / "out")
        made = open_image_set("out", tmp_path)
        assert made.source_ids == open_image_set("test/labels", facades).source_ids
        labels, photos = (
            np.stack(
                [
                    np.asarray(Image.open(image.path))
                    for image in open_image_set(f"train/{kind}", facades).images
                ]
            )
            for kind in ("labels", "photos")
        )
        wall = (labels == PALETTE["wall"]).all(-1)
        test_wall = (
            np.asarray(Image.open(facades / "test/labels" / made.images[0].path.name)) == PALETTE["wall"]
        ).all(-1)
        painted = np.asarray(Image.open(made.images[0].path))[test_wall]
        assert (painted == np.round(photos[wall].mean(0))).all()

    def test_nearest_patches_gives_back_a_training_photo_for_its_own_label_map(self, facades, tmp_path):
        labels, photos, _ = self.folders(facades)
        for blend in (True, False):
            write_nearest_patches(labels, photos, labels, tmp_path / "out", NearestPatches(blend=blend))
            for image in open_image_set("out", tmp_path).images:
                wanted = np.asarray(Image.open(photos / image.path.name), int)
                assert np.abs(np.asarray(Image.open(image.path), int) - wanted).max() <= 1

    def test_fakes_are_no_copies_and_carry_what_made_them(self, facades, tmp_path):
        settings = NearestPatches(patch_px=12, stride_px=6, donors=2)
        write_nearest_patches(*self.folders(facades), tmp_path / "out", settings)
        manifest = json.loads((tmp_path / "out/manifest.json").read_text())
        assert manifest["generator"] == "nearest_patches"
        assert manifest["settings"] == {"patch_px": 12, "stride_px": 6, "blend": True, "donors": 2}
        assert len(manifest["fitted_on"]) == 12
        assert {entry["digest"] for entry in manifest["images"]}.isdisjoint(manifest["fitted_on"].values())

    def test_the_same_pairs_give_the_same_images(self, facades, tmp_path):
        for name in ("one", "two"):
            write_nearest_patches(*self.folders(facades), tmp_path / name)
        one, two = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("one", "two"))
        assert one["images"] == two["images"]

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            (NearestPatches(patch_px=3), "patch_px = 3: allowed are 4 to 64"),
            (NearestPatches(stride_px=17), "stride_px = 17: allowed are 1 to patch_px = 16"),
            (NearestPatches(donors=0), "donors = 0: at least 1"),
        ],
    )
    def test_settings_out_of_range_are_refused(self, facades, tmp_path, settings, said):
        with pytest.raises(UserError, match=said):
            write_nearest_patches(*self.folders(facades), tmp_path / "out", settings)

    def test_training_pairs_must_have_the_same_names(self, facades, tmp_path):
        with pytest.raises(UserError, match=r"16 names are not in both, e\.g\. 'facade_0000'"):
            write_mean_colour(
                facades / "train/labels", facades / "test/photos", facades / "test/labels", tmp_path / "o"
            )

    def test_a_label_colour_unknown_in_training_is_named(self, facades, tmp_path):
        (tmp_path / "maps").mkdir()
        Image.new("RGB", (64, 64), (1, 2, 3)).save(tmp_path / "maps/x.png")
        with pytest.raises(UserError, match="colour #010203 does not occur in the training label maps"):
            write_mean_colour(*self.folders(facades)[:2], tmp_path / "maps", tmp_path / "out")
