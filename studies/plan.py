"""Who sees what: places with their lists of inputs, drawn once for the whole study. Pure, seeded, balanced.

Built in five steps, all from the study's seed:

1. **Windows.** Inputs stand on a shuffled ring. Place k takes the next `scored` inputs for its scored fakes, the
   ones around them for practice and reserve; its real partners are the same window moved along the ring. Windows
   tile the ring, so every input is scored equally often (±1) in either role whatever the numbers are, and a session
   never repeats an image. Whenever the tiling closes, the ring is shuffled anew. An input's views are then dealt out
   over runs, and over the algorithms of a mixed session; where that leaves one image 2 or 3 views behind another,
   `summarise` says so.
2. **Partners.** With `different` pairing no input appears in both roles when the pool has room; when it has not,
   the two appearances are put as far apart as a perfect matching allows (bottleneck assignment).
3. **Order and side** are balanced labels, drawn independently: exactly half in each session, and evened out over
   the places for each fake and each real image.
4. **Checks.** Attention checks are put among the scored trials (`studies.checks`), with inputs that the session does
   not show otherwise or, where the pool is small, with the least bad ones.
5. **Queue.** Places are handed out in seeded permuted blocks: one block holds the k-th place of every condition.

The k-th place of every condition has the same inputs, order, sides, partners and training run.

What a pairing holds depends on the protocol's layout. `real_and_fake`: a fake and its real partner, as above.
`one_image`: one input, whose fake or whose real image is shown, exactly half each in a session and evened out over the
inputs. `two_algorithms`: one input by two conditions; every two conditions meet equally often. `two_inputs`: two
inputs by one condition, of which no session sees either one a second time.
"""

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from studies import checks
from studies.balance import far_apart, shuffle_within, spread_labels
from studies.design import Study
from studies.errors import UserError
from studies.protocols import Layout
from studies.records import CHECK, NOT_GENERATED, REAL, SessionPlan, Stimulus

PlacePhase = Literal["practice", "scored", "check", "reserve"]


@dataclass(frozen=True)
class Pairing:
    """One trial before it is a trial: which fake meets which real image, when and where."""

    phase: PlacePhase
    condition: str
    """The algorithm that made the fake; `check` in an attention check."""
    run: int
    """Which of its training runs."""
    source_id: str
    """The fake's input."""
    partner_id: str
    """The real image's input; equal to source_id with `same` pairing. two_inputs: the other input."""
    fake_first: bool
    """Whether the fake comes first; the fake of `condition` (two_algorithms), or of `source_id` (two_inputs)."""
    fake_left: bool
    """The same for its side."""
    rival: str = ""
    """two_algorithms: the condition that made the other image."""
    is_real: bool = False
    """one_image: the real image of the input is shown, not the fake."""


@dataclass(frozen=True)
class Place:
    """One slot of the quota with its list of inputs."""

    condition: str
    """Empty in a within design."""
    index: int
    """k: equal lists for equal k across conditions."""
    pairings: tuple[Pairing, ...]
    """Practice, then scored with the checks among them, in order of showing; then the ordered reserve."""


@dataclass(frozen=True)
class PlanSummary:
    """What the plan could and could not keep, counted."""

    inputs: int
    places: int
    views_per_image: tuple[int, int]
    """Fewest and most scored views of one image per condition, if every planned session finishes."""
    reserve: int
    """Stand-ins per session that the pool has room for."""
    inputs_in_both_roles: int
    """Most inputs of which one session sees both a fake and (elsewhere) the real image."""
    closest_roles: int | None
    """Fewest trials between those two appearances; None where there are none."""
    order_imbalance: int
    """Largest difference, over images, between times shown first and times shown second."""
    side_imbalance: int
    """The same for left and right."""
    warnings: tuple[str, ...]
    repeating_checks: int = 0
    """Most attention checks of a session that show an input which the session shows elsewhere too."""


def allocate(study: Study, images: Sequence[Stimulus]) -> list[Place]:
    """All places of the study, in the order in which they are handed out.

    Raises:
        UserError: The pool has fewer inputs than one session needs.
    """
    rooms = _Rooms.of(study, images)
    pairings = [
        _order_and_partners(study, rooms, index, rooms.window(index)) for index in range(rooms.places)
    ]
    pairings = _with_checks(study, images, _label(study, pairings))
    return list(_queue(study, pairings))


