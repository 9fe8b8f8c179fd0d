"""The training methods. A new one is a module here plus one line in METHODS."""

from generators.config import RunConfig
from generators.data.base import Task
from generators.methods.base import Losses, Method, frozen, undisturbed
from generators.methods.cyclegan import CycleGAN
from generators.methods.perceptual import Perceptual
from generators.methods.pix2pix import Pix2Pix
from studies.errors import UserError, did_you_mean

METHODS: dict[str, type[Method]] = {
    "pix2pix": Pix2Pix,
    "cyclegan": CycleGAN,
    "perceptual": Perceptual,
}

__all__ = ["METHODS", "Losses", "Method", "build_method", "frozen", "undisturbed"]


def build_method(config: RunConfig, task: Task) -> Method:
    """The method with fresh networks, drawn from torch's global generator, for images as the task makes them.

    Raises:
        UserError: No such method, or one that cannot learn from this task.
    """
    if config.method not in METHODS:
        raise UserError(f"method {config.method!r}: no such method.{did_you_mean(config.method, METHODS)}")
    kind = METHODS[config.method]
    if kind.unpaired and task.paired:
        raise UserError(
            f"task = {config.data.task}: {config.method} learns without pairs; --set task=unpaired."
        )
    if task.paired is False and not kind.unpaired:
        raise UserError(
            f"task = {config.data.task}: {config.method} learns from pairs; --set task=paired, or method cyclegan."
        )
    scale_factor = config.data.scale_factor if config.data.task == "super_resolution" else 1
    settings = kind.Settings() if config.settings is None else config.settings
    return kind(settings, task.source_channels, task.target_channels, config.data.crop_size_px, scale_factor)
