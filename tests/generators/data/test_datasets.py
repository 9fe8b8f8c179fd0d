"""Folders as they lie -> examples with sides and a split."""

import json
from pathlib import Path

import pytest

from generators.config import DataSettings
from generators.data import Example, ImageRef, open_dataset, open_inputs, settle_direction
from generators.data.pixels import native_size
from generators.toy_facades import PALETTE, write_toy_facades
from studies.errors import UserError
from tests.generators.data.made_up_images import fill, picture

UNPAIRED = DataSettings(task="unpaired")
PHOTOS = DataSettings(task="photos")


def names(examples) -> list[str]:
    return [one.name for one in examples]


class TestLayouts:
    def test_aligned_images_are_halved_a_left_and_b_right(self, tmp_path):
        fill(tmp_path / "train", "1 2 10", size=(64, 32))
        fill(tmp_path / "test", "3", size=(64, 32))
        dataset = open_dataset(str(tmp_path), DataSettings())
        assert names(dataset.train) == ["1", "2", "10"]
        assert dataset.test[0] == Example(
            "3", ImageRef(tmp_path / "test/3.png", "left"), ImageRef(tmp_path / "test/3.png", "right")
        )
        assert (dataset.layout, dataset.split) == (
            "aligned A|B images in {train,test}",
            "given by the folder",
        )

    def test_val_serves_where_there_is_no_test(self, tmp_path):
        for phase in ("train", "val"):
            fill(tmp_path / phase, f"{phase}1", size=(64, 32))
        dataset = open_dataset(str(tmp_path), DataSettings())
        assert names(dataset.test) == ["val1"]
        assert dataset.split == "given by the folder: val, for there is no test"

    @pytest.mark.parametrize("form", ["{side}/{phase}", "{phase}/{side}", "{phase}{side}"])
    def test_sides_in_folders_of_their_own_are_matched_by_name(self, tmp_path, form):
        for phase, here in (("train", "x y"), ("test", "z")):
            for seed, side in enumerate("AB"):
                fill(tmp_path / form.format(phase=phase, side=side), here, seed)
        dataset = open_dataset(str(tmp_path), DataSettings())
        assert (names(dataset.train), names(dataset.test)) == (["x", "y"], ["z"])
        assert dataset.test[0].a == ImageRef(tmp_path / form.format(phase="test", side="A") / "z.png")
        assert dataset.test[0].b == ImageRef(tmp_path / form.format(phase="test", side="B") / "z.png")

    def test_partners_may_be_named_after_their_side_and_have_another_extension(self, tmp_path):
        fill(tmp_path / "trainA", "1_A 2_A")
        fill(tmp_path / "trainB", "1_B")
        picture(9).save(tmp_path / "trainB/2_B.jpg")
        assert names(open_dataset(str(tmp_path), DataSettings(test_share=0)).train) == ["1", "2"]

    def test_unpaired_sides_are_all_the_as_then_all_the_bs(self, tmp_path):
        for phase in ("train", "test"):
            fill(tmp_path / f"{phase}A", "horse1 horse2")
            fill(tmp_path / f"{phase}B", "zebra1 zebra2 zebra3")
        dataset = open_dataset(str(tmp_path), UNPAIRED)
        assert names(dataset.train) == ["horse1", "horse2", "zebra1", "zebra2", "zebra3"]
        assert [(one.a is None, one.b is None) for one in dataset.test] == [(False, True)] * 2 + [
            (True, False)
        ] * 3

    def test_each_unpaired_side_is_split_on_its_own(self, tmp_path):
        fill(tmp_path / "A", " ".join(f"a{n}" for n in range(10)))
        fill(tmp_path / "B", " ".join(f"b{n}" for n in range(20)))
        test = open_dataset(str(tmp_path), UNPAIRED).test
        assert (sum(one.b is None for one in test), sum(one.a is None for one in test)) == (2, 4)

    def test_unpaired_training_keeps_pairs_that_are_certain(self, tmp_path):
        fill(tmp_path / "train", "1 2", size=(64, 32))
        assert all(one.a and one.b for one in open_dataset(str(tmp_path), UNPAIRED).train)

    def test_toy_facades_are_labels_and_photos_and_bring_their_colours(self, tmp_path):
        write_toy_facades(tmp_path / "toy", 4, 64, n_test=1)
        dataset = open_dataset(str(tmp_path / "toy"), DataSettings())
        assert (len(dataset.train), len(dataset.test)) == (3, 1)
        assert dataset.train[0].a == ImageRef(tmp_path / "toy/train/labels/facade_0000.png", label_map=True)
        assert dataset.class_colours == PALETTE

    def test_classes_json_gives_the_class_colours(self, tmp_path):
        for kind in ("labels", "images"):
            fill(tmp_path / "train" / kind, "1 2")
        (tmp_path / "classes.json").write_text(
            '{"classes": ["sky", "car"], "palette": [[1, 2, 3], [4, 5, 6]]}'
        )
        dataset = open_dataset(str(tmp_path), DataSettings())
        assert dataset.class_colours == {"sky": (1, 2, 3), "car": (4, 5, 6)}
        assert dataset.train[0].a is not None
        assert dataset.train[0].a.path.parent.name == "labels"
        (tmp_path / "classes.json").write_text('{"classes": ["sky"], "palette": []}')
        with pytest.raises(UserError, match=r"classes\.json: a list of names under 'classes' and as many"):
            open_dataset(str(tmp_path), DataSettings())

    def test_results_folders_give_inputs_and_real_photos_never_fakes(self, tmp_path):
        place = tmp_path / "facades/test_latest/images"
        for seed, label in enumerate(("real_A", "fake_B", "real_B")):
            fill(place, " ".join(f"{n}_{label}" for n in range(1, 11)), seed)
        dataset = open_dataset(str(tmp_path), DataSettings())
        assert (len(dataset.train), len(dataset.test)) == (8, 2)
        for one in (*dataset.train, *dataset.test):
            assert one.a == ImageRef(place / f"{one.name}_real_A.png")
            assert one.b == ImageRef(place / f"{one.name}_real_B.png")

    @pytest.mark.parametrize(
        ("labels", "side"),
        [("real_A fake_B real_B", "A"), ("real_A fake_A real_B", ""), ("real_A fake_B rec_A real_B", "")],
    )
    def test_only_results_of_a_network_that_goes_one_way_tell_which_side_is_its_input(
        self, tmp_path, labels, side
    ):
        for label in labels.split():
            fill(tmp_path, " ".join(f"{n}_{label}" for n in range(1, 11)))
        assert open_dataset(str(tmp_path), DataSettings()).label_side == side

    @pytest.mark.parametrize("task", ["paired", "unpaired"])
    def test_what_lies_in_a_folder_of_labels_is_never_mixed_in_resizing(self, tmp_path, task):
        for kind in ("labels", "photos"):
            fill(tmp_path / "labels/test" / kind, "1 2")
        (one, *_) = open_inputs(str(tmp_path / "labels/test"), DataSettings(task=task))
        assert one.a == ImageRef(tmp_path / "labels/test/labels/1.png", label_map=True)
        (back, *_) = open_inputs(str(tmp_path / "labels/test"), DataSettings(task=task), backward=True)
        assert back.b == ImageRef(tmp_path / "labels/test/photos/1.png")

    def test_colours_of_a_and_b_folders_are_those_of_the_label_side(self, tmp_path):
        for side in "AB":
            fill(tmp_path / "train" / side, "1 2")
        (tmp_path / "classes.json").write_text('{"classes": ["sky"], "palette": [[1, 2, 3]]}')
        dataset = open_dataset(str(tmp_path), DataSettings())
        assert dataset.label_side == "B"
        assert [(one.a.label_map, one.b.label_map) for one in dataset.train if one.a and one.b] == [
            (False, True)
        ]

    def test_a_folder_above_called_labels_names_no_side(self, tmp_path):
        for side in "AB":
            fill(tmp_path / f"labels/train{side}", "1 2")
        assert open_dataset(str(tmp_path / "labels"), DataSettings()).label_side == "B"

    def test_a_folder_of_photos_serves_tasks_that_need_one_photo(self, tmp_path):
        fill(tmp_path / "zurich", "1 2 3 4 5")
        dataset = open_dataset(str(tmp_path), PHOTOS)
        assert sorted(names([*dataset.train, *dataset.test])) == [f"zurich/{n}" for n in range(1, 6)]
        assert all(one.a == one.b for one in dataset.train)

    @pytest.mark.parametrize(("direction", "half"), [("AtoB", "right"), ("BtoA", "left")])
    def test_of_two_sides_such_tasks_take_the_target(self, tmp_path, direction, half):
        fill(tmp_path / "train", "1 2 3", size=(64, 32))
        dataset = open_dataset(str(tmp_path), DataSettings(task="colorization", direction=direction))
        assert {one.b.half for one in dataset.train if one.b} == {half}

    def test_phases_of_photos_are_kept(self, tmp_path):
        for phase in ("train", "test"):
            fill(tmp_path / phase, f"{phase}1 {phase}2")
        assert names(open_dataset(str(tmp_path), PHOTOS).test) == ["test1", "test2"]


