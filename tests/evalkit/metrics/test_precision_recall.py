import numpy as np
import pytest

from evalkit.metrics import precision_recall
from evalkit.metrics.base import Options
from evalkit.metrics.inception import pool3
from evalkit.metrics.precision_recall import PrecisionRecall
from studies.errors import UserError

OPTIONS = Options(random_weights=0)
KEYS = ("precision", "recall", "density", "coverage")


def scores(reals, fakes, keys=KEYS):
    return {
        value.key: value
        for value in PrecisionRecall().compute(keys, {"reals": reals, "fakes": fakes}, OPTIONS)
    }


def numbers(reals, fakes):
    return {key: value.value for key, value in scores(reals, fakes).items()}


def cloud(rng, n, d=8, centre=0.0, scale=1.0):
    return (rng.normal(size=(n, d)) * scale + centre).astype(np.float32)


def by_loops(reals, fakes):
    """The papers' equations, in float64."""
    reals, fakes = reals.astype(float), fakes.astype(float)

    def radius(points, i, k):
        return sorted(np.linalg.norm(points[i] - other) for j, other in enumerate(points) if j != i)[k - 1]

    def distance(a, b):
        return np.linalg.norm(a - b)

    of_reals_3 = [radius(reals, i, 3) for i in range(len(reals))]
    of_reals_5 = [radius(reals, i, 5) for i in range(len(reals))]
    of_fakes_3 = [radius(fakes, j, 3) for j in range(len(fakes))]
    inside = [[distance(real, fake) < r for real, r in zip(reals, of_reals_5, strict=True)] for fake in fakes]
    return {
        "precision": np.mean(
            [any(distance(x, y) <= r for x, r in zip(reals, of_reals_3, strict=True)) for y in fakes]
        ),
        "recall": np.mean(
            [any(distance(x, y) <= r for y, r in zip(fakes, of_fakes_3, strict=True)) for x in reals]
        ),
        "density": np.sum(inside) / (5 * len(fakes)),
        "coverage": np.mean(np.any(inside, axis=0)),
    }


@pytest.mark.parametrize("block", [7, 64, 512])
def test_they_equal_the_papers_equations_at_any_block_size(monkeypatch, block):
    monkeypatch.setattr(precision_recall, "BLOCK", block)
    rng = np.random.default_rng(0)
    reals, fakes = cloud(rng, 80), cloud(rng, 50, centre=0.4, scale=0.7)
    expected = by_loops(reals, fakes)
    assert numbers(reals, fakes) == pytest.approx(expected)
    assert len(set(expected.values())) == 4  # none of them can be taken for another
    assert min(expected.values()) > 0


def test_one_perfect_image_over_and_over_is_precise_and_recalls_nothing():
    reals = cloud(np.random.default_rng(1), 100)
    fakes = np.repeat(reals[:1], 60, axis=0)
    found = numbers(reals, fakes)
    assert found["precision"] == 1
    assert found["recall"] == 0.01  # the image itself
    assert found["coverage"] < 0.2


def test_half_of_the_kinds_of_image_is_all_precision_and_half_the_recall():
    rng = np.random.default_rng(2)
    kinds = cloud(rng, 200), cloud(rng, 200, centre=50)
    reals = np.concatenate(kinds)
    fakes = cloud(rng, 200)
    found = numbers(reals, fakes)
    assert found["precision"] > 0.85
    assert 0.4 < found["recall"] <= 0.5
    assert 0.45 < found["coverage"] <= 0.5
    # The other way round: half of the fakes are of a kind that no real has.
    found = numbers(kinds[0], np.concatenate([fakes, cloud(rng, 200, centre=50)]))
    assert 0.4 < found["precision"] <= 0.5
    assert found["recall"] > 0.85
    assert found["coverage"] > 0.9
    assert found["density"] < 0.6


def test_fakes_spread_too_widely_lose_precision_and_keep_recall():
    rng = np.random.default_rng(3)
    found = numbers(cloud(rng, 300), cloud(rng, 300, scale=3))
    assert found["precision"] < 0.2
    assert found["recall"] > 0.8


def test_an_outlier_among_the_reals_raises_precision_but_hardly_density():
    rng = np.random.default_rng(4)
    reals, fakes = cloud(rng, 100, d=4), cloud(rng, 100, d=4, centre=8)
    with_outlier = np.concatenate([reals, [[20.0] * 4]]).astype(np.float32)
    assert numbers(reals, fakes)["precision"] == 0
    found = numbers(with_outlier, fakes)
    assert found["precision"] == 1
    assert found["density"] <= 0.2


def test_a_set_against_itself_is_all_ones():
    reals = cloud(np.random.default_rng(5), 700, d=64) + 5
    assert numbers(reals, reals.copy()) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_two_draws_of_the_same_have_density_1_and_coverage_1_minus_2_to_the_minus_5():
    rng = np.random.default_rng(6)
    found = [numbers(cloud(rng, 300, d=4), cloud(rng, 300, d=4)) for _ in range(20)]
    assert np.mean([each["density"] for each in found]) == pytest.approx(1, abs=0.03)
    assert np.mean([each["coverage"] for each in found]) == pytest.approx(1 - 2**-5, abs=0.01)


def test_features_that_never_vary():
    same = np.ones((20, 16), np.float32)
    found = numbers(same, same)
    assert (found["precision"], found["recall"]) == (1, 1)
    found = numbers(same, same + 1)
    assert set(found.values()) == {0}


def test_image_by_image_where_there_is_such_a_thing():
    rng = np.random.default_rng(7)
    reals, fakes = cloud(rng, 60), np.concatenate([cloud(rng, 30), cloud(rng, 10, centre=90)])
    found = scores(reals, fakes)
    assert found["precision"].per_image.shape == found["density"].per_image.shape == (40,)
    assert not found["precision"].per_image[30:].any()
    assert found["precision"].per_image[:30].any()
    assert found["density"].per_image.mean() == found["density"].value
    assert found["recall"].per_image is found["coverage"].per_image is None


def test_too_few_images_are_said():
    rng = np.random.default_rng(8)
    found = scores(cloud(rng, 5), cloud(rng, 4))
    assert found["precision"].value is not None
    assert found["recall"].value is not None
    assert found["density"].value is found["coverage"].value is None
    assert found["density"].notes == ("Density needs at least 6 reals and there are 5.",)
    assert "below 1000" in found["precision"].notes[0]
    found = scores(cloud(rng, 50), cloud(rng, 3))
    assert found["recall"].notes == ("Recall needs at least 4 fakes and there are 3.",)
    assert found["coverage"].value is not None
    for reals, fakes in ((3, 3), (0, 10), (10, 0)):
        with pytest.raises(UserError, match=f"there are {reals} reals and {fakes} fakes"):
            scores(cloud(rng, reals), cloud(rng, fakes))


def test_large_sets_carry_no_note():
    rng = np.random.default_rng(9)
    assert all(value.notes == () for value in scores(cloud(rng, 1000, d=2), cloud(rng, 1000, d=2)).values())


def test_only_what_is_asked_for_comes():
    rng = np.random.default_rng(10)
    reals, fakes = cloud(rng, 80), cloud(rng, 50, centre=0.4, scale=0.7)
    whole = numbers(reals, fakes)
    for key in KEYS:
        assert {name: value.value for name, value in scores(reals, fakes, (key,)).items()} == {
            key: whole[key]
        }
    settings = PrecisionRecall().settings(("recall", "coverage"), OPTIONS)
    assert settings == {**pool3(OPTIONS).settings, "neighbours": "recall 3, coverage 5"}
