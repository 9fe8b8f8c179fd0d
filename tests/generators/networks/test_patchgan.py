"""Discriminators: names and counts of the reference code, receptive fields by gradient, one pass or two."""

import pytest
import torch
from torch import Tensor, nn

from generators.networks import count_parameters
from generators.networks.patchgan import PatchGAN, judge_both
from studies.errors import UserError
from tests.generators.networks.test_generators import drawn, images, norm_shapes, shapes


@pytest.mark.parametrize(("in_channels", "millions"), [(3, 2.766), (6, 2.769)])
def test_the_parameter_count_is_that_of_the_reference_code(in_channels, millions):
    with torch.device("meta"):
        assert round(count_parameters(PatchGAN(in_channels)) / 1e6, 3) == millions


def test_the_70_px_discriminator_has_names_and_shapes_of_the_reference_code():
    expected: dict[str, tuple[int, ...]] = {
        "model.0.weight": (64, 6, 4, 4),
        "model.0.bias": (64,),
        "model.2.weight": (128, 64, 4, 4),
        **norm_shapes("model.3", 128),
        "model.5.weight": (256, 128, 4, 4),
        **norm_shapes("model.6", 256),
        "model.8.weight": (512, 256, 4, 4),
        **norm_shapes("model.9", 512),
        "model.11.weight": (1, 512, 4, 4),
        "model.11.bias": (1,),
    }
    with torch.device("meta"):
        assert shapes(PatchGAN(6)) == expected
        biases = {f"model.{index}.bias": (filters,) for index, filters in ((2, 128), (5, 256), (8, 512))}
        without_norms = {
            name: shape for name, shape in expected.items() if name.split(".")[1] not in ("3", "6", "9")
        }
        assert shapes(PatchGAN(6, norm="instance")) == without_norms | biases
        assert shapes(PatchGAN(6, norm="none")) == without_norms


def test_the_pixel_discriminator_has_names_and_shapes_of_the_reference_code():
    expected: dict[str, tuple[int, ...]] = {
        "net.0.weight": (64, 3, 1, 1),
        "net.0.bias": (64,),
        "net.2.weight": (128, 64, 1, 1),
        **norm_shapes("net.3", 128),
        "net.5.weight": (1, 128, 1, 1),
    }
    with torch.device("meta"):
        assert shapes(PatchGAN(3, 1)) == expected


@pytest.mark.parametrize(
    ("receptive_field_px", "filters"),
    [
        (1, [64, 128, 1]),
        (16, [64, 128, 1]),
        (34, [64, 128, 256, 1]),
        (70, [64, 128, 256, 512, 1]),
        (142, [64, 128, 256, 512, 512, 1]),
        (286, [64, 128, 256, 512, 512, 512, 1]),
    ],
)
def test_filters_are_those_of_the_paper(receptive_field_px, filters):
    with torch.device("meta"):
        network = PatchGAN(3, receptive_field_px)
    assert [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)] == filters


@pytest.mark.parametrize("receptive_field_px", [1, 16, 34, 70, 142, 286])
def test_the_receptive_field_is_what_a_logit_has_a_gradient_to(receptive_field_px):
    network = PatchGAN(1, receptive_field_px, base_filters=2, norm="none")
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(0.1)  # all of one sign: no gradient is lost to chance
    side_px = 2 * receptive_field_px + 64
    image = torch.ones(1, 1, side_px, side_px, requires_grad=True)
    logits = network(image)
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], image)
    touched = gradient[0, 0].nonzero()
    assert (touched.amax(0) - touched.amin(0) + 1).tolist() == [receptive_field_px] * 2
    assert len(touched) == receptive_field_px**2


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("receptive_field_px", [1, 16, 34])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_judging_both_at_once_is_judging_each(norm, receptive_field_px, n, training):
    discriminator = drawn(PatchGAN(3, receptive_field_px, base_filters=4, norm=norm)).train(training)
    real = images(3, 32, n=n)
    fakes = [(real.roll(5, -1) * 0.7).requires_grad_() for _ in range(2)]

    def gradients(logits: tuple[Tensor, Tensor], fake: Tensor) -> tuple[Tensor, ...]:
        score = logits[0].square().sum() + logits[1].exp().sum()
        return torch.autograd.grad(score, [fake, *discriminator.parameters()])

    at_once = judge_both(discriminator, real, fakes[0])
    in_turn = discriminator(real), discriminator(fakes[1])
    for one, other in zip(at_once, in_turn, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    both = zip(gradients(at_once, fakes[0]), gradients(in_turn, fakes[1]), strict=True)
    for one, other in both:
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_images_too_small_for_a_single_logit_are_named():
    with pytest.raises(UserError, match="64 x 64 px: this discriminator needs at least 96 px"):
        PatchGAN(3, 286, base_filters=2)(torch.zeros(1, 3, 64, 64))
    assert PatchGAN(3, 286, base_filters=2, norm="none")(torch.zeros(1, 3, 96, 96)).shape == (1, 1, 1, 1)


def test_another_receptive_field_is_refused():
    with pytest.raises(UserError, match="receptive_field_px = 71: allowed are 1, 16, 34, 70, 142, 286"):
        PatchGAN(3, 71)
