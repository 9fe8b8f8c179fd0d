"""Signal detection: how well people tell real from fake, apart from which answer they prefer.

d' is the distance between what real and fake images look like, in standard deviations; the criterion is the preference.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from evalkit.results import Estimate, HypothesisTest, Interval
from evalkit.stats.clustering import (
    Clusters,
    Dimension,
    FloatArray,
    clustered_variance,
    dimensions_of,
    sandwich_words,
)

YES_NO = "yes/no: d' = z(H) - z(F), log-linear correction"
TWO_AFC = "2AFC: d' = (z(H) - z(F))/√2, log-linear correction"
CORRECTED = (
    "The interval covers other workers, not other images. With few trials per worker the log-linear correction pulls each d'"
    " toward 0."
)
NO_TEST = "No test: it needs two workers and answers that vary."
INSEPARABLE = "No test: the answer was right in all trials or in none, so that preferring it cannot be told from knowing it."
UNITS = {"d_prime": "z", "criterion": "z", "bias_free_fool_rate": "proportion"}


@dataclass(frozen=True)
class Detection:
    """The three numbers of one table of answers."""

    d_prime: float
    criterion: float
    """Above 0: the answer counted as a hit is given too seldom."""
    bias_free_fool_rate: float
    """How often somebody with this d' and no preference takes a fake for real, at the same task."""


def yes_no_detection(hits: float, signals: float, false_alarms: float, noises: float) -> Detection:
    """Detection from one image per trial.

    d' = z(H) - z(F), c = -(z(H) + z(F))/2, with (k + 0.5)/(n + 1) for each rate, so that none is 0 or 1; the bias-free
    fool rate is 1 - Φ(d'/2), the share of misses at c = 0.

    Args:
        hits: Fake images called fake.
        signals: Fake images.
        false_alarms: Real images called fake.
        noises: Real images.

    Source:
        Macmillan & Creelman (2005), Detection Theory, 2nd ed., equations 1.5 and 2.1; correction: Hautus (1995),
        Behav. Res. Methods 27, 46-51.
    """
    hit, false_alarm = _z(hits, signals), _z(false_alarms, noises)
    return Detection(hit - false_alarm, -(hit + false_alarm) / 2, _fooled((hit - false_alarm) / 2))


def two_afc_detection(hits: float, signals: float, false_alarms: float, noises: float) -> Detection:
    """Detection from two images per trial; the preference is for one of the two sides (or intervals).

    d' = (z(H) - z(F))/√2, c = -(z(H) + z(F))/2; the bias-free fool rate is 1 - Φ(d'/√2).

    Args:
        hits: Trials answered "left" with the image asked for on the left.
        signals: Trials with the image asked for on the left.
        false_alarms: Trials answered "left" with the image asked for on the right.
        noises: Trials with the image asked for on the right.

    Source:
        Macmillan & Creelman (2005), equations 7.2 to 7.4; correction as `yes_no_detection`.
    """
    hit, false_alarm = _z(hits, signals), _z(false_alarms, noises)
    d_prime = (hit - false_alarm) / math.sqrt(2)
    return Detection(d_prime, -(hit + false_alarm) / 2, _fooled(d_prime / math.sqrt(2)))


def detection(
    answers: npt.ArrayLike,
    signal: npt.ArrayLike,
    clusters: Clusters,
    confidence_level: float = 0.95,
    *,
    two_afc: bool,
) -> dict[str, Estimate]:
    """d', criterion and bias-free fool rate of pooled trials, with clustered intervals.

    The variance is the multi-way clustered sandwich of each trial's influence on z(H) and z(F), by the delta method.

    Args:
        answers: Shape (n,), in [0, 1]: 1 where the answer was "fake" (yes/no) or "left" (2AFC).
        signal: Shape (n,), bool: where that answer was right.
        clusters: One or more dimensions, workers first.
        confidence_level: Between 0 and 1.
        two_afc: Whether a trial showed two images.

    Returns:
        Estimates with keys `d_prime`, `criterion`, `bias_free_fool_rate`; value None where trials of one kind lack.

    Raises:
        ValueError: Shapes differ or an answer is outside [0, 1].

    Source:
        As `yes_no_detection` and `two_afc_detection`; variance: Gourevitch & Galanter (1967), Psychometrika 32, 25-33,
        with `evalkit.stats.clustering.clustered_variance` in the place of the binomial.
    """
    y, is_signal = _checked(answers, signal)
    dimensions = dimensions_of(clusters, y.size)
    n = {"trials": y.size, **{dimension.name: dimension.count for dimension in dimensions}}
    words = f"{TWO_AFC if two_afc else YES_NO}; pooled over trials"
    signals, noises = float(is_signal.sum()), float((~is_signal).sum())
    if not signals or not noises:
        kind = "with the image asked for on either side" if two_afc else "of real and of fake images"
        return _unknown(words, n, f"Trials {kind} are needed; one of the two kinds is missing.")
    hits, false_alarms = float(y[is_signal].sum()), float(y[~is_signal].sum())
    of_table = two_afc_detection if two_afc else yes_no_detection
    found = of_table(hits, signals, false_alarms, noises)
    by_hit = np.where(is_signal, (y - hits / signals) / signals, 0.0) / _density(hits, signals)
    by_false_alarm = np.where(is_signal, 0.0, (y - false_alarms / noises) / noises)
    by_false_alarm /= _density(false_alarms, noises)
    scale = math.sqrt(2) if two_afc else 1.0
    influences = {"d_prime": (by_hit - by_false_alarm) / scale, "criterion": -(by_hit + by_false_alarm) / 2}
    estimates = {
        key: _with_interval(key, getattr(found, key), influence, dimensions, n, words, confidence_level)
        for key, influence in influences.items()
    }
    estimates["bias_free_fool_rate"] = _fool_rate_of(estimates["d_prime"], math.sqrt(2) if two_afc else 2.0)
    return estimates


