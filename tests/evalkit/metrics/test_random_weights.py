"""Random weights: of the published shapes, the same for one seed, and fit to stand in for trained ones."""

import numpy as np
import pytest
import torch
from torchvision import models

from evalkit.metrics import weights
from evalkit.metrics.base import Options
from evalkit.metrics.inception import pool3
from evalkit.metrics.networks.published_inception import build_inception
from evalkit.metrics.networks.random_weights import plant, random_state
from studies.errors import UserError

TRUNKS = {"alexnet": models.alexnet, "vgg16": models.vgg16, "squeezenet": models.squeezenet1_1}


@pytest.mark.parametrize("name", TRUNKS)
def test_a_trunk_has_every_key_of_the_published_file_in_its_shape(name):
    with torch.device("meta"):
        network = TRUNKS[name]()
    network.load_state_dict(dict(random_state(name, 1)), strict=True, assign=True)


def test_the_inception_network_loads_into_that_of_pytorch_fid():
    build_inception(random_state("inception", 1))
    with pytest.raises(UserError, match="is no Inception network"):
        build_inception(random_state("alexnet", 1))


@pytest.mark.parametrize("name", ["alexnet", "squeezenet"])
def test_a_seed_gives_the_same_numbers_again_and_another_seed_others(name):
    draw = random_state.__wrapped__  # anew each time
    first, again, other = draw(name, 5), draw(name, 5), draw(name, 6)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["features.0.weight"], other["features.0.weight"])


@pytest.mark.parametrize("name", TRUNKS)
def test_no_layer_of_a_trunk_fades_or_explodes(name):
    with torch.device("meta"):
        trunk = TRUNKS[name]().features
    state = random_state(name, 2)
    trunk.load_state_dict(
        {key.removeprefix("features."): state[key] for key in state if key.startswith("features.")},
        assign=True,
    )
    deviations = []
    for module in trunk.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda *arguments: deviations.append(float(arguments[2].std())))
    with torch.no_grad():
        trunk.eval()(torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)))
    assert len(deviations) > 4
    assert min(deviations) > 0.1
    assert max(deviations) < 10


def test_features_of_random_inception_are_many_dimensional():
    rng = np.random.default_rng(0)
    images = []
    for _ in range(12):
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        images.append(np.kron(coarse, np.ones((8, 8, 1), np.uint8)))
    features = np.stack(pool3(Options(random_weights=1)).load("cpu")([(image,) for image in images]))
    spread = np.linalg.svd(features - features.mean(axis=0), compute_uv=False) ** 2
    shares = spread / spread.sum()
    assert np.isfinite(features).all()
    assert 0.1 < features.mean() < 10
    assert shares[0] < 0.5
    assert np.exp(-np.sum(shares[:-1] * np.log(shares[:-1]))) > 5


def test_planted_files_are_found_and_never_taken_for_the_published(tmp_path, monkeypatch):
    plant(tmp_path, seed=1, names=("alexnet", "squeezenet"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert weights.is_there("alexnet")
    assert not weights.is_there("vgg16")
    assert weights.note("alexnet").startswith("not the published weights (sha256 ")
