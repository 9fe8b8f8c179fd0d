"""Coverage of the clustered intervals over made-up studies; `docs/statistics.md` has the table."""

import numpy as np
import pytest
from scipy.special import expit

from evalkit.stats.proportions import clustered_difference, clustered_rate

pytestmark = pytest.mark.reliability

TRIALS, RATE, STUDIES = 40, 0.2, 1000


def marginal_rate(intercept, spread):
    """∫ logit⁻¹(intercept + spread z) φ(z) dz, by Gauss-Hermite quadrature."""
    points, weights = np.polynomial.hermite_e.hermegauss(61)
    return float((expit(intercept + spread * points) * weights).sum() / weights.sum())


def intercept_for(rate, spread):
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if marginal_rate(middle, spread) < rate else (low, middle)
    return low


def draw_lists(rng, workers, images):
    return np.concatenate([rng.permutation(images)[:TRIALS] for _ in range(workers)])


@pytest.mark.parametrize(
    ("workers", "images", "worker_sd", "image_sd", "real_sd"),
    [
        (50, 100, 0.6, 0.6, None),
        (50, 100, 0.8, 1.2, None),
        (50, 1000, 0.6, 0.9, None),
        (25, 50, 1.2, 1.1, None),
        (50, 100, 0.0, 0.0, None),
        (50, 100, 0.6, 0.6, 0.6),
        (25, 50, 0.8, 0.9, 0.4),
    ],
)
def test_the_interval_of_a_rate_covers_it(workers, images, worker_sd, image_sd, real_sd):
    rng = np.random.default_rng(1)
    intercept = intercept_for(RATE, np.sqrt(worker_sd**2 + image_sd**2 + (real_sd or 0) ** 2))
    worker = np.repeat(np.arange(workers), TRIALS)
    hits = 0
    for _ in range(STUDIES):
        image = draw_lists(rng, workers, images)
        logit = (
            intercept
            + worker_sd * rng.normal(size=workers)[worker]
            + image_sd * rng.normal(size=images)[image]
        )
        clusters = {"workers": worker, "source_images": image}
        if real_sd is not None:
            real = draw_lists(rng, workers, images)
            logit = logit + real_sd * rng.normal(size=images)[real]
            clusters["real_images"] = real
        interval = clustered_rate((rng.random(worker.size) < expit(logit)).astype(float), clusters).interval
        hits += interval.low <= RATE <= interval.high
    coverage = 100 * hits / STUDIES
    assert 93 <= coverage <= 98, f"coverage {coverage:.1f} %"


@pytest.mark.parametrize(
    ("workers", "images", "interaction_sd"), [(50, 50, 0.6), (50, 100, 0.0), (25, 50, 1.0)]
)
def test_the_interval_of_a_difference_between_sessions_with_shared_inputs_covers_zero(
    workers, images, interaction_sd
):
    rng = np.random.default_rng(3)
    intercept = intercept_for(RATE, np.sqrt(0.7**2 + 0.9**2 + interaction_sd**2))
    worker = np.repeat(np.arange(workers), TRIALS)
    hits = 0
    for _ in range(STUDIES):
        shared, image = 0.9 * rng.normal(size=images), draw_lists(rng, workers, images)
        outcomes, clusters = [], []
        for condition in range(2):
            own = interaction_sd * rng.normal(size=images)
            logit = intercept + 0.7 * rng.normal(size=workers)[worker] + (shared + own)[image]
            outcomes.append((rng.random(worker.size) < expit(logit)).astype(float))
            clusters.append({"workers": worker + condition * workers, "source_images": image})
        interval = clustered_difference(tuple(outcomes), tuple(clusters)).interval
        hits += interval.low <= 0 <= interval.high
    coverage = 100 * hits / STUDIES
    assert 93 <= coverage <= 98, f"coverage {coverage:.1f} %"
