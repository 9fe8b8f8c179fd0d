"""Seeded random weights in place of pretrained ones: for `--random-weights`, tests and measurements of speed.

Scores made with them compare nothing, but they behave like scores: activations neither vanish nor explode, features
are many-dimensional, and rounding matters about as much as with the trained weights.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from evalkit.metrics.networks.published_inception import build_inception
from evalkit.metrics.weights import WEIGHTS

_CALIBRATION_IMAGES = 8
_CALIBRATION_PX = {"inception": 299, "alexnet": 128, "vgg16": 96, "squeezenet": 128}
_MEAN_BIAS = 0.5
"""Of the batch norms before their ReLU. At 0 or below, random Inception features nearly collapse to one direction."""
_JITTER = 0.1


@functools.lru_cache(maxsize=8)
def random_state(name: str, seed: int) -> Mapping[str, Tensor]:
    """A state dict of the shape of the published file: same seed, same machine, same numbers.

    Classifiers, which no metric uses, are one zero seen in the shape that they should have.

    Args:
        name: In `weights.WEIGHTS`.
        seed: Any integer.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode(False), torch.no_grad():
        state = _inception(generator) if name == "inception" else _trunk(name, generator)
    return {key: _one_zero(value) if _is_classifier(key) else value for key, value in state.items()}


def plant(folder: Path, seed: int = 0, names: tuple[str, ...] = tuple(WEIGHTS)) -> None:
    """Write files of the published names and shapes where torch.hub looks for them if TORCH_HOME is `folder`."""
    checkpoints = folder / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    for name in names:
        torch.save(dict(random_state(name, seed)), checkpoints / WEIGHTS[name].file_name)


def _inception(generator: torch.Generator) -> dict[str, Tensor]:
    """He-initialised filters of zero mean, biased batch norms, and their statistics from a pass over images.

    Filters of zero mean do not see the common brightness of their inputs, which would swamp all else.
    """
    network = build_inception(None)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            filters = torch.randn(module.weight.shape, generator=generator)
            filters *= math.sqrt(2 / module.weight[0].numel())
            module.weight.copy_(filters - filters.mean(dim=(1, 2, 3), keepdim=True))
        elif isinstance(module, nn.BatchNorm2d):
            n = module.num_features
            module.weight.copy_(1 + _JITTER * torch.randn(n, generator=generator))
            module.bias.copy_(_MEAN_BIAS + _JITTER * torch.randn(n, generator=generator))
            module.reset_running_stats()
            module.momentum = None  # the plain mean over all that passes
    network.train().to(memory_format=torch.channels_last)
    network(_images(_CALIBRATION_PX["inception"], generator) * 2 - 1)
    return {key: value.contiguous() for key, value in network.state_dict().items()}


def _trunk(name: str, generator: torch.Generator) -> dict[str, Tensor]:
    """He-initialised convolutions, each divided by the standard deviation of its output on images.

    Source: Mishkin & Matas 2016, "All you need is a good init" (LSUV), without the orthogonal start.
    """
    from torchvision import models

    builders: dict[str, Callable[[], nn.Module]] = {
        "alexnet": models.alexnet,
        "vgg16": models.vgg16,
        "squeezenet": models.squeezenet1_1,
    }
    with torch.device("meta"):
        network: Any = builders[name]()
    trunk = network.features.to_empty(device="cpu").eval()
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            scale = math.sqrt(2 / module.weight[0].numel())
            module.weight.copy_(scale * torch.randn(module.weight.shape, generator=generator))
            module.bias.copy_(0.05 * torch.randn(module.bias.shape, generator=generator))  # type: ignore[union-attr]  # these have one
    with _unit_variance(trunk):
        trunk((_images(_CALIBRATION_PX[name], generator) - 0.45) / 0.225)
    return {**network.state_dict(), **{f"features.{key}": value for key, value in trunk.state_dict().items()}}


@contextmanager
def _unit_variance(trunk: nn.Module) -> Iterator[None]:
    """While it holds, every convolution that is passed is rescaled so that its output has variance 1."""

    def rescale(module: nn.Module, _: Any, output: Tensor) -> Tensor:
        deviation = output.std()
        for parameter in module.parameters():
            parameter.div_(deviation)
        return output / deviation

    convolutions = [module for module in trunk.modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_hook(rescale) for module in convolutions]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _images(size_px: int, generator: torch.Generator) -> Tensor:
    """(n, 3, size, size) in [0, 1]: 1/f noise, as photographs have it, and a few flat shapes with edges."""
    n = _CALIBRATION_IMAGES
    frequency = torch.fft.fftfreq(size_px)
    distance = torch.hypot(frequency[:, None], frequency[None, :]).clamp_min(1 / size_px)
    spectrum = torch.fft.fft2(torch.randn(n, 3, size_px, size_px, generator=generator)) / distance
    noise = torch.fft.ifft2(spectrum).real
    noise = noise + noise.mean(dim=1, keepdim=True)  # colours go together
    images = torch.sigmoid(1.5 * functional.layer_norm(noise, noise.shape[1:]))
    for image in images:
        for _ in range(4):
            left, top, width, height = (size_px * torch.rand(4, generator=generator)).int().tolist()
            colour = torch.rand(3, 1, 1, generator=generator)
            image[:, top : top + height // 2 + 1, left : left + width // 2 + 1] = colour
    return images.to(memory_format=torch.channels_last)


def _is_classifier(key: str) -> bool:
    return key.startswith(("fc.", "classifier."))


def _one_zero(value: Tensor) -> Tensor:
    return torch.zeros(1).expand(value.shape)