class TestSplit:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        fill(tmp_path, " ".join(map(str, range(50))))
        return tmp_path

    def test_is_drawn_from_seed_and_share(self, folder):
        def test(**settings) -> list[str]:
            return names(open_dataset(str(folder), DataSettings(task="photos", **settings)).test)

        assert test() == test()
        assert len(test()) == 10
        assert len(test(test_share=0.5)) == 25
        assert test(split_seed=1) != test()
        assert test(test_share=0) == []

    def test_shares_no_image_and_loses_none(self, folder):
        dataset = open_dataset(str(folder), PHOTOS)
        assert sorted(names([*dataset.train, *dataset.test]), key=int) == [str(n) for n in range(50)]
        assert dataset.split == "drawn: share 0.2, seed 0"

    def test_needs_images_on_both_parts(self, folder, tmp_path):
        with pytest.raises(UserError, match="test_share=1: a share below 1"):
            open_dataset(str(folder), DataSettings(task="photos", test_share=1.0))
        fill(tmp_path / "alone", "1")
        with pytest.raises(UserError, match="one image is too few to train and to test"):
            open_dataset(str(tmp_path / "alone"), PHOTOS)


class TestBadFolders:
    def test_names_without_a_partner_are_listed(self, tmp_path):
        fill(tmp_path / "A", "1 2 3 4 5 6 7 8")
        fill(tmp_path / "B", "1 2 x")
        with pytest.raises(UserError) as error:
            open_dataset(str(tmp_path), DataSettings())
        assert f"6 of {tmp_path}/A (3, 4, 5, 6, 7, …) and 1 of {tmp_path}/B (x)" in str(error.value)
        assert "task=unpaired" in str(error.value)

    def test_photos_alone_are_no_pairs(self, tmp_path):
        fill(tmp_path, "1 2")
        with pytest.raises(
            UserError, match=r"single photos, but task=paired needs two sides\. Allowed are aligned"
        ):
            open_dataset(str(tmp_path), DataSettings())

    def test_a_folder_without_images_says_what_is_there(self, tmp_path):
        with pytest.raises(UserError, match=r"no images in it \(it is empty\). Allowed are png, jpg"):
            open_dataset(str(tmp_path), DataSettings())
        (tmp_path / "notes.txt").touch()
        with pytest.raises(UserError, match=r"1 other files, e\.g\. notes\.txt"):
            open_dataset(str(tmp_path), DataSettings())

    def test_empty_sides_hold_no_images(self, tmp_path):
        (tmp_path / "A").mkdir()
        (tmp_path / "B").mkdir()
        with pytest.raises(UserError, match=r"no images in it \(\{A,B\}\)"):
            open_dataset(str(tmp_path), DataSettings())

    def test_a_wrong_path_is_answered_with_the_nearest(self, tmp_path):
        (tmp_path / "facades").mkdir()
        with pytest.raises(UserError, match=r"no such folder.*Did you mean '.*/facades'"):
            open_dataset(str(tmp_path / "facade"), DataSettings())
        with pytest.raises(UserError, match="Did you mean 'horse2zebra'"):
            open_dataset("horse2zebras", DataSettings())
        with pytest.raises(UserError, match="no dataset is named"):
            open_dataset("", DataSettings())

    def test_a_file_is_no_dataset(self, tmp_path):
        fill(tmp_path, "1")
        with pytest.raises(UserError, match=r"a file\. Give the folder"):
            open_dataset(str(tmp_path / "1.png"), DataSettings())

    def test_two_results_folders_below_are_named(self, tmp_path):
        for run in ("one", "two"):
            fill(tmp_path / run / "images", "1_real_A 1_real_B")
        with pytest.raises(UserError, match=r"2 results folders below it \(one/images, two/images\)"):
            open_dataset(str(tmp_path), DataSettings())

    def test_results_without_real_photos_cannot_train(self, tmp_path):
        fill(tmp_path, "1_real 1_fake")
        with pytest.raises(UserError, match="real images of both sides are needed; there are fake, real"):
            open_dataset(str(tmp_path), DataSettings())


