import json
import subprocess
import sys

import numpy as np
import pytest

from evalkit.metrics import kid
from evalkit.metrics.base import Options
from evalkit.metrics.kid import Kid, squared_mmd
from studies.errors import UserError

OPTIONS = Options(random_weights=0)

ORACLE = """
import json, sys
import numpy as np
import torch
from torchmetrics.image.kid import poly_mmd

with np.load(sys.argv[1]) as stored:
    reals, fakes = (torch.from_numpy(stored[name]).double() for name in ("reals", "fakes"))
print(json.dumps(float(poly_mmd(reals, fakes))))
"""


def score(reals, fakes, options=OPTIONS):
    (value,) = Kid().compute(("kid",), {"reals": reals, "fakes": fakes}, options)
    return value


def draw(rng, n, scale=1.0, d=24):
    return (rng.exponential(size=(n, d)) * scale).astype(np.float32)


def double_loop(x, y):
    def k(a, b):
        return (float(a.astype(float) @ b.astype(float)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


@pytest.mark.parametrize("block", [4, 7, 1024])
def test_it_equals_the_double_loop_at_any_block_size(monkeypatch, block):
    monkeypatch.setattr(kid, "BLOCK", block)
    rng = np.random.default_rng(0)
    x, y = draw(rng, 20), draw(rng, 13, 1.2)
    assert score(x, y).value == pytest.approx(double_loop(x, y), rel=1e-10)
    assert score(y, x).value == pytest.approx(double_loop(x, y), rel=1e-10)


def test_it_equals_torchmetrics(tmp_path):
    rng = np.random.default_rng(1)
    x, y = draw(rng, 300, d=2048), draw(rng, 300, 1.02, d=2048)
    np.savez(tmp_path / "features.npz", reals=x, fakes=y)
    command = [sys.executable, "-W", "ignore", "-c", ORACLE, str(tmp_path / "features.npz")]
    expected = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert score(x, y).value == pytest.approx(expected, rel=1e-9)


def test_a_number_worked_out_by_hand():
    # d = 1: k(0,2) = 1, k(1,3) = 64; across 0·1, 0·3, 2·1, 2·3: 1 + 1 + 27 + 343 = 372. 1 + 64 - 2·372/4 = -121.
    value = score(np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]]))
    assert value.value == pytest.approx(-121)
    assert value.interval is None
    assert "at least 3 images" in value.notes[0]


def test_the_jackknife_is_what_leaving_each_image_out_gives():
    rng = np.random.default_rng(2)
    x, y = draw(rng, 9), draw(rng, 6, 1.3)
    without_x = [squared_mmd(np.delete(x, i, axis=0), y).value for i in range(9)]
    without_y = [squared_mmd(x, np.delete(y, i, axis=0)).value for i in range(6)]
    assert squared_mmd(x, y).variance == pytest.approx(
        8 * np.var(without_x) + 5 * np.var(without_y), rel=1e-9
    )


def test_it_has_no_bias_and_its_interval_is_honest():
    rng = np.random.default_rng(3)
    alike = [score(draw(rng, 40), draw(rng, 30)) for _ in range(200)]
    values = np.array([value.value for value in alike])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(200)
    assert values.min() < 0
    x, y = draw(rng, 3000), draw(rng, 3000, 1.2)
    truth = squared_mmd(x, y).value
    apart = [score(draw(rng, 60), draw(rng, 50, 1.2)) for _ in range(200)]
    values = np.array([value.value for value in apart])
    assert values.mean() == pytest.approx(truth, abs=4 * values.std() / np.sqrt(200))
    covered = np.mean([value.interval.low <= truth <= value.interval.high for value in apart])
    assert covered > 0.9
    assert values.std() * 0.8 < np.mean([value.standard_error for value in apart]) < values.std() * 1.4


def test_large_sets_are_cut_into_parts(monkeypatch):
    rng = np.random.default_rng(4)
    x, y = draw(rng, 1000), draw(rng, 700, 1.2)
    whole = score(x, y)
    monkeypatch.setattr(kid, "WHOLE", 100)
    parts = score(x, y)
    assert "all pairs" in whole.method
    assert "10 disjoint random parts" in parts.method
    assert (whole.seed, parts.seed) == (None, 0)
    assert abs(parts.value - whole.value) < whole.standard_error
    assert parts.standard_error == pytest.approx(whole.standard_error, rel=0.3)
    few = score(x, y[:7])
    assert "2 disjoint random parts" in few.method
    assert score(x, y) == parts
    assert score(x, y, Options(random_weights=0, seed=1)).value != parts.value


def test_identical_and_constant_sets():
    x = draw(np.random.default_rng(5), 30)
    # The U-statistic leaves out each image's kernel with itself, but not with its double: at most 0, never above.
    assert score(x, x).value <= 0
    assert score(np.ones((5, 4)), np.ones((6, 4))).value == pytest.approx(0, abs=1e-12)


def test_one_image_is_too_few():
    x = draw(np.random.default_rng(6), 5)
    with pytest.raises(UserError, match="the fakes are 1"):
        score(x, x[:1])
    with pytest.raises(UserError, match="the reals are 0"):
        score(x[:0], x)


def test_its_settings_name_the_random_weights_and_the_kernel():
    settings = Kid().settings(("kid",), OPTIONS)
    assert settings["weights"] == "random, seed 0"
    assert settings["precision"] == "fp32"
    assert settings["kernel"] == "(x.y/d + 1)^3"
    wants = Kid().wants(("kid",), OPTIONS)
    assert {name: want.over for name, want in wants.items()} == {"reals": "reals", "fakes": "fakes"}
    assert wants["reals"].feature == wants["fakes"].feature
