"""From labelled photos to segmenter.pt and segmenter.json."""

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from evalkit.metrics.base import Array
from evalkit.metrics.confusion import IGNORED, Histogram, confusion, scores
from evalkit.metrics.fcn import CLASS, IOU, PIXEL
from evalkit.metrics.label_maps import Classes, label_set
from evalkit.metrics.networks.fcn_network import build_network, predictor
from evalkit.metrics.pictures import picture_set
from evalkit.metrics.segmenters import ABOUT_FILE, DIGEST_LENGTH, FORMAT, WEIGHTS_FILE, Predict
from generators.config import RunConfig
from generators.methods.base import Method
from generators.runs import disk_errors, last_whole_checkpoint, replace_durably
from generators.segmenter.method import SegmenterMethod
from generators.segmenter.photos import Labelled, LabelledPhotos, Split, labelled, split
from generators.segmenter.settings import SegmenterSettings
from generators.training_loop import Finished, Hardware, Parts, Progress, train
from generators.training_loop.grids import drawing, tiled
from studies.errors import UserError

GRID_ROWS = 4
_NETWORK = "network."
_BATCH = 8
_MEASURED = 20
"""Photos looked at to know their size."""


@dataclass(frozen=True)
class Trained:
    """A finished segmenter."""

    folder: Path
    validation: dict[str, float]
    """Scores on the photos that were held out (absent classes skipped)."""
    n_train: int
    n_validation: int
    resumed_at: int
    """Photos that earlier processes had shown."""


def train_segmenter(
    config: RunConfig,
    classes: Classes,
    folder: Path,
    hardware: Hardware = Hardware(),  # noqa: B008  (frozen)
    on_progress: Callable[[Progress], None] | None = None,
    *,
    tell: Callable[[str], None] | None = None,
) -> Trained:
    """Train a segmenter to its end, or go on with the one in `folder`; then score it on the held-out photos.

    Args:
        config: As `segmenter_config` makes it.
        classes: Of the label maps.
        folder: Run folder and segmenter in one.
        hardware: What to train on.
        on_progress: As `training_loop.train`.
        tell: As `training_loop.train`.

    Raises:
        UserError: As `training_loop.train`; or photos and label maps do not match.
        TrainingStoppedError: Asked to stop; a checkpoint was written.
    """
    settings: SegmenterSettings = config.settings
    photos = picture_set(config.location)
    maps = label_set(settings.labels, classes, matching=photos.source_ids)
    parts = split(labelled(photos, maps), settings.validation_share, config.training.seed)
    _check_labels(parts, classes)

    def build(told: RunConfig) -> Parts:
        torch.manual_seed(told.training.seed)
        method = SegmenterMethod(settings, 3, len(classes.names), settings.width_px)
        shown = LabelledPhotos(parts.train, settings, told.training.seed)
        side = max(settings.height_px, settings.width_px)
        return Parts(method, shown, _Grid(parts.validation[:GRID_ROWS], classes, settings), side)

    finished = train(config, folder, hardware, on_progress, tell=tell, build=build)
    about = _exported(finished, config, classes, parts, hardware)
    return Trained(folder, about["validation"], len(parts.train), len(parts.validation), finished.resumed_at)


def count(predict: Predict, pairs: tuple[Labelled, ...], n_classes: int) -> Histogram:
    """The histogram of a network's predictions on labelled photos, labels at their own size."""
    total = np.zeros((n_classes, n_classes), np.int64)
    for begun in range(0, len(pairs), _BATCH):
        some = pairs[begun : begun + _BATCH]
        maps = [one.labels.read() for one in some]
        found = predict([one.photo.read() for one in some], [(one.shape[0], one.shape[1]) for one in maps])
        for labels, (prediction, _) in zip(maps, found, strict=True):
            total += confusion(labels, prediction, n_classes)
    return total


def _check_labels(parts: Split, classes: Classes) -> None:
    """The first label maps, so that wrong classes show before anything is trained."""
    for one in parts.train[:3]:
        if (one.labels.read() == IGNORED).all():
            raise UserError(f"{one.labels.where}: no pixel counts. Is {classes.title} for these label maps?")