class TestInputs:
    def test_a_plain_folder_is_taken_whole_as_the_source_side(self, tmp_path):
        fill(tmp_path, "1 2")
        inputs = open_inputs(str(tmp_path), DataSettings())
        assert inputs[0] == Example("1", ImageRef(tmp_path / "1.png"), None)
        assert names(inputs) == ["1", "2"]

    def test_direction_and_backward_decide_the_side(self, tmp_path):
        fill(tmp_path, "1")

        def side(direction, backward) -> str:
            (one,) = open_inputs(str(tmp_path), DataSettings(direction=direction), backward=backward)
            return "A" if one.a else "B"

        assert [side(d, b) for d in ("AtoB", "BtoA") for b in (False, True)] == ["A", "B", "B", "A"]

    def test_a_dataset_gives_its_test_split(self, tmp_path):
        for phase, here in (("train", "1 2"), ("test", "3 4")):
            fill(tmp_path / phase, here, size=(64, 32))
        inputs = open_inputs(str(tmp_path), DataSettings())
        assert names(inputs) == ["3", "4"]
        assert all(one.a and one.b for one in inputs)

    def test_one_phase_of_a_dataset_is_taken_whole(self, tmp_path):
        fill(tmp_path / "test", "3 4", size=(64, 32))
        fill(tmp_path / "val/A", "5")
        fill(tmp_path / "val/B", "5")
        assert [one.b.half for one in open_inputs(str(tmp_path / "test"), DataSettings()) if one.b] == [
            "right"
        ] * 2
        assert names(open_inputs(str(tmp_path / "val"), DataSettings())) == ["5"]

    def test_unpaired_inputs_are_those_of_the_wanted_side(self, tmp_path):
        for phase in ("train", "test"):
            fill(tmp_path / f"{phase}A", "horse")
            fill(tmp_path / f"{phase}B", "zebra")
        assert names(open_inputs(str(tmp_path), UNPAIRED)) == ["horse"]
        assert names(open_inputs(str(tmp_path), UNPAIRED, backward=True)) == ["zebra"]

    def test_one_kind_of_a_results_folder_is_named_by_its_label(self, tmp_path):
        fill(tmp_path, "1_real_A 1_fake_B 1_real_B")
        (one,) = open_inputs(f"{tmp_path}:real_B", DataSettings(direction="BtoA"))
        assert one == Example("1", None, ImageRef(tmp_path / "1_real_B.png"))

    def test_photos_have_their_own_target(self, tmp_path):
        fill(tmp_path, "1")
        (one,) = open_inputs(str(tmp_path), DataSettings(task="colorization"))
        assert one.a == one.b == ImageRef(tmp_path / "1.png")

    def test_of_the_photos_it_was_trained_on_only_those_held_out_are_taken(self, tmp_path):
        fill(tmp_path / "photos", " ".join(map(str, range(10))))
        folder = str(tmp_path / "photos")
        held_out = open_inputs(folder, PHOTOS, trained_on=f"{tmp_path}/other/../photos")
        assert names(held_out) == names(open_dataset(folder, PHOTOS).test)
        assert len(open_inputs(folder, PHOTOS, trained_on=str(tmp_path))) == 10

    def test_a_dataset_known_by_name_is_known_by_its_path_too(self, tmp_path, monkeypatch):
        monkeypatch.setenv("EVALKIT_DATA", str(tmp_path))
        fill(tmp_path / "ae_photos", " ".join(map(str, range(10))))
        held_out = names(open_dataset("ae_photos", PHOTOS).test)
        for inputs, trained_on in (
            ("ae_photos", str(tmp_path / "ae_photos")),
            (str(tmp_path / "ae_photos"), "ae_photos"),
        ):
            assert names(open_inputs(inputs, PHOTOS, trained_on=trained_on)) == held_out

    def test_pairs_without_a_split_that_were_not_trained_on_are_taken_whole(self, tmp_path):
        for side in "AB":
            fill(tmp_path / "pairs" / side, "1 2 3 4 5 6 7 8 9 10")
        folder = str(tmp_path / "pairs")
        assert len(open_inputs(folder, DataSettings(), trained_on="unknown")) == 10
        assert len(open_inputs(folder, DataSettings(), trained_on=folder)) == 2

    @pytest.mark.parametrize(("direction", "half"), [("AtoB", "right"), ("BtoA", "left")])
    def test_one_phase_gives_tasks_of_one_photo_the_side_they_were_trained_on(
        self, tmp_path, direction, half
    ):
        fill(tmp_path / "test", "3 4", size=(64, 32))
        settings = DataSettings(task="colorization", direction=direction)
        assert [one.b.half for one in open_inputs(str(tmp_path / "test"), settings) if one.b] == [half] * 2

    def test_source_images_may_lie_in_phases(self, tmp_path):
        fill(tmp_path / "train", "1")
        fill(tmp_path / "test", "2")
        assert open_inputs(str(tmp_path), DataSettings()) == [
            Example("2", ImageRef(tmp_path / "test/2.png"), None)
        ]


