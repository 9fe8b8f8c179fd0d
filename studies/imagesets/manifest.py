"""The manifest.json of an image set: who made the images, how, and the digest of each."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from studies.imagesets.base import UNLABELLED, NamedImage, pixel_digest
from studies.imagesets.folder import PlainFolder

FILE_NAME = "manifest.json"
FORMAT = "evalkit image set 1"


def write_manifest(
    folder: Path,
    *,
    generator: str,
    settings: Mapping[str, Any],
    seed: int | None,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write manifest.json for the images that lie in a plain folder, whole or not at all.

    Args:
        folder: The finished image set; every image in it is listed with its source id and pixel digest.
        generator: Name of what made the images.
        settings: Everything needed to make them again, as JSON values.
        seed: Of the random numbers used; None if there were none.
        extra: More keys, e.g. digests of what the generator was fitted on.
    """
    images = []
    for image in PlainFolder().images(folder)[UNLABELLED]:
        with Image.open(image.path) as opened:
            digest = pixel_digest(opened)
        images.append(
            {"source_id": image.source_id, "file": str(image.path.relative_to(folder)), "digest": digest}
        )
    content = {
        "format": FORMAT,
        "generator": generator,
        "settings": dict(settings),
        "seed": seed,
        **(extra or {}),
    }
    partial = folder / f".{FILE_NAME}.partial"
    partial.write_text(
        json.dumps({**content, "images": images}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return partial.replace(folder / FILE_NAME)


def read_manifest(
    folder: Path, images: Iterable[NamedImage]
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The folder's manifest, if there is one, and what does not fit: unreadable, or about other images."""
    path = folder / FILE_NAME
    if not path.is_file():
        return None, ()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return None, (f"{FILE_NAME} is not a JSON object and is left out",)
    listed = content.get("images")
    if content.get("format") != FORMAT or not isinstance(listed, list):
        return content, ()
    told = {str(entry.get("source_id")) for entry in listed if isinstance(entry, dict)}
    here = {image.source_id for image in images}
    if told == here:
        return content, ()
    return content, (
        f"{FILE_NAME} tells of other images: {len(told - here)} are gone, {len(here - told)} are new",
    )
