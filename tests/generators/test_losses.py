"""Losses against values worked out by hand, and their gradients."""

import math

import pytest
import torch
from torch import Tensor

from generators.losses import (
    feature_loss,
    gan_loss,
    gram_matrix,
    l1_loss,
    pixel_loss,
    style_loss,
    total_variation,
)


def image(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64).reshape(1, 1, len(rows), -1)


def test_the_log_loss_is_the_cross_entropy_of_the_verdict():
    logits = torch.tensor([0.0, math.log(3)], dtype=torch.float64)  # verdicts 1/2 and 3/4
    assert gan_loss(logits, True, "log").item() == pytest.approx(-(math.log(0.5) + math.log(0.75)) / 2)
    assert gan_loss(logits, False, "log").item() == pytest.approx(-(math.log(0.5) + math.log(0.25)) / 2)


def test_the_generator_still_has_a_gradient_where_the_discriminator_is_sure():
    logits = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(gan_loss(logits, True, "log"), logits)
    assert gradient.item() == pytest.approx(-1)


def test_the_log_loss_survives_extreme_logits():
    logits = torch.tensor([-1e4, 1e4])
    assert gan_loss(logits, True).item() == pytest.approx(5e3)
    assert gan_loss(logits, False).item() == pytest.approx(5e3)


def test_the_least_squares_loss_measures_the_distance_to_one_or_zero():
    logits = torch.tensor([0.0, 3.0], dtype=torch.float64, requires_grad=True)
    assert gan_loss(logits, True, "least_squares").item() == pytest.approx((1 + 4) / 2)
    loss = gan_loss(logits, False, "least_squares")
    assert loss.item() == pytest.approx(9 / 2)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.tolist() == [0, 3]


@pytest.mark.parametrize("kind", ["log", "least_squares"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_loss_of_half_precision_logits_is_taken_in_whole_precision(kind, dtype):
    logits = torch.linspace(-300, 300, 999).to(dtype)
    assert torch.equal(gan_loss(logits, True, kind), gan_loss(logits.float(), True, kind))


def test_l1_and_squared_losses_are_means():
    output, target = image([0.0, 1.0], [-1.0, 0.5]), image([0.5, 1.0], [1.0, 0.5])
    assert l1_loss(output, target).item() == pytest.approx(2.5 / 4)
    assert pixel_loss(output, target).item() == pytest.approx(4.25 / 4)
    assert feature_loss(output, target).item() == pytest.approx(4.25 / 4)


def test_the_gram_matrix_is_divided_by_the_size_of_the_features():
    features = torch.tensor([[[1.0, 2.0]], [[3.0, -1.0]]], dtype=torch.float64)[None]  # C 2, H 1, W 2
    expected = torch.tensor([[[5.0, 1.0], [1.0, 10.0]]], dtype=torch.float64) / 4
    torch.testing.assert_close(gram_matrix(features), expected)


def test_style_loss_is_the_squared_frobenius_norm_averaged_over_images():
    features = torch.tensor([[[1.0, 2.0]], [[3.0, -1.0]]], dtype=torch.float64)[None]
    two = torch.cat([features, torch.zeros_like(features)])
    nothing = torch.zeros(1, 2, 2, dtype=torch.float64)
    frobenius = (25 + 1 + 1 + 100) / 16
    assert style_loss(features, nothing).item() == pytest.approx(frobenius)
    assert style_loss(two, nothing).item() == pytest.approx(frobenius / 2)
    assert style_loss(features, gram_matrix(features)).item() == 0


def test_style_does_not_ask_where_things_are():
    features = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    moved = features.flatten(2)[..., torch.randperm(16)].reshape(1, 3, 4, 4)
    assert style_loss(moved, gram_matrix(features)).item() == pytest.approx(0, abs=1e-20)


def test_total_variation_counts_grey_levels_between_neighbours():
    grey = 1 / 127.5
    picture = image([0, 1 * grey], [0, 3 * grey])
    rows, columns = (0 + 4), (1 + 9)
    assert total_variation(picture).item() == pytest.approx((rows + columns) / 2)
    assert total_variation(torch.cat([picture, torch.zeros_like(picture)])).item() == pytest.approx(14 / 4)
    assert total_variation(torch.full((1, 3, 5, 5), 0.3)).item() == 0


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: gan_loss(x, True, "log"),
        lambda x: gan_loss(x, False, "least_squares"),
        lambda x: pixel_loss(x, torch.zeros_like(x)),
        lambda x: style_loss(x, torch.ones(1, 2, 2, dtype=torch.float64)),
        total_variation,
    ],
)
def test_gradients_are_those_of_the_value(loss):
    x = torch.rand(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (x,))
