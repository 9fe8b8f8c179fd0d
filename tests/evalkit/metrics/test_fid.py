import numpy as np
import pytest

from evalkit.metrics.base import Options, Statistics
from evalkit.metrics.fid import Fid, extrapolated
from evalkit.metrics.frechet import frechet_distance, statistics_of
from studies.errors import UserError

OPTIONS = Options(random_weights=3)
BOTH = ("fid", "fid_infinity")


def scores(reals, fakes, keys=BOTH, options=OPTIONS):
    return {value.key: value for value in Fid().compute(keys, {"reals": reals, "fakes": fakes}, options)}


def cloud(rng, n, d=16, shift=0.0, scale=1.0):
    return (rng.normal(size=(n, d)) * np.geomspace(2, 0.3, d) * scale + shift).astype(np.float32)


def truth(shift, scale, d=16):
    return d * shift**2 + (np.geomspace(2, 0.3, d) ** 2).sum() * (1 - scale) ** 2


def test_fid_is_the_frechet_distance_with_an_interval_around_it():
    rng = np.random.default_rng(0)
    reals, fakes = cloud(rng, 100), cloud(rng, 120, shift=0.2)
    value = scores(reals, fakes)["fid"]
    assert value.value == pytest.approx(frechet_distance(reals, fakes), rel=1e-9)
    assert value.interval.low < value.value < value.interval.high
    assert value.interval.high - value.value == pytest.approx(1.959964 * value.standard_error, rel=1e-6)
    assert "infinitesimal jackknife" in value.interval.method
    assert "not FID's upward bias" in value.interval.method
    wide = scores(reals, fakes, options=Options(random_weights=3, confidence_level=0.99))["fid"].interval
    assert wide.high > value.interval.high
    assert wide.confidence_level == 0.99


def test_the_interval_covers_fid_of_this_many_images_and_not_of_infinitely_many():
    rng = np.random.default_rng(1)
    drawn = [scores(cloud(rng, 80), cloud(rng, 80, shift=0.2), ("fid",))["fid"] for _ in range(200)]
    expected = np.mean([value.value for value in drawn])
    covered = np.mean([value.interval.low <= expected <= value.interval.high for value in drawn])
    assert covered > 0.9
    assert expected > truth(0.2, 1) * 1.5
    assert np.mean([value.interval.low <= truth(0.2, 1) for value in drawn]) < 0.5


@pytest.mark.parametrize(("shift", "scale"), [(0.2, 1.0), (0.0, 0.8), (0.0, 1.0)])
def test_fid_at_infinity_is_the_true_distance_and_its_interval_covers_it(shift, scale):
    rng = np.random.default_rng(2)
    drawn = [scores(cloud(rng, 200), cloud(rng, 150, shift=shift, scale=scale)) for _ in range(80)]
    values = np.array([each["fid_infinity"].value for each in drawn])
    biased = np.array([each["fid"].value for each in drawn])
    goal = truth(shift, scale)
    assert abs(values.mean() - goal) < 4 * values.std() / np.sqrt(80) + 0.02
    assert biased.mean() - goal > 5 * abs(values.mean() - goal)
    intervals = [each["fid_infinity"].interval for each in drawn]
    assert np.mean([interval.low <= goal <= interval.high for interval in intervals]) > 0.88


def test_against_statistics_only_the_fakes_are_halved():
    rng = np.random.default_rng(3)
    exact = Statistics(np.zeros(16), np.diag(np.geomspace(2, 0.3, 16) ** 2))
    drawn = [scores(exact, cloud(rng, 150, shift=0.2)) for _ in range(60)]
    values = np.array([each["fid_infinity"].value for each in drawn])
    assert abs(values.mean() - truth(0.2, 1)) < 4 * values.std() / np.sqrt(60) + 0.02
    one = drawn[0]
    assert "fakes" in one["fid"].interval.method
    assert "The statistics file does not say" in " ".join(one["fid"].notes)
    assert "bias that comes from them remains" in " ".join(one["fid_infinity"].notes)
    assert "statistics" in one["fid_infinity"].method


def test_statistics_of_the_reals_give_the_same_fid_as_the_reals():
    rng = np.random.default_rng(4)
    reals, fakes = cloud(rng, 100), cloud(rng, 60, shift=0.2)
    of_images, of_statistics = scores(reals, fakes)["fid"], scores(statistics_of(reals), fakes)["fid"]
    assert of_statistics.value == pytest.approx(of_images.value, rel=1e-6)
    assert of_statistics.standard_error < of_images.standard_error


