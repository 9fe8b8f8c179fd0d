"""What besides the judgement of realism could tell real from fake: properties of files and of pictures.

How well each tells them apart, with its interval, is `evalkit.analyses.stimulus_audit`.
"""

import dataclasses
import io
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageFilter, ImageStat

from studies.design import Reference
from studies.errors import UserError
from studies.records import REAL
from studies.stimuli import FOLDER, Bundle
from studies.stimuli.decode import decode
from studies.stimuli.uniform import FileProperties, file_properties

Value = float | str

FILE_PROPERTIES = (*(field.name for field in dataclasses.fields(FileProperties)), "modified_s")
"""Of files; `modified_s`, seconds since 1970, of the originals only."""


@dataclass(frozen=True)
class PictureProperty:
    """Something that could be seen without judging realism."""

    words: str
    larger: str
    """What a larger value looks like."""
    smaller: str
    advice: str
    """What a difference means, and what to do."""


PICTURE_PROPERTIES: Mapping[str, PictureProperty] = {
    "luminance": PictureProperty(
        "mean luminance",
        "brighter",
        "darker",
        "Whoever notices can answer by brightness alone. Unless the brightness is the generator's own, look for a different "
        "scaling to 0-255, gamma or colour profile in how the two sets were saved.",
    ),
    "border_step": PictureProperty(
        "step at the outermost pixels, against the steps further in",
        "more abrupt at the edge",
        "smoother at the edge",
        "The edge gives it away rather than the content: padding of the network, or a frame. Crop both sets alike by a few "
        'pixels ([stimuli] crop = "centre" after trimming), or say so in the report.',
    ),
    "border_spread": PictureProperty(
        "spread of luminance along the outermost pixels",
        "more varied along the edge",
        "more even along the edge",
        "A plain frame or a uniform border gives it away. Crop both sets alike, or take images without frames.",
    ),
    "sharpness": PictureProperty(
        "sharpness (variance of the Laplacian)",
        "sharper",
        "blurrier",
        "If the generator itself blurs or adds texture (as L1 alone does), this is part of what people judge and needs no "
        "change. It is a flaw of the study only if one side was resized, enlarged or compressed and the other was not: "
        "compare how the two sets were made.",
    ),
    "blockiness": PictureProperty(
        "JPEG history (steps at the 8 x 8 grid)",
        "blockier",
        "less blocky",
        "Either one side has been through JPEG compression more than the other: take both from lossless files, or compress "
        "both alike before building. Or the generator's upsampling leaves a grid of its own, or learnt that of its training "
        "photographs: then it is part of what people judge.",
    ),
}
"""The names that records and messages use."""

_OFFSET = 0.5
"""Grey levels added to both sides of a ratio of steps, so that flat images do not divide by nothing."""
_LAPLACIAN = (0, -1, 0, -1, 4, -1, 0, -1, 0)
_INNER = slice(3, 8)
"""Pixels from the edge whose steps the outermost is held against."""

PUBLIC_SETS: Mapping[str, str] = {
    "facades": "CMP Facades",
    "cityscapes": "Cityscapes",
    "camvid": "CamVid",
    "edges2shoes": "UT Zappos50K",
    "edges2handbags": "the handbags of iGAN",
    "night2day": "Transient Attributes",
    "horse2zebra": "horse2zebra (ImageNet)",
    "apple2orange": "apple2orange (ImageNet)",
    "summer2winter": "summer2winter of CycleGAN",
    "monet2photo": "monet2photo of CycleGAN",
    "imagenet": "ImageNet",
    "coco": "COCO",
    "ade20k": "ADE20K",
    "celeba": "CelebA",
    "ffhq": "FFHQ",
    "lsun": "LSUN",
    "div2k": "DIV2K",
    "set5": "Set5",
    "set14": "Set14",
    "bsd100": "BSD100",
    "urban100": "Urban100",
}
"""Words in a path or manifest -> the public data set whose test images they suggest."""


@dataclass(frozen=True)
class Measured:
    """One image with everything measured of it."""

    condition: str
    """The algorithm, `real`, or another role of the bundle (attention checks, inputs)."""
    run: int
    source_id: str
    file: Mapping[str, Value]
    """By the names of FILE_PROPERTIES."""
    picture: Mapping[str, float]
    """By the names of PICTURE_PROPERTIES; empty for roles that nobody compares with real images."""


def measure_bundle(bundle: Bundle, folder: Path, compared: Sequence[str]) -> Iterator[Measured]:
    """Every stimulus as participants get it.

    Args:
        bundle: The bundle of the study folder `folder`.
        folder: The study folder.
        compared: Algorithms whose pictures are measured too, as the reference's are.

    Raises:
        UserError: A file is missing or no image.
    """
    for stimulus in bundle.stimuli:
        path = folder / FOLDER / stimulus.file
        data = _read(path, "Run `evalkit study build` again.")
        picture: Mapping[str, float] = {}
        if stimulus.condition in (REAL, *compared):
            with Image.open(io.BytesIO(data)) as image:
                picture = picture_properties(image)
        properties = dataclasses.asdict(file_properties(path.name, data))
        yield Measured(stimulus.condition, stimulus.run, stimulus.source_id, properties, picture)


