"""What is measured of files and pictures, and that a bundle whose files differ is never used."""

import dataclasses
import hashlib
import io
import json
import random
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance, ImageFilter, PngImagePlugin

from studies import audit
from studies.design import Reference, load_study
from studies.errors import UserError
from studies.stimuli import build, build_bundle, bundle, load_bundle
from studies.stimuli.uniform import file_properties
from tests.audited_study import picture, split_study
from tests.made_up_study import make_study


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


IMAGE = picture(random.Random(1))


def test_a_file_is_told_by_all_that_a_network_tab_or_a_folder_shows():
    plain = file_properties("12_fake_B.png", encoded(IMAGE))
    assert (plain.format, plain.mode, plain.width_px, plain.height_px) == ("PNG", "RGB", 64, 64)
    assert (plain.name_length, plain.name_digits, plain.name_pattern) == (9, 2, "#_fake_B.png")
    assert plain.size_bytes == len(encoded(IMAGE))
    assert plain.metadata == "IDAT IEND IHDR"
    assert plain.encoding.startswith("8 bit, colour type 2, interlace 0, zlib ")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (encoded(IMAGE, compress_level=1), "size_bytes"),
        (encoded(IMAGE, compress_level=0), "encoding"),
        (encoded(IMAGE.convert("P")), "mode"),
        (encoded(IMAGE.crop((0, 0, 64, 63))), "height_px"),
        (encoded(IMAGE, "JPEG"), "format"),
        (encoded(IMAGE) + b"x", "encoding"),
    ],
)
def test_each_difference_of_a_file_is_seen(data: bytes, field: str):
    one, other = file_properties("a.png", encoded(IMAGE)), file_properties("a.png", data)
    assert getattr(one, field) != getattr(other, field)


def test_text_profile_and_exif_in_a_file_are_seen():
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "pix2pix")
    exif = Image.Exif()
    exif[0x0110] = "Camera"
    assert "tEXt" in file_properties("a.png", encoded(IMAGE, pnginfo=text)).metadata
    assert "eXIf" in file_properties("a.png", encoded(IMAGE, exif=exif)).metadata
    assert file_properties("a.jpg", encoded(IMAGE, "JPEG", exif=exif)).metadata == "APP0 APP1"
    assert file_properties("a.jpg", encoded(IMAGE, "JPEG")).metadata == "APP0"


def test_the_quality_of_a_jpeg_is_seen():
    found = {
        file_properties("a.jpg", encoded(IMAGE, "JPEG", quality=quality)).encoding for quality in (75, 95)
    }
    assert len(found) == 2


def test_what_is_no_image_is_refused_by_name():
    with pytest.raises(UserError, match=r"^a\.png: not an image that can be read"):
        file_properties("a.png", b"no image")


@pytest.mark.parametrize(
    ("change", "name", "grows"),
    [
        (lambda image: ImageEnhance.Brightness(image).enhance(1.05), "luminance", True),
        (lambda image: image.filter(ImageFilter.GaussianBlur(1)), "sharpness", False),
        (lambda image: framed(image, 0), "border_step", True),
        (lambda image: framed(image, 128), "border_spread", False),
        (lambda image: Image.open(io.BytesIO(encoded(image, "JPEG", quality=20))), "blockiness", True),
    ],
)
def test_each_picture_property_follows_what_it_is_named_for(change, name: str, grows: bool):
    for seed in range(5):
        image = picture(random.Random(seed), 128)
        before, after = audit.picture_properties(image), audit.picture_properties(change(image))
        assert (after[name] > before[name]) is grows, (seed, before, after)


def framed(image: Image.Image, level: int) -> Image.Image:
    frame = Image.new("RGB", image.size, (level, level, level))
    frame.paste(image.crop((1, 1, image.width - 1, image.height - 1)), (1, 1))
    return frame


def test_the_variance_of_the_laplacian_is_that_of_the_plain_formula():
    grey = picture(random.Random(3), 16).convert("L")
    at = grey.load()
    values = [
        4 * at[x, y] - at[x - 1, y] - at[x + 1, y] - at[x, y - 1] - at[x, y + 1]
        for x in range(1, 15)
        for y in range(1, 15)
    ]
    values = [max(-255, min(255, value)) for value in values]
    mean = sum(values) / len(values)
    expected = sum((value - mean) ** 2 for value in values) / len(values)
    assert audit.picture_properties(grey)["sharpness"] == pytest.approx(expected)


def test_a_jpeg_grid_is_found_after_a_crop_too():
    photo = picture(random.Random(9), 160)
    pressed = Image.open(io.BytesIO(encoded(photo, "JPEG", quality=20))).crop((13, 11, 141, 139))
    plain = photo.crop((13, 11, 141, 139))
    assert audit.picture_properties(pressed)["blockiness"] > 2 * audit.picture_properties(plain)["blockiness"]


