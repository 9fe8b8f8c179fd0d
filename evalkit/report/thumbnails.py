"""The most and the least fooling fakes, as small pictures inside the page."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

from evalkit.report.collect import Collected, ImageRate
from evalkit.report.numerals import percent

MOST_PER_END = 6
"""Images shown at each end of a condition's list."""
THUMBNAIL_PX = 160
"""Longest side; smaller stimuli stay as they are."""


@dataclass(frozen=True)
class Thumbnail:
    """One picture with its votes."""

    uri: str
    """data: URI; empty where the bundle has no such image."""
    text: str
    votes: str
    source: str
    """The input it was made from."""


@dataclass(frozen=True)
class Ends:
    """Both ends of one condition's list."""

    condition: str
    most: tuple[Thumbnail, ...]
    least: tuple[Thumbnail, ...]
    note: str


def ends(collected: Collected) -> list[Ends]:
    """For each condition its most and least fooling fakes, by the cautious bound of their shrunken rates.

    Most: highest lower bound; least: lowest upper bound; so few votes never lead a list. The two never overlap.
    """
    made = []
    for condition in collected.conditions:
        images = collected.images(condition)
        if images:
            made.append(_ends(collected, condition, images))
    return made


def _ends(collected: Collected, condition: str, images: list[ImageRate]) -> Ends:
    each = min(MOST_PER_END, max(len(images) // 2, 1))
    most = sorted(images, key=lambda image: (-image.low, -image.shrunken, -image.raw, image.image))[:each]
    rest = [image for image in images if image not in most]
    least = sorted(rest, key=lambda image: (image.high, image.shrunken, image.raw, image.image))[:each]
    same = len({round(image.shrunken, 12) for image in images}) == 1
    note = (
        "These images differ no more than chance alone would make them; the order below means little."
        if same
        else ""
    )
    return Ends(
        condition,
        tuple(_thumbnail(collected, image) for image in most),
        tuple(_thumbnail(collected, image) for image in least),
        note,
    )


def _thumbnail(collected: Collected, image: ImageRate) -> Thumbnail:
    stimulus = collected.stimuli.get(image.image)
    fooled = image.raw * image.votes
    votes = f"{fooled:g} of {image.votes} votes"
    if stimulus is None:
        return Thumbnail("", f"{percent(image.shrunken)} %", votes, image.image)
    path = collected.folder / "stimuli" / stimulus.file
    return Thumbnail(_data_uri(path.read_bytes()), f"{percent(image.shrunken)} %", votes, stimulus.source_id)


def _data_uri(file: bytes) -> str:
    with Image.open(io.BytesIO(file)) as opened:
        picture = opened.convert("RGB")
    if max(picture.size) > THUMBNAIL_PX:
        picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=92, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