class TestKnownNames:
    def test_toy_facades_are_drawn_once_at_the_size_of_the_crop(self, tmp_path, monkeypatch):
        monkeypatch.setenv("EVALKIT_DATA", str(tmp_path / "data"))
        monkeypatch.setattr("generators.data.locations.TOY_TRAIN_IMAGES", 3)
        monkeypatch.setattr("generators.data.locations.TOY_TEST_IMAGES", 2)
        for crop_size_px, drawn in ((16, 64), (96, 96), (256, 128)):
            dataset = open_dataset("toy-facades", DataSettings(crop_size_px=crop_size_px))
            assert (len(dataset.train), len(dataset.test)) == (3, 2)
            assert dataset.train[0].a is not None
            assert native_size(dataset.train[0].a) == (drawn, drawn)
        before = (tmp_path / "data/toy-facades-64/train/photos/manifest.json").stat()
        open_inputs("toy-facades-64", DataSettings())
        assert (tmp_path / "data/toy-facades-64/train/photos/manifest.json").stat() == before
        assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
            "toy-facades-128", "toy-facades-64", "toy-facades-96"
        ]  # fmt: skip
        with pytest.raises(UserError, match="size_px = 300: allowed are 64 to 128"):
            open_dataset("toy-facades-300", DataSettings())

    def test_a_dataset_not_fetched_yet_says_how(self, tmp_path, monkeypatch):
        monkeypatch.setenv("EVALKIT_DATA", str(tmp_path))
        with pytest.raises(
            UserError, match=r"facades: not in .* yet. Fetch it with: evalkit data get facades"
        ):
            open_dataset("facades", DataSettings())

    def test_a_folder_of_that_name_goes_first(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        fill(tmp_path / "facades/train", "1 2", size=(64, 32))
        assert names(open_dataset("facades", DataSettings(test_share=0)).train) == ["1", "2"]

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path, monkeypatch):
        (tmp_path / "file").touch()
        monkeypatch.setenv("EVALKIT_DATA", str(tmp_path / "file"))
        with pytest.raises(UserError, match="the toy facades cannot be written there"):
            open_dataset("toy-facades", DataSettings())


