"""VGG-16 features through torchvision's own loading path, with planted weights and without any."""

import hashlib
import socket
import threading
import time

import pytest
import torch
from torch import Tensor
from torchvision.models import vgg16

from generators.networks.vgg import LAYERS, Vgg16Features, VggWeights, load_vgg16
from studies.errors import UserError
from tests.generators.networks.planted_vgg import plant_vgg16

INDEX = {"relu1_2": 3, "relu2_2": 8, "relu3_3": 15, "relu4_3": 22, "relu5_3": 29}


@pytest.fixture(scope="module")
def torch_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("torch_home")
    plant_vgg16(home)
    return home


@pytest.fixture
def weights(torch_home, monkeypatch) -> VggWeights:
    monkeypatch.setenv("TORCH_HOME", str(torch_home))
    return load_vgg16()


def torchvision_features(weights: VggWeights) -> torch.nn.Sequential:
    with torch.device("meta"):
        features = vgg16().features
    features.load_state_dict(weights.state, assign=True)
    return features


def by_torchvision(weights: VggWeights, images: Tensor, layer: str) -> Tensor:
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    with torch.no_grad():
        return torchvision_features(weights)[: INDEX[layer] + 1](((images + 1) / 2 - mean) / std)


def test_features_are_those_of_torchvision(weights):
    images = torch.rand(2, 3, 32, 48) * 2 - 1
    found = Vgg16Features(tuple(INDEX), weights)(images)
    assert list(found) == list(INDEX)
    for layer in INDEX:
        torch.testing.assert_close(found[layer], by_torchvision(weights, images, layer))


def test_layers_not_asked_for_change_nothing(weights):
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    alone = Vgg16Features(("relu1_1",), weights)(images)["relu1_1"]
    among_others = Vgg16Features(("relu3_3", "relu1_1", "relu1_2"), weights)(images)["relu1_1"]
    assert torch.equal(alone, among_others)


def test_nothing_beyond_the_deepest_layer_is_kept(weights):
    names = {name for name, _ in Vgg16Features(("relu2_2",), weights).named_buffers()}
    layers = ("relu1_1", "relu1_2", "relu2_1", "relu2_2")
    assert names == {f"{layer}_{part}" for layer in layers for part in ("weight", "bias")} | {"mean", "std"}


def test_the_weights_are_frozen_and_stay_out_of_checkpoints(weights):
    features = Vgg16Features(("relu2_2",), weights)
    assert list(features.parameters()) == []
    assert features.state_dict() == {}
    images = torch.zeros(1, 3, 8, 8, requires_grad=True)
    features(images)["relu2_2"].sum().backward()
    assert images.grad is not None
    assert images.grad.any()


def test_the_weights_follow_the_module_to_another_precision(weights):
    features = Vgg16Features(("relu1_2",), weights).double()
    assert features(torch.zeros(1, 3, 8, 8, dtype=torch.float64))["relu1_2"].dtype == torch.float64


def test_other_weights_under_the_published_name_are_noted(weights, torch_home):
    path = torch_home / "hub" / "checkpoints" / "vgg16-397923af.pth"
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights.sha256 == sha256
    assert weights.weights_note == f"not the published weights (sha256 {sha256})"
    assert Vgg16Features(("relu1_2",), weights).weights_note == weights.weights_note


def test_without_weights_and_network_the_file_and_the_way_to_bring_it_are_named(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise socket.gaierror("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    began = time.monotonic()
    with pytest.raises(UserError) as caught:
        load_vgg16()
    assert time.monotonic() - began < 5
    message = str(caught.value)
    assert str(tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth") in message
    assert "https://download.pytorch.org/models/vgg16-397923af.pth" in message
    assert "TORCH_HOME" in message
    assert "\n" not in message


def test_a_network_that_never_answers_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    over = threading.Event()

    def hang(*args, **kwargs):
        over.wait(10)
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    with pytest.raises(UserError, match="does not answer"):
        load_vgg16()
    assert time.monotonic() - began < 5
    over.set()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is broken"), (b"PK\x03\x04 not a checkpoint", "is broken")],
)
def test_a_broken_file_is_named(tmp_path, monkeypatch, content, said):
    path = tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=said) as caught:
        load_vgg16()
    assert "\n" not in str(caught.value)


def test_a_file_of_another_network_is_named(tmp_path, monkeypatch):
    path = tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"
    path.parent.mkdir(parents=True)
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"is no VGG-16 \(features.0.bias of shape \(64,\) is missing\)"):
        load_vgg16()


def test_an_unknown_layer_is_named(weights):
    with pytest.raises(UserError, match=r"no layer 'relu2_3'\. Did you mean"):
        Vgg16Features(("relu2_3",), weights)
    assert len(LAYERS) == 13
