"""Attention checks of a session: where they stand and which inputs they show. Pure and seeded."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MOST_CANDIDATES = 200
"""Of so many free inputs the least used is taken; a larger pool needs no closer look."""

UNSEEN, IN_RESERVE, AS_FAKE, AS_REAL, IN_A_CHECK = range(5)
"""How a session shows an input elsewhere, from harmless to bad: not at all, perhaps (as a stand-in for a void trial),
an algorithm's image of it, its real image, in another check."""


@dataclass(frozen=True)
class Check:
    """One attention check."""

    before: int
    """The scored trial that comes next, from 0."""
    fake: str
    """The input of the obvious fake."""
    real: str
    """The input of the real image."""
    fake_first: bool
    fake_left: bool


@dataclass
class CheckDraw:
    """Draws the checks of place after place, each time the least used inputs."""

    seed: int
    """The study's."""
    scored: int
    """Scored trials of a session."""
    count: int
    """Checks of a session, at most `scored`."""
    fakes: Sequence[str]
    """Inputs that have an obvious fake."""
    inputs: Sequence[str]
    """All inputs."""
    different: bool
    """Whether fake and real image come from different inputs."""
    _fake_uses: Counter[str] = field(default_factory=Counter)
    _real_uses: Counter[str] = field(default_factory=Counter)

    def draw(self, place: int, shown: Mapping[str, int]) -> list[Check]:
        """The checks of one place, in order.

        Args:
            place: k; equal k give equal checks, whatever the condition.
            shown: How the session shows inputs elsewhere (IN_RESERVE to AS_REAL); the others are unseen.
        """
        rng, badness = random.Random(f"{self.seed}/checks/{place}"), dict(shown)
        first, left = _halves(self.count, rng), _halves(self.count, rng)
        drawn = []
        for number, before in enumerate(check_positions(self.seed, place, self.scored, self.count)):
            fake = _least_bad(self.fakes, badness, self._fake_uses, rng)
            others = [name for name in self.inputs if name != fake] if self.different else [fake]
            real = _least_bad(others, badness, self._real_uses, rng)
            drawn.append(Check(before, fake, real, first[number], left[number]))
            badness[fake] = badness[real] = IN_A_CHECK
            self._fake_uses[fake] += 1
            self._real_uses[real] += 1
        return drawn


def check_positions(seed: int, place: int, scored: int, count: int) -> list[int]:
    """Before which scored trial each check comes, in order; all differ, so no check follows another.

    The scored trials are cut into `count` stretches, and one check stands in each. Over the places each position of
    a stretch is taken equally often (±1).
    """
    return [
        _taken(range(number * scored // count, (number + 1) * scored // count), seed, place, number)
        for number in range(count)
    ]


def _taken(stretch: range, seed: int, place: int, number: int) -> int:
    turn, step = divmod(place, len(stretch))
    order = random.Random(f"{seed}/check positions/{number}/{turn}").sample(stretch, len(stretch))
    return order[step]


def _halves(count: int, rng: random.Random) -> list[bool]:
    """So many yes and no, half each."""
    odd = [rng.random() < 0.5] if count % 2 else []
    drawn = [True, False] * (count // 2) + odd
    rng.shuffle(drawn)
    return drawn


def _least_bad(
    names: Sequence[str], badness: Mapping[str, int], uses: Counter[str], rng: random.Random
) -> str:
    least = min(badness.get(name, UNSEEN) for name in names)
    free = [name for name in names if badness.get(name, UNSEEN) == least]
    if len(free) > MOST_CANDIDATES:
        free = rng.sample(free, MOST_CANDIDATES)
    fewest = min(uses[name] for name in free)
    return rng.choice([name for name in free if uses[name] == fewest])
