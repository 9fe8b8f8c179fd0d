"""Generators: names and counts of the reference code, and outputs against a second writing from the papers."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import (
    batch_norm,
    conv2d,
    conv_transpose2d,
    instance_norm,
    leaky_relu,
    mse_loss,
    pad,
)

from generators.networks import count_parameters, init_weights
from generators.networks.encoder_decoder import EncoderDecoder
from generators.networks.halving import Double, Halve
from generators.networks.resnet import ResNetGenerator
from generators.networks.transform_net import SuperResolutionNet, TransformNet
from generators.networks.unet import UNet
from studies.errors import UserError

Weights = dict[str, Tensor]


def drawn(network: nn.Module, seed: int = 0) -> nn.Module:
    """In float64, with biases and scales that matter."""
    generator = torch.Generator().manual_seed(seed)
    network.double()
    with torch.no_grad():
        for weight in network.parameters():
            spread = 0.3 if weight.dim() == 1 else weight[0].numel() ** -0.5
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) * spread)
            if weight.dim() == 1:
                weight += 1
    return network


def images(channels: int, height: int, width: int | None = None, n: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return (
        torch.rand((n, channels, height, width or height), generator=generator, dtype=torch.float64) * 2 - 1
    )


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def norm_shapes(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts} | {f"{name}.num_batches_tracked": ()}


@pytest.mark.parametrize(
    ("network", "millions"),
    [
        (lambda: UNet(3, 3, 256), 54.414),
        (lambda: UNet(3, 3, 128), 41.829),
        (lambda: ResNetGenerator(3, 3, n_blocks=9), 11.378),
        (lambda: ResNetGenerator(3, 3, n_blocks=6), 7.838),
    ],
)
def test_parameter_counts_are_those_of_the_reference_code(network, millions):
    with torch.device("meta"):
        assert round(count_parameters(network()) / 1e6, 3) == millions


UNET_256 = [
    # prefix of the level, filters of its encoder, channels into its decoder, channels out of it
    ("model.model", 64, 128, 3),
    ("model.model.1.model", 128, 256, 64),
    ("model.model.1.model.3.model", 256, 512, 128),
    ("model.model.1.model.3.model.3.model", 512, 1024, 256),
    ("model.model.1.model.3.model.3.model.3.model", 512, 1024, 512),
    ("model.model.1.model.3.model.3.model.3.model.3.model", 512, 1024, 512),
    ("model.model.1.model.3.model.3.model.3.model.3.model.3.model", 512, 1024, 512),
    ("model.model.1.model.3.model.3.model.3.model.3.model.3.model.3.model", 512, 512, 512),
]


def test_the_unet_has_names_and_shapes_of_the_reference_code():
    expected: dict[str, tuple[int, ...]] = {"model.model.3.bias": (3,)}
    inputs = 3
    for level, (prefix, filters, to_decode, decoded) in enumerate(UNET_256):
        outermost, innermost = level == 0, level == 7
        down, up = (0, 3) if outermost else (1, 3) if innermost else (1, 5)
        expected[f"{prefix}.{down}.weight"] = (filters, inputs, 4, 4)
        expected[f"{prefix}.{up}.weight"] = (to_decode, decoded, 4, 4)
        if not outermost:
            expected |= norm_shapes(f"{prefix}.{up + 1}", decoded)
        if not outermost and not innermost:
            expected |= norm_shapes(f"{prefix}.2", filters)
        inputs = filters
    with torch.device("meta"):
        assert shapes(UNet(3, 3, 256)) == expected
        assert shapes(UNet(3, 3, 256, dropout=False)) == expected


def test_the_bottleneck_of_a_unet_has_no_norm():
    with torch.device("meta"):
        innermost = UNet(3, 3, 256).get_submodule(UNET_256[-1][0])
    kinds = [type(layer).__name__ for layer in innermost]
    assert kinds == ["LeakyReLU", "Halve", "ReLU", "Double", "BatchNorm2d"]


@pytest.mark.parametrize(("size_px", "levels"), [(256, [4, 5, 6]), (128, [4, 5]), (64, [4]), (32, [])])
def test_dropout_of_a_unet_stands_where_the_reference_code_has_it(size_px, levels):
    with torch.device("meta"):
        network = UNet(3, 3, size_px, base_filters=4)
    found = [name for name, module in network.named_modules() if isinstance(module, nn.Dropout)]
    assert set(found) == {f"{UNET_256[level][0]}.7" for level in levels}
    assert all(network.get_submodule(name).p == 0.5 for name in found)


RESNET_BLOCKS = [f"model.{10 + block}.conv_block" for block in range(9)]


def test_the_resnet_has_names_and_shapes_of_the_reference_code():
    convolutions = {
        "model.1": (64, 3, 7, 7),
        "model.4": (128, 64, 3, 3),
        "model.7": (256, 128, 3, 3),
        **{f"{block}.{index}": (256, 256, 3, 3) for block in RESNET_BLOCKS for index in (1, 5)},
        "model.19": (256, 128, 3, 3),
        "model.22": (128, 64, 3, 3),
        "model.26": (3, 64, 7, 7),
    }
    transposed = ("model.19", "model.22")
    expected = {f"{name}.weight": shape for name, shape in convolutions.items()}
    expected |= {
        f"{name}.bias": (shape[1] if name in transposed else shape[0],)
        for name, shape in convolutions.items()
    }
    with torch.device("meta"):
        assert shapes(ResNetGenerator(3, 3)) == expected


def test_the_resnet_with_dropout_and_batch_norm_has_the_names_of_the_reference_code():
    with torch.device("meta"):
        network = ResNetGenerator(3, 3, n_blocks=1, norm="batch", dropout=True)
    names = {name.removesuffix(".weight") for name in network.state_dict() if name.endswith(".weight")}
    block = {f"model.10.conv_block.{index}" for index in (1, 2, 6, 7)}
    rest = {f"model.{index}" for index in (1, 2, 4, 5, 7, 8, 11, 12, 14, 15, 18)}
    assert names == block | rest
    assert {name for name in network.state_dict() if name.endswith(".1.bias")} == set()
    assert isinstance(network.get_submodule("model.10.conv_block.4"), nn.Dropout)


def normed(x: Tensor, weights: Weights, name: str, norm: str) -> Tensor:
    if norm == "batch":
        return batch_norm(x, None, None, weights[f"{name}.weight"], weights[f"{name}.bias"], training=True)
    return instance_norm(x) if norm == "instance" else x


def unet_by_the_paper(x: Tensor, weights: Weights, depth: int, norm: str) -> Tensor:
    """Encode down to the bottleneck, then decode with the encodings at hand."""
    encoded = [conv2d(x, weights["model.model.0.weight"], weights.get("model.model.0.bias"), 2, 1)]
    for level in range(1, depth):
        prefix = UNET_256[level][0]
        code = conv2d(
            leaky_relu(encoded[-1], 0.2),
            weights[f"{prefix}.1.weight"],
            weights.get(f"{prefix}.1.bias"),
            2,
            1,
        )
        encoded.append(normed(code, weights, f"{prefix}.2", norm) if level < depth - 1 else code)
    decoded = encoded.pop()
    for level in range(depth - 1, 0, -1):
        prefix, up = UNET_256[level][0], 3 if level == depth - 1 else 5
        weight, bias = weights[f"{prefix}.{up}.weight"], weights.get(f"{prefix}.{up}.bias")
        decoded = normed(
            conv_transpose2d(decoded.relu(), weight, bias, 2, 1), weights, f"{prefix}.{up + 1}", norm
        )
        decoded = torch.cat([encoded.pop(), decoded], 1)
    return conv_transpose2d(
        decoded.relu(), weights["model.model.3.weight"], weights["model.model.3.bias"], 2, 1
    ).tanh()


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_the_unet_computes_what_the_paper_says(norm):
    network = drawn(UNet(3, 2, 64, base_filters=4, norm=norm, dropout=False))
    weights = dict(network.state_dict())
    x = images(3, 64, 128)
    torch.testing.assert_close(network(x), unet_by_the_paper(x, weights, 6, norm), rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_the_resnet_computes_what_the_paper_says(norm):
    network = drawn(ResNetGenerator(3, 2, n_blocks=2, base_filters=4, norm=norm))
    weights = dict(network.state_dict())

    def step(x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        return conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), stride, padding)

    def after(x: Tensor, name: str) -> Tensor:
        return normed(x, weights, name, norm)

    source = images(3, 16, 24)
    x = after(step(pad(source, (3, 3, 3, 3), "reflect"), "model.1"), "model.2").relu()
    x = after(step(x, "model.4", 2, 1), "model.5").relu()
    x = after(step(x, "model.7", 2, 1), "model.8").relu()
    for block in RESNET_BLOCKS[:2]:
        y = after(step(pad(x, (1, 1, 1, 1), "reflect"), f"{block}.1"), f"{block}.2").relu()
        x = x + after(step(pad(y, (1, 1, 1, 1), "reflect"), f"{block}.5"), f"{block}.6")
    for index in (12, 15):
        name = f"model.{index}"
        x = conv_transpose2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), 2, 1, 1)
        x = after(x, f"model.{index + 1}").relu()
    expected = step(pad(x, (3, 3, 3, 3), "reflect"), "model.19").tanh()
    torch.testing.assert_close(network(source), expected, rtol=0, atol=1e-12)


def outputs(network: nn.Module, kind: type[nn.Module]) -> list[int]:
    return [layer.out_channels for layer in network.modules() if isinstance(layer, kind)]  # type: ignore[misc]


def test_the_encoder_decoder_has_the_layers_of_the_paper_and_no_skips():
    with torch.device("meta"):
        network = EncoderDecoder(3, 3, 256)
    assert outputs(network, nn.Conv2d) == [64, 128, 256, 512, 512, 512, 512, 512]
    assert outputs(network, nn.ConvTranspose2d) == [512, 512, 512, 512, 256, 128, 64, 3]
    kinds = [type(layer).__name__ for layer in network.model]
    assert kinds.count("Dropout") == 3
    bottleneck = kinds.index("Double")
    assert kinds[bottleneck - 2 : bottleneck + 3] == ["Halve", "ReLU", "Double", "BatchNorm2d", "Dropout"]
    assert kinds[:3] == ["Halve", "LeakyReLU", "Halve"]
    assert kinds[-3:] == ["ReLU", "Double", "Tanh"]


def test_all_that_passes_an_encoder_decoder_passes_its_bottleneck():
    network = drawn(EncoderDecoder(3, 3, 16, base_filters=4, norm="none", dropout=False))
    with torch.no_grad():
        bottleneck = [layer for layer in network.model if isinstance(layer, nn.Conv2d)][-1]
        bottleneck.weight.zero_()
    one, other = network(images(3, 16))
    assert torch.equal(one, other)


def test_the_style_network_returns_the_size_it_was_given():
    network = TransformNet(base_filters=4)
    assert network.padding_px == 40
    for height, width in ((64, 64), (61, 50)):
        assert network(torch.rand(1, 3, height, width)).shape == (1, 3, height, width)


def test_the_style_network_has_the_layers_of_the_paper():
    network = TransformNet()
    assert outputs(network, nn.Conv2d) == [32, 64, 128, *[128] * 10, 3]
    assert outputs(network, nn.ConvTranspose2d) == [64, 32]
    assert all(norm.affine for norm in network.modules() if isinstance(norm, nn.InstanceNorm2d))
    kinds = [type(layer).__name__ for layer in network.model[3].modules()]
    assert "ReflectionPad2d" not in kinds
    assert all(block.block[0].padding == (0, 0) for block in network.model[9:14])


def test_the_style_network_reaches_the_scaled_range_and_no_further():
    network = TransformNet(base_filters=2, n_blocks=1)
    with torch.no_grad():
        network.model[-1].bias.copy_(torch.tensor([50.0, -50.0, 0.0]))
        network.model[-1].weight.zero_()
    out = network(torch.zeros(1, 3, 16, 16))
    assert out[0, :, 0, 0].tolist() == pytest.approx([150 / 127.5, -150 / 127.5, 0])


@pytest.mark.parametrize("scale_factor", [4, 8])
def test_the_super_resolution_network_enlarges_by_its_factor(scale_factor):
    network = SuperResolutionNet(scale_factor, base_filters=4)
    assert network(torch.rand(1, 3, 6, 5)).shape == (1, 3, 6 * scale_factor, 5 * scale_factor)
    assert len(outputs(network, nn.ConvTranspose2d)) == {4: 2, 8: 3}[scale_factor]


@pytest.mark.parametrize(
    "build",
    [
        lambda: UNet(2, 3, 16, base_filters=4, dropout=False),
        lambda: EncoderDecoder(2, 3, 16, base_filters=4, dropout=False),
        lambda: ResNetGenerator(2, 3, n_blocks=1, base_filters=4),
        lambda: TransformNet(2, 3, base_filters=4, n_blocks=1),
    ],
)
def test_every_generator_learns_a_picture(build):
    torch.manual_seed(0)
    network = build()
    init_weights(network)
    source = images(2, 16, n=1).float()
    target = images(3, 16, n=1).float() * 0.5
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    first = mse_loss(network(source), target).item()
    for _ in range(40):
        optimiser.zero_grad()
        loss = mse_loss(network(source), target)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.5 * first


def test_weights_are_drawn_as_the_paper_says():
    torch.manual_seed(0)
    network = UNet(3, 3, 32, base_filters=16)
    for bias in (weight for name, weight in network.named_parameters() if name.endswith("bias")):
        nn.init.ones_(bias)
    init_weights(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            assert abs(module.weight.mean()) < 0.002
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.mean().item() == pytest.approx(1, abs=0.02)
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.5)
        assert getattr(module, "bias", None) is None or not module.bias.any()


def test_the_same_seed_draws_the_same_weights():
    def weights(seed: int) -> Tensor:
        network = ResNetGenerator(3, 3, n_blocks=1, base_filters=2)
        torch.manual_seed(seed)
        init_weights(network)
        return torch.cat([weight.flatten() for weight in network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (lambda: UNet(3, 3, 96), "crop_size_px = 96: .* power of two"),
        (lambda: EncoderDecoder(3, 3, 2), "crop_size_px = 2"),
        (
            lambda: UNet(3, 3, 16, 2)(torch.rand(1, 3, 16, 24)),
            "24 x 16 px: this U-Net takes .* multiples of 16",
        ),
        (lambda: EncoderDecoder(3, 3, 16, 2)(torch.rand(1, 3, 8, 16)), "16 x 8 px: this encoder-decoder"),
        (lambda: ResNetGenerator(3, 3, 1, 2)(torch.rand(1, 3, 16, 18)), "18 x 16 px: the ResNet .* of 4"),
        (
            lambda: ResNetGenerator(3, 3, 1, 2)(torch.rand(1, 3, 4, 8)),
            "8 x 4 px: the ResNet .* at least 8 px",
        ),
        (lambda: TransformNet(base_filters=2)(torch.rand(1, 3, 64, 40)), "40 x 64 px: .* more than 40 px"),
        (lambda: SuperResolutionNet(3), "scale_factor = 3: allowed are 4 and 8"),
    ],
)
def test_sizes_that_cannot_be_are_named(attempt, said):
    with pytest.raises(UserError, match=said):
        attempt()


@pytest.mark.parametrize("bias", [True, False])
def test_convolutions_of_few_pixels_are_convolutions(bias):
    halve, double = Halve(3, 5, bias=bias).double(), Double(3, 5, bias=bias).double()
    for layer, plainly, sides in ((halve, conv2d, (2, 4)), (double, conv_transpose2d, (1, 2, 4, 8))):
        for side in sides:
            x = images(3, side, n=1).requires_grad_()
            inputs = [x, *layer.parameters()]
            expected = plainly(x, layer.weight, layer.bias, 2, 1)
            torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-14)
            one, other = (torch.autograd.grad(out.sin().sum(), inputs) for out in (layer(x), expected))
            for gradient, wanted in zip(one, other, strict=True):
                torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-13)