def test_flat_images_have_finite_properties():
    values = audit.picture_properties(Image.new("RGB", (16, 16), (7, 7, 7)))
    assert values == {
        "luminance": 7,
        "border_step": 1,
        "border_spread": 0,
        "sharpness": 0,
        "blockiness": 0,
    }


def test_words_are_ordered_by_what_tells_most():
    reals, fakes = audit.as_numbers(["JPEG", "JPEG", "PNG"], ["PNG", "PNG", "PNG"])
    assert max(reals[:2]) < min(fakes)
    assert reals[2] == fakes[0]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"images": "../datasets/facades/test"}, "CMP Facades"),
        ({"images": "../Cityscapes:real_B"}, "Cityscapes"),
        ({"images": "../my_photos"}, None),
        ({"images": "../facades", "public": False}, ""),
        ({"images": "../my_photos", "public": True}, "public"),
        ({"images": "../my_photos", "public": "Kodak 24"}, "Kodak 24"),
    ],
)
def test_public_test_sets_are_known_by_the_setting_or_by_their_name(settings, expected):
    assert audit.public_set(Reference(**settings), None) == expected


def rebuilt(folder: Path, change) -> Path:
    """The same bundle with one fake's file changed, and a manifest that claims it was always so."""
    made = load_bundle(folder)
    fake = next(image for image in made.stimuli if image.condition != "real")
    path = folder / "stimuli" / fake.file
    data = change(path.read_bytes())
    path.write_bytes(data)
    stimuli = tuple(
        dataclasses.replace(image, file_digest=hashlib.sha256(data).hexdigest()) if image is fake else image
        for image in made.stimuli
    )
    sealed = bundle.sealed(dataclasses.replace(made, stimuli=stimuli))
    (folder / "stimuli" / "manifest.json").write_text(bundle.manifest_text(sealed), encoding="utf-8")
    assert json.loads(bundle.manifest_text(sealed))["digest"] == sealed.digest
    return path


def with_text(data: bytes) -> bytes:
    """A text chunk in place of as many bytes of padding, so that the length stays."""
    kind, content = b"tEXt", b"Software\0generator"
    chunk = len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
    at = data.index(b"evPd") - 4
    padding = data[at + 8 : -16][: -len(chunk)]
    shorter = (
        len(padding).to_bytes(4, "big") + b"evPd" + padding + zlib.crc32(b"evPd" + padding).to_bytes(4, "big")
    )
    return data[:at] + chunk + shorter + data[-12:]


@pytest.mark.parametrize(
    ("change", "name"),
    [(lambda data: data + bytes(1), "size_bytes"), (with_text, "metadata")],
    ids=["one byte longer", "a text of the same length"],
)
def test_a_bundle_made_by_hand_in_which_one_file_differs_is_refused(study_folder: Path, change, name: str):
    path = rebuilt(study_folder, change)
    with pytest.raises(UserError) as error:
        load_bundle(study_folder)
    assert f"{study_folder / 'stimuli'}: {name} is " in str(error.value)
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_build_that_forgets_to_pad_one_file_fails_and_leaves_the_old_bundle(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    before = load_bundle(study_folder)
    padded = build.pad_png
    lengths = iter(range(10_000))
    monkeypatch.setattr(
        build,
        "pad_png",
        lambda png, length, digest: padded(png, length, digest)[: -1 if next(lengths) == 20 else None],
    )
    with pytest.raises(UserError, match="size_bytes is "):
        build_bundle(load_study(study_folder), study_folder)
    monkeypatch.undo()
    assert load_bundle(study_folder) == before


def test_nothing_differs_between_the_files_of_a_real_bundle_and_pictures_of_other_roles_are_left_alone(
    tmp_path: Path,
):
    folder = make_study(tmp_path / "checked", checks={"share": 0.5})
    made = load_bundle(folder)
    measured = list(audit.measure_bundle(made, folder, ("alpha", "beta")))
    assert audit.differing(measured) == {}
    roles = {each.condition: bool(each.picture) for each in measured}
    assert roles == {"real": True, "alpha": True, "beta": True, "check": False}


def test_originals_that_are_gone_are_named(tmp_path: Path):
    folder = split_study(tmp_path / "s", [picture(random.Random(n), 32) for n in range(32)], random.Random(1))
    gone = folder / "images" / "split" / "3.png"
    gone.unlink()
    with pytest.raises(UserError, match=r"3\.png: cannot be read"):
        list(audit.measure_originals(load_bundle(folder), folder, ("split",)))
