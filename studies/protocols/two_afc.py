"""Two-alternative forced choice: one real and one fake image, "which was fake?" (or "which was real?")."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass as validated

from studies.protocols.base import Button, Frame, Protocol
from studies.records import REAL, Choice, SessionPlan, Side, Slot, Stimulus, Trial

if TYPE_CHECKING:
    from studies.design import Study
    from studies.plan import Pairing, Place


@validated(frozen=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class TwoAFC(Protocol):
    """Real and fake, one after the other or side by side, then two buttons and all the time one wants.

    Source of the default times: `index_template.html` of phillipi/AMT_Real_vs_Fake, the tool of Zhang et al.
    (2016) and Isola et al. (2017).
    """

    presentation: Literal["sequential", "simultaneous"] = "sequential"
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

    @model_validator(mode="after")
    def _mask_fits_into_the_gap(self) -> Self:
        if self.mask == "noise" and self.presentation == "sequential" and self.mask_ms > self.gap_ms:
            raise ValueError(f"mask_ms = {self.mask_ms} does not fit into gap_ms = {self.gap_ms}")
        return self

    def plan(self, study: "Study", images: Sequence[Stimulus], place: "Place") -> SessionPlan:
        """One trial per pairing of the place: its fake from the place's condition and run, its real partner."""
        index = {(image.condition, image.run, image.source_id): image for image in images}
        trials = [
            self._trial(study, index, pairing, number)
            for number, pairing in enumerate(place.pairings)
            if pairing.phase != "reserve"
        ]
        reserve = [
            self._trial(study, index, pairing, 0) for pairing in place.pairings if pairing.phase == "reserve"
        ]
        return SessionPlan(tuple(trials), tuple(reserve))

    def _trial(
        self, study: "Study", index: dict[tuple[str, int, str], Stimulus], pairing: "Pairing", number: int
    ) -> Trial:
        fake_side: Side = "left" if pairing.fake_left else "right"
        real_side: Side = "right" if pairing.fake_left else "left"
        fake = self._slot(index[pairing.condition, pairing.run, pairing.source_id], fake_side)
        real = self._slot(index[REAL, 0, pairing.partner_id], real_side)
        slots = (fake, real) if pairing.fake_first else (real, fake)
        asked = fake if study.question == "fake" else real
        phase = "scored" if pairing.phase == "reserve" else pairing.phase
        return Trial(phase, number, 0, study.question, slots, slots.index(asked) + 1)

    def _slot(self, image: Stimulus, side: Side) -> Slot:
        return Slot(image.id, image.source_id, image.condition, image.run, side, self.exposure_ms)

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
        return (blank, *shown, Frame("blank", self.question_delay_ms), self._question(trial))

    def _mask(self, slots: tuple[int, ...]) -> list[Frame]:
        return [Frame("mask", self.mask_ms, slots)] if self.mask == "noise" else []

    @staticmethod
    def _question(trial: Trial) -> Frame:
        first, second = trial.slots
        buttons = [
            Button("first", "Left" if first.side == "left" else "Right", first.side),
            Button("second", "Left" if second.side == "left" else "Right", second.side),
        ]
        buttons.sort(key=lambda button: button.side)
        return Frame("question", text=f"Which image was {trial.question}?", buttons=tuple(buttons))

    def grade(self, trial: Trial, choice: Choice) -> float:
        """1 if the chosen slot is the target, else 0.

        Raises:
            ValueError: `choice` is neither `first` nor `second`.
        """
        if choice not in ("first", "second"):
            raise ValueError(f"two_afc has no choice {choice!r}")
        return float(trial.target == (1 if choice == "first" else 2))
