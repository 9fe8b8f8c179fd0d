"""Krippendorff's alpha against the krippendorff package, split-half and ICC against known truths."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from evalkit.stats.agreement import intraclass_correlation, krippendorff_alpha, split_half_reliability

REFERENCE = Path(__file__).parents[2] / "reference"


def ratings(workers=60, images=40, spread=1.0, seed=1):
    """0/1 answers of everybody about everything; `spread` is the SD of the images, in logits."""
    rng = np.random.default_rng(seed)
    worker, image = (grid.ravel() for grid in np.meshgrid(np.arange(workers), np.arange(images)))
    chance = 1 / (1 + np.exp(-rng.normal(0, spread, images)[image]))
    return (rng.random(worker.size) < chance).astype(float), image, worker


@pytest.mark.parametrize("which", ["all", "every third row"])
@pytest.mark.parametrize("algorithm", [0, 1])
def test_alpha_is_that_of_the_krippendorff_package(which, algorithm):
    table = np.loadtxt(REFERENCE / "crossed_trials.csv", delimiter=",", skiprows=1)
    mine = table[table[:, 2] == algorithm][:: 3 if which != "all" else 1]
    known = json.loads((REFERENCE / "agreement_and_detection.json").read_text())["krippendorff"][which][
        algorithm
    ]
    assert krippendorff_alpha(mine[:, 4], mine[:, 1], mine[:, 0]).value == pytest.approx(known, abs=1e-12)


def test_krippendorffs_own_example_of_nominal_data_with_missing_values():
    """Krippendorff (2011), section C: 4 observers, 12 units, 5 categories, α = 0.743."""
    a = [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None]
    b = [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3]
    c = [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None]
    d = [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None]
    values, units, workers = zip(
        *((v, u, w) for w, row in enumerate((a, b, c, d)) for u, v in enumerate(row) if v is not None),
        strict=True,
    )
    assert krippendorff_alpha(values, units, workers).value == pytest.approx(0.743, abs=5e-4)


def test_alpha_is_one_where_all_agree_and_about_zero_where_answers_are_dice():
    _, image, worker = ratings()
    assert krippendorff_alpha(image % 2, image, worker).value == pytest.approx(1)
    dice = krippendorff_alpha(np.random.default_rng(1).integers(0, 2, image.size), image, worker)
    assert abs(dice.value) < 0.02
    assert dice.interval.low < 0 < dice.interval.high


def test_both_jackknives_are_what_leaving_out_gives():
    y, image, worker = ratings(workers=8, images=6)
    rng = np.random.default_rng(2)
    keep = rng.random(y.size) < 0.7
    y, image, worker = y[keep], image[keep], worker[keep]
    total = 0.0
    for ids in (image, worker):
        left = [
            krippendorff_alpha(y[ids != one], image[ids != one], worker[ids != one]).value
            for one in np.unique(ids)
        ]
        total += (len(left) - 1) * np.var(left)
    assert krippendorff_alpha(y, image, worker).standard_error == pytest.approx(total**0.5)


def test_the_interval_of_alpha_covers_the_truth_of_many_images():
    truth = krippendorff_alpha(*ratings(workers=200, images=4000, seed=99)).value
    intervals = [
        krippendorff_alpha(*ratings(workers=25, images=30, seed=seed)).interval for seed in range(200)
    ]
    assert np.mean([one.low <= truth <= one.high for one in intervals]) > 0.9


def test_split_half_foretells_the_correlation_with_as_many_new_workers():
    reliabilities, correlations = [], []
    for seed in range(20):
        y, image, worker = ratings(workers=80, seed=seed)
        first = worker < 40
        found = split_half_reliability(y[first], image[first], worker[first], np.random.default_rng(0))
        reliabilities.append(found.value)
        rates = [np.bincount(image[half], y[half]) / 40 for half in (first, ~first)]
        correlations.append(np.corrcoef(*rates)[0, 1])
    assert np.mean(reliabilities) == pytest.approx(np.mean(correlations), abs=0.01)


def test_split_half_comes_from_its_seed_alone_and_hardly_moves_with_it():
    values = [split_half_reliability(*ratings(), np.random.default_rng(seed)).value for seed in (1, 1, 2)]
    assert values[0] == values[1]
    assert values[2] == pytest.approx(values[0], abs=0.005)


def test_split_half_of_dice_says_that_halves_do_not_agree():
    y, image, worker = ratings(workers=10, images=200, spread=0.0, seed=4)
    found = split_half_reliability(y, image, worker, np.random.default_rng(1))
    assert abs(found.value) < 0.35


def test_icc_is_the_one_of_the_one_way_analysis_of_variance():
    y, image, _ = ratings(workers=30, images=12)
    f = stats.f_oneway(*(y[image == one] for one in range(12))).statistic
    assert intraclass_correlation(y, image).value == pytest.approx((f - 1) / (f + 29))


def test_icc_and_alpha_say_the_same_of_balanced_answers():
    y, image, worker = ratings()
    assert intraclass_correlation(y, image).value == pytest.approx(
        krippendorff_alpha(y, image, worker).value, abs=0.01
    )


@pytest.mark.parametrize(
    ("values", "units", "workers"),
    [
        ([], [], []),
        ([1, 0], [0, 1], [0, 1]),
        ([1, 1, 1, 1], [0, 0, 1, 1], [0, 1, 0, 1]),
        ([1, 0, 1], [0, 0, 0], [0, 0, 0]),
    ],
    ids=["nothing", "one answer per image", "a constant answer", "one worker and one image"],
)
def test_what_cannot_be_estimated_says_why(values, units, workers):
    values = np.array(values, dtype=float)
    for found in (
        krippendorff_alpha(values, units, workers),
        split_half_reliability(values, units, workers, np.random.default_rng(1)),
        intraclass_correlation(values, units),
    ):
        assert found.value is None or np.isfinite(found.value)
        assert found.notes
        assert getattr(found, "interval", None) is None


def test_malformed_arrays_are_refused():
    with pytest.raises(ValueError, match="shape"):
        krippendorff_alpha([1, 0], [1], [1, 2])
    with pytest.raises(ValueError, match="NaN"):
        krippendorff_alpha([1, np.nan], [1, 1], [1, 2])
    with pytest.raises(ValueError, match="shape"):
        intraclass_correlation([1, 0], [1])


@pytest.mark.shared_data
def test_origami_has_low_alpha_and_very_repeatable_images(shared_data):
    import pandas as pd

    table = pd.read_csv(shared_data / "responses" / "origami2025" / "tidy.csv")
    columns = [
        table["said_real"].fillna(0.5).to_numpy(),
        table["item"].to_numpy(str),
        table["worker"].to_numpy(str),
    ]
    assert 0.11 <= krippendorff_alpha(*columns).value <= 0.20
    assert split_half_reliability(*columns, np.random.default_rng(1), n_splits=20).value == pytest.approx(
        0.997, abs=0.001
    )
