"""Images -> tensors -> pictures, task by task."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from generators.config import DataSettings
from generators.data import TASKS, Example, ImageRef, TrainingSet, open_dataset
from generators.data.lab import lab_to_rgb, rgb_to_lab
from generators.data.pixels import read_pixels, to_pixels, to_tensor
from generators.data.tasks.super_resolution import match_histograms
from studies.errors import UserError
from tests.generators.data.made_up_images import fill, picture

SMALL = {"load_size_px": 36, "crop_size_px": 32}


def an_example(folder: Path, size: tuple[int, int] = (32, 32)) -> Example:
    """A pair in folders A and B."""
    for seed, side in enumerate("AB"):
        fill(folder / side, "1", seed, size)
    return Example("1", ImageRef(folder / "A/1.png"), ImageRef(folder / "B/1.png"))


def a_photo(folder: Path, size: tuple[int, int] = (32, 32)) -> Example:
    fill(folder, "1", size=size)
    return Example("1", ImageRef(folder / "1.png"), ImageRef(folder / "1.png"))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


class TestEveryTask:
    @pytest.fixture(params=TASKS)
    def task_name(self, request) -> str:
        return str(request.param)

    def test_gives_float32_of_the_promised_channels_in_range(self, tmp_path, task_name):
        task = TASKS[task_name](DataSettings(task=task_name, **SMALL))
        example = an_example(tmp_path)
        assert example.a is not None
        assert example.b is not None
        for source, target in (
            task.training_pair(example.a, example.b, seed=1),
            (task.source(example), task.target(example)),
        ):
            assert (source.dtype, target.dtype) == (torch.float32, torch.float32)
            assert (source.shape[0], target.shape[0]) == (task.source_channels, task.target_channels)
            assert target.shape[1:] == (32, 32)
            assert max(source.abs().max(), target.abs().max()) <= 1

    def test_shows_the_real_target_as_the_photo_itself(self, tmp_path, task_name):
        task = TASKS[task_name](DataSettings(task=task_name, **SMALL))
        example = an_example(tmp_path)
        shown = task.picture(task.source(example), task.target(example), real=True)
        assert example.b is not None
        off = np.abs(pixels(shown) - pixels(Image.fromarray(read_pixels(example.b, 0))))
        assert off.max() <= (1 if task_name == "colorization" else 0)
        assert task.source_picture(task.source(example)).size == shown.size == (32, 32)

    def test_the_same_seed_cuts_the_same(self, tmp_path, task_name):
        task = TASKS[task_name](DataSettings(task=task_name, **SMALL))
        example = an_example(tmp_path)
        assert example.a is not None
        assert example.b is not None
        drawn = [task.training_pair(example.a, example.b, seed) for seed in (1, 1, *range(2, 12))]
        assert all(torch.equal(*two) for two in zip(drawn[0], drawn[1], strict=True))
        assert len({source.numpy().tobytes() for source, _ in drawn}) > 5

    def test_pictures_are_downsampled_by_area_for_display(self, tmp_path, task_name):
        settings = DataSettings(task=task_name, test_size_px=64, display_size_px=32, **SMALL)
        task = TASKS[task_name](settings)
        example = an_example(tmp_path, (64, 64))
        source, target = task.source(example), task.target(example)
        assert target.shape[1:] == (64, 64)
        full = TASKS[task_name](DataSettings(task=task_name, test_size_px=64, **SMALL))
        means = pixels(full.picture(source, target)).reshape(32, 2, 32, 2, 3).mean((1, 3))
        assert np.abs(pixels(task.picture(source, target)) - means).max() <= 0.5
        assert task.source_picture(source).size == (32, 32)

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"load_size_px": 24, "crop_size_px": 32}, "load_size_px=24 is smaller than crop_size_px=32"),
            ({"load_size_px": 36, "crop_size_px": 0}, "crop_size_px=0: at least 1 px"),
            ({"display_size_px": 64, **SMALL}, "display_size_px=64 is larger than the 32 px"),
        ],
    )
    def test_refuses_sizes_that_do_not_go_together(self, task_name, settings, said):
        with pytest.raises(UserError, match=said):
            TASKS[task_name](DataSettings(task=task_name, **settings))


class TestPaired:
    def test_both_sides_are_cut_and_mirrored_alike(self, tmp_path):
        fill(tmp_path, "1")
        same = ImageRef(tmp_path / "1.png")
        for seed in range(8):
            source, target = TASKS["paired"](DataSettings(**SMALL)).training_pair(same, same, seed)
            assert source.equal(target)

    def test_jitter_reaches_every_place_and_mirrors_half(self, tmp_path):
        ramp = np.zeros((6, 6, 3), np.uint8)
        ramp[..., 0], ramp[..., 1] = np.arange(6)[:, None] * 40, np.arange(6)[None] * 40
        Image.fromarray(ramp).save(tmp_path / "1.png")
        ref = ImageRef(tmp_path / "1.png")
        task = TASKS["paired"](DataSettings(load_size_px=6, crop_size_px=4))
        cuts = [to_pixels(task.training_pair(ref, ref, seed)[0]) for seed in range(300)]
        mirrored = [cut[0, 0, 1] > cut[0, -1, 1] for cut in cuts]
        assert 0.4 < np.mean(mirrored) < 0.6
        assert {int(cut[0, 0, 0]) // 40 for cut in cuts} == {0, 1, 2}
        assert {int(cut[0, :, 1].min()) // 40 for cut in cuts} == {0, 1, 2}

    def test_without_mirroring_nothing_is_mirrored(self, tmp_path):
        fill(tmp_path, "1")
        ref = ImageRef(tmp_path / "1.png")
        task = TASKS["paired"](DataSettings(load_size_px=32, crop_size_px=32, mirror=False))
        whole = to_tensor(read_pixels(ref, 0))
        assert all(task.training_pair(ref, ref, seed)[0].equal(whole) for seed in range(8))

    def test_direction_swaps_source_and_target(self, tmp_path):
        example = an_example(tmp_path)
        forward = TASKS["paired"](DataSettings(**SMALL))
        backward = TASKS["paired"](DataSettings(direction="BtoA", **SMALL))
        assert forward.source(example).equal(backward.target(example))
        assert example.a is not None
        assert example.b is not None
        one, other = (task.training_pair(example.a, example.b, 3) for task in (forward, backward))
        assert one[0].equal(other[1])

    def test_a_missing_side_is_named(self, tmp_path):
        example = Example("1", an_example(tmp_path).a, None)
        with pytest.raises(
            UserError, match="1: has no image on side B, which is the target with direction=AtoB"
        ):
            TASKS["paired"](DataSettings(**SMALL)).target(example)

    def test_other_aspect_ratios_become_squares(self, tmp_path):
        assert TASKS["paired"](DataSettings(**SMALL)).source(an_example(tmp_path, (60, 20))).shape == (
            3,
            32,
            32,
        )

    def test_sides_of_different_size_need_resizing(self, tmp_path):
        fill(tmp_path, "a", size=(40, 40))
        fill(tmp_path, "b", size=(48, 40))
        a, b = ImageRef(tmp_path / "a.png"), ImageRef(tmp_path / "b.png")
        with pytest.raises(UserError, match=r"a\.png \(40x40 px\) and .*b\.png \(48x40 px\) differ in size"):
            TASKS["paired"](DataSettings(load_size_px=0, crop_size_px=32)).training_pair(a, b, 0)


class TestUnpaired:
    def test_each_side_has_a_jitter_of_its_own(self, tmp_path):
        fill(tmp_path, "1")
        same = ImageRef(tmp_path / "1.png")
        task = TASKS["unpaired"](DataSettings(task="unpaired", **SMALL))
        pairs = [task.training_pair(same, same, seed) for seed in range(8)]
        assert any(not source.equal(target) for source, target in pairs)


class TestLabelMaps:
    def test_resizing_a_palette_png_makes_no_new_colour(self, tmp_path):
        image = picture(1, (50, 50)).quantize(5)
        image.save(tmp_path / "labels.png")
        before = {tuple(colour) for colour in pixels(image.convert("RGB")).reshape(-1, 3)}
        after = read_pixels(ImageRef(tmp_path / "labels.png"), 36)
        assert {tuple(colour) for colour in after.reshape(-1, 3)} <= before

    def test_nor_does_resizing_one_that_the_dataset_calls_so(self, tmp_path):
        image = picture(1, (50, 50)).quantize(5).convert("RGB")
        image.save(tmp_path / "1.png")
        colours = len(image.getcolors() or [])
        as_labels, as_photo = (
            read_pixels(ImageRef(tmp_path / "1.png", label_map=label_map), 36) for label_map in (True, False)
        )
        assert len(Image.fromarray(as_labels).getcolors() or []) <= colours
        assert len(Image.fromarray(as_photo).getcolors(10**6) or []) > colours


class TestColorization:
    @pytest.mark.parametrize(
        ("rgb", "lab"),
        [
            # Red, green and blue as tabulated by Lindbloom's calculator for sRGB and D65.
            ((255, 0, 0), (53.24, 80.09, 67.20)),
            ((0, 255, 0), (87.74, -86.18, 83.18)),
            ((0, 0, 255), (32.30, 79.19, -107.86)),
            ((255, 255, 255), (100, 0, 0)),
            ((0, 0, 0), (0, 0, 0)),
            ((119, 119, 119), (50.03, 0, 0)),
        ],
    )
    def test_lab_has_known_values(self, rgb, lab):
        assert rgb_to_lab(np.asarray([rgb], np.uint8))[0] == pytest.approx(lab, abs=0.03)

    def test_lab_goes_there_and_back_for_every_level(self):
        levels = np.stack(np.meshgrid(*3 * [np.arange(0, 256, 15)]), -1).reshape(-1, 3).astype(np.uint8)
        assert np.abs(lab_to_rgb(rgb_to_lab(levels)).astype(int) - levels).max() == 0

    def test_fake_and_real_share_the_lightness_of_the_input(self, tmp_path):
        task = TASKS["colorization"](DataSettings(task="colorization", **SMALL))
        example = a_photo(tmp_path)
        source, target = task.source(example), task.target(example)
        fake = task.picture(source, target * 0.3)
        off = (
            rgb_to_lab(np.asarray(fake))[..., 0]
            - rgb_to_lab(np.asarray(task.picture(source, target)))[..., 0]
        )
        assert np.abs(off).max() < 0.6
        assert pixels(fake).tolist() != pixels(task.picture(source, target)).tolist()

    def test_the_source_is_grey(self, tmp_path):
        task = TASKS["colorization"](DataSettings(task="colorization", **SMALL))
        shown = pixels(task.source_picture(task.source(a_photo(tmp_path))))
        assert (shown == shown[..., :1]).all()

    def test_scales_are_those_of_the_reference(self, tmp_path):
        Image.new("RGB", (32, 32), (255, 0, 0)).save(tmp_path / "red.png")
        ref = ImageRef(tmp_path / "red.png")
        task = TASKS["colorization"](DataSettings(task="colorization", **SMALL))
        source, target = task.training_pair(ref, ref, 0)
        assert float(source.mean()) == pytest.approx(53.24 / 50 - 1, abs=1e-3)
        assert target.mean((1, 2)).tolist() == pytest.approx([80.09 / 110, 67.2 / 110], abs=1e-3)


class TestSuperResolution:
    @pytest.mark.parametrize("scale", [4, 8])
    def test_the_source_is_smaller_by_the_factor_and_looks_the_same(self, tmp_path, scale):
        task = TASKS["super_resolution"](
            DataSettings(task="super_resolution", scale_factor=scale, load_size_px=72, crop_size_px=64)
        )
        example = a_photo(tmp_path, (64, 64))
        source = task.source(example)
        assert source.shape == (3, 64 // scale, 64 // scale)
        means = task.target(example).reshape(3, 64 // scale, scale, 64 // scale, scale).mean((2, 4))
        assert float((source - means).abs().mean()) < 0.05

    def test_more_blur_leaves_less_detail(self, tmp_path):
        example = a_photo(tmp_path, (64, 64))
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "1.png")
        spread = [
            float(
                TASKS["super_resolution"](
                    DataSettings(task="super_resolution", blur_sigma=sigma, load_size_px=64, crop_size_px=64)
                )
                .source(example)
                .std()
            )
            for sigma in (0.0, 1.0, 3.0)
        ]
        assert spread[0] > spread[1] > spread[2]

    def test_the_source_is_an_8_bit_image(self, tmp_path):
        task = TASKS["super_resolution"](DataSettings(task="super_resolution", **SMALL))
        source = task.source(a_photo(tmp_path))
        assert torch.allclose(to_tensor(to_pixels(source)), source)

    def test_sizes_must_be_multiples_of_the_factor(self):
        with pytest.raises(
            UserError, match=r"crop_size_px=30 is no multiple of scale_factor=4. Set it to 28"
        ):
            TASKS["super_resolution"](DataSettings(task="super_resolution", load_size_px=36, crop_size_px=30))

    def test_outputs_take_the_histogram_of_the_source_and_reals_do_not(self, tmp_path):
        example = a_photo(tmp_path)

        def shown(histogram_matching: bool, real: bool) -> np.ndarray:
            task = TASKS["super_resolution"](
                DataSettings(task="super_resolution", histogram_matching=histogram_matching, **SMALL)
            )
            source = task.source(example)
            return pixels(task.picture(source, task.target(example) * 0.3, real=real))

        source = TASKS["super_resolution"](DataSettings(task="super_resolution", **SMALL)).source(example)
        wanted = to_pixels(source).astype(float)
        assert shown(True, False).mean((0, 1)) == pytest.approx(wanted.mean((0, 1)), abs=2)
        assert shown(True, False).std((0, 1)) == pytest.approx(wanted.std((0, 1)), rel=0.05)
        assert (shown(False, False) == shown(True, True)).all()
        assert shown(False, False).std() < 0.5 * wanted.std()

    def test_matching_an_image_to_itself_changes_nothing(self):
        image = np.asarray(picture(3))
        assert (match_histograms(image, image) == image).all()


class TestPhotos:
    def test_source_and_target_are_the_photo(self, tmp_path):
        task = TASKS["photos"](DataSettings(task="photos", **SMALL))
        example = a_photo(tmp_path)
        assert task.source(example).equal(task.target(example))
        assert example.b is not None
        source, target = task.training_pair(example.b, example.b, 4)
        assert source.equal(target)


class TestPixels:
    def test_every_level_survives_the_way_to_a_tensor_and_back(self):
        levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
        assert (to_pixels(to_tensor(levels)) == levels).all()

    def test_pixels_are_rounded_and_clipped_never_cut_off_or_wrapped(self):
        values = torch.tensor([-3.0, -1.0, 0.0, 99.6 / 127.5 - 1, 99.4 / 127.5 - 1, 1.2]).reshape(1, 1, 6)
        assert to_pixels(values)[0, :, 0].tolist() == [0, 0, 128, 100, 99, 255]

    def test_grey_16_bit_and_opaque_alpha_become_8_bit_rgb(self, tmp_path):
        grey = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32)
        Image.fromarray((grey // 4).astype(np.uint8)).save(tmp_path / "grey.png")
        Image.fromarray(grey * 64).save(tmp_path / "deep.png")
        picture(1).convert("RGBA").save(tmp_path / "alpha.png")
        shown = {
            name: read_pixels(ImageRef(tmp_path / f"{name}.png"), 0) for name in ("grey", "deep", "alpha")
        }
        assert (shown["grey"] == (grey // 4)[..., None]).all()
        assert np.abs(shown["deep"].astype(int) - (grey * 64.0 / 257)[..., None]).max() <= 0.5
        assert (shown["alpha"] == np.asarray(picture(1))).all()

    def test_photos_stand_upright(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        picture(1, (40, 20)).save(tmp_path / "1.jpg", exif=exif)
        assert read_pixels(ImageRef(tmp_path / "1.jpg"), 0).shape == (40, 20, 3)

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (
                lambda path: path.write_bytes(path.read_bytes()[:60]),
                r"1\.png: the file is damaged or incomplete",
            ),
            (lambda path: path.write_text("no image"), r"1\.png: not an image that can be read"),
            (
                lambda path: Image.new("RGBA", (32, 32), (1, 2, 3, 99)).save(path),
                r"1\.png: partly transparent",
            ),
        ],
    )
    def test_a_file_that_cannot_serve_is_named_before_training(self, tmp_path, spoil, said):
        fill(tmp_path, "0 1 2")
        spoil(tmp_path / "1.png")
        settings = DataSettings(task="photos", test_share=0, **SMALL)
        dataset = open_dataset(str(tmp_path), settings)
        with pytest.raises(UserError, match=said):
            TrainingSet(dataset, TASKS["photos"](settings), seed=0)

    @pytest.mark.parametrize("size", [(63, 32), (65, 32), (64, 33)])
    def test_an_aligned_image_of_another_shape_is_named(self, tmp_path, size):
        fill(tmp_path / "train", " ".join(map(str, range(9))), size=(64, 32))
        picture(1, size).save(tmp_path / "train/odd.png")
        settings = DataSettings(test_share=0, **SMALL)
        with pytest.raises(UserError, match=rf"odd\.png: {size[0]}x{size[1]} px; an aligned image is A|B"):
            TrainingSet(open_dataset(str(tmp_path), settings), TASKS["paired"](settings), seed=0)

    def test_an_image_smaller_than_the_crop_is_named_where_nothing_is_resized(self, tmp_path):
        fill(tmp_path, "0 1 2", size=(40, 50))
        picture(1, (31, 80)).save(tmp_path / "small.png")
        settings = DataSettings(task="photos", test_share=0, load_size_px=0, crop_size_px=32)
        dataset = open_dataset(str(tmp_path), settings)
        with pytest.raises(UserError, match=r"small\.png: 31x80 px, smaller than crop_size_px = 32"):
            TrainingSet(dataset, TASKS["photos"](settings), seed=0)
        (tmp_path / "small.png").unlink()
        pairs = TrainingSet(open_dataset(str(tmp_path), settings), TASKS["photos"](settings), seed=0)
        assert pairs[0][0].shape == (3, 32, 32)

    def test_random_numbers_of_python_are_left_alone(self, tmp_path):
        fill(tmp_path, "1")
        ref = ImageRef(tmp_path / "1.png")
        before = random.getstate(), torch.get_rng_state()
        TASKS["paired"](DataSettings(**SMALL)).training_pair(ref, ref, 0)
        assert random.getstate() == before[0]
        assert torch.get_rng_state().equal(before[1])
