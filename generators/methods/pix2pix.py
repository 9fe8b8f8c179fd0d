"""pix2pix: a conditional GAN and an L1 loss, learnt from pairs (Isola et al. 2017)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from generators.losses import GanLoss, gan_loss, l1_loss
from generators.methods.base import Losses, Method, frozen, undisturbed
from generators.networks import init_weights
from generators.networks.encoder_decoder import EncoderDecoder
from generators.networks.norms import Norm
from generators.networks.patchgan import PatchGAN, ReceptiveField, judge_both
from generators.networks.resnet import ResNetGenerator
from generators.networks.unet import UNet
from studies.errors import UserError

LOSSES: dict[str, tuple[bool | None, bool]] = {
    "l1": (None, True),
    "gan": (False, False),
    "cgan": (True, False),
    "l1_gan": (False, True),
    "l1_cgan": (True, True),
}
"""Loss -> (does the discriminator see the source; None: there is none), (does L1 have its weight).

Source: Isola et al. 2017 (arXiv v3), section 3.1 and Table 1.
"""


@dataclass(frozen=True)
class Pix2PixSettings:
    """Networks and losses of pix2pix. Source: Isola et al. 2017 (arXiv v3), unless said otherwise."""

    loss: Literal["l1", "gan", "cgan", "l1_gan", "l1_cgan"] = "l1_cgan"
    """What the generator minimises, key of `LOSSES`. Source: equation 4."""
    lambda_l1: float = 100.0
    """Weight of L1 where the loss has it. Source: section 6.2."""
    gan_mode: GanLoss = "log"
    """The generator maximises log D ("log"), or least squares as in CycleGAN. Source: section 3.3."""
    generator: Literal["unet", "encoder_decoder", "resnet"] = "unet"
    """U-Net, the same without skips (Table 2), or the residual network of CycleGAN. Source: section 3.2.1."""
    base_filters: int = 64
    """Filters of the generator's first layer. Source: section 6.1.1."""
    n_blocks: int = 9
    """Residual blocks, for generator=resnet only. Source: Zhu et al. 2017, section 7.2."""
    discriminator_filters: int = 64
    """Filters of the discriminator's first layer. Source: section 6.1.2."""
    receptive_field_px: ReceptiveField = 70
    """Side of the patch that one output of the discriminator sees. Source: section 4.4."""
    norm: Norm = "batch"
    """Normalisation of all networks. Source: section 6.1."""
    dropout: bool = True
    """Noise in the generator's decoder, on in training and in generating. Source: sections 3.2 and 6.1.1."""


class Pix2Pix(Method):
    """Alternates one step of the discriminator, its objective halved, and one of the generator (section 3.3)."""

    Settings = Pix2PixSettings
    settings: Pix2PixSettings

    def build(self) -> None:
        """As `Method.build`."""
        own = self.settings
        self._conditional, has_l1 = LOSSES[own.loss]
        self._lambda_l1 = own.lambda_l1 if has_l1 else 0.0
        if self._conditional is None and not self._lambda_l1:
            raise UserError("lambda_l1 = 0: with loss=l1 nothing is left to learn from; it must be above 0.")
        self.generator = self._generator()
        init_weights(self.generator)
        if self._conditional is not None:
            seen = self.target_channels + (self.source_channels if self._conditional else 0)
            self.discriminator = PatchGAN(seen, own.receptive_field_px, own.discriminator_filters, own.norm)
            self.discriminator.check_size(self.size_px, self.size_px)
            init_weights(self.discriminator)

    def players(self) -> dict[str, nn.Module]:
        """The discriminator, if the loss has one, then the generator."""
        if self._conditional is None:
            return {"generator": self.generator}
        return {"discriminator": self.discriminator, "generator": self.generator}

    def losses(self, source: Tensor, target: Tensor) -> Iterator[tuple[str, Losses]]:
        """The fake is made once; the generator then meets the discriminator that has just been improved."""
        fake = self.generator(source)
        terms: Losses = {}
        if self._conditional is not None:
            kind = self.settings.gan_mode
            seen, seen_fake = self._evidence(source, target), self._evidence(source, fake)
            of_real, of_fake = judge_both(self.discriminator, seen, seen_fake.detach())
            right = gan_loss(of_real, is_real=True, kind=kind), gan_loss(of_fake, is_real=False, kind=kind)
            yield "discriminator", {"real": 0.5 * right[0], "fake": 0.5 * right[1]}
            with frozen(self.discriminator):
                terms["gan"] = gan_loss(self.discriminator(seen_fake), is_real=True, kind=kind)
        if self._lambda_l1:
            terms["l1"] = self._lambda_l1 * l1_loss(fake, target)
        yield "generator", terms

    def generate(self, images: Tensor, *, backward: bool = False) -> Tensor:
        """With dropout and the statistics of this batch as long as the generator is in training mode."""
        if backward:
            raise ValueError("pix2pix: trained in one direction only")
        with undisturbed(self.generator):
            return self.generator(images)  # type: ignore[no-any-return]  # torch types calls of modules as Any

    def _evidence(self, source: Tensor, image: Tensor) -> Tensor:
        """What the discriminator sees."""
        return torch.cat((source, image), 1) if self._conditional else image

    def _generator(self) -> nn.Module:
        own, channels = self.settings, (self.source_channels, self.target_channels)
        if own.generator == "resnet":
            return ResNetGenerator(*channels, own.n_blocks, own.base_filters, own.norm, own.dropout)
        kind = {"unet": UNet, "encoder_decoder": EncoderDecoder}[own.generator]
        return kind(*channels, self.size_px, own.base_filters, own.norm, own.dropout)
