"""Datasets known by name, and where they lie on this computer."""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from generators.config import DataSettings
from generators.toy_facades import SIZES_PX, write_toy_facades
from studies.errors import UserError, did_you_mean

PIX2PIX = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets"
CYCLEGAN = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets"

TOY = "toy-facades"
TOY_TRAIN_IMAGES, TOY_TEST_IMAGES, TOY_SEED = 400, 100, 2017
_TOY_NAME = re.compile(rf"{TOY}(?:-(?P<size>[0-9]+))?")


@dataclass(frozen=True)
class Archive:
    """A dataset that can be fetched."""

    address: str
    what: str
    """Sides A and B as they lie in it."""
    images: str
    """Training images as its authors count them."""
    megabytes: int | None = None
    """Of the archive, 10^6 bytes; None: not known."""
    sha256: str = ""
    """Of the archive; empty where none is published."""

    @property
    def file_name(self) -> str:
        """Name of the archive at its address."""
        return self.address.rpartition("/")[2]


# Counts and sides: docs/datasets.md and README of junyanz/pytorch-CycleGAN-and-pix2pix, read, not counted here.
# SHA-256 and exact sizes: url_checksums/cycle_gan.txt of TensorFlow Datasets, taken at the archives' former address.
# The Cityscapes archives were taken back and replaced for their licence, so theirs are not listed.
ARCHIVES: dict[str, Archive] = {
    "facades": Archive(f"{PIX2PIX}/facades.tar.gz", "A photo, B labels, aligned", "400", 30),
    "maps": Archive(f"{PIX2PIX}/maps.tar.gz", "A aerial photo, B map, aligned", "1096", 250),
    "cityscapes": Archive(f"{PIX2PIX}/cityscapes.tar.gz", "A photo, B labels, aligned", "2975", 103),
    "edges2shoes": Archive(f"{PIX2PIX}/edges2shoes.tar.gz", "A edges, B photo, aligned", "50k", 2_200),
    "edges2handbags": Archive(f"{PIX2PIX}/edges2handbags.tar.gz", "A edges, B photo, aligned", "137k", 8_600),
    "night2day": Archive(f"{PIX2PIX}/night2day.tar.gz", "A and B: night and day, aligned", "17823", 2_000),
    "apple2orange": Archive(
        f"{CYCLEGAN}/apple2orange.zip",
        "A apples, B oranges",
        "996 + 1020",
        78,
        "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8",
    ),
    "summer2winter_yosemite": Archive(
        f"{CYCLEGAN}/summer2winter_yosemite.zip",
        "A summer, B winter",
        "1273 + 854",
        133,
        "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9",
    ),
    "horse2zebra": Archive(
        f"{CYCLEGAN}/horse2zebra.zip",
        "A horses, B zebras",
        "939 + 1177",
        117,
        "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
    ),
    "monet2photo": Archive(
        f"{CYCLEGAN}/monet2photo.zip",
        "A Monet, B photos",
        "1074 + 6853",
        305,
        "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04",
    ),
    "cezanne2photo": Archive(
        f"{CYCLEGAN}/cezanne2photo.zip",
        "A Cezanne, B photos",
        "584 + 6853",
        280,
        "3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff",
    ),
    "ukiyoe2photo": Archive(
        f"{CYCLEGAN}/ukiyoe2photo.zip",
        "A ukiyo-e, B photos",
        "1433 + 6853",
        293,
        "02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08",
    ),
    "vangogh2photo": Archive(
        f"{CYCLEGAN}/vangogh2photo.zip",
        "A Van Gogh, B photos",
        "401 + 6853",
        307,
        "362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff",
    ),
    "iphone2dslr_flower": Archive(
        f"{CYCLEGAN}/iphone2dslr_flower.zip",
        "A phone, B camera photos",
        "1813 + 3316",
        340,
        "8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113",
    ),
    "ae_photos": Archive(f"{CYCLEGAN}/ae_photos.zip", "photos to test enhancement on", "", 10),
    "cyclegan-maps": Archive(
        f"{CYCLEGAN}/maps.zip",
        "A aerial photos, B maps",
        "1096",
        1_477,
        "639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e",
    ),
    "cyclegan-facades": Archive(
        f"{CYCLEGAN}/facades.zip",
        "A photos, B labels",
        "400",
        35,
        "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0",
    ),
    "cyclegan-cityscapes": Archive(f"{CYCLEGAN}/cityscapes.zip", "A photos, B labels", "2975"),
}


