"""A method, images and a config so small that a whole run takes a fraction of a second."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from generators.config import DataSettings, RunConfig, TrainingSettings
from generators.methods.base import Losses, Method, frozen
from generators.runs import last_whole_checkpoint
from generators.training_loop import Finished, Hardware, Parts, train

SIZE_PX = 8
CPU = Hardware(accelerator="cpu")
TIMINGS = ("seconds", "images_per_second", "peak_memory_mb")


@dataclass(frozen=True)
class ToySettings:
    """Of the toy method."""

    ballast: int = 0
    """Numbers in a buffer that makes checkpoints large."""


class ToyMethod(Method):
    """Two players, dropout, batch normalisation, and a buffer that remembers the last fake."""

    Settings = ToySettings

    def __init__(self, settings: ToySettings) -> None:
        super().__init__(settings, 3, 3, SIZE_PX)
        self.generator = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 3, 3, padding=1)
        )
        self.discriminator = nn.Conv2d(3, 1, 3)
        self.register_buffer("last", torch.zeros(3, SIZE_PX, SIZE_PX))
        self.register_buffer("ballast", torch.zeros(settings.ballast))

    def players(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def losses(self, source: Tensor, target: Tensor) -> Iterator[tuple[str, Losses]]:
        fake = self.generator(source)
        of_fake, of_last = self.discriminator(fake.detach()), self.discriminator(self.last.clone()[None])
        self.last.copy_(fake.detach()[0])
        real = self.discriminator(target)
        yield (
            "discriminator",
            {"real": (real - 1).square().mean(), "fake": (of_fake + 0.1 * of_last).square().mean()},
        )
        with frozen(self.discriminator):
            gan = (self.discriminator(fake) - 1).square().mean()
        yield "generator", {"gan": gan, "l1": (fake - target).abs().mean()}

    def generate(self, images: Tensor, *, backward: bool = False) -> Tensor:
        fake: Tensor = self.generator(images)
        return fake


class ToyImages(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """The k-th pair is a function of seed and k; `happens` may do something when it is asked for."""

    def __init__(self, seed: int, happens: Callable[[int], None] | None = None) -> None:
        self.seed, self.happens = seed, happens

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        if self.happens is not None:
            self.happens(k)
        pixels = np.random.default_rng((self.seed, k)).uniform(-1, 1, (3, SIZE_PX, SIZE_PX))
        source = torch.from_numpy(pixels.astype(np.float32))
        return source, -source


def toy_grid(method: Method, place: Callable[[Tensor], Tensor]) -> Image.Image:
    """Shows how bright one generated image is."""
    brightness = method.generate(place(torch.zeros(1, 3, SIZE_PX, SIZE_PX))).mean().item()
    return Image.new("RGB", (4, 4), (round(128 + 10 * brightness),) * 3)


def toy_config(settings: Any = None, **training: Any) -> RunConfig:
    """24 images, a line every 4, a checkpoint and a grid every 8."""
    lengths = {"total_images": 24, "log_images": 4, "checkpoint_images": 8, "sample_images": 8}
    return RunConfig(
        "toy",
        "toy",
        "made up",
        DataSettings(load_size_px=SIZE_PX, crop_size_px=SIZE_PX),
        TrainingSettings(**{**lengths, **training}),
        settings or ToySettings(),
    )


def toy_build(
    happens: Callable[[int], None] | None = None, method: Callable[[Any], Method] = ToyMethod
) -> Callable[[RunConfig], Parts]:
    """What the loop builds its parts with."""

    def build(config: RunConfig) -> Parts:
        torch.manual_seed(config.training.seed)
        images = ToyImages(config.training.seed, happens)
        return Parts(
            method(config.settings), images, None if config.training.sample_images == 0 else toy_grid
        )

    return build


def toy_train(config: RunConfig, folder: Path, hardware: Hardware = CPU, **options: Any) -> Finished:
    """Train the toy method."""
    options.setdefault("build", toy_build())
    return train(config, folder, hardware, **options)


def train_slowly(folder: Path, config: RunConfig) -> None:
    """In a process of its own: as `toy_train`, one thread."""
    torch.set_num_threads(1)
    toy_train(config, folder)


def last_state(folder: Path) -> dict[str, Any]:
    """All of the last checkpoint that is no timing."""
    checkpoint = last_whole_checkpoint(folder)
    assert checkpoint is not None
    return {key: value for key, value in checkpoint.state.items() if key != "seconds"}


def stats(folder: Path) -> list[dict[str, Any]]:
    """stats.jsonl without timings."""
    lines = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMINGS} for line in lines]


def same_bits(one: Any, other: Any) -> bool:
    """Whether two nested states agree in every bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_bits(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same_bits, one, other))
    return bool(one == other)


def longer(config: RunConfig, total_images: int) -> RunConfig:
    """The same run, going on."""
    return dataclasses.replace(
        config, training=dataclasses.replace(config.training, total_images=total_images)
    )


class Watched(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Images that other code may have an eye on."""

    def __init__(self, shown: Any, happens: Callable[[int], None]) -> None:
        self.shown, self.happens = shown, happens

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        self.happens(k)
        pair: tuple[Tensor, Tensor] = self.shown[k]
        return pair


def write_unpaired(folder: Path, count: int = 5, size_px: int = 26) -> Path:
    """Folders trainA trainB testA testB."""
    rng = np.random.default_rng(1)
    for name in ("trainA", "trainB", "testA", "testB"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def write_pairs(folder: Path, count: int = 6, size_px: int = 16) -> Path:
    """A folder of aligned A|B images, train and test."""
    rng = np.random.default_rng(0)
    for split, images in (("train", count), ("test", 3)):
        (folder / split).mkdir(parents=True)
        for number in range(images):
            pixels = rng.integers(0, 256, (size_px, 2 * size_px, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{number}.png")
    return folder