def detection_over_workers(
    answers: npt.ArrayLike,
    signal: npt.ArrayLike,
    workers: npt.ArrayLike,
    confidence_level: float = 0.95,
    *,
    two_afc: bool,
) -> Estimate:
    """The mean of the workers' own d', with Student's interval; pooling instead makes d' smaller where workers differ.

    Args:
        answers: As `detection`.
        signal: As `detection`.
        workers: Shape (n,): who answered.
        confidence_level: Between 0 and 1.
        two_afc: As `detection`.

    Source:
        Macmillan & Creelman (2005), section 13 (average of d' against d' of the average).
    """
    y, is_signal = _checked(answers, signal)
    codes = np.unique(np.asarray(workers), return_inverse=True)[1]
    count = int(codes.max(initial=-1)) + 1
    totals = [
        np.bincount(codes, weights=weights, minlength=count)
        for weights in (y * is_signal, is_signal * 1.0, y * ~is_signal, ~is_signal * 1.0)
    ]
    complete = (totals[1] > 0) & (totals[3] > 0)
    hits, signals, false_alarms, noises = (total[complete] for total in totals)
    z = [stats.norm.ppf((k + 0.5) / (m + 1)) for k, m in ((hits, signals), (false_alarms, noises))]
    values = (z[0] - z[1]) / (math.sqrt(2) if two_afc else 1.0)
    n = {"workers": int(values.size), "trials": int(y.size)}
    method = f"mean over workers of their own d' ({TWO_AFC if two_afc else YES_NO})"
    value = float(values.mean()) if values.size else None
    if values.size < 2:
        note = "No interval: fewer than two workers saw both kinds of trials."
        return Estimate(
            key="d_prime_worker_averaged", value=value, unit="z", method=method, n=n, notes=(note,)
        )
    error, freedom = float(values.std(ddof=1)) / math.sqrt(values.size), float(values.size - 1)
    if error < 1e-12:
        note = "No interval: every worker has exactly the same d'."
        return Estimate(
            key="d_prime_worker_averaged", value=value, unit="z", method=method, n=n, notes=(note,)
        )
    half = float(stats.t.ppf(0.5 + confidence_level / 2, freedom)) * error
    assert value is not None
    return Estimate(
        key="d_prime_worker_averaged",
        value=value,
        unit="z",
        method=f"{method}, t with {freedom:g} degrees of freedom",
        n=n,
        interval=Interval(value - half, value + half, confidence_level, "t over workers", freedom),
        standard_error=error,
        notes=(CORRECTED,),
    )