def plan_session(study: Study, images: Sequence[Stimulus], place: Place) -> SessionPlan:
    """The trials of one place, by the study's protocol."""
    return study.protocol.plan(study, images, place)


def summarise(study: Study, images: Sequence[Stimulus], places: Sequence[Place]) -> PlanSummary:
    """Count what the plan keeps, and put into words what it had to give up."""
    rooms = _Rooms.of(study, images)
    # Equal k, equal lists: one condition's places tell of all.
    lists = [place.pairings for place in places if place.condition == places[0].condition]
    views = Counter(
        (condition, p.run, p.source_id)
        for place in places
        for p in place.pairings
        if p.phase == "scored" and not p.is_real
        for condition in (p.condition, p.rival)
    )
    shown = [
        views[image.condition, image.run, image.source_id] for image in images if _is_scored(rooms, image)
    ]
    roles = [_both_roles(pairings) for pairings in lists]
    distances = [distance for distances in roles for distance in distances]
    summary = PlanSummary(
        inputs=rooms.inputs,
        places=len(places),
        views_per_image=(min(shown), max(shown)),
        reserve=rooms.reserve,
        inputs_in_both_roles=max(map(len, roles)),
        closest_roles=min(distances) if distances else None,
        order_imbalance=_imbalance(study, lists, lambda pairing: pairing.fake_first),
        side_imbalance=_imbalance(study, lists, lambda pairing: pairing.fake_left),
        warnings=(),
        repeating_checks=max(_repeating_checks(study, pairings) for pairings in lists),
    )
    return replace(summary, warnings=tuple(_warnings(study, summary)))


def _is_scored(rooms: "_Rooms", image: Stimulus) -> bool:
    return image.condition not in NOT_GENERATED and image.source_id not in rooms.own


def _warnings(study: Study, summary: PlanSummary) -> Iterator[str]:
    protocol = study.protocol
    if summary.reserve < protocol.reserve:
        yield (
            f"{summary.inputs} inputs for {protocol.practice} + {protocol.scored} trials leave room for a reserve of "
            f"{summary.reserve} instead of {protocol.reserve}: a void trial beyond it stays missing."
        )
    if summary.inputs_in_both_roles:
        yield (
            f"{summary.inputs} inputs are too few to use each in one role only: up to {summary.inputs_in_both_roles} "
            f"inputs per session appear once as fake and once as real image, at least {summary.closest_roles} trials "
            f"apart. {2 * (protocol.total + summary.reserve)} inputs would avoid it."
        )
    if summary.repeating_checks:
        yield (
            f"{summary.inputs} inputs are too few to give the attention checks of a session inputs of their own: up to "
            f"{summary.repeating_checks} of its {study.checks_per_session} checks show one that the session shows "
            "elsewhere too."
        )
    low, high = summary.views_per_image
    if high - low > 1:
        yield f"Images are scored between {low} and {high} times per algorithm: not equally often (±1)."
    if low == 0:
        yield "Some images are never scored: more images than the planned sessions can show."


def _partners_differ(study: Study) -> bool:
    """Whether the second image of a trial belongs to another input."""
    layout = study.protocol.layout
    return layout == "two_inputs" or (layout == "real_and_fake" and study.study.pairing == "different")


def check_pool(study: Study, inputs: int) -> None:
    """Whether one session can be drawn from so many inputs.

    Raises:
        UserError: It cannot; says how many are needed.
    """
    protocol = study.protocol
    own = protocol.practice if study.study.practice_images == "own" else 0
    several = 2 if _partners_differ(study) else 1
    needed = max(own, several if own else 0) + max(protocol.total - own, several)
    if protocol.layout == "two_inputs":
        needed = 2 * protocol.total
    if inputs < needed:
        raise UserError(
            f"{inputs} inputs are too few: {protocol.practice} practice + {protocol.scored} scored trials need at "
            f"least {needed}, since no image is shown twice in a session. Add images, or lower [protocol] practice "
            "or scored."
        )


