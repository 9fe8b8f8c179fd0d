"""Two-alternative forced choice: one real and one fake image, "which was fake?" (or "which was real?")."""

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass as validated

from studies.protocols.base import (
    ANSWER_BY_SIDE,
    Frame,
    ImageIndex,
    Instructions,
    Layout,
    Presentation,
    Protocol,
    Step,
    chosen_slot,
    duration,
    phase_of,
    side_buttons,
    sides_of,
    slot_of,
)
from studies.records import REAL, Asked, Choice, Question, Trial
from studies.texts import Told, told

if TYPE_CHECKING:
    from studies.design import Study
    from studies.plan import Pairing


@validated(frozen=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class TwoAFC(Protocol):
    """Real and fake, one after the other or side by side, then two buttons and all the time one wants.

    Source of the default times: `index_template.html` of phillipi/AMT_Real_vs_Fake, the tool of Zhang et al.
    (2016) and Isola et al. (2017).
    """

    presentation: Presentation = "sequential"
    """One image after the other, or both at once."""
    exposure_ms: int = Field(default=1000, ge=17, le=60_000)
    """How long each image is shown. Source: Zhang 2016, section 3.1; Isola 2017, section 3.2."""
    mask: Literal["none", "noise"] = "none"
    """What follows each image: nothing (the papers), or a noise field in its place."""
    practice: int = Field(default=10, ge=0, le=1000)
    """Practice trials with feedback. Source: as exposure_ms."""
    scored: int = Field(default=40, ge=1, le=10_000)
    """Scored trials without feedback. Source: as exposure_ms."""
    reserve: int = Field(default=3, ge=0, le=1000)
    """Stand-ins for void scored trials; our addition."""
    blank_ms: int = Field(default=900, ge=0, le=60_000)
    """Blank before the first image."""
    first_blank_ms: int = Field(default=1200, ge=0, le=60_000)
    """The same before the very first trial."""
    gap_ms: int = Field(default=600, ge=0, le=60_000)
    """Blank between the images (sequential)."""
    question_delay_ms: int = Field(default=100, ge=0, le=60_000)
    """Blank between the last image and the question."""
    mask_ms: int = Field(default=150, ge=17, le=60_000)
    """How long a noise mask stays; only with mask = "noise". Our choice, no source."""

    name: ClassVar[str] = "two_afc"
    outcome: ClassVar[str] = "1 = the image asked for was chosen (correct), 0 = the other one (fooled)"
    images_per_trial: ClassVar[int] = 2
    layout: ClassVar[Layout] = "real_and_fake"
    analyses: ClassVar[tuple[str, ...]] = ("fool_rate", "pairwise_differences")

    @model_validator(mode="after")
    def _mask_fits_into_the_gap(self) -> Self:
        if self.mask == "noise" and self.presentation == "sequential" and self.mask_ms > self.gap_ms:
            raise ValueError(f"mask_ms = {self.mask_ms} does not fit into gap_ms = {self.gap_ms}")
        return self

    def trial(self, study: "Study", index: ImageIndex, pairing: "Pairing", number: int) -> Trial:
        """A fake from the place's condition and run, and its real partner."""
        fake_side, real_side = sides_of(pairing)
        fake = slot_of(index[pairing.condition, pairing.run, pairing.source_id], fake_side, self.exposure_ms)
        real = slot_of(index[REAL, 0, pairing.partner_id], real_side, self.exposure_ms)
        slots = (fake, real) if pairing.fake_first else (real, fake)
        asked = fake if study.question == "fake" else real
        return Trial(phase_of(pairing), number, 0, study.question, slots, slots.index(asked) + 1)

    def schedule(self, trial: Trial) -> tuple[Frame, ...]:
        """Blank, first image, gap, second image, blank, question (sequential); blank, both, blank, question."""
        blank = Frame("blank", self.first_blank_ms if trial.trial_index == 0 else self.blank_ms)
        if self.presentation == "simultaneous":
            shown = [Frame("images", self.exposure_ms, (1, 2)), *self._mask((1, 2))]
        else:
            shown = [
                Frame("images", self.exposure_ms, (1,)),
                *self._mask((1,)),
                Frame("blank", self.gap_ms - (self.mask_ms if self.mask == "noise" else 0)),
                Frame("images", self.exposure_ms, (2,)),
                *self._mask((2,)),
            ]
        question = Frame("question", text=_asked(trial.question), buttons=side_buttons(trial))
        return (blank, *shown, Frame("blank", self.question_delay_ms), question)

    def _mask(self, slots: tuple[int, ...]) -> list[Frame]:
        return [Frame("mask", self.mask_ms, slots)] if self.mask == "noise" else []

    def instructions(self, question: Question) -> Instructions:
        """Two images, one of them fake; the wording of the first version of this study page."""
        shown_for = duration(self.exposure_ms)
        if self.presentation == "simultaneous":
            lead = told(
                "You will see two images side by side for {duration}. One is real. The other is fake: a computer "
                "program made it. Then we ask:",
                duration=shown_for,
            )
            steps = [
                Step(
                    "both",
                    told("Two images appear together, left and right, for {duration}.", duration=shown_for),
                )
            ]
        else:
            lead = told(
                "You will see two images, one after the other, each for {duration}. One is real. The other is fake: a "
                "computer program made it. Then we ask:",
                duration=shown_for,
            )
            steps = [
                Step(
                    "first",
                    told(
                        "One image appears for {duration}, on the left or on the right.", duration=shown_for
                    ),
                ),
                Step("second", told("Then the other image appears on the other side, just as long.")),
            ]
        return Instructions(lead, _asked(question), (*steps, ANSWER_BY_SIDE), _DEBRIEFING)

    def grade(self, trial: Trial, choice: Choice) -> float:
        """1 if the chosen slot is the target, else 0.

        Raises:
            ValueError: `choice` is neither `first` nor `second`.
        """
        return float(trial.target == chosen_slot(self, choice))


def _asked(question: Asked) -> Told:
    return told("Which image was fake?") if question == "fake" else told("Which image was real?")


_DEBRIEFING = told(
    "Computer programs can now draw images that look like photographs. In each pair you saw one real image, and one that "
    "such a program had made. We want to know how often the made images are taken for real, because no formula can tell "
    "how convincing an image is to people. Only people can.\n\n"
    "The pairs differ in difficulty, and for some of them nobody can do better than guess. So please do not worry if you "
    "were often unsure: that is exactly what we wanted to learn. Your answers are looked at only together with those of "
    "everybody else."
)
