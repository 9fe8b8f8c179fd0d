"""One item of the pre-flight."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from studies.errors import UserError

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Item:
    """One thing that was looked at."""

    name: str
    state: State
    text: str
    """What was found, and what to do where it is not right."""


def tried(name: str, action: Callable[[], str]) -> Item:
    """What an action says of itself, or why it failed."""
    try:
        return Item(name, "ok", action())
    except UserError as error:
        return Item(name, "fail", str(error))
