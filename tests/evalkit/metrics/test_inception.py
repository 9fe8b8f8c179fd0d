"""Inception features are those of pytorch-fid, whatever the sizes of the images and of the batches."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evalkit.metrics import weights
from evalkit.metrics.base import Array, Extractor, Options
from evalkit.metrics.inception import pool3
from evalkit.metrics.lpips import lpips_spread
from evalkit.metrics.networks.random_weights import plant
from studies.errors import UserError

LARGEST_ERROR = 3e-5
"""Relative to what differs between images; planted weights and folding leave 1e-5."""
BY_PYTORCH_FID = """
import sys
import numpy as np, torch
from pytorch_fid.inception import InceptionV3
images = np.load(sys.argv[1])
network = InceptionV3([3]).eval()
with torch.no_grad():
    found = [network(torch.from_numpy(images[name]).permute(2, 0, 1)[None].float() / 255)[0] for name in images]
np.save(sys.argv[2], torch.cat(found)[:, :, 0, 0].numpy())
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("torch_home")
    plant(home, seed=1, names=("inception",))
    return home


@pytest.fixture(scope="module")
def extractor(planted) -> Extractor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(planted))
        return pool3(Options()).load("cpu")


def made_up(height: int, width: int, seed: int) -> Array:
    """A smooth random image with an edge."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    image = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC))
    image[height // 3 : height // 2, width // 4 :] = rng.integers(0, 256, 3)
    return image


def mixed_sizes() -> list[Array]:
    sizes = [(256, 256), (64, 64), (300, 140), (299, 299), (32, 500), (601, 405)]
    return [made_up(*size, seed) for seed, size in enumerate(sizes)]


def by_pytorch_fid(images: list[Array], folder: Path) -> Array:
    np.savez(folder / "images.npz", *images)
    files = [str(folder / "images.npz"), str(folder / "features.npy")]
    subprocess.run([sys.executable, "-W", "ignore", "-c", BY_PYTORCH_FID, *files], check=True)
    return np.load(files[1])


def error(found: Array, expected: Array) -> float:
    """Relative to what differs between images: a constant offset of all features would hide errors."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected - expected.mean(axis=0)))


def features(extractor: Extractor, images: list[Array]) -> Array:
    return np.stack(extractor([(image,) for image in images]))


def test_features_are_those_of_pytorch_fid_for_images_of_any_size(torch_home, extractor, tmp_path):
    images = mixed_sizes()
    found, expected = features(extractor, images), by_pytorch_fid(images, tmp_path)
    assert found.shape == expected.shape == (len(images), 2048)
    assert found.dtype == np.float32
    assert error(found, expected) < LARGEST_ERROR


@pytest.mark.shared_data
def test_features_of_real_facades_are_those_of_pytorch_fid(torch_home, extractor, tmp_path, shared_data):
    paths = sorted((shared_data / "results" / "facades_pix2pix").rglob("*_B.png"))[:4]
    assert len(paths) == 4
    images = [np.array(Image.open(path).convert("RGB")) for path in paths]
    assert error(features(extractor, images), by_pytorch_fid(images, tmp_path)) < LARGEST_ERROR


def test_an_image_has_the_same_features_in_any_company(extractor):
    images = mixed_sizes()[:4]
    together = features(extractor, images)
    alone = np.concatenate([features(extractor, [image]) for image in images])
    backwards = features(extractor, images[::-1])[::-1]
    assert error(alone, together) < LARGEST_ERROR
    assert error(backwards, together) < LARGEST_ERROR


def test_more_images_than_the_network_takes_at_once_come_out_in_order(extractor):
    first, second = made_up(40, 40, 1), made_up(40, 40, 2)
    found = features(extractor, [first] * 16 + [second])
    assert error(found[[0, 16]], features(extractor, [first, second])) < LARGEST_ERROR


def test_read_only_and_flipped_arrays_are_taken(extractor):
    image = made_up(50, 60, 3)
    frozen = image.copy()
    frozen.flags.writeable = False
    flipped = image[:, ::-1][:, ::-1]
    found = features(extractor, [image, frozen, flipped])
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_half_precision_is_close_to_float32(torch_home, extractor):
    images = [made_up(96, 96, seed) for seed in range(3)]
    half = features(pool3(Options(precision="fp16")).load("cpu"), images)
    assert half.dtype == np.float32
    assert 1e-5 < error(half, features(extractor, images)) < 0.03


def test_random_weights_of_a_seed_are_the_planted_ones_of_that_seed(extractor):
    image = made_up(64, 64, 0)
    drawn = features(pool3(Options(random_weights=1)).load("cpu"), [image])
    assert np.allclose(drawn, features(extractor, [image]), rtol=1e-5)


def test_weights_and_precision_are_in_settings_and_key(torch_home):
    whole, half, random = (
        pool3(options) for options in (Options(), Options(precision="fp16"), Options(random_weights=1))
    )
    assert whole.settings["weights"] == weights.digest("inception")
    assert random.settings["weights"] == "random, seed 1"
    assert (whole.settings["precision"], half.settings["precision"]) == ("fp32", "fp16")
    assert whole.settings["resize"] == "bilinear 299, in network, no antialiasing"
    assert len({whole.key, half.key, random.key}) == 3
    assert pool3(Options(device="cuda", seed=5)).key == whole.key


def test_without_weights_the_file_is_named_before_anything_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"pt_inception-2015-12-05-6726825d\.pth is not there"):
        pool3(Options())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("feature", [pool3, lpips_spread])
def test_a_gpu_that_is_not_there_is_said(feature):
    with pytest.raises(UserError, match=r"cuda: PyTorch finds no GPU here\. Take --accelerator auto or cpu"):
        feature(Options(random_weights=1)).load("cuda")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is broken"),
        (b"<html>log in</html>", "is broken"),
        ([torch.zeros(1)], "is broken .it holds no state dict"),
        ({"fc.weight": torch.zeros(1008, 2048)}, "is no Inception network of pytorch-fid"),
    ],
)
def test_a_broken_file_or_another_network_is_named(tmp_path, monkeypatch, content, said):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = weights.path_of("inception")
    path.parent.mkdir(parents=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(UserError, match=said) as caught:
        pool3(Options()).load("cpu")
    assert f"{path} is" in str(caught.value)
    assert "; delete it, then run `evalkit weights get inception`" in str(caught.value)
    assert "\n" not in str(caught.value)
