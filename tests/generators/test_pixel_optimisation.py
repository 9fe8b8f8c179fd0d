"""Optimisation over pixels finds images that the losses prefer."""

import numpy as np
import pytest
import torch
from PIL import Image

from generators.methods.perceptual_objective import ObjectiveSettings, PerceptualObjective
from generators.pixel_optimisation import optimise_pixels
from tests.generators.networks.planted_vgg import plant_vgg16


@pytest.fixture(scope="module")
def objective(tmp_path_factory):
    """Content and style over random VGG-16 weights; the style image is striped."""
    home = tmp_path_factory.mktemp("torch_home")
    plant_vgg16(home)
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::4] = (250, 40, 90)
    Image.fromarray(stripes).save(home / "style.png")
    settings = ObjectiveSettings(style_image=str(home / "style.png"), style_size_px=32)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TORCH_HOME", str(home))
        assert PerceptualObjective(settings).vgg.notes  # loads the weights
        yield PerceptualObjective(settings)


@pytest.fixture
def contents():
    coarse = torch.rand((2, 3, 4, 4), generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, 32, mode="bilinear")


def test_the_objective_falls_for_every_image(objective, contents):
    told = []
    images = optimise_pixels(contents, objective, 20, lambda *step: told.append(step))
    assert images.shape == contents.shape
    assert images.abs().max() <= 1
    assert [step[:2] for step in told] == [(n, k) for n in range(2) for k in range(1, 21)]
    for number in range(2):
        values = [value for n, _, value in told if n == number]
        assert values[-1] < 0.2 * values[0]


def test_each_image_is_optimised_by_itself_and_the_seed_settles_it(objective, contents):
    both = optimise_pixels(contents, objective, 3, seed=1)
    assert torch.equal(both[:1], optimise_pixels(contents[:1], objective, 3, seed=1))
    assert not torch.equal(both, optimise_pixels(contents, objective, 3, seed=2))


def test_with_the_pixel_loss_alone_it_finds_the_content(contents):
    settings = ObjectiveSettings(feature_weight=0.0, style_weight=0.0, tv_weight=0.0, pixel_weight=1.0)
    images = optimise_pixels(contents, PerceptualObjective(settings), 60)
    assert (images - contents).abs().max() < 0.01


@pytest.mark.parametrize("side_px", [256, 1024])
def test_the_search_does_not_creep_on_large_images(contents, side_px):
    settings = ObjectiveSettings(feature_weight=0.0, style_weight=0.0, tv_weight=0.0, pixel_weight=1.0)
    large = torch.nn.functional.interpolate(contents[:1], side_px)
    told: list[float] = []
    optimise_pixels(large, PerceptualObjective(settings), 6, lambda *step: told.append(step[2]))
    assert told[-1] < 1e-6 * told[0]


def test_no_iteration_leaves_the_noise_and_no_image_stays_none(objective, contents):
    assert optimise_pixels(contents, objective, 0).std() > 0.5
    assert optimise_pixels(contents[:0], objective, 5).shape == (0, 3, 32, 32)
