"""A segmenter for the made-up facades, trained in seconds."""

from collections.abc import Callable
from pathlib import Path

from evalkit.metrics.label_maps import Classes, classes_from
from generators.segmenter.settings import segmenter_config
from generators.segmenter.training import Trained, train_segmenter
from generators.toy_facades import CLASSES, PALETTE
from generators.training_loop import Hardware, Progress

_PHOTOS_SHOWN = 3000


def toy_classes() -> Classes:
    """The classes of made-up facades, as an ablation's labels/classes.json tells them."""
    content = {"classes": list(CLASSES), "palette": [list(PALETTE[kind]) for kind in CLASSES]}
    return classes_from(content, "toy-facades")


def train_toy_segmenter(
    facades: Path,
    out: Path,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    photos_shown: int = _PHOTOS_SHOWN,
    size_px: int = 64,
) -> Trained:
    """Train on the real photos of the training split, and on nothing else.

    Args:
        facades: What `write_toy_facades` wrote.
        out: Folder for the segmenter.
        on_progress: As `training_loop.train`.
        photos_shown: Length of the training.
        size_px: Side of the photos.

    Raises:
        UserError: As `train_segmenter`.
    """
    classes = toy_classes()
    config = segmenter_config(
        str(facades / "train" / "photos"),
        str(facades / "train" / "labels"),
        classes,
        [
            f"total_images={photos_shown}",
            f"checkpoint_images={photos_shown}",
            "sample_images=0",
            f"height_px={size_px}",
            f"width_px={size_px}",
        ],
    )
    return train_segmenter(config, classes, out, Hardware(accelerator="cpu"), on_progress)