@pytest.mark.shared_data
class TestRealData:
    def test_camvid_has_its_split_and_its_colours(self, shared_data):
        dataset = open_dataset(str(shared_data / "camvid"), DataSettings())
        assert (len(dataset.train), len(dataset.test)) == (367, 117)
        told = json.loads((shared_data / "camvid/classes.json").read_text())
        assert dataset.class_colours is not None
        assert [list(colour) for colour in dataset.class_colours.values()] == told["palette"]

    @pytest.mark.parametrize(
        ("folder", "direction"), [("facades_pix2pix", "AtoB"), ("facades_cyclegan", "BtoA")]
    )
    def test_the_facades_results_are_forty_pairs_and_ten(self, shared_data, folder, direction):
        settings = DataSettings(direction=direction)
        dataset = open_dataset(str(shared_data / "results" / folder), settings)
        assert (len(dataset.train), len(dataset.test)) == (40, 10)

    def test_results_of_cyclegan_do_not_tell_which_side_holds_the_label_maps(self, shared_data):
        wanted = DataSettings(direction="labels_to_photos")
        pix2pix, cyclegan = (
            str(shared_data / "results" / name) for name in ("facades_pix2pix", "facades_cyclegan")
        )
        assert settle_direction(pix2pix, wanted).direction == "AtoB"
        with pytest.raises(UserError, match="nothing tells which side holds the label maps"):
            settle_direction(cyclegan, wanted)  # its A are photos

    def test_both_facades_results_hold_out_the_same_facades(self, shared_data):
        one, other = (
            open_dataset(str(shared_data / "results" / name), DataSettings())
            for name in ("facades_pix2pix", "facades_cyclegan")
        )
        assert names(one.test) == names(other.test)