@dataclass(frozen=True)
class _Window:
    """The inputs of one place, still without order: sources make fakes, partners are their real images."""

    practice: tuple[list[str], list[str]]
    scored: tuple[list[str], list[str]]
    reserve: tuple[list[str], list[str]]

    def parts(self) -> list[tuple[PlacePhase, tuple[list[str], list[str]]]]:
        return [("practice", self.practice), ("scored", self.scored), ("reserve", self.reserve)]


@dataclass(frozen=True)
class _Rooms:
    """How the pool of inputs is divided."""

    seed: int
    different: bool
    practice: int
    scored: int
    reserve: int
    places: int
    own: tuple[str, ...]
    """Practice inputs of the whole study; empty when they rotate."""
    ring: tuple[str, ...]

    @classmethod
    def of(cls, study: Study, images: Sequence[Stimulus]) -> "_Rooms":
        protocol, different = study.protocol, _partners_differ(study)
        inputs = sorted({image.source_id for image in images if image.condition not in NOT_GENERATED})
        check_pool(study, len(inputs))
        own = _own_practice(study, inputs, different)
        ring = tuple(name for name in inputs if name not in own)
        rotating = 0 if own else protocol.practice
        room = len(ring) // 2 if protocol.layout == "two_inputs" else len(ring)
        return cls(
            seed=study.study.seed,
            different=different,
            practice=protocol.practice,
            scored=protocol.scored,
            reserve=min(protocol.reserve, room - protocol.scored - rotating),
            places=study.study.participants_per_condition,
            own=own,
            ring=ring,
        )

    @property
    def inputs(self) -> int:
        return len(self.ring) + len(self.own)

    def window(self, index: int) -> _Window:
        """The inputs of place `index`: consecutive stretches of the ring, shuffled anew each time it closes."""
        size = len(self.ring)
        closing = size // math.gcd(size, self.scored)
        cycle, step = divmod(index, closing)
        ring = list(self.ring)
        random.Random(f"{self.seed}/ring/{cycle}").shuffle(ring)

        def stretch(start: int, length: int) -> tuple[list[str], list[str]]:
            shift = size // 2 if self.different else 0
            first = step * self.scored + start
            sources = [ring[(first + offset) % size] for offset in range(length)]
            partners = [ring[(first + offset + shift) % size] for offset in range(length)]
            return sources, partners

        practice = self._own_stretch() if self.own else stretch(-self.practice, self.practice)
        return _Window(practice, stretch(0, self.scored), stretch(self.scored, self.reserve))

    def _own_stretch(self) -> tuple[list[str], list[str]]:
        shift = len(self.own) // 2 if self.different else 0
        sources = [self.own[offset] for offset in range(self.practice)]
        return sources, [self.own[(offset + shift) % len(self.own)] for offset in range(self.practice)]


def _own_practice(study: Study, inputs: list[str], different: bool) -> tuple[str, ...]:
    """A fixed set for the whole study; twice as large as practice when real partners can be inputs of their own."""
    protocol = study.protocol
    if study.study.practice_images == "rotating" or protocol.practice == 0:
        return ()
    doubled = 2 * protocol.practice
    roomy = different and len(inputs) - doubled >= 2 * (protocol.scored + protocol.reserve)
    roomy = roomy or protocol.layout == "two_inputs"
    count = doubled if roomy else max(protocol.practice, 2 if different else 1)
    return tuple(random.Random(f"{study.study.seed}/own practice").sample(inputs, count))


