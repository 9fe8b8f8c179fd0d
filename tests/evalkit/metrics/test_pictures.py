import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from evalkit.metrics.pictures import picture_set, pixel_digest_of
from studies.errors import UserError
from studies.imagesets import pixel_digest

PIXELS = np.random.default_rng(1).integers(0, 256, (3, 5, 7, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    for number, image in enumerate(PIXELS):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    return tmp_path


def test_files_arrays_and_tensors_give_the_same_pixels(folder):
    ways = [folder, str(folder), PIXELS, torch.from_numpy(PIXELS).permute(0, 3, 1, 2)]
    for images in ways:
        found = picture_set(images)
        assert found.source_ids == ("0", "1", "2")
        assert np.array_equal(np.stack([picture.read() for picture in found.pictures]), PIXELS)


def test_the_digest_of_an_image_changes_with_its_file_and_not_with_its_name(folder):
    before = picture_set(folder)
    (folder / "0.png").rename(folder / "9.png")
    after = picture_set(folder)
    assert {picture.digest for picture in before.pictures} == {picture.digest for picture in after.pictures}
    assert before.key != after.key
    Image.fromarray(255 - PIXELS[0]).save(folder / "9.png")
    assert picture_set(folder).pictures[2].digest not in {picture.digest for picture in before.pictures}


def test_pixel_digests_are_those_of_the_stimulus_bundle(folder):
    with Image.open(folder / "1.png") as image:
        assert pixel_digest(image) == pixel_digest_of(PIXELS[1])


def test_a_turned_photograph_is_read_as_the_study_shows_it_and_that_is_said(tmp_path):
    image = Image.fromarray(PIXELS[0])
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    pixels, steps = picture_set(tmp_path).pictures[0].look()
    assert pixels.shape == (7, 5, 3)
    assert steps == ("turned upright by EXIF orientation",)


def test_as_stored_reads_pixels_as_pytorch_fid_does_and_never_meets_the_others_in_the_cache(tmp_path):
    image = Image.fromarray(PIXELS[0])
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    stored, shown = (picture_set(tmp_path, as_stored=choice).pictures[0] for choice in (True, False))
    assert np.array_equal(stored.read(), PIXELS[0])
    assert stored.digest != shown.digest


def save_deep_colour(pixels, path):
    """A PNG of 16 bits per channel, which Pillow reads and does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape[:2]
    deep = pixels.astype(">u2") * 256 + 200
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def save_turned(pixels, path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(path, exif=exif)


@pytest.mark.parametrize(
    "save",
    [
        lambda pixels, path: Image.fromarray(pixels).save(path),
        lambda pixels, path: Image.fromarray(pixels).convert("L").save(path),
        lambda pixels, path: Image.fromarray(pixels).convert("1").save(path),
        lambda pixels, path: Image.fromarray(pixels).convert("P").save(path),
        lambda pixels, path: Image.fromarray(pixels).convert("RGBA").save(path),
        lambda pixels, path: Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(path),
        save_deep_colour,
        save_turned,
    ],
    ids=["colour", "gray", "binary", "palette", "opaque", "deep gray", "deep colour", "turned"],
)
def test_pixels_are_said_to_be_read_otherwise_where_they_are_and_only_there(tmp_path, save):
    save(PIXELS[0], tmp_path / "0.png")
    shown, stored = (picture_set(tmp_path, as_stored=choice).pictures[0] for choice in (False, True))
    pixels, steps = shown.look()
    assert bool(steps) == (not np.array_equal(pixels, stored.read())), steps


def test_arrays_of_unlike_lengths_are_matched_by_index():
    many, few = picture_set(np.repeat(PIXELS, 5, axis=0)), picture_set(PIXELS)
    assert many.source_ids[: len(few)] == few.source_ids
    assert many.source_ids[-1] == "14"


def test_a_damaged_file_is_named_either_way(folder):
    data = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(data[: len(data) // 2])
    for as_stored in (True, False):
        with pytest.raises(UserError, match=r"1\.png: .*damaged"):
            picture_set(folder, as_stored=as_stored).pictures[1].read()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (PIXELS.astype(np.float32), "float32"),
        (PIXELS[0], r"uint8 \(5, 7, 3\)"),
        (PIXELS[:0], r"\(0, 5, 7, 3\)"),
        (torch.zeros(2, 3, 4, 4), "float32"),
        ([1, 2], "list is not a set of images"),
    ],
)
def test_other_arrays_are_refused_with_what_is_allowed(images, words):
    with pytest.raises(UserError, match=words):
        picture_set(images)
