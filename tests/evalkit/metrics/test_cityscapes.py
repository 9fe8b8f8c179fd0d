"""Cityscapes: ids, names of files, and which number is which frame."""

import numpy as np
import pytest
from PIL import Image

from evalkit.metrics.cityscapes import LABEL_IDS, LABELS, TRAIN_IDS, frame, match
from evalkit.metrics.confusion import IGNORED
from evalkit.metrics.label_maps import label_set, open_classes
from studies.errors import UserError
from studies.imagesets.base import NamedImage

# The list in scripts/eval_cityscapes/cityscapes.py of the reference.
CLASSES = [
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic_light",
    "traffic_sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
]


def gt_fine(folder, frames, kinds=("labelIds", "labelTrainIds", "color", "instanceIds")):
    for name in frames:
        city = folder / name.split("_")[0]
        city.mkdir(parents=True, exist_ok=True)
        for kind in kinds:
            pixels = np.full((2, 4), 0 if kind == "labelTrainIds" else 7, np.uint8)
            Image.fromarray(pixels).save(city / f"{name}_gtFine_{kind}.png")
    return folder


def test_the_scored_classes_are_the_references_in_its_order():
    names = tuple(name.replace("_", " ") for name in CLASSES)
    assert LABEL_IDS.names == TRAIN_IDS.names == names
    assert LABEL_IDS.palette == TRAIN_IDS.palette
    assert len(LABEL_IDS.palette) == 19


def test_the_table_turns_label_ids_into_train_ids_as_the_references_loop_does():
    labels = np.arange(256, dtype=np.float32)
    for index, _, number, _ in LABELS:  # assign_trainIds, one id after the other on the same array
        labels[labels == index] = number
    known = [*range(34), IGNORED]
    assert LABEL_IDS.numbers[known].tolist() == labels.astype(np.uint8)[known].tolist()


def test_an_id_that_cityscapes_does_not_have_is_refused(tmp_path):
    Image.fromarray(np.full((2, 2), 40, np.uint8)).save(tmp_path / "a_000000_000001_gtFine_labelIds.png")
    maps = label_set(tmp_path, LABEL_IDS)
    with pytest.raises(
        UserError, match=r"labelIds\.png: pixel x=0, y=0 has index 40, which is no class of cityscapes"
    ):
        maps.pictures[0].read()


@pytest.mark.parametrize(
    "name",
    [
        "frankfurt_000000_000294",
        "frankfurt_000000_000294_leftImg8bit",
        "val/frankfurt/frankfurt_000000_000294_gtFine_labelIds",
        "frankfurt_000000_000294_leftImg8bit_fake_B",
    ],
)
def test_a_frame_is_known_by_its_name_wherever_it_lies_and_whatever_follows(name):
    assert frame(name) == "frankfurt_000000_000294"


def test_other_names_are_no_frames():
    assert frame("12") is None
    assert frame("facade_0001") is None
    assert frame("frankfurt_1_2") is None


FRAMES = ["lindau_000001_000019", "aachen_000000_000019", "aachen_000002_000019"]


def test_of_the_ground_truth_only_the_maps_that_the_classes_are_for_are_taken(tmp_path):
    folder = gt_fine(tmp_path / "gtFine", FRAMES)
    for classes, expected in ((LABEL_IDS, 0), (TRAIN_IDS, 0)):
        maps = label_set(folder, classes)
        assert set(maps.source_ids) == {f"{name}_leftImg8bit" for name in FRAMES}
        assert all((one.read() == expected).all() for one in maps.pictures)


def test_ground_truth_without_such_maps_is_said(tmp_path):
    folder = gt_fine(tmp_path / "gtFine", FRAMES, kinds=("color",))
    with pytest.raises(UserError, match=r"no \*_labelIds\.png, which --classes cityscapes needs"):
        label_set(folder, LABEL_IDS)


def test_maps_take_the_ids_of_images_named_by_frame(tmp_path):
    folder = gt_fine(tmp_path / "gtFine", FRAMES)
    wanted = ["val/aachen_000002_000019_leftImg8bit", "lindau_000001_000019_leftImg8bit_fake_B"]
    assert {*wanted, "aachen_000000_000019_leftImg8bit"} == set(
        label_set(folder, LABEL_IDS, matching=wanted).source_ids
    )


def frames_of_val():
    return [NamedImage(f"city_{number:06d}_000019", f"path {number}") for number in range(500)]


def test_numbers_count_the_frames_of_a_whole_split_from_one_as_in_the_authors_archive():
    found = match(frames_of_val(), ["1", "10", "500"], "gtFine/val")
    assert [(one.source_id, one.path) for one in found] == [
        ("1", "path 0"),
        ("10", "path 9"),
        ("500", "path 499"),
    ]


def test_numbers_count_from_zero_if_there_is_a_zero_as_by_the_authors_script():
    found = match(frames_of_val(), ["0", "1", "499"], "gtFine/val")
    assert [one.path for one in found] == ["path 0", "path 1", "path 499"]


def test_numbers_are_refused_for_a_part_of_a_split_and_beyond_its_end():
    with pytest.raises(UserError, match=r"gtFine/val: the images are numbered, and 499 label maps"):
        match(frames_of_val()[1:], ["1", "2"], "gtFine/val")
    with pytest.raises(UserError, match="image 501 of only 500 frames"):
        match(frames_of_val(), ["1", "501"], "gtFine/val")


def test_colour_maps_are_read_too_and_polegroup_counts_as_pole(tmp_path):
    colours = {"road": (128, 64, 128), "pole": (153, 153, 153), "void": (0, 0, 0)}
    Image.fromarray(np.array([list(colours.values())], np.uint8)).save(tmp_path / "1.png")
    read = label_set(tmp_path, open_classes("cityscapes")).pictures[0].read()
    assert read.tolist() == [[0, 5, IGNORED]]
