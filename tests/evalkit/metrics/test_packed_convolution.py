import pytest
import torch
from torch import nn

from evalkit.metrics.networks.packed_convolution import PackedConvolution, pack_convolutions


class Block(nn.Module):
    """As torchvision's BasicConv2d after folding."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(*arguments, **options), nn.Identity()

    def forward(self, images):
        return self.bn(self.conv(images)).relu()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    inner = nn.Sequential(Block(16, 24, (1, 7), padding=(0, 3)), nn.MaxPool2d(2))
    made = nn.Sequential(Block(3, 16, 3, stride=2), inner, Block(24, 8, 5, padding=2, bias=False))
    return made.eval().to(memory_format=torch.channels_last)


@pytest.mark.parametrize("count", [1, 3])
def test_the_numbers_are_those_of_the_plain_layers(count):
    plain, packed = network(), network()
    pack_convolutions(packed)
    assert sum(isinstance(one, PackedConvolution) for one in packed.modules()) == 3
    images = torch.randn(count, 3, 41, 29).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected, found = plain(images), packed(images)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert (expected > 0).any()
    assert (expected == 0).any()


def test_plain_layers_stay_where_the_operators_are_missing(monkeypatch):
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    left = network()
    pack_convolutions(left)
    assert not any(isinstance(one, PackedConvolution) for one in left.modules())
    with torch.inference_mode():
        assert left(torch.randn(1, 3, 41, 29)).shape == (1, 8, 10, 7)
