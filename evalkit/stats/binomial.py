"""Intervals of one binomial proportion, for independent trials."""

import math

import numpy as np
from scipy import special

from evalkit.results import Interval


def wilson_interval(successes: float, trials: int, confidence_level: float = 0.95) -> Interval:
    """Wilson's score interval for independent trials; for comparison only, it ignores clustering.

    Args:
        successes: Between 0 and `trials`.
        trials: At least 1.
        confidence_level: Between 0 and 1.

    Raises:
        ValueError: `successes` or `trials` is out of range.

    Source:
        Wilson (1927), J. Am. Stat. Assoc. 22, 209-212.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(
            f"successes must lie in 0 .. trials and trials be at least 1, got {successes} of {trials}"
        )
    z2 = float(special.ndtri(0.5 + confidence_level / 2)) ** 2
    rate = successes / trials
    centre = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (rate * (1 - rate) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0), confidence_level, "Wilson on trials")


def clopper_pearson_interval(successes: float, n: int, confidence_level: float = 0.95) -> Interval:
    """The exact binomial interval; `successes` need not be whole (the beta form is continuous in it).

    Source:
        Clopper & Pearson (1934), Biometrika 26, 404-413.
    """
    tail = (1 - confidence_level) / 2
    low = 0.0 if successes <= 0 else float(special.betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes >= n else float(special.betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(low, high, confidence_level, "Clopper-Pearson")


def logit_limits(rate: float, variance: float, t: float) -> tuple[float, float]:
    """Limits of a rate in (0, 1) with an estimated variance above 0, in logits, moved outwards by one count.

    With n* = p̂(1-p̂)/V, the number of independent trials that would be as informative, and x* = p̂ n*:
    logit⁻¹(log(x*/(n*-x*+1)) - h) and logit⁻¹(log((x*+1)/(n*-x*)) + h), h = t √V / (p̂(1-p̂)). Without the added counts
    these are the plain logit limits; those miss rare rates of few, very different clusters too often from below.

    Source:
        Effective numbers of successes and trials in the place of the observed ones: Korn & Graubard (1998), Survey
        Methodology 24, 193-201. The limits' counts are those of Clopper & Pearson (1934). Putting them into the logit
        interval is ours; its coverage is in docs/statistics.md.
    """
    spread = rate * (1 - rate)
    trials = spread / variance
    successes = rate * trials
    half = t * math.sqrt(variance) / spread
    low = math.log(successes / (trials - successes + 1)) - half
    high = math.log((successes + 1) / (trials - successes)) + half
    return float(special.expit(low)), float(special.expit(high))


def t_quantile(confidence_level: float, freedom: float) -> float:
    """Of Student's t, two-sided."""
    return float(special.stdtrit(freedom, 0.5 + confidence_level / 2))


def t_tail(t: float, freedom: float) -> float:
    """P(|T| > t) of Student's t."""
    return float(np.clip(2 * special.stdtr(freedom, -abs(t)), 0.0, 1.0))
