"""Whether two things are as good as the same: by an interval inside a margin, never by a large p-value."""

from typing import Literal

from evalkit.results import Estimate

Verdict = Literal["yes", "no", "cannot tell"]


def equivalence_level(confidence_level: float = 0.95) -> float:
    """Confidence of the interval that has to lie inside the margin: 90 % for tests at 5 %, more for stricter studies.

    Two one-sided tests at α each reject exactly where the interval of confidence 1 - 2α lies inside the margin. A study
    of lower confidence than 95 % gets 90 % too.

    >>> round(equivalence_level(0.95), 10), round(equivalence_level(0.99), 10), equivalence_level(0.8)
    (0.9, 0.98, 0.9)

    Source:
        Schuirmann (1987), J. Pharmacokinet. Biopharm. 15, 657-680.
    """
    return max(0.9, 2 * confidence_level - 1)


def equivalence_verdict(estimate: Estimate, margin: float, centre: float = 0.0) -> Verdict:
    """What an interval says about |parameter - centre| < margin.

    Args:
        estimate: With the interval of `equivalence_level`.
        margin: Above 0, on the estimate's scale.
        centre: What the parameter is held against.

    Returns:
        yes: the whole interval lies strictly inside the margin. no: all of it lies outside. cannot tell: it crosses the
        margin, or there is no interval.

    Raises:
        ValueError: The margin is not positive, or the interval has less than 90 % confidence.

    Source:
        As `equivalence_level`.
    """
    if margin <= 0:
        raise ValueError(f"margin must be above 0, got {margin}")
    interval = estimate.interval
    if interval is None:
        return "cannot tell"
    if interval.confidence_level < 0.9 - 1e-9:
        raise ValueError(
            f"equivalence needs an interval of at least 90 % confidence, got {interval.confidence_level}"
        )
    low, high = centre - margin, centre + margin
    if low < interval.low and interval.high < high:
        return "yes"
    return "no" if interval.high <= low or interval.low >= high else "cannot tell"
