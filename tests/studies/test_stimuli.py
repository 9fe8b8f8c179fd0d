"""The stimulus bundle: nothing but the pixels may tell real from fake, and a bad image never gets in."""

import dataclasses
import errno
import fcntl
import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from studies.design import Study, parse_study
from studies.errors import UserError
from studies.stimuli import Bundle, build_bundle, load_bundle, pixel_digest
from studies.stimuli.decode import decode, upright_size
from studies.stimuli.duplicates import near_duplicates, thumbnail

SIZE = (32, 32)


def picture(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A picture with coarse structure, so that pictures of different seeds look different."""
    coarse = Image.frombytes("RGB", (4, 4), random.Random(seed).randbytes(48))
    return coarse.resize(size, Image.Resampling.BICUBIC)


def fill(folder: Path, seed: int, names: list[str], size: tuple[int, int] = SIZE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        picture(1000 * seed + index, size).save(folder / f"{name}.png")


def a_study(stimuli: dict[str, Any] | None = None, **conditions: Any) -> Study:
    tree = {
        "study": {"id": "toy", "seed": 5},
        "protocol": {"name": "two_afc"},
        "reference": {"images": "../real"},
        "conditions": {
            name: {"images": images} for name, images in (conditions or {"cgan": "../cgan"}).items()
        },
        "stimuli": stimuli or {},
    }
    return parse_study(tree, "study.toml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study folder beside real/, cgan/ and l1/ of six inputs each."""
    for seed, name in enumerate(["real", "cgan", "l1"]):
        fill(tmp_path / name, seed, [str(number) for number in range(6)])
    (tmp_path / "study").mkdir()
    return tmp_path / "study"


def refusal(study: Study, folder: Path, **options: Any) -> str:
    """The one line a build is refused with; nothing may be left behind."""
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(UserError) as caught:
        build_bundle(study, folder, **options)
    assert sorted(path.name for path in folder.iterdir()) == before
    message = str(caught.value)
    assert "\n" not in message
    return message


def icc_profile(space: bytes) -> bytes:
    """A minimal profile with linear tone curves: the level 128 in it is the level 188 in sRGB."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    tags = {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"cprt": b"text\0\0\0\0made up\0"}
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 7) + b"linear\0" + bytes(79)
    curve = b"curv\0\0\0\0" + struct.pack(">I", 0)
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        primaries = [(0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7142)]
        for letter, values in zip(b"rgb", primaries, strict=True):
            tags[bytes([letter]) + b"XYZ"], tags[bytes([letter]) + b"TRC"] = xyz(*values), curve
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s",
        start + len(body),
        b"lcms",
        0x02100000,
        b"mntr",
        space,
        b"XYZ ",
        bytes(12),
        b"acsp",
    )
    head += bytes(28) + struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


class TestDecoding:
    def test_exif_orientation_is_applied_and_dropped(self, tmp_path):
        image = Image.new("RGB", (6, 4), "white")
        image.putpixel((0, 0), (0, 0, 0))
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was turned: the top row of the scene is the right column of the file
        image.save(tmp_path / "a.png", exif=exif)
        decoded = decode(tmp_path / "a.png")
        assert upright_size(tmp_path / "a.png") == decoded.image.size == (4, 6)
        assert decoded.image.getpixel((3, 0)) == (0, 0, 0)
        assert decoded.image.info == {}
        assert "turned upright by EXIF orientation" in decoded.steps

    def test_grey_palette_and_bilevel_become_rgb(self, tmp_path):
        Image.new("L", (2, 2), 77).save(tmp_path / "grey.png")
        Image.new("RGB", (2, 2), (9, 8, 7)).quantize(4).save(tmp_path / "palette.png")
        Image.new("1", (2, 2), 1).save(tmp_path / "bilevel.png")
        assert decode(tmp_path / "grey.png").image.getpixel((0, 0)) == (77, 77, 77)
        assert decode(tmp_path / "palette.png").image.getpixel((0, 0)) == (9, 8, 7)
        assert decode(tmp_path / "bilevel.png").image.getpixel((0, 0)) == (255, 255, 255)

    @pytest.mark.parametrize("extension", ["png", "tif"])
    def test_16_bit_grey_is_scaled_not_clipped(self, tmp_path, extension):
        image = Image.new("I;16", (3, 1))
        for column, value in enumerate([0, 100 * 257, 65535]):
            image.putpixel((column, 0), value)
        image.save(tmp_path / f"a.{extension}")
        decoded = decode(tmp_path / f"a.{extension}")
        assert [decoded.image.getpixel((column, 0)) for column in range(3)] == [
            (0,) * 3,
            (100,) * 3,
            (255,) * 3,
        ]
        assert "16-bit grayscale scaled to 8 bits" in decoded.steps

    def test_16_bit_colour_is_read_and_told(self, tmp_path):
        def chunk(name: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

        head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
        row = chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(">HHH", 0, 100 * 257, 65535)))
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + row + chunk(b"IEND", b""))
        decoded = decode(tmp_path / "a.png")
        assert decoded.image.getpixel((0, 0)) == (0, 100, 255)
        assert "16-bit colour cut to its high byte" in decoded.steps

    @pytest.mark.parametrize(("mode", "space"), [("RGB", b"RGB "), ("L", b"GRAY"), ("L", b"RGB ")])
    def test_a_colour_profile_is_applied(self, tmp_path, mode, space):
        Image.new(mode, (2, 2), "#808080").save(tmp_path / "a.png", icc_profile=icc_profile(space))
        decoded = decode(tmp_path / "a.png")
        pixel = decoded.image.getpixel((0, 0))
        assert isinstance(pixel, tuple)
        assert all(abs(level - 188) <= 1 for level in pixel)
        assert any("converted from its colour profile to sRGB" in step for step in decoded.steps)

    def test_an_srgb_profile_leaves_every_pixel_as_it_is(self, tmp_path):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        image = Image.frombytes("RGB", (64, 64), random.Random(1).randbytes(64 * 64 * 3))
        image.save(tmp_path / "a.png", icc_profile=profile)
        decoded = decode(tmp_path / "a.png")
        assert decoded.image.tobytes() == image.tobytes()
        assert decoded.steps == ("sRGB profile",)

    def test_a_missing_profile_is_taken_as_srgb_and_told(self, tmp_path):
        picture(1).save(tmp_path / "a.png")
        assert decode(tmp_path / "a.png").steps == ("no colour profile: taken as sRGB",)

    def test_opaque_alpha_is_dropped(self, tmp_path):
        Image.new("RGBA", (2, 2), (1, 2, 3, 255)).save(tmp_path / "a.png")
        assert decode(tmp_path / "a.png").image.getpixel((0, 0)) == (1, 2, 3)


class TestRefusedImages:
    def said(self, path: Path) -> str:
        with pytest.raises(UserError) as caught:
            decode(path)
        message = str(caught.value)
        assert message.startswith(str(path))
        assert "\n" not in message
        return message

    @pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif", "bmp"])
    def test_a_truncated_file(self, tmp_path, extension):
        noise = Image.frombytes("RGB", (64, 64), random.Random(1).randbytes(64 * 64 * 3))
        path = tmp_path / f"a.{extension}"
        noise.save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert "damaged or incomplete" in self.said(path) or "not an image" in self.said(path)

    @pytest.mark.parametrize("content", [b"", b"<html>404</html>"])
    def test_a_file_that_is_no_image(self, tmp_path, content):
        (tmp_path / "a.png").write_bytes(content)
        assert "not an image that can be read" in self.said(tmp_path / "a.png")

    def test_partial_transparency(self, tmp_path):
        Image.new("RGBA", (2, 2), (1, 2, 3, 254)).save(tmp_path / "a.png")
        assert "partly transparent" in self.said(tmp_path / "a.png")

    def test_a_transparent_palette_entry(self, tmp_path):
        Image.new("P", (2, 2), 0).save(tmp_path / "a.png", transparency=0)
        assert "partly transparent" in self.said(tmp_path / "a.png")

    def test_cmyk_without_a_profile(self, tmp_path):
        Image.new("CMYK", (2, 2), (0, 99, 99, 0)).save(tmp_path / "a.jpg")
        assert "CMYK without a colour profile" in self.said(tmp_path / "a.jpg")

    def test_a_profile_that_does_not_fit_or_is_damaged(self, tmp_path):
        Image.new("CMYK", (2, 2), (0, 99, 99, 0)).save(tmp_path / "a.jpg", icc_profile=icc_profile(b"RGB "))
        assert "profile does not fit the image or is damaged" in self.said(tmp_path / "a.jpg")
        picture(1).save(tmp_path / "b.png", icc_profile=b"not a profile")
        assert "profile does not fit the image or is damaged" in self.said(tmp_path / "b.png")

    def test_32_bit_pixels(self, tmp_path):
        Image.new("F", (2, 2), 0.5).save(tmp_path / "a.tif")
        assert "pixels of mode F" in self.said(tmp_path / "a.tif")

    def test_an_animation(self, tmp_path):
        picture(1).save(tmp_path / "a.webp", save_all=True, append_images=[picture(2)])
        assert "several frames" in self.said(tmp_path / "a.webp")

    def test_an_image_of_monstrous_size(self, tmp_path, monkeypatch):
        picture(1).save(tmp_path / "a.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        assert "too large for a stimulus" in self.said(tmp_path / "a.png")


class TestUniformity:
    def test_all_files_have_one_length_and_give_back_the_very_pixels(self, folder):
        bundle = build_bundle(a_study(cgan="../cgan", l1="../l1"), folder)
        assert len(bundle.stimuli) == 18
        for stimulus in bundle.stimuli:
            path = folder / "stimuli" / stimulus.file
            assert path.stat().st_size == bundle.file_length_bytes
            assert hashlib.sha256(path.read_bytes()).hexdigest() == stimulus.file_digest
            source = folder / bundle.originals[stimulus.id].path
            with Image.open(path) as stored, Image.open(source) as original:
                stored.load()
                assert (stored.format, stored.mode, stored.info) == ("PNG", "RGB", {})
                assert stored.tobytes() == original.tobytes()
                assert pixel_digest(stored) == stimulus.digest

    def test_files_hold_pixels_and_padding_and_nothing_else(self, folder):
        for path in (folder.parent / "real").iterdir():
            with Image.open(path) as image:
                image.load()
            image.save(path, dpi=(72, 72), exif=Image.Exif(), pnginfo=None)
        bundle = build_bundle(a_study(), folder)
        for stimulus in bundle.stimuli:
            data, names, at = (folder / "stimuli" / stimulus.file).read_bytes(), [], 8
            while at < len(data):
                length, name = struct.unpack(">I4s", data[at : at + 8])
                assert zlib.crc32(data[at + 4 : at + 8 + length]) == int.from_bytes(
                    data[at + 8 + length : at + 12 + length]
                )
                names.append(name)
                at += 12 + length
            assert set(names) == {b"IHDR", b"IDAT", b"evPd", b"IEND"}
            assert names[-2:] == [b"evPd", b"IEND"]

    def test_ids_and_file_names_do_not_sort_by_condition(self, folder):
        stimuli = sorted(
            build_bundle(a_study(cgan="../cgan", l1="../l1"), folder).stimuli, key=lambda one: one.id
        )
        assert len({one.id for one in stimuli}) == 18
        assert all(one.file == f"{one.id}.png" and len(one.id) == 20 for one in stimuli)
        changes = sum(one.condition != other.condition for one, other in itertools.pairwise(stimuli))
        assert changes > 6

    def test_the_same_study_and_images_give_the_same_bundle(self, folder):
        first = build_bundle(a_study(), folder)
        files = {path.name: path.read_bytes() for path in (folder / "stimuli").iterdir()}
        assert build_bundle(a_study(), folder) == first
        assert {path.name: path.read_bytes() for path in (folder / "stimuli").iterdir()} == files

    def test_originals_are_named_as_typed_and_never_touched(self, folder):
        before = {path: path.read_bytes() for path in folder.parent.glob("*/*.png")}
        bundle = build_bundle(a_study(), folder)
        fake = next(one for one in bundle.stimuli if one.condition == "cgan" and one.source_id == "3")
        assert bundle.originals[fake.id].path == "../cgan/3.png"
        assert (
            bundle.originals[fake.id].file_digest
            == hashlib.sha256((folder / "../cgan/3.png").read_bytes()).hexdigest()
        )
        assert {path: path.read_bytes() for path in before} == before

    def test_the_bundle_does_not_depend_on_where_everything_lies(self, folder, tmp_path):
        first = build_bundle(a_study(), folder)
        shutil.copytree(tmp_path, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("stimuli"))
        assert build_bundle(a_study(), tmp_path / "elsewhere/study").digest == first.digest

    def test_progress_counts_every_image(self, folder):
        calls: list[tuple[int, int]] = []
        build_bundle(a_study(), folder, progress=lambda done, total: calls.append((done, total)))
        assert calls == [(done, 12) for done in range(1, 13)]


class TestGeometry:
    def test_mixed_sizes_in_a_set_are_listed_and_the_key_is_named(self, folder):
        picture(77, (40, 32)).save(folder / "../cgan/3.png")
        message = refusal(a_study(), folder)
        assert (
            "[conditions.cgan] images = '../cgan': images of different sizes: 32x32 (5), 40x32 (1)."
            in message
        )
        assert '[stimuli] crop = "centre"' in message

    def test_centre_crop_keeps_the_largest_square_that_all_have(self, folder):
        wide = picture(77, (40, 32))
        wide.save(folder / "../cgan/3.png")
        bundle = build_bundle(a_study({"crop": "centre"}), folder)
        assert (bundle.width_px, bundle.height_px) == (32, 32)
        stored = next(one for one in bundle.stimuli if one.condition == "cgan" and one.source_id == "3")
        assert stored.digest == pixel_digest(wide.crop((4, 0, 36, 32)))
        assert "centre-cropped to 32x32 px" in bundle.recipe

    @pytest.mark.parametrize("stimuli", [{}, {"crop": "centre"}, {"size_px": 16}])
    def test_different_sizes_between_sets_are_always_refused(self, folder, stimuli):
        fill(folder / "../real", 9, [str(number) for number in range(6)], (64, 64))
        message = refusal(a_study(stimuli), folder)
        assert (
            "[reference] images = '../real' are 64x64 px, [conditions.cgan] images = '../cgan' are 32x32 px"
            in message
        )
        assert "Generate or downsample both alike first." in message

    def test_resizing_treats_all_images_alike(self, folder):
        bundle = build_bundle(a_study({"size_px": 16}), folder)
        assert (bundle.width_px, bundle.height_px) == (16, 16)
        assert "resized once to 16x16 px (Lanczos), all alike" in bundle.recipe
        real = next(one for one in bundle.stimuli if one.condition == "real" and one.source_id == "0")
        with Image.open(folder / "../real/0.png") as image:
            assert real.digest == pixel_digest(image.resize((16, 16), Image.Resampling.LANCZOS))

    def test_enlarging_is_warned_about(self, folder):
        assert any(
            "enlarged to 64 px" in text for text in build_bundle(a_study({"size_px": 64}), folder).warnings
        )

    def test_oblong_images_keep_their_shape_but_are_not_squeezed_into_a_square(self, folder):
        for seed, name in enumerate(["real", "cgan"]):
            fill(folder / ".." / name, seed, [str(number) for number in range(6)], (48, 32))
        bundle = build_bundle(a_study(), folder)
        assert (bundle.width_px, bundle.height_px) == (48, 32)
        message = refusal(a_study({"size_px": 16}), folder)
        assert "[stimuli] size_px = 16 asks for squares, but the images are 48x32 px." in message


class TestMatching:
    def test_conditions_of_different_inputs_are_refused_with_counts_and_names(self, folder):
        (folder / "../l1/5.png").rename(folder / "../l1/11.png")
        message = refusal(a_study(cgan="../cgan", l1="../l1"), folder)
        assert "1 ('5') only in the first, 1 ('11') only in the second" in message
        assert "[conditions.cgan] images" in message
        assert "[conditions.l1] images" in message

    def test_runs_of_one_condition_must_share_their_inputs_too(self, folder):
        (folder / "../l1/5.png").unlink()
        assert "[conditions.cgan] images[1] = '../l1'" in refusal(a_study(cgan=["../cgan", "../l1"]), folder)

    def test_a_reference_without_some_inputs_is_refused_with_both_sides(self, folder):
        for number in range(4):
            (folder / f"../real/{number}.png").rename(folder / f"../real/photo{number}.png")
        message = refusal(a_study(), folder)
        assert "lacks the real image of 4 ('0', '1', '2', ...) of the 6 inputs" in message
        assert "inputs only in the reference: 4 ('photo0', 'photo1', 'photo2', ...)" in message

    def test_more_real_images_than_inputs_are_left_out_with_a_warning(self, folder):
        fill(folder / "../real", 8, ["8", "9"])
        bundle = build_bundle(a_study(), folder)
        assert len(bundle.stimuli) == 12
        assert any("2 more images than inputs" in text for text in bundle.warnings)

    def test_several_runs_are_told_apart(self, folder):
        bundle = build_bundle(a_study(cgan=["../cgan", "../l1"]), folder)
        assert {(one.condition, one.run) for one in bundle.stimuli} == {("real", 0), ("cgan", 0), ("cgan", 1)}

    def test_warnings_of_the_image_sets_are_carried_along(self, folder):
        (folder / "../cgan/manifest.json").write_text("[]")
        assert any(
            text.startswith("[conditions.cgan] images = '../cgan': manifest.json is not")
            for text in build_bundle(a_study(), folder).warnings
        )

    def test_one_broken_image_among_many_is_named(self, folder):
        path = folder / "../cgan/4.png"
        path.write_bytes(path.read_bytes()[:-30])
        assert "cgan/4.png: the file is damaged or incomplete" in refusal(a_study(), folder)


class TestCopies:
    def test_a_real_image_among_the_fakes_is_refused_naming_both(self, folder):
        with Image.open(folder / "../real/2.png") as image:
            image.save(folder / "../cgan/4.png", compress_level=1)
        message = refusal(a_study(), folder)
        assert "../cgan/4.png (cgan) has the very pixels of the real image ../real/2.png" in message

    def test_a_collapsed_generator_is_refused_unless_allowed(self, folder):
        self.collapse(folder / "../cgan", 6)
        message = refusal(a_study(), folder)
        assert (
            "[conditions.cgan] run 0: 100% of the images are near-duplicates of another (e.g. '0' and "
            in message
        )
        assert "allowed is [stimuli] near_duplicates_max_share = 0.1" in message
        bundle = build_bundle(a_study(), folder, allow_near_duplicates=True)
        assert [(one.condition, one.run, one.share) for one in bundle.near_duplicates] == [("cgan", 0, 1.0)]
        assert any("cgan run 0: 100% near-duplicates" in text for text in bundle.warnings)

    def test_a_share_within_the_limit_is_reported_only(self, folder):
        self.collapse(folder / "../cgan", 2)
        bundle = build_bundle(a_study({"near_duplicates_max_share": 0.4}), folder)
        (repeat,) = bundle.near_duplicates
        assert (repeat.share, repeat.examples) == (pytest.approx(1 / 3), (("0", "1"),))

    def test_the_same_images_twice_as_two_runs_are_warned_about(self, folder):
        bundle = build_bundle(a_study(cgan=["../cgan", "../cgan"]), folder)
        assert any("cgan run 1 and cgan run 0 hold the very same images" in text for text in bundle.warnings)

    def test_flat_images_of_different_colours_are_no_near_duplicates(self):
        flats = [thumbnail(Image.new("RGB", SIZE, (level, 0, 0))) for level in (0, 40, 80)]
        assert near_duplicates(flats) == {}

    def test_every_pair_is_found_whatever_the_order(self):
        pictures = [picture(number) for number in (1, 2, 1, 3, 2, 1)]
        assert set(near_duplicates([thumbnail(one) for one in pictures])) == {0, 1, 2, 4, 5}

    @staticmethod
    def collapse(folder: Path, count: int) -> None:
        noise = random.Random(0)
        base = picture(999)
        for number in range(count):
            noisy = bytes(min(255, max(0, level + noise.randint(-6, 6))) for level in base.tobytes())
            Image.frombytes("RGB", base.size, noisy).save(folder / f"{number}.png")


class TestLoading:
    def said(self, folder: Path, **options: Any) -> str:
        with pytest.raises(UserError) as caught:
            load_bundle(folder, **options)
        return str(caught.value)

    def test_what_was_built_is_read_back(self, folder):
        assert build_bundle(a_study(), folder) == load_bundle(folder)

    def test_without_a_bundle_the_command_is_named(self, folder):
        assert self.said(folder) == f"{folder}: no stimulus bundle yet. Run `evalkit study build {folder}`."

    def test_a_changed_file_is_named(self, folder):
        bundle = build_bundle(a_study(), folder)
        path = folder / "stimuli" / bundle.stimuli[3].file
        path.write_bytes(path.read_bytes() + b"\0")
        assert self.said(folder).startswith(f"{path}: changed after the bundle was built.")
        assert load_bundle(folder, verify=False) == bundle

    def test_a_missing_file_is_named(self, folder):
        path = folder / "stimuli" / build_bundle(a_study(), folder).stimuli[3].file
        path.unlink()
        assert self.said(folder).startswith(f"{path}: missing from the bundle.")

    def test_a_file_that_does_not_belong_is_named(self, folder):
        build_bundle(a_study(), folder)
        (folder / "stimuli/extra.png").write_bytes(b"")
        assert "extra.png: does not belong to the bundle" in self.said(folder)

    def test_an_edited_manifest_is_noticed(self, folder):
        build_bundle(a_study(), folder)
        path = folder / "stimuli/manifest.json"
        path.write_text(path.read_text().replace('"condition": "cgan"', '"condition": "real"', 1))
        assert "its digest does not fit" in self.said(folder, verify=False)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"digest": 3}'])
    def test_a_broken_manifest_is_one_line(self, folder, text):
        build_bundle(a_study(), folder)
        (folder / "stimuli/manifest.json").write_text(text)
        assert "manifest.json: " in self.said(folder)

    def test_other_conditions_in_study_toml_are_told(self, folder):
        build_bundle(a_study(), folder)
        message = self.said(folder, study=a_study(cgan="../l1"))
        assert (
            "built with [conditions] = {'cgan': ['../cgan']}, study.toml now says {'cgan': ['../l1']}"
            in message
        )
        (folder / "study.toml").write_text(
            '[study]\nid = "toy"\nseed = 6\n[protocol]\nname = "two_afc"\n'
            '[reference]\nimages = "../real"\n[conditions.cgan]\nimages = "../cgan"\n'
        )
        assert "built with [study] seed = 5, study.toml now says 6" in self.said(folder)

    def test_the_digest_is_that_of_the_manifest_without_it(self, folder):
        bundle = build_bundle(a_study(), folder)
        content = json.loads((folder / "stimuli/manifest.json").read_text())
        assert content.pop("digest") == bundle.digest
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(canonical.encode()).hexdigest() == bundle.digest


class TestFaults:
    def test_a_full_disk_leaves_the_old_bundle_and_nothing_else(self, folder, monkeypatch):
        old = build_bundle(a_study(), folder)

        def full(handle: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        message = refusal(a_study(cgan="../l1"), folder)
        assert (
            message
            == f"{folder / 'stimuli'}: the disk is full; nothing was changed. Make room and build again."
        )
        assert load_bundle(folder) == old

    @pytest.mark.parametrize("first", [True, False])
    def test_a_killed_build_leaves_the_old_bundle_or_none_and_the_next_one_clears_up(self, folder, first):
        old = None if first else build_bundle(a_study(), folder)
        assert self.build_and_die(folder) == -signal.SIGKILL
        assert (folder / ".stimuli.building").is_dir()
        if old is None:
            assert not (folder / "stimuli").exists()
        else:
            assert load_bundle(folder, study=a_study()) == old
        new = build_bundle(a_study(cgan="../l1"), folder)
        assert load_bundle(folder) == new
        assert [path.name for path in folder.iterdir()] == ["stimuli"]

    def test_death_between_the_two_moves_leaves_no_bundle_and_the_next_build_recovers(
        self, folder, monkeypatch
    ):
        build_bundle(a_study(), folder)
        (folder / "stimuli").rename(folder / ".stimuli.old")
        build_bundle(a_study(), folder)
        assert [path.name for path in folder.iterdir()] == ["stimuli"]

    def test_an_interrupted_build_clears_up(self, folder):
        def stop(done: int, total: int) -> None:
            if done == 5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            build_bundle(a_study(), folder, progress=stop)
        assert list(folder.iterdir()) == []

    def test_a_second_build_at_the_same_time_is_refused(self, folder):
        (folder / ".stimuli.building").mkdir()
        handle = os.open(folder / ".stimuli.building", os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert "another build is running here" in refusal(a_study(), folder)
        os.close(handle)
        build_bundle(a_study(), folder)

    def test_a_folder_of_somebody_else_is_not_replaced(self, folder):
        (folder / "stimuli").mkdir()
        (folder / "stimuli/holiday.png").write_bytes(b"precious")
        assert "exists already and was not made by evalkit" in refusal(a_study(), folder)

    @staticmethod
    def build_and_die(folder: Path) -> int:
        code = textwrap.dedent("""
            import os, signal, sys
            from pathlib import Path
            from studies.design import parse_study
            from studies.stimuli import build_bundle
            study = parse_study({"study": {"id": "toy", "seed": 5}, "reference": {"images": "../real"},
                                 "conditions": {"cgan": {"images": "../l1"}}}, "study.toml")
            die = lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done == 7 else None
            build_bundle(study, Path(sys.argv[1]), progress=die)
        """)
        return subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode


@pytest.mark.shared_data
class TestSharedResults:
    def study(self, results: Path) -> Study:
        tree = {
            "study": {"id": "facades"},
            "reference": {"images": f"{results}/facades_pix2pix:real_B"},
            "conditions": {
                "pix2pix": {"images": f"{results}/facades_pix2pix:fake_B"},
                "cyclegan": {"images": f"{results}/facades_cyclegan:fake_A"},
            },
        }
        return parse_study(tree, "study.toml")

    def test_the_facades_become_a_bundle_without_near_duplicates(self, shared_data, tmp_path):
        bundle: Bundle = build_bundle(self.study(shared_data / "results"), tmp_path)
        assert len(bundle.stimuli) == 150
        assert (bundle.width_px, bundle.height_px) == (256, 256)
        assert [one.share for one in bundle.near_duplicates] == [0.0, 0.0]
        lengths = {path.stat().st_size for path in (tmp_path / "stimuli").glob("*.png")}
        assert lengths == {bundle.file_length_bytes}
        assert sum("index-aligned" in text for text in bundle.warnings) == 1
        assert dataclasses.replace(load_bundle(tmp_path, study=self.study(shared_data / "results"))) == bundle

    def test_the_real_photos_passed_off_as_fakes_are_refused(self, shared_data, tmp_path):
        real = f"{shared_data / 'results'}/facades_pix2pix:real_B"
        tree = {"study": {"id": "x"}, "reference": {"images": real}, "conditions": {"a": {"images": real}}}
        assert "1_real_B.png (a) has the very pixels of the real image" in refusal(
            parse_study(tree, "x"), tmp_path
        )

    def test_fifty_noisy_copies_of_one_facade_are_all_near_duplicates(self, shared_data):
        path = shared_data / "results/facades_pix2pix/test_latest/images/1_fake_B.png"
        noise = random.Random(3)
        with Image.open(path) as image:
            pixels = image.convert("RGB").tobytes()
            copies = []
            for _ in range(50):
                offset = noise.randbytes(len(pixels))
                noisy = bytes(min(255, level + by % 12) for level, by in zip(pixels, offset, strict=True))
                copies.append(thumbnail(Image.frombytes("RGB", image.size, noisy)))
        assert len(near_duplicates(copies)) == 50
