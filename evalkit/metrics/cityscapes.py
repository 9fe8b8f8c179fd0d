"""Cityscapes: label ids and train ids, colours, and how its files and the reference tool's are named."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from evalkit.metrics.confusion import IGNORED
from evalkit.metrics.label_maps import Classes, Colour, Entry
from studies.errors import UserError
from studies.imagesets.base import NamedImage

LABELS: tuple[tuple[int, str, int, Colour], ...] = (
    (0, "unlabeled", IGNORED, (0, 0, 0)),
    (1, "ego vehicle", IGNORED, (0, 0, 0)),
    (2, "rectification border", IGNORED, (0, 0, 0)),
    (3, "out of roi", IGNORED, (0, 0, 0)),
    (4, "static", IGNORED, (0, 0, 0)),
    (5, "dynamic", IGNORED, (111, 74, 0)),
    (6, "ground", IGNORED, (81, 0, 81)),
    (7, "road", 0, (128, 64, 128)),
    (8, "sidewalk", 1, (244, 35, 232)),
    (9, "parking", IGNORED, (250, 170, 160)),
    (10, "rail track", IGNORED, (230, 150, 140)),
    (11, "building", 2, (70, 70, 70)),
    (12, "wall", 3, (102, 102, 156)),
    (13, "fence", 4, (190, 153, 153)),
    (14, "guard rail", IGNORED, (180, 165, 180)),
    (15, "bridge", IGNORED, (150, 100, 100)),
    (16, "tunnel", IGNORED, (150, 120, 90)),
    (17, "pole", 5, (153, 153, 153)),
    (18, "polegroup", IGNORED, (153, 153, 153)),
    (19, "traffic light", 6, (250, 170, 30)),
    (20, "traffic sign", 7, (220, 220, 0)),
    (21, "vegetation", 8, (107, 142, 35)),
    (22, "terrain", 9, (152, 251, 152)),
    (23, "sky", 10, (70, 130, 180)),
    (24, "person", 11, (220, 20, 60)),
    (25, "rider", 12, (255, 0, 0)),
    (26, "car", 13, (0, 0, 142)),
    (27, "truck", 14, (0, 0, 70)),
    (28, "bus", 15, (0, 60, 100)),
    (29, "caravan", IGNORED, (0, 0, 90)),
    (30, "trailer", IGNORED, (0, 0, 110)),
    (31, "train", 16, (0, 80, 100)),
    (32, "motorcycle", 17, (0, 0, 230)),
    (33, "bicycle", 18, (119, 11, 32)),
)
"""Label id, name, train id, colour (RGB). In colour maps pole and polegroup look alike and count as pole.

Source: cityscapesscripts/helpers/labels.py of mcordts/cityscapesScripts.
"""

LABEL_IDS = Classes(
    "cityscapes", tuple(Entry(index, name, number, colour) for index, name, number, colour in LABELS)
)
"""Index maps hold label ids (`*_labelIds.png`), scored are the 19 classes with a train id."""
TRAIN_IDS = Classes(
    "cityscapes_train_ids",
    tuple(Entry(number, name, number, colour) for _, name, number, colour in LABELS if number != IGNORED),
)
"""Index maps hold train ids (`*_labelTrainIds.png`)."""

IMAGE_SUFFIX = "_leftImg8bit"
"""Behind the frame in names of photos; the reference tool wants generated ones to be named so too."""
_FRAME = re.compile(
    r"(?:^|/)([A-Za-z-]+_\d{6}_\d{6})(?:_(leftImg8bit|gtFine_[A-Za-z]+|gtCoarse_[A-Za-z]+))?[^/]*$"
)
_KINDS = {"cityscapes": "_labelIds", "cityscapes_train_ids": "_labelTrainIds"}
SPLIT_SIZES = {"train": 2975, "val": 500, "test": 1525}
"""Frames of each split of the fine annotations."""


def frame(name: str) -> str | None:
    """`<city>_<shot>_<frame>` of a file's stem or a source id; None if it is not named so.

    >>> frame("val/frankfurt/frankfurt_000000_000294_leftImg8bit")
    'frankfurt_000000_000294'
    """
    found = _FRAME.search(name)
    return found[1] if found else None


def is_ground_truth(images: Iterable[NamedImage]) -> bool:
    """Whether these are files of Cityscapes' annotations (`*_gtFine_*`)."""
    return any("_gtFine_" in image.path.stem or "_gtCoarse_" in image.path.stem for image in images)


def label_files(images: Iterable[NamedImage], classes: Classes, where: str) -> list[NamedImage]:
    """Of all annotation files those that the classes are for, named by frame, in the order of their paths.

    Raises:
        UserError: There are none.
    """
    images = list(images)
    ending = _KINDS.get(classes.title, "_color")
    kept = sorted(image.path for image in images if image.path.stem.endswith(ending))
    if not kept:
        raise UserError(
            f"{where}: Cityscapes annotations, but no *{ending}.png, which --classes {classes.title} needs. Give "
            "--classes cityscapes for *_labelIds.png, cityscapes_train_ids for *_labelTrainIds.png."
        )
    return [NamedImage(_frame_of(path), path) for path in kept]


def match(labels: Sequence[NamedImage], wanted: Sequence[str], where: str) -> list[NamedImage]:
    """Label maps under the source ids of the images that they belong to.

    Images are told by the frame in their names, wherever the file lies and whatever follows it, or by number: the
    i-th frame of a whole split in the order of its paths, as the authors numbered them (from 1 in their archive, from
    0 by their script; from 0 if there is a 0).

    Args:
        labels: Named by frame, in the order of their paths.
        wanted: Source ids of the images; empty: named as the reference tool wants results, FRAME_leftImg8bit.
        where: For messages.

    Raises:
        UserError: Numbered images, and the labels are not those of one whole split.

    Source:
        list_label_frames in scripts/eval_cityscapes/cityscapes.py and datasets/prepare_cityscapes_dataset.py of
        junyanz/pytorch-CycleGAN-and-pix2pix.
    """
    if wanted and all(name.isdecimal() for name in wanted):
        return _by_number(labels, wanted, where)
    names = {told: name for name in wanted if (told := frame(name)) is not None}
    return [NamedImage(names.get(one.source_id, one.source_id + IMAGE_SUFFIX), one.path) for one in labels]


def _by_number(labels: Sequence[NamedImage], wanted: Sequence[str], where: str) -> list[NamedImage]:
    if len(labels) not in SPLIT_SIZES.values():
        raise UserError(
            f"{where}: the images are numbered, and {len(labels)} label maps do not tell which is which: numbers count "
            f"the frames of a whole split ({', '.join(f'{name} {size}' for name, size in SPLIT_SIZES.items())}). Give "
            "gtFine/val whole, or name the images <city>_<shot>_<frame>_leftImg8bit."
        )
    first = 0 if any(int(name) == 0 for name in wanted) else 1
    beyond = [name for name in wanted if int(name) - first >= len(labels)]
    if beyond:
        raise UserError(f"{where}: image {beyond[0]} of only {len(labels)} frames. Is it the right split?")
    return [NamedImage(name, labels[int(name) - first].path) for name in wanted]


def _frame_of(path: Path) -> str:
    found = frame(path.stem)
    if found is None:
        raise UserError(f"{path}: not named <city>_<shot>_<frame>_gtFine_*.png. Restore the name.")
    return found