def data_folder() -> Path:
    """Where datasets known by name lie: $EVALKIT_DATA, or ~/.cache/evalkit/data."""
    told = os.environ.get("EVALKIT_DATA")
    return Path(told).expanduser() if told else Path.home() / ".cache" / "evalkit" / "data"


def is_known(location: str) -> bool:
    """Whether a location is a name, and no folder of that name lies here."""
    return (location in ARCHIVES or toy_size(location) is not None) and not Path(location).is_dir()


def check_one_meaning(location: str) -> None:
    """Refuse a word that is both a folder here and a dataset's name.

    Raises:
        UserError: Says how to write either.
    """
    if (location in ARCHIVES or toy_size(location) is not None) and Path(location).is_dir():
        raise UserError(
            f"{location}: a folder here, and a dataset that `evalkit data list` shows. Write ./{location} for the folder, "
            f"or {data_folder() / location} for the dataset."
        )


def toy_size(name: str, default_px: int = SIZES_PX[0]) -> int | None:
    """The size that a name of the toy facades asks for; None if it is no such name."""
    toy = _TOY_NAME.fullmatch(name)
    return toy and int(toy["size"] or default_px)


def locate(location: str, settings: DataSettings) -> Path:
    """The folder of a dataset; the toy facades are drawn on first use.

    Args:
        location: A path, which goes first, or a known name; `toy-facades-96` asks for facades of 96 px, `toy-facades`
            for crop_size_px as far as the drawing allows.
        settings: Tells the toy's size.

    Raises:
        UserError: Neither a folder nor a name, or a dataset that has not been fetched.
    """
    if not is_known(location):
        return _path(location)
    wanted_px = min(max(settings.crop_size_px, SIZES_PX[0]), SIZES_PX[1])
    if (size_px := toy_size(location, wanted_px)) is not None:
        return draw_toy(data_folder(), size_px)
    folder = data_folder() / location
    if not folder.is_dir():
        raise UserError(f"{location}: not in {data_folder()} yet. Fetch it with: evalkit data get {location}")
    return folder


def draw_toy(data: Path, size_px: int) -> Path:
    """The folder of the toy facades of a size; drawn if need be, whole or not at all.

    Raises:
        UserError: No facades are drawn of that size, or the folder cannot be written.
    """
    folder = data / f"{TOY}-{size_px}"
    if folder.is_dir():
        return folder
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=data, prefix=f".{folder.name}.") as beside:
            made = Path(beside) / folder.name
            write_toy_facades(
                made, TOY_TRAIN_IMAGES + TOY_TEST_IMAGES, size_px, TOY_SEED, n_test=TOY_TEST_IMAGES
            )
            if not folder.is_dir():  # another process may have been faster
                shutil.move(made, folder)
    except OSError as error:
        raise UserError(
            f"{data}: the toy facades cannot be written there ({error.strerror}). Set EVALKIT_DATA to a folder "
            "that can hold data."
        ) from error
    return folder


def _path(location: str) -> Path:
    if not location.strip():
        raise UserError("no dataset is named. Give a folder, or a name that `evalkit data list` shows.")
    folder = Path(location).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise UserError(f"{location}: a file. Give the folder that holds the dataset.")
    parent = folder.parent
    neighbours = (
        [str(parent / path.name) for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    )
    hint = did_you_mean(str(parent / folder.name), [*neighbours, *ARCHIVES, TOY])
    if "Did you mean" not in hint:  # a list of all neighbours would be long
        hint = " `evalkit data list` shows the names that may stand here."
    raise UserError(f"{location}: no such folder, and no dataset of that name.{hint}")