def measure_originals(bundle: Bundle, folder: Path, compared: Sequence[str]) -> Iterator[Measured]:
    """Every original that a bundle was made from, as it lies there now.

    Raises:
        UserError: An original is no longer where it was, or no image.
    """
    for stimulus in bundle.stimuli:
        path = (folder.resolve() / bundle.originals[stimulus.id].path).resolve()
        data = _read(path, "The originals are only needed to show what the bundle removed.")
        properties: dict[str, Value] = dataclasses.asdict(file_properties(path.name, data))
        properties["modified_s"] = float(int(path.stat().st_mtime))
        is_compared = stimulus.condition in (REAL, *compared)
        picture = picture_properties(decode(path).image) if is_compared else {}
        yield Measured(stimulus.condition, stimulus.run, stimulus.source_id, properties, picture)


def _read(path: Path, advice: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). {advice}") from error


def picture_properties(image: Image.Image) -> dict[str, float]:
    """The properties of PICTURE_PROPERTIES of one image of at least 16 x 16 pixels."""
    grey = image.convert("L")
    width, height = grey.size
    across = ImageChops.difference(grey.crop((0, 0, width - 1, height)), grey.crop((1, 0, width, height)))
    down = ImageChops.difference(grey.crop((0, 0, width, height - 1)), grey.crop((0, 1, width, height)))
    columns = array("f", across.convert("F").resize((width - 1, 1), Image.Resampling.BOX).tobytes())
    rows = array("f", down.convert("F").resize((1, height - 1), Image.Resampling.BOX).tobytes())
    return {
        "luminance": ImageStat.Stat(grey).mean[0],
        "border_step": _border_step(columns, rows),
        "border_spread": _border_spread(grey),
        "sharpness": _laplacian_variance(grey),
        "blockiness": (_blockiness(columns) + _blockiness(rows)) / 2,
    }


def _border_step(columns: Sequence[float], rows: Sequence[float]) -> float:
    outer = [columns[0], columns[-1], rows[0], rows[-1]]
    inner = [*columns[_INNER], *columns[::-1][_INNER], *rows[_INNER], *rows[::-1][_INNER]]
    return (_mean(outer) + _OFFSET) / (_mean(inner) + _OFFSET)


def _border_spread(grey: Image.Image) -> float:
    width, height = grey.size
    frame = Image.new("L", grey.size, 255)
    frame.paste(0, (1, 1, width - 1, height - 1))
    return ImageStat.Stat(grey, frame).stddev[0]


def _laplacian_variance(grey: Image.Image) -> float:
    """Variance of the 5-point Laplacian, each value cut off at ±255; the filter's two halves are taken apart.

    Source:
        Pech-Pacheco, Cristóbal, Chamorro-Martínez & Fernández-Valdivia (2000), "Diatom autofocusing in brightfield
        microscopy: a comparative study", ICPR 3, 314-317 (LAPV).
    """
    inside = (1, 1, grey.width - 1, grey.height - 1)  # at the edge Pillow copies instead of filtering
    halves = [
        ImageStat.Stat(
            grey.filter(ImageFilter.Kernel((3, 3), [sign * weight for weight in _LAPLACIAN], scale=1)).crop(
                inside
            )
        )
        for sign in (1, -1)
    ]
    mean = halves[0].mean[0] - halves[1].mean[0]
    return (halves[0].sum2[0] + halves[1].sum2[0]) / halves[0].count[0] - mean**2


def _blockiness(profile: Sequence[float]) -> float:
    """How far the steps at every eighth pixel stand out from their neighbours, against the mean step.

    A crop moves the grid, so of the eight grids the most conspicuous counts.

    Source:
        After Wang, Sheikh & Bovik (2002), "No-reference perceptual quality assessment of JPEG compressed images",
        ICIP 1, 477-480, section 2; the neighbours in place of the mean over the block, and the eight grids, are ours.
    """
    excess = [
        profile[at] - (profile[at - 1] + profile[at + 1]) / 2 if 0 < at < len(profile) - 1 else 0.0
        for at in range(len(profile))
    ]
    return max(_mean(excess[phase::8]) for phase in range(8)) / (_mean(profile) + _OFFSET)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def as_numbers(reals: Sequence[Value], fakes: Sequence[Value]) -> tuple[list[float], list[float]]:
    """Values as numbers; words become the share of fakes among those that have them, the order that tells most."""
    if not any(isinstance(value, str) for value in (*reals, *fakes)):
        return list(map(float, reals)), list(map(float, fakes))
    rank = {}
    for word in {*reals, *fakes}:
        share_real, share_fake = reals.count(word) / len(reals), fakes.count(word) / len(fakes)
        rank[word] = share_fake / (share_real + share_fake)
    return [rank[word] for word in reals], [rank[word] for word in fakes]


def differing(measured: Sequence[Measured]) -> dict[str, str]:
    """File properties that are not the same for all images, each with two of their values in words."""
    found = {}
    for name in FILE_PROPERTIES:
        values = sorted({each.file[name] for each in measured if name in each.file}, key=str)
        if len(values) > 1:
            found[name] = f"{values[0]!r} and {values[1]!r}" + (
                f" and {len(values) - 2} more" if len(values) > 2 else ""
            )
    return found


def public_set(reference: Reference, bundle: Bundle | None) -> str | None:
    """The public data set that the real images come from, in words; "" if from none, None if nobody knows.

    Taken from `[reference] public`, else guessed from the folder's name and the manifests of the image sets.
    """
    if reference.public is not None:
        return (
            reference.public if isinstance(reference.public, str) else ("public" if reference.public else "")
        )
    told = reference.images.lower()
    for making in bundle.makings if bundle else ():
        told += " ".join(f" {value}" for key, value in making.manifest.items() if "data" in key).lower()
    words = "".join(letter if letter.isalnum() else " " for letter in told).split()
    return next((name for word, name in PUBLIC_SETS.items() if word in words), None)
