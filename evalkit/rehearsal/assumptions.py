"""What a rehearsal assumes: the grid of variances, and the rates that an average over people and images comes to."""

import functools
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from studies.design import Rehearsal, Study

FloatArray = npt.NDArray[np.float64]

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@dataclass(frozen=True)
class GridPoint:
    """One set of standard deviations, on the logit scale."""

    worker_sd: float
    image_sd: float
    run_sd: float = 0.0
    """0 where the study's target leaves runs out."""

    @property
    def name(self) -> str:
        """As tables and records call it.

        >>> GridPoint(0.7, 0.9).name
        'workers 0.7, images 0.9'
        """
        runs = f", runs {self.run_sd:g}" if self.run_sd else ""
        return f"workers {self.worker_sd:g}, images {self.image_sd:g}{runs}"


@dataclass(frozen=True)
class Range:
    """Low, middle and high of each standard deviation, and the rate around which algorithms lie."""

    worker_sd: tuple[float, ...]
    image_sd: tuple[float, ...]
    run_sd: tuple[float, ...]
    rate: float
    source: str
    """Where they come from, in words."""

    def grid(self, study: Study, *, full: bool) -> list[GridPoint]:
        """The points to rehearse, the middle one first.

        Small: all low, all middle, all high. Full: every combination. Runs vary only where the target is the loss.
        """
        runs = self.run_sd if study.analysis.target == "this loss" else (0.0,)
        sets = (self.worker_sd, self.image_sd, runs)
        middle = GridPoint(*(values[len(values) // 2] for values in sets))
        every = (
            itertools.product(*sets)
            if full
            else ((values[0] for values in sets), (values[-1] for values in sets))
        )
        return list(dict.fromkeys([middle, *(GridPoint(*values) for values in every)]))


def from_settings(settings: Rehearsal) -> Range:
    """The grid of `[rehearsal]`."""
    return Range(
        settings.worker_sd, settings.image_sd, settings.run_sd, settings.rate, "[rehearsal] in study.toml"
    )


def around(estimate: float, clusters: int, confidence_level: float = 0.9) -> tuple[float, float, float]:
    """Low, middle and high of a standard deviation that was estimated from so many clusters.

    The estimate times exp(± z / √(2 (clusters - 1))), as for the standard deviation of a normal sample; what single
    answers add in noise comes on top, so it is the least that is uncertain.

    Source:
        Large-sample variance of a log standard deviation, 1/(2(n-1)); e.g. Stuart & Ord (1994), Kendall's Advanced
        Theory of Statistics 1, section 10.
    """
    reach = float(special.ndtri(0.5 + confidence_level / 2)) / math.sqrt(2 * max(clusters - 1, 1))
    middle = max(estimate, 0.05)
    low, high = (round(middle * math.exp(sign * reach), 3) for sign in (-1, 1))
    return low, round(middle, 3), high


def mean_rate(logits: npt.ArrayLike, sd: float) -> FloatArray:
    """E[logit⁻¹(logits + sd z)], z standard normal, by Gauss-Hermite quadrature; same shape as `logits`."""
    centre = np.asarray(logits, dtype=np.float64)
    return special.expit(centre[..., None] + sd * NODES) @ WEIGHTS


@functools.lru_cache(maxsize=256)
def centre_for(rate: float, sd: float) -> float:
    """The logit about which effects with standard deviation `sd` have the mean rate `rate`."""
    return float(optimize.brentq(lambda logit: float(mean_rate(logit, sd)) - rate, -40, 40))


def pooled(deviations: Iterable[float]) -> float:
    """The standard deviation of a sum of independent effects."""
    return math.sqrt(sum(one * one for one in deviations))