def preference_spread(
    answers: npt.ArrayLike, signal: npt.ArrayLike, workers: npt.ArrayLike
) -> HypothesisTest:
    """Whether workers differ in how often they give one answer by more than chance: χ² over workers.

    Each worker's count of the answer is held against what the pooled hit and false-alarm rates say for the trials that
    this worker saw; the variance is that of independent answers at these rates.

    Args:
        answers: As `detection`.
        signal: As `detection`.
        workers: Shape (n,).

    Returns:
        Test with key `answer_preference_spread`; `value` is the SD of the workers' shares.

    Source:
        Pearson's χ² of dispersion: McCullagh & Nelder (1989), Generalized Linear Models, section 4.5.
    """
    y, is_signal = _checked(answers, signal)
    codes = np.unique(np.asarray(workers), return_inverse=True)[1]
    count = int(codes.max(initial=-1)) + 1
    rates = np.zeros(y.size)
    for kind in (is_signal, ~is_signal):
        if kind.any():
            rates[kind] = y[kind].mean()
    given, expected, variance, trials = (
        np.bincount(codes, weights=weights, minlength=count)
        for weights in (y, rates, rates * (1 - rates), np.ones(y.size))
    )
    usable = variance > 0
    shares = given / np.maximum(trials, 1)
    spread = float(shares.std(ddof=1)) if count > 1 else None
    both = bool(is_signal.any()) and not bool(is_signal.all())
    freedom, statistic, p_value = (int(usable.sum()) - 1 if both else 0), None, None
    if freedom > 0:
        statistic = float(((given - expected) ** 2 / np.where(usable, variance, np.inf)).sum())
        p_value = float(stats.chi2.sf(statistic, freedom))
    chance = float(np.sqrt((variance / np.maximum(trials, 1) ** 2).mean())) if count else 0.0
    return HypothesisTest(
        key="answer_preference_spread",
        value=spread,
        unit="proportion",
        method=f"SD over workers of their share of the answer (chance alone: {chance:.3f}); χ² of dispersion",
        n={"workers": count, "trials": int(y.size)},
        statistic=statistic,
        p_value=p_value,
        null_hypothesis="all workers give the answer equally often at the same kind of trial",
        alternative="some prefer it more than others",
        notes=() if freedom > 0 else (NO_TEST if both else INSEPARABLE,),
    )


def _with_interval(
    key: str,
    value: float,
    influence: FloatArray,
    dimensions: list[Dimension],
    n: Mapping[str, int],
    words: str,
    confidence_level: float,
) -> Estimate:
    few = [dimension.words for dimension in dimensions if dimension.count < 2]
    if few:
        note = f"No interval: at least 2 {few[0]} are needed to see how much they differ."
        return Estimate(key=key, value=value, unit=UNITS[key], method=words, n=n, notes=(note,))
    known = clustered_variance(influence, dimensions)
    if known.variance <= 0:
        note = "No interval: the answers do not vary at all."
        return Estimate(key=key, value=value, unit=UNITS[key], method=words, n=n, notes=(note,))
    error, freedom = math.sqrt(known.variance), known.degrees_of_freedom
    half = float(stats.t.ppf(0.5 + confidence_level / 2, freedom)) * error
    method = f"{words}; {sandwich_words(dimensions, freedom)}"
    return Estimate(
        key=key,
        value=value,
        unit=UNITS[key],
        method=method,
        n=n,
        interval=Interval(value - half, value + half, confidence_level, method, freedom),
        standard_error=error,
    )


def _fool_rate_of(d_prime: Estimate, scale: float) -> Estimate:
    """1 - Φ(d'/scale), and so for the ends of the interval."""
    assert d_prime.value is not None
    interval, error = None, None
    if d_prime.interval is not None and d_prime.standard_error is not None:
        known = d_prime.interval
        low, high = _fooled(known.high / scale), _fooled(known.low / scale)
        interval = dataclasses.replace(known, low=low, high=high)
        error = d_prime.standard_error * float(stats.norm.pdf(d_prime.value / scale)) / scale
    return dataclasses.replace(
        d_prime,
        key="bias_free_fool_rate",
        value=_fooled(d_prime.value / scale),
        unit="proportion",
        method=f"1 - Φ(d'/{'√2' if scale < 2 else '2'}); {d_prime.method}",
        interval=interval,
        standard_error=error,
    )


def _unknown(words: str, n: Mapping[str, int], note: str) -> dict[str, Estimate]:
    return {
        key: Estimate(key=key, value=None, unit=unit, method=words, n=n, notes=(note,))
        for key, unit in UNITS.items()
    }


def _fooled(distance: float) -> float:
    return float(stats.norm.sf(distance))


def _corrected(count: float, n: float) -> float:
    """Log-linear correction."""
    return (count + 0.5) / (n + 1)


def _z(count: float, n: float) -> float:
    return float(stats.norm.ppf(_corrected(count, n)))


def _density(count: float, n: float) -> float:
    return float(stats.norm.pdf(_z(count, n))) * (n + 1) / n


def _checked(answers: npt.ArrayLike, signal: npt.ArrayLike) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    y, is_signal = np.asarray(answers, dtype=np.float64), np.asarray(signal, dtype=np.bool_)
    if y.ndim != 1 or y.shape != is_signal.shape:
        raise ValueError(f"answers and signal must have shape (n,), got {y.shape} and {is_signal.shape}")
    if y.size and not bool(np.all((y >= 0) & (y <= 1))):
        raise ValueError("answers must lie in [0, 1]; leave missing ones out")
    return y, is_signal
