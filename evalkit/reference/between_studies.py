"""How far the same method's numbers lie apart in two studies: why rates of different studies are not comparable."""

from dataclasses import dataclass

from evalkit.reference.published import PublishedNumber, read, table


@dataclass(frozen=True)
class BetweenStudyShift:
    """One method, measured twice."""

    key: str
    method: str
    first: PublishedNumber
    second: PublishedNumber
    differs: str
    """What else differed between the two."""

    @property
    def shift(self) -> float:
        """Second minus first, in the quantity's unit (points where that is percent), to the coarser number's digits."""
        digits = min(_digits(self.first), _digits(self.second))
        return round(self.second.value - self.first.value, digits)


def between_study_shifts(quantity: str = "") -> list[BetweenStudyShift]:
    """The recorded shifts; of one quantity where its key is given."""
    shifts = [
        BetweenStudyShift(
            key=entry["key"],
            method=entry["method"],
            first=_number(entry["first"]),
            second=_number(entry["second"]),
            differs=entry["differs"],
        )
        for entry in read("between_studies")["shifts"]
    ]
    return [one for one in shifts if quantity in ("", one.first.quantity.key)]


def not_comparable() -> str:
    """The warning that belongs beside published rates, with the measured size of the effect.

    >>> print(not_comparable())
    Rates of different studies are not comparable: people, images and handling differ. Zhang et al. 2016, full method, was labeled real in 32 % of trials in Zhang et al. 2016 (arXiv:1603.08511v5), abstract and section 3.1, and in 27.8 ± 2.7 % in Isola et al. 2017 (arXiv:1611.07004v3), Table 5: -4 points for the same method.
    """
    (one,) = between_study_shifts("fool_rate")
    return (
        "Rates of different studies are not comparable: people, images and handling differ. "
        f"{one.method}, was labeled real in {one.first.printed} % of trials in {one.first.source}, and in "
        f"{one.second.printed} % in {one.second.source}: {one.shift:+g} points for the same method."
    )


def _number(place: dict[str, str]) -> PublishedNumber:
    return table(place["table"]).number(place["method"], place["quantity"], place["task"])


def _digits(number: PublishedNumber) -> int:
    value = number.printed.split(" ")[0]
    return len(value.partition(".")[2])
