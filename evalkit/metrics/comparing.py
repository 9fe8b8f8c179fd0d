"""Whether scores may stand side by side: the same quantity, made in the same way, against the same real images."""

from collections.abc import Iterable, Sequence

from evalkit.results import Score
from studies.errors import UserError


def check_comparable(scores: Sequence[Score]) -> None:
    """Refuse scores of one quantity that were not made alike; scores of different quantities may stand together.

    Raises:
        UserError: Names two scores, the first difference, and what to do.
    """
    for group in by_key(scores).values():
        for other in group[1:]:
            found = group[0].difference(other)
            if found:
                raise UserError(
                    f"{other.key} of {_name(group[0])} and of {_name(other)} cannot be compared; they differ in {found}. "
                    "Compute both with the same settings against the same images."
                )


def by_key(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Scores by quantity, in the order in which they come."""
    groups: dict[str, list[Score]] = {}
    for score in scores:
        groups.setdefault(score.key, []).append(score)
    return groups


def _name(score: Score) -> str:
    condition = score.condition or "the images"
    return condition if score.run is None else f"{condition} (run {score.run})"
