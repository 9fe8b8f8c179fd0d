"""The two combinatorial tools of the plan: even labels, and partners far apart. Pure and seeded."""

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from studies.errors import UserError

Trial = TypeVar("Trial", bound=Hashable)

MAX_SWEEPS = 60
"""When to stop improving; a plan that is not perfectly even by then reports its imbalance."""


def spread_labels(
    groups: Sequence[Sequence[Trial]],
    vertices: Mapping[Trial, Sequence[Hashable]],
    labels: int,
    rng: random.Random,
) -> dict[Trial, int]:
    """Give each trial one of `labels` labels: even within each group, and as even as can be on each vertex.

    Within a group the counts of any two labels differ by at most 1, always. Over the groups, pairs of trials
    within a group swap their labels while that lowers (or keeps) the summed squares of label counts on the
    vertices they touch, until no vertex has counts that differ by more than 1.

    Args:
        groups: Trials within which labels may be swapped (one session, or one part of it).
        vertices: What each trial counts towards (the images it shows).
        labels: How many labels; they are 0 .. labels - 1.
        rng: Source of chance.
    """
    drawn = {
        trial: label
        for group in groups
        for trial, label in zip(group, _even(len(group), labels, rng), strict=True)
    }
    counts: dict[Hashable, list[int]] = {}
    for trial, label in drawn.items():
        for vertex in vertices[trial]:
            counts.setdefault(vertex, [0] * labels)[label] += 1
    if labels == 1:
        return drawn
    for _ in range(MAX_SWEEPS):
        if all(max(row) - min(row) <= 1 for row in counts.values()):
            break
        for group in groups:
            _improve(group, drawn, vertices, counts, rng)
    return drawn


def _even(size: int, labels: int, rng: random.Random) -> list[int]:
    drawn = [label for label in range(labels) for _ in range(size // labels)]
    drawn += rng.sample(range(labels), size % labels)
    rng.shuffle(drawn)
    return drawn


def _improve(
    group: Sequence[Trial],
    drawn: dict[Trial, int],
    vertices: Mapping[Trial, Sequence[Hashable]],
    counts: dict[Hashable, list[int]],
    rng: random.Random,
) -> None:
    """One pass over a group: each trial on an uneven vertex swaps with the best partner, if that does no harm."""
    for trial in group:
        if not any(max(counts[vertex]) - min(counts[vertex]) > 1 for vertex in vertices[trial]):
            continue
        others = [other for other in group if drawn[other] != drawn[trial]]
        if not others:
            continue
        rng.shuffle(others)
        costs = [_swap_cost(drawn, counts, vertices, trial, other) for other in others]
        best = min(costs)
        # Moves that cost nothing are taken now and then: they lead out of dead ends.
        if best < 0 or (best == 0 and rng.random() < 0.5):
            other = others[costs.index(best)]
            for one, to in ((trial, drawn[other]), (other, drawn[trial])):
                for vertex in vertices[one]:
                    counts[vertex][drawn[one]] -= 1
                    counts[vertex][to] += 1
            drawn[trial], drawn[other] = drawn[other], drawn[trial]


def _swap_cost(
    drawn: Mapping[Trial, int],
    counts: Mapping[Hashable, Sequence[int]],
    vertices: Mapping[Trial, Sequence[Hashable]],
    trial: Trial,
    other: Trial,
) -> int:
    """Half the change of the summed squares if two trials swapped labels (vertices they share cancel)."""
    here, there = drawn[trial], drawn[other]
    change = 0
    for vertex in vertices[trial]:
        change += counts[vertex][there] - counts[vertex][here] + 1
    for vertex in vertices[other]:
        change += counts[vertex][here] - counts[vertex][there] + 1
    return change


def shuffle_within(phases: Sequence[Hashable], rng: random.Random, cycle: int | None = None) -> list[int]:
    """A random order of trials that stay within their phase: which old position comes at each new one.

    Args:
        phases: The phase of each position.
        rng: Source of chance.
        cycle: If given, positions that are a multiple of `cycle` apart stay exactly so. Where an input returns
            in its other role half a session later, this keeps the two appearances as far apart as they were.
    """
    step = cycle or len(phases)
    strands = [range(start, len(phases), step) for start in range(min(step, len(phases)))]
    alike: dict[tuple[Hashable, ...], list[range]] = {}
    for strand in strands:
        alike.setdefault(tuple(phases[position] for position in strand), []).append(strand)
    order = list(range(len(phases)))
    for signature, group in alike.items():
        for to, origin in zip(group, rng.sample(group, len(group)), strict=True):
            turned = len(set(signature)) == 1 and rng.random() < 0.5
            for new, old in zip(to, reversed(origin) if turned else origin, strict=True):
                order[new] = old
    return order


def far_apart(partners: Sequence[str], phases: Sequence[Hashable], shown_at: Mapping[str, int]) -> list[str]:
    """Put partners so that the smallest distance to the same input's fake is as large as possible.

    Bottleneck assignment: the largest threshold for which a perfect matching exists. A partner stays in its phase.

    Args:
        partners: Inputs whose real image is to be shown, one per position.
        phases: The phase of each position.
        shown_at: Position at which each input's fake is shown; inputs without a fake are free.

    Raises:
        UserError: No arrangement keeps real and fake of one input in different trials.
    """
    best, reached, beyond = _match(partners, phases, shown_at, 1), 1, len(phases)
    if best is None:
        raise UserError(
            "There are too few inputs to pair each fake with a real image of another input. Add images, or set "
            "[study] pairing = 'same'."
        )
    while reached + 1 < beyond:  # what can be matched at one threshold can be matched at every lower one
        middle = (reached + beyond) // 2
        matched = _match(partners, phases, shown_at, middle)
        if matched is None:
            beyond = middle
        else:
            best, reached = matched, middle
    return best


def _match(
    partners: Sequence[str], phases: Sequence[Hashable], shown_at: Mapping[str, int], threshold: int
) -> list[str] | None:
    """A perfect matching of partners to positions at least `threshold` from their fake (augmenting paths)."""
    free = {
        name: [
            time
            for time, phase in enumerate(phases)
            if phase == own and (name not in shown_at or abs(time - shown_at[name]) >= threshold)
        ]
        for name, own in zip(partners, phases, strict=True)
    }
    if not all(free.values()):
        return None
    taken: dict[int, str] = {}

    def settle(name: str, tried: set[int]) -> bool:
        for time in free[name]:
            if time not in tried:
                tried.add(time)
                if time not in taken or settle(taken[time], tried):
                    taken[time] = name
                    return True
        return False

    if not all(settle(name, set()) for name in partners):
        return None
    return [taken[time] for time in range(len(phases))]
