"""The area under the ROC curve when several images come from one input, with its interval.

The real image and the fakes of one input are not independent, so the variance is that of the clustered AUC: DeLong's
structural components, summed within inputs (Obuchowski 1997).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from evalkit.results import Interval
from evalkit.stats.clustering import FloatArray, clustered_variance, dimensions_of

CHANCE = 0.5


@dataclass(frozen=True)
class TwoSamples:
    """One quantity of real images and of fakes, and which inputs they belong to."""

    reals: FloatArray
    fakes: FloatArray
    real_inputs: npt.NDArray[np.generic]
    """Same shape as `reals`; equal ids here and there are one input."""
    fake_inputs: npt.NDArray[np.generic]


@dataclass(frozen=True)
class Auc:
    """An estimated AUC: the probability that a fake has the larger value, ties counting half."""

    value: float
    standard_error: float
    """On the scale of `value`; 0 where the variance cannot be seen."""
    inputs: int
    """Clusters."""
    method: str

    @property
    def separates(self) -> bool:
        """Whether every fake lies above, or every fake below, all real images."""
        return self.value in (0.0, 1.0)

    def interval(self, confidence_level: float = 0.95) -> Interval:
        """Logit-scale interval, t with inputs - 1 degrees of freedom.

        Where the samples do not overlap it is Clopper-Pearson's over half as many independent pairs as there are
        inputs; where nothing varies it is the value alone.
        """
        alpha, value = 1 - confidence_level, self.value
        if self.separates:
            bound = (alpha / 2) ** (1 / self._pairs)
            low, high = (bound, 1.0) if value == 1.0 else (0.0, 1 - bound)
            return Interval(
                low, high, confidence_level, f"exact, over {self._pairs} pairs of different inputs"
            )
        if self.standard_error == 0:
            return Interval(value, value, confidence_level, f"{self.method}; no variance")
        freedom = self.inputs - 1
        reach = stats.t.ppf(1 - alpha / 2, freedom) * self._logit_error
        middle = special.logit(value)
        low, high = (float(special.expit(middle + sign * reach)) for sign in (-1, 1))
        return Interval(low, high, confidence_level, self.method, freedom)

    @property
    def p_value(self) -> float:
        """Two-sided, against 0.5; below a level exactly where the interval of that level leaves 0.5 out."""
        if self.separates:
            return min(1.0, 2 * CHANCE**self._pairs)
        if self.standard_error == 0:
            return 1.0 if self.value == CHANCE else 0.0
        return float(2 * stats.t.sf(abs(special.logit(self.value)) / self._logit_error, self.inputs - 1))

    @property
    def _pairs(self) -> int:
        return max(1, self.inputs // 2)

    @property
    def _logit_error(self) -> float:
        return self.standard_error / (self.value * (1 - self.value))


def clustered_auc(samples: TwoSamples) -> Auc:
    """AUC of fakes against reals, with the variance over inputs.

    Raises:
        ValueError: A sample is empty or has other than one input id per value, or there are fewer than two inputs.

    Source:
        DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837-845 (structural components); Obuchowski (1997),
        "Nonparametric analysis of clustered ROC curve data", Biometrics 53, 567-578 (their sums within clusters);
        logit scale: Qin & Hotilovac (2008), "Comparison of non-parametric confidence intervals for the area under the
        ROC curve of a continuous-scale diagnostic test", Stat. Methods Med. Res. 17, 207-221. The exact bound for
        separated samples is ours: of pairs of a real image of one input with a fake of another, no input used twice,
        all must be in order, which at AUC a happens with probability a to the power of the number of pairs.
    """
    return fold_averaged_auc([samples])


def fold_averaged_auc(folds: Sequence[TwoSamples]) -> Auc:
    """The mean AUC over the folds of a cross-validation in which each input is in one fold only.

    Values of different folds are never compared, since each fold's come from a classifier of its own.

    Raises:
        ValueError: As `clustered_auc`.

    Source:
        LeDell, Petersen & van der Laan (2015), "Computationally efficient confidence intervals for cross-validated area
        under the ROC curve estimates", Electron. J. Stat. 9, 1583-1607, section 4; summed within inputs as in
        `clustered_auc`. That variance takes the classifiers as given, and without a signal they are nearly all noise,
        shared by folds of overlapping training sets: it is enlarged by 1 + folds x test/training size as in Nadeau &
        Bengio (2003), "Inference for the generalization error", Mach. Learn. 52, 239-281, section 3. Over random
        splits of photographs the interval then covers 0.5 about as often as it says (docs/audit.md).
    """
    values, influence, inputs = [], [], []
    for fold in folds:
        value, of_reals, of_fakes = _components(fold)
        values.append(value)
        influence += [of_reals / len(folds), of_fakes / len(folds)]
        inputs += [fold.real_inputs, fold.fake_inputs]
    ids = np.concatenate(inputs)
    dimensions = dimensions_of({"inputs": ids}, ids.size)
    if dimensions[0].count < 2:
        raise ValueError("an AUC's variance needs at least two inputs")
    variance = clustered_variance(np.concatenate(influence), dimensions).variance
    over = ""
    if len(folds) > 1:
        variance *= 1 + len(folds) / (len(folds) - 1)
        over = f"mean of {len(folds)} folds, corrected for what their training sets share, "
    return Auc(
        math.fsum(values) / len(values),
        math.sqrt(variance),
        dimensions[0].count,
        f"{over}structural components summed within inputs, logit scale",
    )


def _components(samples: TwoSamples) -> tuple[float, FloatArray, FloatArray]:
    """AUC, and the influence of each real image and each fake on it."""
    reals, fakes = samples.reals, samples.fakes
    if not reals.size or not fakes.size:
        raise ValueError("an AUC needs at least one real image and one fake")
    if reals.shape != samples.real_inputs.shape or fakes.shape != samples.fake_inputs.shape:
        raise ValueError("every value needs the id of its input")
    above = 1 - _share_below(reals, fakes)  # for each real image: fakes that are larger
    below = _share_below(fakes, reals)  # for each fake: real images that are smaller
    value = float(below.mean())
    return value, (above - value) / reals.size, (below - value) / fakes.size


def _share_below(values: FloatArray, others: FloatArray) -> FloatArray:
    """For each value the share of the others that are smaller, ties counting half."""
    ordered = np.sort(others)
    places = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(places / (2 * others.size), dtype=np.float64)
