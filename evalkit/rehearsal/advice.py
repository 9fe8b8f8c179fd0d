"""Which change of the design would buy most: what to try, and what the formula says of it before it is simulated."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from evalkit.rehearsal.assumptions import GridPoint
from evalkit.stats.power import Design, Spread, difference_precision, larger, workers_needed
from studies.design import Condition, Study
from studies.records import Stimulus

POWER = 0.8
"""What a design should reach for the smallest difference that matters; the usual convention (Cohen 1988)."""
TIMES_AS_MANY = (1, 2, 4, 10)
"""Inputs, as multiples of those there are, for which the people needed are told."""
_NAMES = {"images": "images", "workers": "people", "runs": "training runs"}


@dataclass(frozen=True)
class Proposal:
    """One change of the design: half as many of one thing again."""

    name: str
    """In words, such as `75 images instead of 50`."""
    design: Design


def design_of(study: Study, images: Sequence[Stimulus]) -> Design:
    """The sizes of a study, as power formulas know them."""
    fakes = study.protocol.scored / (2 if study.protocol.layout == "one_image" else 1)
    within = study.study.design == "within"
    trials = fakes * 2 / len(study.conditions) if within else fakes
    return Design(
        workers=study.study.participants_per_condition,
        images=len({image.source_id for image in images}),
        trials=max(round(trials), 1),
        runs=study.runs,
        within=within,
    )


def proposals(study: Study, design: Design) -> list[Proposal]:
    """Half as many again of what the target's interval depends on."""
    wanted = {
        "these images": ("workers",),
        "this generator": ("images", "workers"),
        "this loss": ("images", "workers", "runs"),
    }[study.analysis.target]
    more = larger(design)
    return [
        Proposal(f"{getattr(more[key], key)} {_NAMES[key]} instead of {getattr(design, key)}", more[key])
        for key in wanted
    ]


def changed(study: Study, design: Design) -> tuple[Study, list[str]]:
    """The same study with other sizes, and the names of its inputs."""
    section = study.study.model_copy(update={"participants_per_condition": design.workers})
    conditions = {
        name: Condition(images=tuple(f"{name}.{run}" for run in range(design.runs)))
        for name in study.conditions
    }
    return study.model_copy(update={"study": section, "conditions": conditions}), [
        f"input{number:06d}" for number in range(design.images)
    ]


def spread(study: Study, point: GridPoint) -> Spread:
    """A grid point as power formulas know it."""
    own = point.image_sd * math.sqrt(1 - study.rehearsal.shared_image_variance)
    return Spread(point.worker_sd, point.image_sd, min(own, point.image_sd), point.run_sd)


def compared_rates(study: Study) -> tuple[float, float]:
    """Two rates around the assumed one that differ by the smallest difference that matters."""
    step = study.analysis.smallest_difference
    low = min(max(study.rehearsal.rate - step / 2, 0.01), 0.99 - step)
    return low + step, low


def predicted_power(study: Study, point: GridPoint, design: Design) -> float | None:
    """By the formula, of one contrast by itself; None where the design is too small for it."""
    found = difference_precision(compared_rates(study), design, spread(study, point), study.analysis.target)
    if found is None:
        return None
    return found.power(study.analysis.smallest_difference, 1 - study.analysis.confidence_level)


def people_needed(study: Study, point: GridPoint, design: Design) -> list[tuple[int, int | None]]:
    """Number of inputs and, for each, the people per algorithm that reach POWER; None where no number does."""
    most = TIMES_AS_MANY if study.analysis.target != "these images" else (1,)
    return [
        (
            times * design.images,
            workers_needed(
                compared_rates(study),
                dataclasses.replace(design, images=times * design.images),
                spread(study, point),
                study.analysis.target,
                POWER,
            ),
        )
        for times in most
    ]
