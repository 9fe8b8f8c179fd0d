"""What the cells of other people's tables mean; each word is known or refused, none is guessed."""

import math
import re
from collections.abc import Iterable
from typing import Literal

from studies.errors import UserError

MISSING = frozenset({"", "unset", "na", "n/a", "nan", "null", "none", "missing", "."})
"""An answer that was not given, in small letters."""
TRUE = frozenset({"1", "1.0", "true", "t", "yes", "y"})
FALSE = frozenset({"0", "0.0", "false", "f", "no", "n"})
FAKE = ("fake", "generated", "synthetic", "ai")
LEFT = frozenset({"left", "l", "a", "1", "first", "option a", "image a"})
RIGHT = frozenset({"right", "r", "b", "2", "second", "option b", "image b"})


def is_missing(cell: str) -> bool:
    """Whether nothing was said."""
    return cell.strip().casefold() in MISSING


def truth(cell: str, where: str, yes: Iterable[str] = (), no: Iterable[str] = ()) -> bool:
    """Yes or no, by the usual words and those of `yes` and `no`.

    Raises:
        UserError: It is neither.
    """
    word = cell.strip().casefold()
    if word in TRUE or word in yes:
        return True
    if word in FALSE or word in no:
        return False
    allowed = ", ".join(["1/0", "true/false", "yes/no", *(f"{a}/{b}" for a, b in zip(yes, no, strict=False))])
    raise UserError(f"{where}: {cell!r} is not allowed here; allowed: {allowed}.")


def side(cell: str, where: str) -> Literal["left", "right"]:
    """Which of two places.

    Raises:
        UserError: It names neither.
    """
    word = cell.strip().casefold()
    if word in LEFT:
        return "left"
    if word in RIGHT:
        return "right"
    raise UserError(f"{where}: {cell!r} is no side; allowed: left/right, first/second, A/B, 1/2.")


def number(cell: str, where: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number in [low, high].

    Raises:
        UserError: It is none.
    """
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {cell!r} is not a number.")
    if not low <= value <= high:
        hint = " It looks like a percentage: divide the column by 100." if high == 1 and value <= 100 else ""
        raise UserError(f"{where}: {cell!r} must lie between {low:g} and {high:g}.{hint}")
    return value


def condition_name(text: str) -> str:
    """An algorithm's name as study.toml allows it: small letters, digits, `_` and `-`.

    >>> condition_name("LSGM-ODE"), condition_name("Stable Diffusion 1.5")
    ('lsgm-ode', 'stable_diffusion_1_5')
    """
    return re.sub(r"[^a-z0-9-]+", "_", text.strip().casefold()).strip("_-")[:64]
