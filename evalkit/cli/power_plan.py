"""What `evalkit power` works out: rows of numbers, before anybody prints them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalkit.stats.power import (
    TARGETS,
    Design,
    Spread,
    Target,
    detectable_difference,
    difference_precision,
    larger,
    rate_precision,
    workers_needed,
)

WORKERS = (10, 15, 25, 35, 50, 75, 100, 150, 200, 300)
"""People per algorithm along the curve."""
GRID_WORKERS = (25, 50, 100, 200)
GRID_IMAGES = (50, 100, 250, 1000)


@dataclass(frozen=True)
class Price:
    """What a session costs."""

    pay: float
    """Per hour, in any currency."""
    fee: float
    """What the panel takes on top, as a share of the pay."""
    minutes: float
    """What a session takes beside its scored trials."""
    seconds_per_trial: float

    def length(self, trials: int) -> float:
        """Of a session, in minutes."""
        return self.minutes + trials * self.seconds_per_trial / 60

    def of(self, sessions: int, trials: int) -> float:
        """Pay and fee of this many sessions."""
        return sessions * self.pay * self.length(trials) / 60 * (1 + self.fee)


@dataclass(frozen=True)
class Plan:
    """What is asked: a study of these sizes, and a difference that it should find."""

    rate: float
    difference: float
    design: Design
    spread: Spread
    target: Target
    power: float
    alpha: float
    algorithms: int
    price: Price | None

    @property
    def rates(self) -> tuple[float, float]:
        """The better algorithm's and the other's."""
        return self.rate + self.difference, self.rate

    def sessions(self, design: Design) -> int:
        """Of the whole study."""
        return design.workers * (1 if design.within else self.algorithms)

    def cost(self, design: Design) -> float | None:
        """Of the whole study; None where no pay was given."""
        return None if self.price is None else self.price.of(self.sessions(design), design.trials)


@dataclass(frozen=True)
class Outlook:
    """What one design gives under one target; None where the target needs more runs (or people, or images)."""

    target: Target
    design: Design
    standard_error: float | None
    """Of one algorithm's rate."""
    half_width: float | None
    """Of its interval."""
    power: float | None
    """For the plan's difference."""
    detectable: float | None
    """Smallest difference found with the plan's power."""
    sessions: int
    cost: float | None


@dataclass(frozen=True)
class Needed:
    """Fewest people for the plan's power, at a number of images."""

    images: int
    workers: int | None
    """Per algorithm; None if no number of people is enough."""
    cost: float | None


def outlook(plan: Plan, design: Design, target: Target) -> Outlook:
    """Precision and power of one design."""
    rate = rate_precision(plan.rate, design, plan.spread, target)
    difference = difference_precision(plan.rates, design, plan.spread, target)
    return Outlook(
        target,
        design,
        rate.standard_error if rate else None,
        rate.half_width(1 - plan.alpha) if rate else None,
        difference.power(plan.difference, plan.alpha) if difference else None,
        detectable_difference(plan.rate, design, plan.spread, target, plan.power) if difference else None,
        plan.sessions(design),
        plan.cost(design),
    )


def by_target(plan: Plan) -> list[Outlook]:
    """The plan's own design under each target."""
    return [outlook(plan, plan.design, target) for target in TARGETS]


def grid(plan: Plan) -> list[list[Outlook]]:
    """Rows of images, columns of people, under the plan's target."""
    images = sorted({plan.design.images, *GRID_IMAGES})
    workers = sorted({plan.design.workers, *GRID_WORKERS})
    return [
        [
            outlook(plan, dataclasses.replace(plan.design, workers=people, images=count), plan.target)
            for people in workers
        ]
        for count in images
        if count >= shown_in_a_session(plan.design)
    ]


def needed(plan: Plan) -> list[Needed]:
    """People and cost that the plan's power takes, by images."""
    rows = []
    for images in sorted({plan.design.images, *GRID_IMAGES}):
        design = dataclasses.replace(plan.design, images=images)
        if images < shown_in_a_session(design):
            continue
        workers = workers_needed(plan.rates, design, plan.spread, plan.target, plan.power)
        cost = None if workers is None else plan.cost(dataclasses.replace(design, workers=workers))
        rows.append(Needed(images, workers, cost))
    return rows


def curve(plan: Plan) -> dict[Target, list[tuple[int, float | None]]]:
    """Power against people per algorithm, under each target."""
    points: dict[Target, list[tuple[int, float | None]]] = {}
    for target in TARGETS:
        points[target] = []
        for workers in sorted({plan.design.workers, *WORKERS}):
            design = dataclasses.replace(plan.design, workers=workers)
            found = difference_precision(plan.rates, design, plan.spread, target)
            points[target].append((workers, found.power(plan.difference, plan.alpha) if found else None))
    return points


def advice(plan: Plan) -> Mapping[str, Outlook]:
    """Half as much again of one thing each, the one that gains most power first; more trials need images enough."""
    changed = {
        name: outlook(plan, design, plan.target)
        for name, design in larger(plan.design).items()
        if design.images >= shown_in_a_session(design)
    }
    return dict(sorted(changed.items(), key=lambda item: -(item[1].power or 0.0)))


def shown_in_a_session(design: Design) -> int:
    """Source images that one session needs: none is shown twice to a person."""
    return design.trials


def as_json(plan: Plan) -> dict[str, Any]:
    """Everything, for other programs."""
    return {
        "plan": dataclasses.asdict(plan),
        "by_target": [dataclasses.asdict(row) for row in by_target(plan)],
        "grid": [[dataclasses.asdict(cell) for cell in row] for row in grid(plan)],
        "needed": [dataclasses.asdict(row) for row in needed(plan)],
        "curve": {
            target: [{"workers": workers, "power": power} for workers, power in points]
            for target, points in curve(plan).items()
        },
        "half_as_much_again": {name: dataclasses.asdict(row) for name, row in advice(plan).items()},
    }
