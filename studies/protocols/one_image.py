"""What the protocols that show one image have in common: a session of one algorithm, half of it real images."""

from typing import TYPE_CHECKING, ClassVar

from studies.protocols.base import Button, ImageIndex, Layout, Protocol, phase_of, slot_of
from studies.records import REAL, Choice, Trial
from studies.texts import Told, told

if TYPE_CHECKING:
    from studies.design import Study
    from studies.plan import Pairing

EITHER = (Button("real", told("Real"), "left"), Button("fake", told("Fake"), "right"))
"""The two answers, always on the same sides. Our choice: a key that changes its meaning makes slips."""
ANSWER_BY_NAME = told("Answer with the ← key for real and the → key for fake, or press a button.")
DEBRIEFING = told(
    "Computer programs can now draw images that look like photographs. Half of the images that you saw were real, and half "
    "were made by such a program. We want to know how often the made images are taken for real, because no formula can "
    "tell how convincing an image is to people. Only people can.\n\n"
    "The images differ in difficulty, and for some of them nobody can do better than guess. So please do not worry if you "
    "were often unsure: that is exactly what we wanted to learn. Your answers are looked at only together with those of "
    "everybody else."
)


class OneImage(Protocol):
    """One image per trial in the middle, real or fake."""

    outcome: ClassVar[str] = "1 = a real image called real or a fake one called fake (correct), 0 = mistaken"
    images_per_trial: ClassVar[int] = 1
    layout: ClassVar[Layout] = "one_image"

    def check_study(self, study: "Study") -> None:
        """Real images belong to no algorithm, so each session has to be about one."""
        if study.study.design == "within" and study.imported is None:
            raise ValueError(
                f"protocol {self.name!r} judges one algorithm per session: set [study] design = 'between'"
            )

    def check_half(self) -> None:
        """Exactly half of a session is real.

        Raises:
            ValueError: It cannot be.
        """
        if self.scored % 2:
            raise ValueError(f"scored = {self.scored} must be even: exactly half of the images are real")

    def first_ms(self) -> int:
        """How long an image is planned to stay; 0 = until the answer."""
        raise NotImplementedError

    def trial(self, study: "Study", index: ImageIndex, pairing: "Pairing", number: int) -> Trial:  # noqa: ARG002
        """The fake or the real image of one input."""
        key = (REAL, 0) if pairing.is_real else (pairing.condition, pairing.run)
        slot = slot_of(index[(*key, pairing.source_id)], "centre", self.first_ms())
        return Trial(phase_of(pairing), number, 0, "real_or_fake", (slot,), None)

    def alike(self, trial: Trial) -> bool:
        """A void real image is replaced by a real one, a fake by a fake."""
        return trial.slots[0].condition == REAL

    def grade(self, trial: Trial, choice: Choice) -> float:
        """1 if the image is what it was said to be, else 0.

        Raises:
            ValueError: `choice` is neither `real` nor `fake`.
        """
        if choice not in ("real", "fake"):
            raise ValueError(f"{self.name} has no choice {choice!r}")
        return float((choice == "real") == (trial.slots[0].condition == REAL))


def asked(stays: bool) -> Told:
    """The question; in the present tense while the image is there."""
    return told("Is this image real or fake?") if stays else told("Was this image real or fake?")
