"""Label maps are read as what they mean, or refused with the file, the pixel and what is wrong with it."""

import json

import numpy as np
import pytest
from PIL import Image

from evalkit.metrics.confusion import IGNORED
from evalkit.metrics.label_maps import (
    classes_beside,
    classes_from,
    label_set,
    nearest_classes,
    open_classes,
    read_label_map,
)
from studies.errors import UserError

TOLD = {
    "classes": ["sky", "void", "road", "car"],
    "palette": [[10, 20, 30], [0, 0, 0], [200, 100, 0], [0, 255, 0]],
    "void": 1,
}
CLASSES = classes_from(TOLD, "classes.json")
INDICES = np.array([[0, 2, 3], [1, 3, 255]], np.uint8)
NUMBERS = [[0, 1, 2], [IGNORED, 2, IGNORED]]


def written(tmp_path, image, name="map.png"):
    image.save(tmp_path / name)
    return tmp_path / name


def coloured(indices):
    table = np.zeros((256, 3), np.uint8)
    table[:4] = TOLD["palette"]
    return table[indices]


def test_class_numbers_leave_void_out():
    assert CLASSES.names == ("sky", "road", "car")
    assert CLASSES.palette == ((10, 20, 30), (200, 100, 0), (0, 255, 0))


def test_index_maps_colour_maps_and_palette_files_read_alike(tmp_path):
    grey = written(tmp_path, Image.fromarray(INDICES), "grey.png")
    colour = written(tmp_path, Image.fromarray(coloured(INDICES)), "colour.png")
    palette = Image.fromarray(INDICES).convert("P")
    palette.putpalette([level for one in [*TOLD["palette"], *[[0, 0, 0]] * 252] for level in one])
    for path in (grey, colour, written(tmp_path, palette, "palette.png")):
        assert read_label_map(path, CLASSES).tolist() == NUMBERS, path
        assert read_label_map(path, CLASSES).dtype == np.uint8


def test_a_palette_file_in_an_order_of_its_own_is_read_by_its_colours(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([0, 255, 0, 10, 20, 30])
    assert read_label_map(written(tmp_path, image), CLASSES).tolist() == [[2, 0]]


def test_a_palette_file_of_other_colours_is_read_by_its_indices(tmp_path):
    image = Image.fromarray(np.array([[0, 2]], np.uint8)).convert("P")
    image.putpalette([1, 1, 1, 2, 2, 2, 3, 3, 3])
    assert read_label_map(written(tmp_path, image), CLASSES).tolist() == [[0, 1]]


def test_a_palette_file_whose_colours_and_indices_contradict_each_other_is_refused(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([0, 255, 0, 7, 7, 7])  # index 0 has the colour of class 3
    with pytest.raises(
        UserError,
        match=r"x=0, y=0 is one class .* colour \[0, 255, 0\] and another by its index 0, and colour \[7, 7, 7\]",
    ):
        read_label_map(written(tmp_path, image), CLASSES)
    image.putpalette([10, 20, 30, 7, 7, 7])  # index 0 has its own colour, so indices are meant
    assert read_label_map(written(tmp_path, image), CLASSES).tolist() == [[0, IGNORED]]


def test_sixteen_bit_and_binary_index_maps_are_read(tmp_path):
    deep = written(tmp_path, Image.fromarray(INDICES.astype(np.uint16)), "deep.png")
    assert read_label_map(deep, CLASSES).tolist() == NUMBERS
    binary = written(tmp_path, Image.fromarray(np.array([[False, True]])), "binary.png")
    assert read_label_map(binary, classes_from({"classes": ["off", "on"]}, "two.json")).tolist() == [[0, 1]]


def test_an_unknown_index_is_named_with_file_and_pixel(tmp_path):
    path = written(tmp_path, Image.fromarray(np.array([[0, 0], [0, 9]], np.uint8)))
    with pytest.raises(
        UserError, match=r"map\.png: pixel x=1, y=1 has index 9, which is no class of classes\.json"
    ):
        read_label_map(path, CLASSES)


def test_an_unknown_index_of_sixteen_bits_is_told_as_it_is(tmp_path):
    path = written(tmp_path, Image.fromarray(np.array([[0, 3000]], np.uint16)))
    with pytest.raises(UserError, match=r"map\.png: pixel x=1, y=0 has index 3000"):
        read_label_map(path, CLASSES)


def test_an_unknown_colour_is_named_with_file_and_pixel(tmp_path):
    pixels = coloured(INDICES)
    pixels[1, 0] = (1, 2, 3)
    with pytest.raises(
        UserError, match=r"map\.png: pixel x=0, y=1 has colour \[1, 2, 3\], which is no class"
    ):
        read_label_map(written(tmp_path, Image.fromarray(pixels)), CLASSES)


def test_a_label_map_saved_as_jpeg_is_refused_with_the_reason(tmp_path):
    rng = np.random.default_rng(0)
    image = Image.fromarray(coloured(rng.integers(0, 4, (32, 32)).astype(np.uint8)))
    with pytest.raises(UserError, match="saved as JPEG, which changes colours and indices; use the PNG"):
        read_label_map(written(tmp_path, image, "map.jpg"), CLASSES)
    indices = Image.fromarray(np.zeros((32, 32), np.uint8))  # grey levels that are classes still
    with pytest.raises(UserError, match="saved as JPEG, which changes colours and indices; use the PNG"):
        read_label_map(written(tmp_path, indices, "map.jpeg"), CLASSES)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "map.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(UserError, match=r"map\.png: the file is damaged or no image"):
        read_label_map(tmp_path / "map.png", CLASSES)


def test_a_class_called_void_does_not_count_where_the_file_does_not_say(tmp_path):
    assert classes_from({"classes": ["sky", "void", "road"]}, "x").names == ("sky", "road")
    assert classes_from({"classes": ["sky", "Unlabelled"]}, "x").names == ("sky",)
    assert classes_from({"classes": ["sky", "void"], "void": []}, "x").names == ("sky", "void")
    assert classes_from({"classes": ["sky", "road"], "void": ["road", 255]}, "x").names == ("sky",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "needed is a list of names under 'classes'"),
        ({"classes": []}, "needed is a list of names"),
        ({"classes": ["a", "a"]}, "class 'a' is there twice"),
        ({"classes": ["a", "b"], "palette": [[0, 0, 0]]}, r"'palette' needs 2 colours"),
        ({"classes": ["a", "b"], "palette": [[0, 0, 0], [0, 0, 256]]}, r"of 0 to 255"),
        (
            {"classes": ["a", "b"], "palette": [[0, 0, 0], [0, 0, 0]]},
            r"colour \[0, 0, 0\] stands for two classes",
        ),
        ({"classes": ["a", "b"], "void": "c"}, "'void' names 'c'"),
        (
            {"classes": ["a", "b"], "void": 2},
            "'void' names 2; allowed are names of its classes and their numbers, 0 to 1",
        ),
        ({"classes": ["a", "b"], "void": [[1]]}, r"'void' names \[1\]"),
        ({"classes": ["void"]}, "0 classes count; 1 to 250"),
    ],
)
def test_a_file_of_classes_that_cannot_be_is_refused(content, message):
    with pytest.raises(UserError, match=message):
        classes_from(content, "classes.json")