def _order_and_partners(study: Study, rooms: _Rooms, index: int, window: _Window) -> list[Pairing]:
    """Shuffle the fakes within each phase, then give each its real partner."""
    rng = random.Random(f"{rooms.seed}/place/{index}")
    phases: list[PlacePhase] = [phase for phase, (names, _) in window.parts() for _ in names]
    sources = [name for _, (names, _) in window.parts() for name in names]
    partners = [name for _, (_, names) in window.parts() for name in names]
    scarce = rooms.different and not set(sources).isdisjoint(partners)
    order = shuffle_within(phases, rng, cycle=len(rooms.ring) // 2 if scarce and not rooms.own else None)
    sources = [sources[time] for time in order]
    if not rooms.different:
        partners = sources
    else:
        partners = [partners[time] for time in shuffle_within(phases, rng)]
        partners = (
            far_apart(partners, phases, {name: time for time, name in enumerate(sources)})
            if scarce
            else partners
        )
    condition = next(iter(study.conditions))
    return [
        Pairing(phase, condition, 0, source, partner, fake_first=True, fake_left=True)
        for phase, source, partner in zip(phases, sources, partners, strict=True)
    ]


def _label(study: Study, places: list[list[Pairing]]) -> list[list[Pairing]]:
    """Draw condition (within), run, order and side: even in each session, evened out over the images."""
    rng = random.Random(f"{study.study.seed}/labels")
    names, layout = list(study.conditions), study.protocol.layout
    if layout == "one_image":
        labels = _even(places, lambda p: p.phase, lambda p: [p.source_id], 2, rng)
        places = _apply(places, labels, lambda p, label: replace(p, is_real=label == 1))
    if layout == "two_algorithms":
        pairs = list(itertools.combinations(names, 2))
        labels = _even(places, lambda p: p.phase, lambda p: [p.source_id], len(pairs), rng)
        places = _apply(
            places, labels, lambda p, label: replace(p, condition=pairs[label][0], rival=pairs[label][1])
        )
    elif study.study.design == "within":
        labels = _even(places, lambda p: p.phase, lambda p: [p.source_id], len(names), rng)
        places = _apply(places, labels, lambda p, label: replace(p, condition=names[label]))
    labels = _even(
        places,
        lambda p: (p.phase, p.is_real),
        lambda p: [] if p.is_real else [(p.condition, p.rival, p.source_id)],
        study.runs,
        rng,
    )
    places = _apply(places, labels, lambda p, label: replace(p, run=label))
    if layout == "one_image":
        return places

    def images(pairing: Pairing) -> list[Hashable]:
        return _images(layout, pairing)

    labels = _even(places, lambda p: p.phase, images, 2, rng)
    places = _apply(places, labels, lambda p, label: replace(p, fake_first=label == 0))
    labels = _even(places, lambda p: (p.phase, p.fake_first), images, 2, rng)
    return _apply(places, labels, lambda p, label: replace(p, fake_left=label == 0))


def _images(layout: Layout, pairing: Pairing) -> list[Hashable]:
    """What order and side are evened out over: each image in its role, or one input by the same two algorithms."""
    fake = (pairing.condition, pairing.run, pairing.source_id)
    if layout == "two_algorithms":
        return [(pairing.rival, *fake)]
    if layout == "two_inputs":
        return [fake, ("other", pairing.condition, pairing.run, pairing.partner_id)]
    return [fake, (REAL, 0, pairing.partner_id)]


def _even(
    places: list[list[Pairing]],
    group: Callable[[Pairing], Hashable],
    vertices: Callable[[Pairing], list[Hashable]],
    labels: int,
    rng: random.Random,
) -> list[list[int]]:
    """Labels that are even within each session's groups and, over the scored trials, on each vertex."""
    groups: dict[Hashable, list[tuple[int, int]]] = {}
    for index, pairings in enumerate(places):
        for number, pairing in enumerate(pairings):
            groups.setdefault((index, group(pairing)), []).append((index, number))
    touched = {
        (index, number): vertices(pairing) if pairing.phase == "scored" else []
        for index, pairings in enumerate(places)
        for number, pairing in enumerate(pairings)
    }
    drawn = spread_labels(list(groups.values()), touched, labels, rng)
    return [
        [drawn[index, number] for number in range(len(pairings))] for index, pairings in enumerate(places)
    ]


def _apply(
    places: list[list[Pairing]], labels: list[list[int]], change: Callable[[Pairing, int], Pairing]
) -> list[list[Pairing]]:
    return [list(map(change, pairings, row)) for pairings, row in zip(places, labels, strict=True)]


def _queue(study: Study, lists: list[list[Pairing]]) -> Iterator[Place]:
    """Permuted blocks: the k-th places of all conditions, in random order, then the next k."""
    rng = random.Random(f"{study.study.seed}/queue")
    for index, pairings in enumerate(lists):
        if study.study.design == "within":
            yield Place("", index, tuple(pairings))
            continue
        for name in rng.sample(list(study.conditions), len(study.conditions)):
            yield Place(name, index, tuple(_of(pairing, name) for pairing in pairings))


def _of(pairing: Pairing, condition: str) -> Pairing:
    """The same pairing with another algorithm's fake; a check is no algorithm's."""
    return pairing if pairing.phase == "check" else replace(pairing, condition=condition)


def _with_checks(
    study: Study, images: Sequence[Stimulus], places: list[list[Pairing]]
) -> list[list[Pairing]]:
    """Attention checks among the scored trials of every place."""
    if study.checks_per_session == 0:
        return places
    fakes = sorted({image.source_id for image in images if image.condition == CHECK})
    inputs = sorted({image.source_id for image in images if image.condition == REAL})
    if not fakes:
        raise UserError("The stimulus bundle has no images for attention checks. Build it again.")
    draw = checks.CheckDraw(
        *(study.study.seed, study.protocol.scored, study.checks_per_session, fakes, inputs),
        different=_partners_differ(study),
    )
    return [
        _woven(pairings, draw.draw(index, _shown(study, pairings)), study.protocol.layout)
        for index, pairings in enumerate(places)
    ]


def _woven(pairings: list[Pairing], drawn: Sequence[checks.Check], layout: Layout) -> list[Pairing]:
    coming = {check.before: _check_pairing(check, layout) for check in drawn}
    numbers = itertools.count()
    return [
        one
        for pairing in pairings
        for one in (coming.get(next(numbers)) if pairing.phase == "scored" else None, pairing)
        if one is not None
    ]


def _check_pairing(check: checks.Check, layout: Layout) -> Pairing:
    rival = REAL if layout == "two_algorithms" else ""
    # two_inputs asks which image belongs to an input: that of the real one.
    own, other = (check.real, check.fake) if layout == "two_inputs" else (check.fake, check.real)
    return Pairing("check", CHECK, 0, own, other, check.fake_first, check.fake_left, rival)


def _shown(study: Study, pairings: Sequence[Pairing]) -> dict[str, int]:
    """How a session shows its inputs beside its checks."""
    shown: dict[str, int] = {}
    for pairing in pairings:
        roles = [(pairing.source_id, checks.AS_REAL if pairing.is_real else checks.AS_FAKE)]
        if study.protocol.layout in ("real_and_fake", "two_inputs"):
            roles.append((pairing.partner_id, checks.AS_REAL))
        for name, role in roles if pairing.phase != "check" else ():
            how = checks.IN_RESERVE if pairing.phase == "reserve" else role
            shown[name] = max(shown.get(name, checks.UNSEEN), how)
    return shown


def _repeating_checks(study: Study, pairings: Sequence[Pairing]) -> int:
    """Checks with an input that a planned trial or an earlier check shows too."""
    seen = {name for name, how in _shown(study, pairings).items() if how > checks.IN_RESERVE}
    repeating = 0
    for pairing in pairings:
        if pairing.phase == "check":
            inputs = {pairing.source_id, pairing.partner_id}
            repeating += not inputs.isdisjoint(seen)
            seen |= inputs
    return repeating


def _both_roles(pairings: Sequence[Pairing]) -> list[int]:
    """For each input seen as a fake and, in another trial, as a real image: the trials between."""
    numbered = [(time, pairing) for time, pairing in enumerate(pairings) if pairing.phase != "check"]
    shown_at = {pairing.source_id: time for time, pairing in numbered}
    times = ((shown_at.get(pairing.partner_id), time) for time, pairing in numbered)
    return [abs(at - time) for at, time in times if at is not None and at != time]


def _imbalance(study: Study, lists: Iterable[Sequence[Pairing]], label: Callable[[Pairing], bool]) -> int:
    """Largest |times labelled - times not| over the images, in scored trials."""
    layout = study.protocol.layout
    if layout == "one_image":
        return 0
    balance: Counter[Hashable] = Counter()
    for pairings in lists:
        for pairing in pairings:
            if pairing.phase == "scored":
                for image in _images(layout, pairing):
                    balance[image] += 1 if label(pairing) else -1
    return max(map(abs, balance.values()), default=0)
