import json
import subprocess
import sys

import numpy as np
import pytest

from evalkit.metrics.base import Statistics
from evalkit.metrics.frechet import frechet_distance, influences, statistics_of

ORACLE = """
import json, sys
import numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance

found = {}
with np.load(sys.argv[1]) as stored:
    for name in sorted({key.split(":")[0] for key in stored}):
        sides = [stored[f"{name}:{side}"] for side in ("reals", "fakes")]
        moments = [part for side in sides for part in (np.mean(side, axis=0), np.cov(side, rowvar=False))]
        found[name] = float(calculate_frechet_distance(*moments))
print(json.dumps(found))
"""


def features(rng, n, d, shift=0.0, scale=1.0):
    """Skewed, correlated, with variances that fall slowly, as Inception's do: trace 229 and mean 0.7."""
    variances = (np.arange(d) + 11.0) ** -1.5
    mixing = (
        np.random.default_rng(d).normal(size=(d, d))
        / np.sqrt(d)
        * np.sqrt(229 * variances / variances.sum())[:, None]
    )
    return ((rng.exponential(size=(n, d)) - 1) @ mixing * scale + 0.7 + shift).astype(np.float32)


def by_singular_values(x, y, weights=None):
    """The distance in plain words, with weights of the rows of x."""
    w = np.ones(len(x)) if weights is None else weights * len(x) / weights.sum()
    x, y = x.astype(np.float64), y.astype(np.float64)
    mean = (w @ x) / len(x), y.mean(axis=0)
    a = (x - mean[0]) * np.sqrt(w / (len(x) - 1))[:, None]
    b = (y - mean[1]) / np.sqrt(len(y) - 1)
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return ((mean[0] - mean[1]) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * root


def oracle(sets, path):
    flat = {
        f"{name}:{side}": part
        for name, pair in sets.items()
        for side, part in zip(("reals", "fakes"), pair, strict=True)
    }
    np.savez(path, **flat)
    command = [sys.executable, "-W", "ignore", "-c", ORACLE, str(path)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def check_against_pytorch_fid(sizes, path):
    rng = np.random.default_rng(1)
    sets = {f"{n} of {d}": (features(rng, n, d), features(rng, n, d, 0.02, 0.9)) for n, d in sizes}
    expected = oracle(sets, path)
    for name, (n, d) in zip(sets, sizes, strict=True):
        # Below full rank it is scipy's square root that is off, by about 1e-4.
        limit = {"rel": 1e-6, "abs": 0} if n > d else {"abs": 1e-3, "rel": 0}
        assert frechet_distance(*sets[name]) == pytest.approx(expected[name], **limit), name


def test_it_equals_pytorch_fid(tmp_path):
    check_against_pytorch_fid([(150, 256), (250, 256), (1000, 256)], tmp_path / "features.npz")


@pytest.mark.reliability  # scipy's matrix square root of 2048 x 2048 takes its time
def test_it_equals_pytorch_fid_with_as_many_features_as_inception_has(tmp_path):
    check_against_pytorch_fid([(300, 2048), (1000, 2048), (5000, 2048)], tmp_path / "features.npz")


@pytest.mark.parametrize(
    ("n", "m", "d"),
    [(20, 30, 50), (50, 50, 50), (51, 51, 50), (400, 20, 50), (20, 400, 50), (300, 400, 50), (310, 320, 256)],
)
def test_it_equals_the_plain_formulas_at_any_size(n, m, d):
    rng = np.random.default_rng(n + m)
    x, y = features(rng, n, d), features(rng, m, d, 0.3, 0.8)
    assert frechet_distance(x, y) == pytest.approx(by_singular_values(x, y), rel=1e-8)
    assert influences(x, y).distance == pytest.approx(frechet_distance(x, y), rel=1e-9)
    assert frechet_distance(y, x) == pytest.approx(frechet_distance(x, y), rel=1e-8)
    assert frechet_distance(rng.permutation(x), y) == pytest.approx(frechet_distance(x, y), rel=1e-8)
    # torch-fidelity and torchmetrics: square roots of the eigenvalues of the product of the covariances.
    first, second = statistics_of(x), statistics_of(y)
    roots = np.sqrt(np.linalg.eigvals(first.covariance @ second.covariance).astype(complex)).real.sum()
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    expected = ((first.mean - second.mean) ** 2).sum() + traces - 2 * roots
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("n", "m"), [(20, 30), (200, 30), (30, 200), (200, 300)])
def test_statistics_stand_in_for_the_images(n, m):
    rng = np.random.default_rng(0)
    x, y = features(rng, n, 40), features(rng, m, 40, 0.3)
    expected = frechet_distance(x, y)
    assert frechet_distance(statistics_of(x), y) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(x, statistics_of(y)) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(statistics_of(x), statistics_of(y)) == pytest.approx(expected, rel=1e-6)


def test_statistics_are_mean_and_covariance():
    x = features(np.random.default_rng(0), 5000, 30)
    found = statistics_of(x)
    np.testing.assert_allclose(found.mean, x.mean(axis=0, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(
        found.covariance, np.cov(x.astype(float), rowvar=False), rtol=1e-10, atol=1e-12
    )
    assert found.n == 5000


def test_a_shift_counts_squared_and_a_stretch_by_the_trace():
    x = features(np.random.default_rng(0), 100, 20).astype(np.float64)
    trace = np.trace(np.cov(x, rowvar=False))
    assert frechet_distance(x, x + 0.5) == pytest.approx(20 * 0.25, rel=1e-9)
    stretched = x.mean(axis=0) + 3 * (x - x.mean(axis=0))
    assert frechet_distance(x, stretched) == pytest.approx(4 * trace, rel=1e-9)
    # One dimension: (μ₁ - μ₂)² + (σ₁ - σ₂)².
    one, two = np.array([[0.0], [2.0]]), np.array([[1.0], [1.0], [4.0]])
    assert frechet_distance(one, two) == pytest.approx(1 + (np.sqrt(2) - np.sqrt(3)) ** 2, rel=1e-12)


@pytest.mark.parametrize("n", [2, 10, 64, 65, 70, 500])
def test_a_set_is_at_no_distance_from_itself(n):
    x = features(np.random.default_rng(n), n, 64)
    for first, second in ((x, x), (x, x[::-1]), (statistics_of(x), x), (statistics_of(x), statistics_of(x))):
        assert 0 <= frechet_distance(first, second) < 2e-5
    assert 0 <= frechet_distance(x, x.copy()) < 1e-6
    assert influences(x, x).standard_error < 1e-3


def test_features_that_never_vary_are_no_obstacle():
    rng = np.random.default_rng(0)
    constant = np.full((30, 16), 0.25)
    assert frechet_distance(constant, constant) == 0
    assert frechet_distance(constant, constant + 1) == pytest.approx(16)
    x = features(rng, 300, 16)
    x[:, 3:] = 0.7
    y = x + np.float32(0.5)
    assert frechet_distance(x, y) == pytest.approx(4, rel=1e-5)
    assert frechet_distance(constant, x) == pytest.approx(
        ((x.mean(axis=0, dtype=float) - 0.25) ** 2).sum() + np.trace(np.cov(x.astype(float), rowvar=False)),
        rel=1e-6,
    )
    assert np.isfinite(influences(constant, x).standard_error)
    assert np.isfinite(influences(x, constant[:10]).standard_error)


def test_what_cannot_be_compared_is_refused():
    x = features(np.random.default_rng(0), 10, 8)
    with pytest.raises(ValueError, match="at least 2 rows"):
        frechet_distance(x[:1], x)
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(x, np.full((10, 8), np.nan))
    with pytest.raises(ValueError, match="8 numbers against features of 7"):
        frechet_distance(x, x[:, :7])
    with pytest.raises(ValueError, match="8 numbers against features of 7"):
        influences(x, x[:, :7])


@pytest.mark.parametrize(("n", "m", "d"), [(12, 9, 30), (9, 12, 30), (90, 70, 6), (60, 5, 12), (5, 60, 12)])
def test_influences_are_derivatives_by_the_weight_of_an_image(n, m, d):
    rng = np.random.default_rng(n)
    x, y = features(rng, n, d), features(rng, m, d, 0.3, 0.8)
    found = influences(x, y)
    for first, second, ours in ((x, y, found.reals), (y, x, found.fakes)):
        for image in (0, 2, 4):
            more, less = np.ones(len(first)), np.ones(len(first))
            more[image] += 1e-4
            less[image] -= 1e-4
            slope = (by_singular_values(first, second, more) - by_singular_values(first, second, less)) / 2e-4
            # A derivative by a share of the whole, where more weight for one is less for all others.
            assert ours[image] == pytest.approx(slope * len(first), rel=2e-3, abs=2e-3 * np.abs(ours).max())
        assert ours.mean() == pytest.approx(0, abs=1e-9 * np.abs(ours).max())


@pytest.mark.parametrize(("n", "m", "d"), [(12, 9, 30), (90, 70, 6), (60, 5, 12)])
def test_influences_of_the_fakes_need_no_more_of_the_reals_than_statistics(n, m, d):
    rng = np.random.default_rng(n)
    x, y = features(rng, n, d), features(rng, m, d, 0.3, 0.8)
    of_images, of_statistics = influences(x, y), influences(statistics_of(x), y)
    assert of_statistics.reals is None
    np.testing.assert_allclose(of_statistics.fakes, of_images.fakes, rtol=1e-3, atol=1e-3)
    assert of_statistics.standard_error == pytest.approx(np.sqrt(of_images.fakes.var() / m), rel=1e-3)


def test_the_standard_error_is_the_spread_over_draws_and_over_resamples():
    rng = np.random.default_rng(0)
    draws = [(features(rng, 400, 12), features(rng, 300, 12, 0.3, 0.8)) for _ in range(150)]
    spread = np.std([frechet_distance(x, y) for x, y in draws])
    errors = [influences(x, y).standard_error for x, y in draws[:40]]
    assert np.mean(errors) == pytest.approx(spread, rel=0.2)
    x, y = draws[0]
    again = [frechet_distance(rng.choice(x, len(x)), rng.choice(y, len(y))) for _ in range(300)]
    assert errors[0] == pytest.approx(np.std(again), rel=0.2)


def test_a_bare_covariance_of_less_than_full_rank_is_no_obstacle():
    mean = np.zeros(3)
    flat, thin = np.diag([4.0, 1.0, 0.0]), np.diag([1.0, 0.0, 9.0])
    assert frechet_distance(Statistics(mean, flat), Statistics(mean, thin)) == pytest.approx(
        5 + 10 - 4, rel=1e-12
    )
    assert frechet_distance(Statistics(mean, 0 * flat), Statistics(mean, thin)) == pytest.approx(
        10, rel=1e-12
    )
