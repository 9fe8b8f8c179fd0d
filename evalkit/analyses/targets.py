"""The words for what a number is about."""

import dataclasses
from typing import TypeVar

from evalkit.results import Provenance, Result

THESE_IMAGES = "these images"
WORDS = {
    THESE_IMAGES: "Target, these images: it holds for other people who judge exactly these images, not for others.",
    "this generator": "Target, this trained generator: it holds for other people and other images of the same training"
    " runs.",
    "this loss": "Target, this loss: it holds for other people, other images and other training runs.",
}
"""By `[analysis] target`."""

R = TypeVar("R", bound=Result)


def about(result: R, target: str) -> R:
    """The same record, with its target in notes and provenance."""
    return of_target(dataclasses.replace(result, notes=(*result.notes, WORDS[target])), target)


def of_target(result: R, target: str) -> R:
    """The same record, with its target in the provenance alone: where its notes say it already."""
    return dataclasses.replace(result, provenance=Provenance(target=target))
