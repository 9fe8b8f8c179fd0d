"""Image sets are found, named and described the same whatever tool wrote the folder."""

import json
from pathlib import Path

import pytest
from PIL import Image

from studies.errors import UserError
from studies.imagesets import READERS, natural_key, open_image_set, pixel_digest, write_manifest


def put(path: Path, colour: tuple[int, int, int] = (10, 20, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(path)


def results(folder: Path, labels: list[str], stems: list[str]) -> Path:
    """A results folder of the PyTorch tool; returns results/<name>."""
    for stem in stems:
        for label in labels:
            put(folder / "results/run/test_latest/images" / f"{stem}_{label}.png")
    return folder / "results/run"


def complaint(location: str, base: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_image_set(location, base)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_registry_keys_are_the_module_stems():
    for key, reader in READERS.items():
        assert key == reader.name
        assert type(reader).__module__ == f"studies.imagesets.{key}"


def test_natural_order_puts_2_before_10():
    assert sorted(["10", "2", "a10", "a9", "01", "1"], key=natural_key) == ["01", "1", "2", "10", "a9", "a10"]


class TestPlainFolders:
    def test_the_source_id_is_the_stem_and_extensions_may_be_in_any_case(self, tmp_path):
        for name in ("b10.PNG", "b2.jpg", "c.JPEG", "d.webp", "e.tif", "f.TIFF", "g.bmp", "h.ppm"):
            put(tmp_path / "real" / name)
        (tmp_path / "real/notes.txt").write_text("not an image")
        found = open_image_set("real", tmp_path)
        assert found.source_ids == ("b2", "b10", "c", "d", "e", "f", "g", "h")
        assert (found.layout, found.label, found.manifest) == ("folder", None, None)

    def test_a_nested_folder_puts_its_subfolders_into_the_ids(self, tmp_path):
        put(tmp_path / "real/zurich/1.png")
        put(tmp_path / "real/aachen/1.png")
        assert open_image_set("real", tmp_path).source_ids == ("aachen/1", "zurich/1")

    def test_hidden_files_of_macos_are_no_images(self, tmp_path):
        put(tmp_path / "real/1.png")
        (tmp_path / "real/._1.png").write_bytes(b"resource fork")
        (tmp_path / "real/__MACOSX").mkdir()
        (tmp_path / "real/__MACOSX/2.png").write_bytes(b"resource fork")
        assert open_image_set("real", tmp_path).source_ids == ("1",)

    def test_two_files_for_one_input_are_refused_by_name(self, tmp_path):
        put(tmp_path / "real/a.png")
        put(tmp_path / "real/a.jpg")
        message = complaint("real", tmp_path)
        assert "a.jpg and a.png both stand for input 'a'" in message

    def test_ids_spelt_in_two_unicode_forms_are_one_input(self, tmp_path):
        put(tmp_path / "real/e\u0301.png")
        assert open_image_set("real", tmp_path).source_ids == ("\u00e9",)

    def test_a_label_is_refused(self, tmp_path):
        put(tmp_path / "real/a.png")
        assert complaint("real:fake_B", tmp_path) == (
            "real:fake_B: a plain folder of images has no labels. Leave out ':fake_B'."
        )

    def test_a_colon_in_the_name_of_a_folder_is_no_label(self, tmp_path):
        put(tmp_path / "run:3/a.png")
        assert open_image_set("run:3", tmp_path).label is None


class TestLocations:
    def test_a_path_may_lead_out_of_a_study_folder_that_is_not_there_yet(self, tmp_path):
        put(tmp_path / "real/1.png")
        assert open_image_set("../real", tmp_path / "study").source_ids == ("1",)

    def test_a_missing_folder_names_the_nearest(self, tmp_path):
        put(tmp_path / "results_a/1.png")
        assert complaint("result_a", tmp_path).endswith("Did you mean 'results_a'?")

    def test_a_missing_folder_with_a_label_names_the_folder(self, tmp_path):
        assert f"no such folder: {tmp_path / 'nowhere'}." in complaint("nowhere:fake_B", tmp_path)

    def test_a_file_is_no_folder(self, tmp_path):
        put(tmp_path / "a.png")
        assert "is a file. Give the folder that holds the images." in complaint("a.png", tmp_path)

    def test_an_empty_folder_says_so(self, tmp_path):
        (tmp_path / "real").mkdir()
        assert "(it is empty). Allowed are png, jpg" in complaint("real", tmp_path)

    def test_a_folder_without_images_says_what_it_holds(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "real/a.npz").write_bytes(b"")
        assert "(1 other files, e.g. a.npz)" in complaint("real", tmp_path)

    def test_an_empty_location_is_refused(self, tmp_path):
        assert "no folder is named" in complaint(" ", tmp_path)


class TestPyTorchResults:
    @pytest.mark.parametrize("above", ["results", "results/run", "results/run/test_latest"])
    def test_the_images_are_found_from_any_folder_above(self, tmp_path, above):
        results(tmp_path, ["real_A", "fake_B", "real_B"], ["1", "2", "10"])
        found = open_image_set(f"{above}:fake_B", tmp_path)
        assert found.source_ids == ("1", "2", "10")
        assert (found.label, found.layout) == ("fake_B", "pix2pix_results")
        assert found.images[0].path.name == "1_fake_B.png"
        assert "found in" in found.notes[0]

    def test_the_label_is_anchored_at_the_end_of_the_name(self, tmp_path):
        results(tmp_path, ["real_A", "fake_B"], ["1_A", "1_B"])
        assert open_image_set("results:fake_B", tmp_path).source_ids == ("1_A", "1_B")

    def test_the_longest_label_wins(self, tmp_path):
        results(tmp_path, ["real_A", "real_B_rgb", "fake_B_rgb"], ["1"])
        found = open_image_set("results:fake_B_rgb", tmp_path)
        assert (found.source_ids, found.label) == (("1",), "fake_B_rgb")

    def test_without_a_label_the_labels_are_listed_with_counts(self, tmp_path):
        results(tmp_path, ["real_A", "fake_B"], ["1", "2"])
        message = complaint("results/run", tmp_path)
        assert "fake_B (2), real_A (2). Add the one you mean, e.g. results/run:fake_B." in message

    def test_an_unknown_label_names_the_nearest(self, tmp_path):
        results(tmp_path, ["real_A", "fake_B"], ["1"])
        assert complaint("results:fakeB", tmp_path) == (
            "results:fakeB: no images labelled 'fakeB' there. Did you mean 'fake_B'?"
        )

    def test_several_results_folders_are_listed(self, tmp_path):
        results(tmp_path, ["real_A", "fake_B"], ["1"])
        put(tmp_path / "results/run/test_100/images/1_fake_B.png")
        message = complaint("results/run:fake_B", tmp_path)
        assert (
            "2 results folders below it (test_100/images, test_latest/images). Name the one you mean."
            in message
        )

    def test_a_folder_of_one_kind_needs_no_label(self, tmp_path):
        put(tmp_path / "copied/1_fake_B.png")
        found = open_image_set("copied", tmp_path)
        assert (found.label, found.source_ids) == ("fake_B", ("1",))
        assert "the only kind of image there is fake_B" in found.notes

    def test_exactly_50_images_are_warned_about(self, tmp_path):
        results(tmp_path, ["fake_B", "real_B"], [str(index) for index in range(50)])
        (warning,) = open_image_set("results:fake_B", tmp_path).warnings
        assert warning.startswith("exactly 50 images, the default of the tool's --num_test")

    @pytest.mark.parametrize(("label", "warned"), [("fake_A", True), ("real_B", True), ("fake_B", False)])
    def test_cyclegan_warns_where_names_come_from_the_other_domain(self, tmp_path, label, warned):
        results(tmp_path, ["real_A", "fake_B", "rec_A", "real_B", "fake_A", "rec_B"], ["1", "2"])
        warnings = open_image_set(f"results:{label}", tmp_path).warnings
        assert any("only if testA and testB are index-aligned" in text for text in warnings) is warned

    def test_the_option_file_is_quoted(self, tmp_path):
        run = results(tmp_path, ["real_A", "fake_B"], ["1"])
        options = tmp_path / "checkpoints" / run.name / "test_opt.txt"
        options.parent.mkdir(parents=True)
        options.write_text(
            "----------------- Options ---------------\n"
            "                direction: BtoA                          \t[default: AtoB]\n"
            "                     eval: False\n"
            "                    model: pix2pix                       \t[default: test]\n"
            "               no_dropout: False\n"
        )
        notes = open_image_set("results:fake_B", tmp_path).notes
        assert "test_opt.txt: model=pix2pix, direction=BtoA, eval=False, no_dropout=False" in notes
        assert any("real_A is the data set's B" in note for note in notes)
        assert any("dropout was on while testing" in note for note in notes)

    def test_without_an_option_file_the_assumption_is_noted(self, tmp_path):
        results(tmp_path, ["real_A", "fake_B"], ["1"])
        notes = open_image_set("results:fake_B", tmp_path).notes
        assert any("A is taken as the network's input" in note for note in notes)

    def test_training_snapshots_are_read_with_a_warning(self, tmp_path):
        for epoch in (1, 20, 100):
            put(tmp_path / f"web/images/epoch{epoch:03d}_fake_B.png")
            put(tmp_path / f"web/images/epoch{epoch:03d}_real_B.png")
        found = open_image_set("web:fake_B", tmp_path)
        assert found.source_ids == ("epoch001", "epoch020", "epoch100")
        assert any("every image is from another epoch" in text for text in found.warnings)

    def test_stray_images_are_left_out_and_named(self, tmp_path):
        run = results(tmp_path, ["real_A", "fake_B"], ["1", "2"])
        put(run / "test_latest/images/montage.png")
        found = open_image_set("results:fake_B", tmp_path)
        assert found.source_ids == ("1", "2")
        assert any("e.g. montage.png" in text for text in found.warnings)


class TestOlderTools:
    def test_torch_pix2pix_keeps_kinds_in_subfolders(self, tmp_path):
        for kind in ("input", "output", "target"):
            put(tmp_path / f"results/run/latest_net_G_val/images/{kind}/12.jpg")
        found = open_image_set("results/run:output", tmp_path)
        assert (found.layout, found.source_ids, found.warnings) == ("torch_results", ("12",), ())

    def test_torch_cyclegan_warns_of_its_pairing(self, tmp_path):
        for kind in ("real_A", "fake_B", "real_B", "fake_A"):
            put(tmp_path / f"results/run/latest_test/images/{kind}/12.png")
        assert "index-aligned" in open_image_set("results:fake_A", tmp_path).warnings[0]
        assert open_image_set("results:fake_B", tmp_path).warnings == ()

    def test_one_kind_of_a_torch_folder_is_a_plain_folder(self, tmp_path):
        put(tmp_path / "images/fake_B/12.png")
        found = open_image_set("images/fake_B", tmp_path)
        assert (found.layout, found.source_ids) == ("folder", ("12",))

    def test_tensorflow_names_lose_label_and_step(self, tmp_path):
        for kind in ("inputs", "outputs", "targets"):
            put(tmp_path / f"run/images/00000200-7-{kind}.png")
        found = open_image_set("run:outputs", tmp_path)
        assert (found.layout, found.source_ids) == ("tensorflow_results", ("7",))
        assert "images of training step 200" in found.notes

    def test_tensorflow_images_of_several_steps_are_refused(self, tmp_path):
        put(tmp_path / "run/00000200-7-outputs.png")
        put(tmp_path / "run/00000300-7-outputs.png")
        assert "several training steps (00000200, 00000300)" in complaint("run:outputs", tmp_path)


class TestManifests:
    def test_a_written_manifest_is_read_back_with_digests(self, tmp_path):
        put(tmp_path / "set/a.png", (1, 2, 3))
        write_manifest(tmp_path / "set", generator="toy", settings={"size_px": 4}, seed=7, extra={"by": "us"})
        found = open_image_set("set", tmp_path)
        assert found.manifest is not None
        assert (found.manifest["generator"], found.manifest["seed"], found.manifest["by"]) == ("toy", 7, "us")
        (entry,) = found.manifest["images"]
        assert entry == {
            "source_id": "a",
            "file": "a.png",
            "digest": pixel_digest(Image.new("RGB", (4, 4), (1, 2, 3))),
        }
        assert found.warnings == ()

    def test_a_manifest_of_other_images_is_warned_about(self, tmp_path):
        put(tmp_path / "set/a.png")
        write_manifest(tmp_path / "set", generator="toy", settings={}, seed=None)
        put(tmp_path / "set/b.png")
        assert open_image_set("set", tmp_path).warnings == (
            "manifest.json tells of other images: 0 are gone, 1 are new",
        )

    def test_a_manifest_that_is_no_object_is_left_out_with_a_warning(self, tmp_path):
        put(tmp_path / "set/a.png")
        (tmp_path / "set/manifest.json").write_text("[1, 2")
        found = open_image_set("set", tmp_path)
        assert (found.manifest, found.warnings) == (
            None,
            ("manifest.json is not a JSON object and is left out",),
        )

    def test_a_manifest_of_another_tool_is_carried_as_it_is(self, tmp_path):
        put(tmp_path / "set/a.png")
        (tmp_path / "set/manifest.json").write_text(json.dumps({"who": "them"}))
        assert open_image_set("set", tmp_path).manifest == {"who": "them"}


def test_pixel_digests_tell_pixels_and_size_apart_and_nothing_else(tmp_path):
    image = Image.new("RGB", (2, 8), (9, 9, 9))
    image.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as opened:
        assert pixel_digest(opened) == pixel_digest(image)
    assert pixel_digest(image) == pixel_digest(Image.new("L", (2, 8), 9))
    assert pixel_digest(image) != pixel_digest(Image.new("RGB", (8, 2), (9, 9, 9)))


@pytest.mark.shared_data
class TestSharedResults:
    @pytest.mark.parametrize(
        ("location", "layout"),
        [("facades_pix2pix:fake_B", 50), ("facades_cyclegan:fake_A", 50), ("cityscapes_pix2pix:real_B", 50)],
    )
    def test_the_shared_results_are_read(self, shared_data, location, layout):
        found = open_image_set(location, shared_data / "results")
        assert len(found.images) == layout
        assert found.layout == "pix2pix_results"
        assert any("--num_test" in text for text in found.warnings)

    def test_pix2pix_and_cyclegan_facades_are_of_the_same_inputs(self, shared_data):
        base = shared_data / "results"
        one = open_image_set("facades_pix2pix:fake_B", base)
        assert one.source_ids == open_image_set("facades_cyclegan:fake_A", base).source_ids
        assert one.source_ids[:3] == ("1", "2", "3")
