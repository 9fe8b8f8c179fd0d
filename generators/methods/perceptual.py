"""Perceptual losses: style transfer and super-resolution in one pass through a network (Johnson et al. 2016)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from generators.methods.base import Losses, Method, undisturbed
from generators.methods.perceptual_objective import ObjectiveSettings, PerceptualObjective
from generators.networks.norms import Norm
from generators.networks.transform_net import SuperResolutionNet, TransformNet
from studies.errors import UserError


@dataclass(frozen=True)
class PerceptualSettings(ObjectiveSettings):
    """The transformation network, and the losses of `ObjectiveSettings`."""

    base_filters: int = 32
    """Filters of its first layer: 32 for style transfer, 64 for super-resolution. Source: Johnson et al., section 3.1
    and supplement (the latter from memory, unverified)."""
    n_blocks: int = 5
    """Residual blocks: 5 for style transfer, 4 for super-resolution. Source: ibid."""
    norm: Norm = "instance"
    """Normalisation: instance as in the authors' code, batch in the paper. Source: ibid."""


class Perceptual(Method):
    """One network, which learns to minimise the losses that Gatys et al. minimise anew for every image.

    Task photos: style transfer, source and target are one photo. Task super_resolution: the target is `scale_factor`
    times larger. Any other paired task of RGB images works as well. Outputs reach ±150/127.5.
    """

    Settings = PerceptualSettings
    settings: PerceptualSettings
    test_normalisation = "running"  # the authors' code evaluates (from memory, unverified)
    enlarges = True

    def build(self) -> None:
        """As `Method.build`."""
        own, channels = self.settings, (self.source_channels, self.target_channels)
        if channels != (3, 3):
            raise UserError(
                f"perceptual: works on RGB images, and this task has {channels[0]} and {channels[1]} channels. "
                "--set task=photos or super_resolution."
            )
        self.objective = PerceptualObjective(own)
        self.generator: nn.Module
        if self.scale_factor == 1:
            self.generator = TransformNet(base_filters=own.base_filters, norm=own.norm, n_blocks=own.n_blocks)
        else:
            scale: Any = self.scale_factor
            self.generator = SuperResolutionNet(scale, own.base_filters, own.n_blocks, own.norm)

    @property
    def notes(self) -> tuple[str, ...]:
        """Of the VGG-16, if a loss compares features."""
        return self.objective.vgg.notes

    def players(self) -> dict[str, nn.Module]:
        """The transformation network alone; VGG-16 is fixed."""
        return {"generator": self.generator}

    def losses(self, source: Tensor, target: Tensor) -> Iterator[tuple[str, Losses]]:
        """As `PerceptualObjective`."""
        yield "generator", self.objective(self.generator(source), target)

    def generate(self, images: Tensor, *, backward: bool = False) -> Tensor:
        """Any size; super-resolution makes it `scale_factor` times larger."""
        if backward:
            raise ValueError("perceptual: trained in one direction only")
        with undisturbed(self.generator):
            return self.generator(images)  # type: ignore[no-any-return]  # torch types calls of modules as Any
