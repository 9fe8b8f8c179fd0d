"""Studies of people and images with normal effects on the logit scale, whose true rates are known."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@dataclass(frozen=True)
class Made:
    """How a study is made up. SDs in logits; a study has one algorithm, or two (`rates`, `workers` have two entries)."""

    workers: tuple[int, ...] = (50,)
    images: int = 100
    trials: int = 40
    rates: tuple[float, ...] = (0.2,)
    worker_sd: float = 0.7
    image_sd: float = 0.9
    """Of one algorithm's images."""
    own_sd: float = 0.6
    """The part of `image_sd` that two algorithms' images of one source do not share."""
    real_sd: float | None = None
    """Of the real partners, where they come from other inputs than the fakes."""
    runs: int = 1
    run_sd: float = 0.0
    side_sd: float = 0.0
    """Of the workers' leaning to one side, around `side_mean`."""
    side_mean: float = 0.0
    void_share: float = 0.0
    """Of trials, very unequally over workers; a session with more than five is left out."""
    quitting: float = 0.0
    """How much likelier, per logit of being fooled, a worker is to quit; about a quarter do, and are replaced."""
    target: str = "this generator"
    of_all: bool = False
    """Whether the truth is the rate of all who begin instead of those who finish."""

    @property
    def total_sd(self) -> float:
        return float(
            np.sqrt(sum(sd**2 for sd in (self.image_sd, self.real_sd or 0, self.run_sd, self.side_sd)))
        )

    def finishing(self, effect):
        return expit(1.2 - self.quitting * effect)

    def true_rate(self, intercept: float) -> float:
        """Of an answer by somebody who finishes, over all effects and both sides."""
        effects = intercept + self.worker_sd * POINTS
        weights = WEIGHTS * (1.0 if self.of_all else self.finishing(self.worker_sd * POINTS))
        rates = [
            expit((effects + side)[:, None] + self.total_sd * POINTS) @ WEIGHTS
            for side in (-self.side_mean, self.side_mean)
        ]
        return float(np.mean(rates, axis=0) @ weights / weights.sum())

    def intercept(self, rate: float) -> float:
        low, high = -15.0, 15.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.true_rate(middle) < rate else (low, middle)
        return low


def draw_worker_effects(rng, made, count):
    """Of the first `count` who finish."""
    found = np.empty(0)
    while found.size < count:
        effects = made.worker_sd * rng.normal(size=2 * count)
        found = np.concatenate((found, effects[rng.random(effects.size) < made.finishing(effects)]))
    return found[:count]


def lists(rng, workers, images, trials):
    """Shape (workers * trials,): every worker's images, none twice."""
    return rng.random((workers, images)).argsort(axis=1)[:, :trials].ravel()


def draw(rng, made, intercepts):
    """One study: outcomes and clusters of each algorithm, and the true rates (of these images, where that is the target)."""
    shared = np.sqrt(max(made.image_sd**2 - made.own_sd**2, 0)) * rng.normal(size=made.images)
    real = (made.real_sd or 0.0) * rng.normal(size=made.images)
    outcomes, clusters, truths = [], [], []
    for algorithm, (intercept, workers) in enumerate(zip(intercepts, made.workers, strict=True)):
        own = min(made.own_sd, made.image_sd) * rng.normal(size=made.images)
        worker = np.repeat(np.arange(workers), made.trials)
        image = lists(rng, workers, made.images, made.trials)
        logit = intercept + draw_worker_effects(rng, made, workers)[worker] + (shared + own)[image]
        ids = {"workers": worker + 10_000 * algorithm}
        if made.target != "these images":
            ids["source_images"] = image
        if made.real_sd is not None:
            ids["real_images"] = lists(rng, workers, made.images, made.trials)
            logit = logit + real[ids["real_images"]]
        if made.runs > 1:
            run = rng.integers(made.runs, size=worker.size)
            logit = logit + (made.run_sd * rng.normal(size=made.runs))[run]
            ids["runs"] = run + 100 * algorithm
        if made.side_sd or made.side_mean:
            leaning = made.side_mean + made.side_sd * rng.normal(size=workers)
            logit = logit + leaning[worker] * rng.choice([-1.0, 1.0], size=worker.size)
        kept = _kept(rng, made, workers)
        outcomes.append((rng.random(worker.size) < expit(logit)).astype(float)[kept])
        clusters.append({name: values[kept] for name, values in ids.items()})
        truths.append(_rate_of(intercept, made, shared + own))
    return outcomes, clusters, truths


def _kept(rng, made, workers):
    if not made.void_share:
        return np.ones(workers * made.trials, dtype=bool)
    share = rng.beta(0.5, 0.5 / made.void_share - 0.5, size=workers)
    void = rng.random((workers, made.trials)) < share[:, None]
    void[void.sum(axis=1) > 5] = True
    return ~void.ravel()


def _rate_of(intercept, made, image_effects):
    """Over workers, of exactly these images; the marginal rate for any other target."""
    if made.target != "these images":
        return made.true_rate(intercept)
    return float((expit((intercept + image_effects)[:, None] + made.worker_sd * POINTS) @ WEIGHTS).mean())
