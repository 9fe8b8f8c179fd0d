"""Which side a run begins from, where the preset speaks of labels and photos."""

import pytest
from PIL import Image

from generators.config import DataSettings
from generators.data import settle_direction
from studies.errors import UserError


@pytest.mark.parametrize(
    ("layout", "direction", "settled"),
    [
        ("train/labels train/photos", "labels_to_photos", "AtoB"),
        ("train/labels train/photos", "photos_to_labels", "BtoA"),
        ("A B", "labels_to_photos", "BtoA"),
        ("trainA trainB", "photos_to_labels", "AtoB"),
        ("A B", "AtoB", "AtoB"),
    ],
)
def test_labels_to_photos_begins_from_the_side_that_holds_the_label_maps(
    tmp_path, layout, direction, settled
):
    for folder in layout.split():
        (tmp_path / folder).mkdir(parents=True)
        for name in "12":
            Image.new("RGB", (8, 8)).save(tmp_path / folder / f"{name}.png")
    assert settle_direction(str(tmp_path), DataSettings(direction=direction)).direction == settled


def test_results_of_cyclegan_do_not_tell_which_side_holds_the_label_maps(tmp_path):
    for label in ("real_A", "fake_A", "rec_A", "real_B", "fake_B", "rec_B"):
        for name in "12":
            Image.new("RGB", (8, 8)).save(tmp_path / f"{name}_{label}.png")
    with pytest.raises(
        UserError, match=r"nothing tells which side holds the label maps\. Set direction=AtoB"
    ):
        settle_direction(str(tmp_path), DataSettings(direction="labels_to_photos"))
