"""LPIPS is that of lpips 0.1.4, per pair, and its mean over all pairs of a set needs one pass."""

import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from evalkit.metrics import weights
from evalkit.metrics.base import Array, Extractor, Options
from evalkit.metrics.lpips import NETWORKS, Lpips, lpips_spread, mean_pairwise
from evalkit.metrics.networks.random_weights import plant
from studies.errors import UserError

METRIC = Lpips()
RANDOM = Options(random_weights=1)
ROUNDING = 5e-9
"""Of float32 in both: features of length 1 that differ by a thousandth lose three of their seven digits."""
Pairs = list[tuple[Array, Array]]
BY_LPIPS = """
import sys
import lpips, numpy as np, torch
images = np.load(sys.argv[1])
networks = [lpips.LPIPS(net=name, verbose=False) for name in sys.argv[3:]]
pairs = [[lpips.im2tensor(images[f"{side}{k}"]) for side in "ab"] for k in range(len(images) // 2)]
with torch.no_grad():
    np.save(sys.argv[2], [[network(*pair).item() for pair in pairs] for network in networks])
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("torch_home")
    plant(home, seed=1, names=("alexnet", "vgg16", "squeezenet"))
    return home


@pytest.fixture(scope="module")
def alex() -> Extractor:
    return distances("alex")


def distances(network: str, options: Options = RANDOM) -> Extractor:
    key = f"lpips_{network}"
    return METRIC.wants([key], options)[key].feature.load("cpu")


def photo(height: int, width: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return np.array(coarse.resize((width, height), Image.Resampling.BICUBIC))


def noisy(image: Array, deviation: float) -> Array:
    noise = np.random.default_rng(0).normal(0, deviation, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def pairs() -> Pairs:
    """From nearly the same to another image, in two sizes and an odd one."""
    first, second = photo(64, 64, 1), photo(64, 64, 2)
    odd = photo(75, 98, 3)
    return [(first, noisy(first, 0.3)), (first, noisy(first, 30)), (odd, noisy(odd, 5)), (first, second)]


def by_lpips(networks: Sequence[str], some: Pairs, folder: Path, home: Path) -> dict[str, Array]:
    arrays = {f"{side}{k}": pair[n] for k, pair in enumerate(some) for n, side in enumerate("ab")}
    np.savez(folder / "images.npz", **arrays)
    files = [str(folder / "images.npz"), str(folder / "distances.npy")]
    command = [sys.executable, "-W", "ignore", "-c", BY_LPIPS, *files, *networks]
    subprocess.run(command, check=True, env={**os.environ, "TORCH_HOME": str(home)})
    return dict(zip(networks, np.load(files[1]), strict=True))


@pytest.fixture(scope="module")
def expected(planted, tmp_path_factory) -> dict[str, Array]:
    """Of `pairs`, by each network of lpips."""
    return by_lpips(tuple(NETWORKS), pairs(), tmp_path_factory.mktemp("oracle"), planted)


@pytest.mark.parametrize("network", NETWORKS)
def test_distances_are_those_of_lpips(torch_home, expected, network):
    found = np.stack(distances(network, Options())(pairs()))
    assert found.shape == (len(pairs()), 1)
    assert expected[network].min() > 0
    assert found[:, 0] == pytest.approx(expected[network], rel=1e-6, abs=ROUNDING)


@pytest.mark.shared_data
def test_distances_of_real_facades_are_those_of_lpips(torch_home, tmp_path, shared_data):
    fakes = sorted((shared_data / "results" / "facades_pix2pix").rglob("*_fake_B.png"))[:5]
    assert len(fakes) == 5
    reals = [path.with_name(path.name.replace("_fake_B", "_real_B")) for path in fakes]
    some = [
        (np.array(Image.open(real).convert("RGB")), np.array(Image.open(fake).convert("RGB")))
        for real, fake in zip(reals, fakes, strict=True)
    ]
    found = np.concatenate(distances("alex", Options())(some))
    assert found == pytest.approx(by_lpips(["alex"], some, tmp_path, torch_home)["alex"], rel=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_pair_has_the_same_distance_in_any_company(network):
    extractor = distances(network)
    together = np.concatenate(extractor(pairs() * 2))
    alone = np.concatenate([extractor([pair])[0] for pair in pairs()])
    assert together == pytest.approx(np.tile(alone, 2), rel=1e-6)


def test_an_image_is_at_no_distance_from_itself(alex):
    image = photo(64, 64, 1)
    assert alex([(image, image.copy())])[0] == 0


def test_half_precision_is_close_to_float32(alex):
    half = distances("alex", Options(random_weights=1, precision="fp16"))
    some = pairs()[1:]
    assert np.concatenate(half(some)) == pytest.approx(np.concatenate(alex(some)), rel=5e-3)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_smallest_image_is_taken_and_one_smaller_is_refused(network):
    extractor, least = distances(network), NETWORKS[network].least_px
    image = photo(least, least + 9, 1)
    assert np.isfinite(extractor([(image, noisy(image, 9))])[0]).all()
    small = photo(least + 9, least - 1, 1)
    said = (
        rf"LPIPS \({network}\): an image of {least - 1}×{least + 9} px is too small; it needs {least}×{least}"
    )
    with pytest.raises(UserError, match=said):
        extractor([(small, small)])


@pytest.mark.parametrize("network", NETWORKS)
def test_the_spread_is_the_mean_distance_of_all_pairs(network):
    images = [photo(48, 40, seed) for seed in range(4)]
    embedded = np.stack(lpips_spread(RANDOM, network).load("cpu")([(image,) for image in images]))
    expected = np.mean(np.concatenate(distances(network)(list(combinations(images, 2)))))
    assert embedded.dtype == np.float64
    assert mean_pairwise(embedded.sum(axis=0), 4) == pytest.approx(expected, rel=1e-5)


def test_the_spread_of_images_that_are_all_alike_is_nothing():
    extractor = lpips_spread(RANDOM).load("cpu")
    total = np.stack(extractor([(photo(48, 48, 1),)] * 5)).sum(axis=0)
    assert 0 <= mean_pairwise(total, 5) < 1e-12
    with pytest.raises(ValueError, match="two or more images are needed, not 1"):
        mean_pairwise(total, 1)


def test_the_value_is_the_mean_with_its_t_interval():
    values = np.array([[0.1], [0.25], [0.3], [0.05]], np.float32)
    (found,) = METRIC.compute(["lpips_vgg"], {"lpips_vgg": values}, Options(confidence_level=0.9))
    column = values[:, 0].astype(float)
    expected = stats.t.interval(0.9, 3, column.mean(), stats.sem(column))
    assert (found.key, found.value) == ("lpips_vgg", pytest.approx(0.175))
    assert (found.interval.low, found.interval.high) == pytest.approx(expected)
    assert (found.interval.confidence_level, found.interval.degrees_of_freedom) == (0.9, 3)
    assert found.standard_error == pytest.approx(stats.sem(column))
    assert found.per_image == pytest.approx(column)
    assert "(vgg)" in found.method


def test_a_single_image_has_no_interval_and_says_so():
    (found,) = METRIC.compute(["lpips_alex"], {"lpips_alex": np.array([[0.2]])}, Options())
    assert found.interval is None
    assert found.standard_error is None
    assert found.notes == ("No interval: a single image.",)


def test_each_quantity_names_its_own_weights(torch_home):
    for network, weights_name in (("alex", "alexnet"), ("vgg", "vgg16"), ("squeeze", "squeezenet")):
        key = f"lpips_{network}"
        settings = METRIC.settings([key], Options())
        assert METRIC.weights([key]) == (weights_name,)
        assert settings["weights"] == weights.digest(weights_name)
        assert settings == METRIC.wants([key], Options())[key].feature.settings
        assert METRIC.settings([key], RANDOM)["weights"] == "random, seed 1"
        assert set(settings.values()) < set(
            METRIC.settings(["lpips_alex", "lpips_vgg", "lpips_squeeze"], Options()).values()
        )
    heads = {METRIC.settings([f"lpips_{network}"], RANDOM)["heads"] for network in NETWORKS}
    assert len(heads) == 3


def test_spread_and_distance_share_no_cache_key(torch_home):
    distance = METRIC.wants(["lpips_alex"], Options())["lpips_alex"].feature
    assert distance.one_size
    assert not distance.summed
    assert lpips_spread(Options()).summed
    assert distance.key != lpips_spread(Options()).key


def test_without_weights_the_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for ask in (METRIC.settings, METRIC.wants):
        with pytest.raises(UserError, match=r"squeezenet1_1-b8a52dc0\.pth is not there"):
            ask(["lpips_squeeze"], Options())


def test_a_file_of_another_network_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = weights.path_of("alexnet")
    path.parent.mkdir(parents=True)
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    said = r"is another network \(features\.0\.weight of shape \(64, 3, 11, 11\) is missing\)"
    with pytest.raises(UserError, match=said):
        distances("alex", Options())
