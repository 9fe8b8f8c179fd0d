"""An image set as HTML for notebooks: what it is, what was assumed of it, its first images."""

import base64
import io
from collections.abc import Iterable
from html import escape
from pathlib import Path

from PIL import Image

from studies.imagesets.base import ImageSet

SHOWN, SIDE_PX = 6, 96
"""Images of the strip, and their longer side."""


def image_set_html(images: ImageSet) -> str:
    """A heading, the first images and the remarks; a file that is no image keeps its name only."""
    label = f", {images.label}" if images.label else ""
    heading = f"{images.location}: {len(images)} images ({images.layout}{label})"
    strip = "".join(_figure(image.source_id, image.path) for image in images.images[:SHOWN])
    return f"<p>{escape(heading)}</p><div>{strip}</div>{_list('Warning: ', images.warnings)}{_list('', images.notes)}"


def _figure(name: str, path: Path) -> str:
    try:
        with Image.open(path) as opened:
            small = opened.convert("RGB")
            small.thumbnail((SIDE_PX, SIDE_PX))
            stream = io.BytesIO()
            small.save(stream, "PNG")
    except (OSError, ValueError, Image.DecompressionBombError):
        return f"<span>{escape(name)} (cannot be read)</span> "
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{escape(name)}" title="{escape(name)}"> '


def _list(prefix: str, texts: Iterable[str]) -> str:
    lines = "".join(f"<li>{escape(prefix + text)}</li>" for text in texts)
    return f"<ul>{lines}</ul>" if lines else ""