def test_fid_at_infinity_is_withheld_where_halves_have_no_full_covariance():
    rng = np.random.default_rng(5)
    found = scores(cloud(rng, 100), cloud(rng, 31))["fid_infinity"]
    assert found.value is found.interval is None
    assert found.notes == (
        "FID∞ needs at least 32 images in each set and there are 31: below, it is still far too high.",
    )
    at_least = scores(cloud(rng, 100), cloud(rng, 32))["fid_infinity"]
    assert at_least.value is not None
    assert "too high by as much as its interval" in at_least.notes[0]
    assert scores(cloud(rng, 100), cloud(rng, 64))["fid_infinity"].notes == ()


def test_fid_at_infinity_depends_on_the_seed_alone():
    rng = np.random.default_rng(6)
    reals, fakes = cloud(rng, 100), cloud(rng, 100, shift=0.2)
    first, again = scores(reals, fakes)["fid_infinity"], scores(reals, fakes)["fid_infinity"]
    other = scores(reals, fakes, options=Options(random_weights=3, seed=1))["fid_infinity"]
    assert first.value == again.value != other.value
    assert (first.seed, other.seed) == (0, 1)
    assert scores(reals, fakes)["fid"].seed is None


def test_the_line_goes_through_the_whole_and_its_halves():
    rng = np.random.default_rng(7)
    reals, fakes = cloud(rng, 40, d=3), cloud(rng, 40, d=3, shift=0.5)
    whole = frechet_distance(reals, fakes)
    order = np.random.default_rng(9)
    halves = []
    for features in (reals, fakes):
        shuffled = features[order.permutation(40)]
        halves.append((shuffled[:20], shuffled[20:]))
    mean_of_halves = np.mean([frechet_distance(x, y) for x in halves[0] for y in halves[1]])
    expected = np.polyval(np.polyfit([1 / 40, 1 / 20], [whole, mean_of_halves], 1), 0)
    assert extrapolated(reals, fakes, whole, np.random.default_rng(9)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("n", "warnings"),
    [(50, ["N = 50 is below 2048", "default of 50 images"]), (51, ["N = 51 is below 2048"]), (2048, [])],
)
def test_few_images_are_warned_of(n, warnings):
    rng = np.random.default_rng(8)
    for reals, fakes in ((n, 2100), (2100, n)):
        notes = scores(cloud(rng, reals, d=4), cloud(rng, fakes, d=4), ("fid",))["fid"].notes
        assert len(notes) == len(warnings)
        assert all(words in note for words, note in zip(warnings, notes, strict=True))


def test_the_size_that_a_statistics_file_names_counts():
    rng = np.random.default_rng(9)
    few = Statistics(np.zeros(4), np.eye(4), n=50)
    assert "N = 50" in scores(few, cloud(rng, 2100, d=4), ("fid",))["fid"].notes[0]


def test_identical_sets_are_at_0_and_never_below():
    reals = cloud(np.random.default_rng(10), 100)
    found = scores(reals, reals)["fid"]
    assert 0 <= found.value < 1e-6
    assert found.interval.low == 0
    assert found.standard_error < 1e-3


def test_what_cannot_be_scored_is_said():
    reals = cloud(np.random.default_rng(11), 10)
    with pytest.raises(UserError, match="the fakes are 1"):
        scores(reals, reals[:1])
    with pytest.raises(UserError, match="the reals are 1"):
        scores(reals[:1], reals)
    with pytest.raises(UserError, match="of 768 features, not of the 16"):
        scores(Statistics(np.zeros(768), np.eye(768)), reals)


def test_only_what_is_asked_for_comes_and_says_its_weights():
    reals = cloud(np.random.default_rng(12), 40)
    assert list(scores(reals, reals, ("fid",))) == ["fid"]
    assert list(scores(reals, reals, ("fid_infinity",))) == ["fid_infinity"]
    settings = Fid().settings(BOTH, OPTIONS)
    assert settings["weights"] == "random, seed 3"
    assert settings["precision"] == "fp32"
    assert "299" in settings["resize"]
    assert Fid().weights(BOTH) == ("inception",)
