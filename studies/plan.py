"""Who sees what: places with their lists of inputs, drawn once for the whole study. Pure, seeded, balanced.

Built in four steps, all from the study's seed:

1. **Windows.** Inputs stand on a shuffled ring. Place k takes the next `scored` inputs for its scored fakes, the
   ones after them for practice and reserve; its real partners are the same window moved along the ring. Windows
   tile the ring, so every fake and every real image is scored equally often (±1) whatever the numbers are, and a
   session never repeats an image. Whenever the tiling closes, the ring is shuffled anew.
2. **Partners.** With `different` pairing no input appears in both roles when the pool has room; when it has not,
   the two appearances are put as far apart as a perfect matching allows (bottleneck assignment).
3. **Order and side** are balanced labels, drawn independently: exactly half in each session, and evened out over
   the places for each fake and each real image.
4. **Queue.** Places are handed out in seeded permuted blocks: one block holds the k-th place of every condition.

The k-th place of every condition has the same inputs, order, sides, partners and training run.
"""

import random
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from studies.design import Study
from studies.errors import UserError
from studies.protocols import Protocol
from studies.records import REAL, SessionPlan, Stimulus

PlacePhase = Literal["practice", "scored", "reserve"]


@dataclass(frozen=True)
class Pairing:
    """One trial before it is a trial: which fake meets which real image, when and where."""

    phase: PlacePhase
    condition: str
    """The algorithm that made the fake."""
    run: int
    """Which of its training runs."""
    source_id: str
    """The fake's input."""
    partner_id: str
    """The real image's input; equal to source_id with `same` pairing."""
    fake_first: bool
    fake_left: bool


@dataclass(frozen=True)
class Place:
    """One slot of the quota with its list of inputs."""

    condition: str
    """Empty in a within design."""
    index: int
    """k: equal lists for equal k across conditions."""
    pairings: tuple[Pairing, ...]
    """Practice, then scored, in order of showing; then the ordered reserve."""