def test_classes_are_opened_by_file_by_folder_by_name_and_found_beside_the_maps(tmp_path):
    labels = tmp_path / "test" / "labels"
    labels.mkdir(parents=True)
    assert classes_beside(labels) is None
    (tmp_path / "classes.json").write_text(json.dumps(TOLD))
    assert open_classes(tmp_path).names == open_classes(tmp_path / "classes.json").names == CLASSES.names
    assert classes_beside(labels).names == CLASSES.names
    assert classes_beside(f"{labels}:real_A").names == CLASSES.names
    assert len(open_classes("cityscapes").names) == 19
    with pytest.raises(UserError, match=r"nowhere\.json: no such file. --classes takes `cityscapes`"):
        open_classes(tmp_path / "nowhere.json")
    (tmp_path / "classes.json").write_text("{")
    with pytest.raises(UserError, match=r"classes\.json: not valid JSON"):
        open_classes(tmp_path)


@pytest.mark.parametrize("told", [TOLD, "cityscapes", "cityscapes_train_ids"])
def test_classes_survive_being_written_and_read_again(told):
    classes = classes_from(told, "here")
    again = classes_from(json.loads(json.dumps(classes.to_json())), "there")
    assert (again.names, again.palette, again.digest) == (classes.names, classes.palette, classes.digest)


def test_a_set_of_maps_is_in_natural_order_and_its_digests_follow_bytes_and_classes(tmp_path):
    for name in ("10", "2"):
        written(tmp_path, Image.fromarray(INDICES), f"{name}.png")
    written(tmp_path, Image.fromarray(INDICES[:, ::-1].copy()), "3.png")
    maps = label_set(tmp_path, CLASSES)
    assert maps.source_ids == ("2", "3", "10")
    two, three, ten = (one.digest for one in maps.pictures)
    assert two == ten != three
    other = label_set(tmp_path, classes_from({**TOLD, "void": 3}, "other.json"))
    assert other.pictures[0].digest != two
    assert maps.pictures[0].read().tolist() == NUMBERS


def test_the_nearest_colour_decides_for_generated_label_maps_and_never_void():
    pixels = np.array([[[12, 18, 33], [190, 110, 10], [0, 0, 0], [0, 255, 0]]], np.uint8)
    found, distance = nearest_classes(pixels, CLASSES)
    brute = [
        [
            min(
                range(3),
                key=lambda k: sum((int(a) - b) ** 2 for a, b in zip(pixel, CLASSES.palette[k], strict=True)),
            )
        ]
        for pixel in pixels[0]
    ]
    assert found.tolist() == [[one[0] for one in brute]] == [[0, 1, 0, 2]]
    by_hand = (np.sqrt(4 + 4 + 9) + np.sqrt(300) + np.sqrt(100 + 400 + 900)) / 4
    assert distance == pytest.approx(by_hand, rel=1e-5)


def test_nearest_colours_need_a_palette():
    with pytest.raises(UserError, match=r"x\.json: no palette"):
        nearest_classes(np.zeros((1, 1, 3), np.uint8), classes_from({"classes": ["a"]}, "x.json"))


@pytest.mark.shared_data
def test_camvids_maps_hold_its_classes_and_nothing_else(shared_data):
    classes = open_classes(shared_data / "camvid" / "classes.json")
    assert len(classes.names) == 11
    maps = label_set(shared_data / "camvid" / "test" / "labels", classes)
    seen = {int(number) for one in maps.pictures[:20] for number in np.unique(one.read())}
    assert seen <= {*range(11), IGNORED}
    assert IGNORED in seen
    raw = np.asarray(Image.open(maps.pictures[0].where))
    read = maps.pictures[0].read()
    assert np.array_equal(read == IGNORED, raw == 11)
    assert np.array_equal(read[raw < 11], raw[raw < 11])
