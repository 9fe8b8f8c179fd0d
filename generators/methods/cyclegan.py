"""CycleGAN: two translations that undo each other, learnt without pairs (Zhu et al. 2017)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, nn

from generators.losses import gan_loss, l1_loss
from generators.methods.base import Losses, Method, frozen, undisturbed
from generators.methods.history import History
from generators.methods.lazy_vgg import LazyVgg
from generators.networks import init_weights
from generators.networks.norms import Norm
from generators.networks.patchgan import PatchGAN, ReceptiveField, judge_both
from generators.networks.resnet import ResNetGenerator
from studies.errors import UserError

OTHER = {"target": "source", "source": "target"}
"""Each domain names the generator that makes its images, the discriminator that judges them, and their history."""
FEATURE_LAYER = "relu4_2"
"""Where feature_gan compares. Source: Zhu et al. 2017, section 5.1.1 (from memory, unverified)."""


class Parts(NamedTuple):
    """What a loss is made of."""

    adversarial: bool
    cycles: tuple[str, ...]
    """Domains that a cycle passes through: the forward one leads from source through target to source."""
    near_input: Literal["", "pixel", "feature"] = ""
    """Where an output is held to its own input."""


LOSSES = {
    "full": Parts(True, ("target", "source")),
    "cycle_alone": Parts(False, ("target", "source")),
    "gan_alone": Parts(True, ()),
    "gan_forward": Parts(True, ("target",)),
    "gan_backward": Parts(True, ("source",)),
    "pixel_gan": Parts(True, (), "pixel"),
    "feature_gan": Parts(True, (), "feature"),
}
"""Source: Zhu et al. 2017, Tables 4 and 5 (ablations) and section 5.1.1 (baselines: SimGAN, feature loss + GAN)."""


@dataclass(frozen=True)
class CycleGANSettings:
    """Networks and losses of CycleGAN. Source: Zhu et al. 2017, unless said otherwise."""

    loss: Literal[
        "full", "cycle_alone", "gan_alone", "gan_forward", "gan_backward", "pixel_gan", "feature_gan"
    ] = "full"
    """What the generators minimise, key of `LOSSES`. Source: equation 3."""
    lambda_cycle: float = 10.0
    """Weight of both cycle losses. Source: section 4."""
    lambda_identity: float = 0.0
    """Weight of the identity loss as a share of lambda_cycle; 0.5 where paintings become photos.

    The authors' code now has 0.5 for everything; it had 0 until February 2018, when the tables had long been made.
    Source: section 5.2.
    """
    lambda_input: float = 10.0
    """Weight of pixel_gan's and feature_gan's L1 loss between output and input. Source: none given; as the cycle's."""
    history_images: int = 50
    """Generated images that a discriminator's history keeps. Source: section 4."""
    n_blocks: int = 9
    """Residual blocks: 6 for 128 px, 9 for 256 px and up. Source: section 7.2."""
    base_filters: int = 64
    """Filters of the generators' first layer. Source: section 7.2."""
    discriminator_filters: int = 64
    """Filters of the discriminators' first layer. Source: section 7.2."""
    receptive_field_px: ReceptiveField = 70
    """Side of the patch that one output of a discriminator sees. Source: section 4."""
    norm: Norm = "instance"
    """Normalisation of all networks. Source: section 7.2."""
    dropout: bool = False
    """Dropout in the residual blocks. Source: the authors' code (no_dropout)."""


