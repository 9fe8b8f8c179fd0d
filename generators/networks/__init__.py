"""Networks: generators, discriminators and the VGG features of the perceptual losses."""

from torch import nn

_NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d)
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def init_weights(network: nn.Module) -> None:
    """Draw fresh weights in place: convolutions N(0, 0.02), scales of norms N(1, 0.02), every bias 0.

    Draws from torch's global generator, module by module in order of registration: seed that first.

    Source: Isola et al. 2017, section 6.2 ("weights were initialized from a Gaussian distribution with mean 0 and
    standard deviation 0.02"); the norms as in the authors' code.
    """
    for module in network.modules():
        if isinstance(module, _NORMS + _CONVOLUTIONS):
            if module.weight is not None:
                nn.init.normal_(module.weight, 1.0 if isinstance(module, _NORMS) else 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def count_parameters(network: nn.Module) -> int:
    """How many numbers training can change."""
    return sum(weight.numel() for weight in network.parameters())
