"""What a segmenter's training is made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalkit.metrics.label_maps import Classes
from generators.config import DataSettings, RunConfig, TrainingSettings, override
from studies.errors import UserError

METHOD = "segmenter"
"""What config.json calls it; no key of METHODS, since it generates nothing."""
LEAST_PX = 32


@dataclass(frozen=True)
class SegmenterSettings:
    """Network, data and augmentation of a segmenter."""

    architecture: Literal["fcn_small", "fcn_resnet50", "fcn_resnet101"] = "fcn_small"
    """fcn_small trains on a CPU in minutes; the others are torchvision's FCN on a ResNet, for a GPU and many photos."""
    labels: str = ""
    """Where the label maps are."""
    class_names: tuple[str, ...] = ()
    """The classes that it tells apart, in the order of their numbers."""
    class_digest: str = ""
    """SHA-256 of how label files spell them."""
    height_px: int = 256
    """Photos are resized to this height, in training and whenever it predicts."""
    width_px: int = 256
    """Photos are resized to this width."""
    validation_share: float = 0.1
    """Share of the photos held out to score it."""
    mirror: bool = True
    """Random mirroring."""
    least_crop: float = 0.6
    """Training sees random crops of between this share of each side and the whole, enlarged again."""
    brightness: float = 0.25
    """Training photos are made darker or brighter by up to this share."""

    def __post_init__(self) -> None:
        """Raises ValueError on sizes and shares that cannot be."""
        if min(self.height_px, self.width_px) < LEAST_PX:
            raise ValueError(f"height_px and width_px must be at least {LEAST_PX}.")
        if not 0 < self.least_crop <= 1:
            raise ValueError(f"least_crop = {self.least_crop:g} must be above 0 and at most 1.")
        if not 0 < self.validation_share < 1:
            raise ValueError(f"validation_share = {self.validation_share:g} must be above 0 and below 1.")
        if self.brightness >= 1:
            raise ValueError(f"brightness = {self.brightness:g} must be below 1.")


def segmenter_config(
    images: str, labels: str, classes: Classes, assignments: Sequence[str] = ()
) -> RunConfig:
    """The config of a training on these photos.

    Args:
        images: Location of the photos.
        labels: Location of the label maps.
        classes: That it is to tell apart.
        assignments: `key=value` of SegmenterSettings or TrainingSettings.

    Raises:
        UserError: An unknown key, or a value that is not allowed.
    """
    training = TrainingSettings(
        total_images=12_000,
        batch_size=8,
        learning_rate=1e-3,
        beta1=0.9,
        checkpoint_images=2_000,
        sample_images=2_000,
        log_images=400,
    )
    own = SegmenterSettings(labels=labels, class_names=classes.names, class_digest=classes.digest)
    _refuse_given(assignments)
    config = override(RunConfig(METHOD, METHOD, images, DataSettings(), training, own), assignments)
    if not any(one.partition("=")[0].strip() == "decay_images" for one in assignments):
        config = override(config, [f"decay_images={config.training.total_images}"])
    return config


def _refuse_given(assignments: Sequence[str]) -> None:
    """Keys that have options of their own, and those of generators' data, which say nothing here."""
    for one in assignments:
        key = one.partition("=")[0].strip()
        if key in ("labels", "class_names", "class_digest"):
            raise UserError(f"--set {key}: is told by --labels and --classes.")
        if key in vars(DataSettings()) and key not in vars(SegmenterSettings()):
            raise UserError(
                f"--set {key}: is a generator's; a segmenter has height_px, width_px and least_crop."
            )