def _exported(
    finished: Finished, config: RunConfig, classes: Classes, parts: Split, hardware: Hardware
) -> dict[str, Any]:
    """Write segmenter.pt and then segmenter.json, unless both are there for this very checkpoint."""
    about_path, weights_path = finished.folder / ABOUT_FILE, finished.folder / WEIGHTS_FILE
    if about_path.is_file() and weights_path.is_file():
        about: dict[str, Any] = json.loads(about_path.read_text(encoding="utf-8"))
        if about["images_shown"] == finished.images_shown:
            return about
    network, weights = _network(finished.folder, config.settings, len(classes.names))
    size = (config.settings.height_px, config.settings.width_px)
    predict = predictor(network, size, torch.device(hardware.device_type))
    found = scores(count(predict, parts.validation, len(classes.names)), "skip")
    validation = {PIXEL: found.pixel_accuracy, CLASS: found.class_accuracy, IOU: found.class_iou}
    about = {
        "format": FORMAT,
        "architecture": config.settings.architecture,
        "height_px": size[0],
        "width_px": size[1],
        "classes": classes.to_json(),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "images_shown": finished.images_shown,
        "validation": {key: float(value) for key, value in validation.items()},
        "validation_photos": len(parts.validation),
        "trained_on": _trained_on(config, parts),
        "settings": dataclasses.asdict(config.settings),
        "software": {name: version(name) for name in ("evalkit", "torch", "torchvision")},
    }
    text = json.dumps(about, indent=1) + "\n"
    with disk_errors(weights_path):
        about_path.unlink(missing_ok=True)
        replace_durably(weights_path, lambda stream: stream.write(weights))
        replace_durably(about_path, lambda stream: stream.write(text.encode()))
    return about


def _network(folder: Path, settings: SegmenterSettings, n_classes: int) -> tuple[nn.Module, bytes]:
    """The network of the last checkpoint, and the file of its weights."""
    checkpoint = last_whole_checkpoint(folder)
    assert checkpoint is not None
    state = {
        name.removeprefix(_NETWORK): value
        for name, value in checkpoint.state["method"].items()
        if name.startswith(_NETWORK)
    }
    network = build_network(settings.architecture, n_classes)
    network.load_state_dict(state)
    stream = io.BytesIO()
    torch.save(state, stream)
    return network, stream.getvalue()


def _trained_on(config: RunConfig, parts: Split) -> dict[str, Any]:
    photos = [one.photo for one in parts.train]
    sizes = {photo.read().shape[:2] for photo in photos[:_MEASURED]}
    return {
        "images": config.location,
        "labels": config.settings.labels,
        "photos": len(photos),
        "photo_px": sizes.pop() if len(sizes) == 1 else None,
        "digests": sorted(one.digest[:DIGEST_LENGTH] for one in photos),
    }


class _Grid:
    """Held-out photos: photo | label map | prediction."""

    def __init__(self, pairs: tuple[Labelled, ...], classes: Classes, settings: SegmenterSettings) -> None:
        self._pairs, self._size = pairs, (settings.height_px, settings.width_px)
        colours = classes.palette or tuple(
            _grey(index, len(classes.names)) for index in range(len(classes.names))
        )
        self._colours = np.zeros((256, 3), np.uint8)
        self._colours[: len(colours)] = colours

    def __call__(self, method: Method, place: Callable[[Tensor], Tensor]) -> Image.Image:
        del place  # `predictor` brings images to the device itself
        assert isinstance(method, SegmenterMethod)
        device = next(method.parameters()).device
        with drawing(method):
            predict = predictor(method.network, self._size, device)
            return tiled([self._row(predict, one) for one in self._pairs])

    def _row(self, predict: Predict, pair: Labelled) -> list[Image.Image]:
        photo, labels = pair.photo.read(), pair.labels.read()
        ((found, _),) = predict([photo], [(labels.shape[0], labels.shape[1])])
        pictures: list[Array] = [photo, self._colours[labels], self._colours[found]]
        return [
            Image.fromarray(one).resize((self._size[1], self._size[0]), Image.Resampling.NEAREST)
            for one in pictures
        ]


def _grey(index: int, count: int) -> tuple[int, int, int]:
    level = round(255 * (index + 1) / (count + 1))
    return level, level, level
