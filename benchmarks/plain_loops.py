"""The plainest faithful PyTorch loops of pix2pix and CycleGAN over the very same networks, for comparison.

As in the authors' PyTorch code: NCHW, Adam as torch makes it by default, the discriminator frozen for the generator's
step, real and fake judged one after the other, torch's own layers.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, mse_loss

from generators.methods.cyclegan import CycleGAN
from generators.methods.pix2pix import Pix2Pix
from generators.networks.halving import Double, Halve

Losses = dict[str, Tensor]
Step = Callable[[Tensor, Tensor], Losses]


def plain_pix2pix(method: Pix2Pix, learning_rate: float = 2e-4) -> Step:
    """One step of loss l1_cgan, as a function of source and target."""
    with_torch_layers(method)
    generator, discriminator = method.generator, method.discriminator
    adam_g, adam_d = adam([generator], learning_rate), adam([discriminator], learning_rate)

    def step(source: Tensor, target: Tensor) -> Losses:
        fake = generator(source)

        requires_grad([discriminator], True)
        adam_d.zero_grad()
        of_fake = discriminator(torch.cat((source, fake.detach()), 1))
        loss_fake = binary_cross_entropy_with_logits(of_fake, torch.zeros_like(of_fake))
        of_real = discriminator(torch.cat((source, target), 1))
        loss_real = binary_cross_entropy_with_logits(of_real, torch.ones_like(of_real))
        (0.5 * (loss_fake + loss_real)).backward()
        adam_d.step()

        requires_grad([discriminator], False)
        adam_g.zero_grad()
        of_fake = discriminator(torch.cat((source, fake), 1))
        loss_gan = binary_cross_entropy_with_logits(of_fake, torch.ones_like(of_fake))
        loss_l1 = 100 * l1_loss(fake, target)
        (loss_gan + loss_l1).backward()
        adam_g.step()
        return {
            "discriminator.real": 0.5 * loss_real.detach(),
            "discriminator.fake": 0.5 * loss_fake.detach(),
            "generator.gan": loss_gan.detach(),
            "generator.l1": loss_l1.detach(),
        }

    return step


def plain_cyclegan(method: CycleGAN, learning_rate: float = 2e-4) -> Step:
    """One step of the full loss without identity; the history, which so short a run never fills, is left out."""
    with_torch_layers(method)
    to_source, to_target = method.generators["source"], method.generators["target"]
    judge_source, judge_target = method.discriminators["source"], method.discriminators["target"]
    adam_g, adam_d = (
        adam([to_source, to_target], learning_rate),
        adam([judge_source, judge_target], learning_rate),
    )

    def halved(judge: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        of_real = judge(real)
        loss_real = 0.5 * mse_loss(of_real, torch.ones_like(of_real))
        of_fake = judge(fake.detach())
        loss_fake = 0.5 * mse_loss(of_fake, torch.zeros_like(of_fake))
        (loss_real + loss_fake).backward()
        return loss_real.detach(), loss_fake.detach()

    def step(source: Tensor, target: Tensor) -> Losses:
        fake_target = to_target(source)
        back_source = to_source(fake_target)
        fake_source = to_source(target)
        back_target = to_target(fake_source)

        requires_grad([judge_source, judge_target], False)
        adam_g.zero_grad()
        of_target, of_source = judge_target(fake_target), judge_source(fake_source)
        gan_target = mse_loss(of_target, torch.ones_like(of_target))
        gan_source = mse_loss(of_source, torch.ones_like(of_source))
        cycle_source = 10 * l1_loss(back_source, source)
        cycle_target = 10 * l1_loss(back_target, target)
        (gan_target + gan_source + cycle_source + cycle_target).backward()
        adam_g.step()

        requires_grad([judge_source, judge_target], True)
        adam_d.zero_grad()
        real_target, fake_of_target = halved(judge_target, target, fake_target)
        real_source, fake_of_source = halved(judge_source, source, fake_source)
        adam_d.step()
        return {
            "generators.gan_target": gan_target.detach(),
            "generators.gan_source": gan_source.detach(),
            "generators.cycle_source": cycle_source.detach(),
            "generators.cycle_target": cycle_target.detach(),
            "discriminators.real_target": real_target,
            "discriminators.fake_target": fake_of_target,
            "discriminators.real_source": real_source,
            "discriminators.fake_source": fake_of_source,
        }

    return step


def adam(networks: Sequence[nn.Module], learning_rate: float) -> torch.optim.Adam:
    """Both papers' optimiser, as one writes it."""
    weights = itertools.chain(*(network.parameters() for network in networks))
    return torch.optim.Adam(weights, lr=learning_rate, betas=(0.5, 0.999))


def requires_grad(networks: Iterable[nn.Module], wanted: bool) -> None:
    """Freeze or unfreeze."""
    for network in networks:
        for weight in network.parameters():
            weight.requires_grad = wanted


def with_torch_layers(network: nn.Module) -> None:
    """Put torch's own convolutions and instance norms back in, in place, with the same weights."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.InstanceNorm2d):
                setattr(module, name, nn.InstanceNorm2d(child.num_features))
            elif isinstance(child, Halve | Double):
                kind = nn.Conv2d if isinstance(child, Halve) else nn.ConvTranspose2d
                bias = child.bias is not None
                plain = kind(child.in_channels, child.out_channels, 4, 2, 1, bias=bias).to(child.weight)
                plain.load_state_dict(child.state_dict())
                setattr(module, name, plain)
