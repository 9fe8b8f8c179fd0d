"""Several tests at once."""

from collections.abc import Sequence


def holm(p_values: Sequence[float], alpha: float = 0.05) -> tuple[list[float], list[float]]:
    """Holm's step-down adjustment.

    Args:
        p_values: Of the family, in any order.
        alpha: Chance of one or more false rejections in the whole family, at most.

    Returns:
        For each test its adjusted p-value, and the error level of the interval that goes with it: an interval of
        confidence 1 - level leaves the null value out exactly where Holm's procedure rejects.

    Source:
        Holm (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6, 65-70.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, levels = [0.0] * len(p_values), [0.0] * len(p_values)
    largest, level, stopped = 0.0, alpha, False
    for step, index in enumerate(order):
        left = len(p_values) - step
        largest = max(largest, min(1.0, left * p_values[index]))
        if not stopped:
            level = alpha / left
            stopped = p_values[index] > level
        adjusted[index], levels[index] = largest, level
    return adjusted, levels
