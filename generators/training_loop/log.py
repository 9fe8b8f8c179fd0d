"""Losses on their way to stats.jsonl, without making the device wait for each of them."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from generators.runs import disk_errors, replace_durably
from studies.errors import UserError

FILE = "stats.jsonl"
_MOST_WAITING = 1000
"""So many steps stay unread on the device at most, however rarely a line is written."""


class LossLog:
    """Losses since the last line: first unread on the device, then summed up."""

    def __init__(self, average: Callable[[Tensor], Tensor]) -> None:
        """`average`: mean over all processes."""
        self._average = average
        self._waiting: list[tuple[int, list[str], Tensor]] = []
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, image: int, player: str, terms: Mapping[str, Tensor]) -> None:
        """Keep one player's terms of the step that began at `image`."""
        names = [f"{player}.{term}" for term in terms]
        self._waiting.append((image, names, torch.stack([term.detach() for term in terms.values()])))
        if len(self._waiting) >= _MOST_WAITING:
            self.read()

    def read(self) -> None:
        """Read what waits on the device.

        Raises:
            UserError: A loss is not finite; names step, player and term.
        """
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        numbers = self._average(torch.cat([terms.double() for _, _, terms in waiting])).tolist()
        for image, names, _ in waiting:
            row = dict(zip(names, numbers, strict=False))
            del numbers[: len(names)]
            for name, value in row.items():
                if not math.isfinite(value):
                    raise UserError(
                        not_finite(f"the loss {name}", f"became {value} in the step after image {image:,}")
                    )
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = total + value, count + 1

    def means(self) -> dict[str, float]:
        """Mean of each term since the last call."""
        self.read()
        sums, self._sums = self._sums, {}
        return {name: total / count for name, (total, count) in sums.items()}

    def state(self) -> dict[str, tuple[float, int]]:
        """Sum and number of each term since the last line: a resumed run's next line is the one it would have been."""
        self.read()
        return dict(self._sums)

    def load(self, sums: Mapping[str, tuple[float, int]]) -> None:
        """Take up `state`."""
        self._sums = dict(sums)


def not_finite(what: str, how: str) -> str:
    """The line for a run that broke."""
    return (
        f"Training stopped: {what} {how}. Checkpoints written before stay. "
        "Start another run with a lower learning_rate or with precision=fp32 (--set key=value)."
    )


def append_stats(folder: Path, line: Mapping[str, Any]) -> None:
    """Write one line of stats.jsonl."""
    path = folder / FILE
    with disk_errors(path), path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def read_stats(folder: Path) -> list[dict[str, Any]]:
    """All whole lines of stats.jsonl; a last line that a kill cut short is left out."""
    path = folder / FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def cut_stats(folder: Path, images_shown: int) -> None:
    """Leave out the lines after a checkpoint; the resumed run writes them again."""
    path = folder / FILE
    if path.exists():
        kept = [line for line in read_stats(folder) if line["images"] <= images_shown]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        with disk_errors(path):
            replace_durably(path, lambda stream: stream.write(text.encode()))
