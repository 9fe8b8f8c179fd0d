"""How numbers are written in reports: one rule for each kind."""

import math

from evalkit.results import Estimate, Interval

NOTHING = "–"
"""Stands where nothing could be estimated."""


def percent(value: float | None) -> str:
    """A proportion as a percentage with one decimal, without its sign.

    >>> percent(0.3024)
    '30.2'
    """
    return NOTHING if value is None else _fixed(100 * value)


def percent_range(interval: Interval | None) -> str:
    """An interval of proportions in percent.

    >>> percent_range(Interval(0.2, 0.305, 0.95, ""))
    '20.0–30.5'
    """
    return NOTHING if interval is None else f"{_fixed(100 * interval.low)}–{_fixed(100 * interval.high)}"


def points(value: float | None) -> str:
    """A difference of proportions in percentage points, always with its sign.

    >>> points(-0.0512)
    '−5.1'
    """
    if value is None:
        return NOTHING
    text = _fixed(100 * value)
    return text if text.startswith("−") or text == "0.0" else f"+{text}"


def points_range(interval: Interval | None) -> str:
    """An interval of differences in percentage points; "to" keeps signs and dashes apart."""
    return NOTHING if interval is None else f"{points(interval.low)} to {points(interval.high)}"


def count(value: float | None) -> str:
    """A whole number with thin groups of three.

    >>> count(12345.0)
    '12\u202f345'
    """
    return NOTHING if value is None else f"{round(value):,}".replace(",", "\u202f")


def plain(value: float | None) -> str:
    """A number without needless decimals.

    >>> plain(12.0), plain(12.5)
    ('12', '12.5')
    """
    return NOTHING if value is None else f"{value:g}"


def digits(value: float | None) -> str:
    """A score with three significant digits, and all of its whole part.

    >>> digits(0.012345), digits(39.0198), digits(1234.5), digits(-10.4), digits(0.0)
    ('0.0123', '39.0', '1234', '−10.4', '0')
    """
    if value is None:
        return NOTHING
    places = 3 - 1 - math.floor(math.log10(abs(value))) if value else 0
    text = f"{value:.{min(max(places, 0), 6)}f}"
    return ("0" if float(text) == 0 else text).replace("-", "−")


def decimals(value: float | None, places: int = 2) -> str:
    """A number with so many decimals and a true minus sign.

    >>> decimals(-0.123), decimals(-0.001), decimals(1.5, 3)
    ('−0.12', '0.00', '1.500')
    """
    if value is None:
        return NOTHING
    text = f"{value:.{places}f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")


def p_value(p: float | None) -> str:
    """A p-value with three decimals and no zero before the point.

    >>> p_value(0.0431), p_value(0.0002), p_value(1.0)
    ('.043', '< .001', '1')
    """
    if p is None:
        return NOTHING
    text = f"{p:.3f}"
    return "< .001" if p < 0.001 else "1" if text == "1.000" else text.removeprefix("0")


def milliseconds(value: float | None) -> str:
    """A time in ms with one decimal."""
    return NOTHING if value is None else _fixed(value)


def level(interval: Interval | Estimate | float) -> str:
    """A confidence level such as `95 %`."""
    if isinstance(interval, Estimate):
        return level(interval.interval) if interval.interval else NOTHING
    return f"{100 * (interval if isinstance(interval, float) else interval.confidence_level):g} %"


def _fixed(value: float) -> str:
    text = f"{value:.1f}"
    text = "0.0" if text == "-0.0" else text
    return text.replace("-", "−")