class CycleGAN(Method):
    """One step of both generators together, then one of both discriminators, objective halved (section 7.1)."""

    Settings = CycleGANSettings
    settings: CycleGANSettings
    unpaired = True
    has_backward = True

    def build(self) -> None:
        """As `Method.build`."""
        own, channels = self.settings, {"source": self.source_channels, "target": self.target_channels}
        self._parts = LOSSES[own.loss]
        if len(set(channels.values())) > 1 and (own.lambda_identity or self._parts.near_input):
            raise UserError(
                "cyclegan: lambda_identity and the losses pixel_gan and feature_gan compare outputs with inputs, which "
                f"have {self.target_channels} and {self.source_channels} channels here."
            )
        common = own.n_blocks, own.base_filters, own.norm, own.dropout
        judging = own.receptive_field_px, own.discriminator_filters, own.norm
        self.generators = nn.ModuleDict(
            {name: ResNetGenerator(channels[other], channels[name], *common) for name, other in OTHER.items()}
        )
        init_weights(self.generators)
        self.vgg = LazyVgg((FEATURE_LAYER,) if self._parts.near_input == "feature" else ())
        if self._parts.adversarial:
            judges = {name: PatchGAN(channels[name], *judging) for name in OTHER}
            judges["target"].check_size(self.size_px, self.size_px)
            self.discriminators = nn.ModuleDict(judges)
            init_weights(self.discriminators)
            self.histories = nn.ModuleDict(
                {name: History(own.history_images, channels[name], self.size_px) for name in OTHER}
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """Of the VGG-16, if the loss compares features."""
        return self.vgg.notes

    def players(self) -> dict[str, nn.Module]:
        """Both generators under one optimiser, then both discriminators under one, as in the authors' code."""
        if not self._parts.adversarial:
            return {"generators": self.generators}
        return {"generators": self.generators, "discriminators": self.discriminators}

    def losses(self, source: Tensor, target: Tensor) -> Iterator[tuple[str, Losses]]:
        """Terms by domain; the discriminators see the histories of fakes."""
        real = {"source": source, "target": target}
        fake = {name: self.generators[name](real[other]) for name, other in OTHER.items()}
        terms: Losses = {}
        for name, image in fake.items():
            terms |= self._generator_terms(name, real, image)
        yield "generators", terms
        if self._parts.adversarial:
            terms = {}
            for name, discriminator in self.discriminators.items():
                shown = self.histories[name].exchange(fake[name])  # type: ignore[operator]  # a History
                of_real, of_fake = judge_both(discriminator, real[name], shown)
                terms[f"real_{name}"] = 0.5 * gan_loss(of_real, is_real=True, kind="least_squares")
                terms[f"fake_{name}"] = 0.5 * gan_loss(of_fake, is_real=False, kind="least_squares")
            yield "discriminators", terms

    def generate(self, images: Tensor, *, backward: bool = False) -> Tensor:
        """Sources to targets, or targets to sources."""
        generator = self.generators["source" if backward else "target"]
        with undisturbed(generator):
            return generator(images)  # type: ignore[no-any-return]  # torch types calls of modules as Any

    def _generator_terms(self, name: str, real: dict[str, Tensor], fake: Tensor) -> Losses:
        """Of the generator that makes images of this domain, `fake` being one."""
        own, parts, terms = self.settings, self._parts, Losses()
        other = OTHER[name]
        if parts.adversarial:
            with frozen(self.discriminators[name]):
                logits = self.discriminators[name](fake)
            terms[f"gan_{name}"] = gan_loss(logits, is_real=True, kind="least_squares")
        if name in parts.cycles:
            terms[f"cycle_{other}"] = own.lambda_cycle * l1_loss(self.generators[other](fake), real[other])
        if own.lambda_identity:
            distance = l1_loss(self.generators[name](real[name]), real[name])
            terms[f"identity_{name}"] = own.lambda_identity * own.lambda_cycle * distance
        if parts.near_input:
            terms[f"input_{name}"] = own.lambda_input * self._distance(fake, real[other])
        return terms

    def _distance(self, fake: Tensor, given: Tensor) -> Tensor:
        if self._parts.near_input == "pixel":
            return l1_loss(fake, given)
        return l1_loss(self.vgg(fake)[FEATURE_LAYER], self.vgg(given)[FEATURE_LAYER])
