"""The same input by two algorithms: which image is better, or closer to a picture shown before?"""

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
    Truth,
    chosen_slot,
    duration,
    phase_of,
    side_buttons,
    sides_of,
    slot_of,
)
from studies.records import INPUT, REAL, Choice, Question, Slot, Trial
from studies.texts import Told, told

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from studies.design import Study
    from studies.plan import Pairing

CONTEXT = {"input": INPUT, "reference": REAL}
"""Condition of the picture that is shown before, by `shown_before`."""


@validated(frozen=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class Preference(Protocol):
    """Two algorithms' images of one input. It says which is preferred, and nothing of real and fake.

    Source: the study of Johnson et al. (2016), section 4 and supplement, as remembered: workers compared two results of
    one low-resolution input. Details other than these have to be checked before they are quoted.
    """

    criterion: Literal["better", "closer"] = "better"
    """What is asked: which image is better, or which is closer to the picture shown before."""
    shown_before: Literal["nothing", "input", "reference"] = "nothing"
    """A third picture before the two: none, the input ([reference] inputs), or the real image of the input."""
    before_ms: int = Field(default=1000, ge=17, le=60_000)
    """How long that picture is shown; our choice."""
    presentation: Presentation = "simultaneous"
    """Both images at once, or one after the other."""
    exposure_ms: int = Field(default=0, ge=0, le=60_000)
    """How long the images are shown; 0 = until the answer (simultaneous only)."""
    practice: int = Field(default=2, ge=0, le=1000)
    """Trials to get used to it, which do not count; nothing is right or wrong, so there is no feedback."""
    scored: int = Field(default=40, ge=1, le=10_000)
    """Trials that count; our choice."""
    reserve: int = Field(default=3, ge=0, le=1000)
    """Stand-ins for void scored trials; our addition."""
    blank_ms: int = Field(default=700, ge=0, le=60_000)
    """Blank before the first picture; our choice."""
    gap_ms: int = Field(default=500, ge=0, le=60_000)
    """Blank between pictures; our choice."""
    question_delay_ms: int = Field(default=100, ge=0, le=60_000)
    """Blank between the images and the question, where they have a time."""

    name: ClassVar[str] = "preference"
    outcome: ClassVar[str] = (
        "1 = the image of the pair's first-named algorithm was preferred, 0 = that of the other; first-named is the one "
        "that comes first in study.toml"
    )
    images_per_trial: ClassVar[int] = 2
    layout: ClassVar[Layout] = "two_algorithms"
    analyses: ClassVar[tuple[str, ...]] = ("preference_share",)
    gives_feedback: ClassVar[bool] = False

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        if self.criterion == "closer" and self.shown_before == "nothing":
            raise ValueError(
                "criterion = 'closer' needs a picture to be close to: set shown_before = 'input'"
            )
        if self.exposure_ms == 0 and self.presentation == "sequential":
            raise ValueError("exposure_ms = 0 (until the answer) needs presentation = 'simultaneous'")
        if 0 < self.exposure_ms < 17:
            raise ValueError(
                f"exposure_ms = {self.exposure_ms}: 0 (until the answer) or at least 17, one frame"
            )
        return self

    def check_study(self, study: "Study") -> None:
        """Two algorithms at least, in one session; and their inputs, if they are to be shown."""
        if study.study.design != "within":
            raise ValueError(
                "protocol 'preference' shows two algorithms in every trial: set [study] design = 'within'"
            )
        if len(study.conditions) < 2:
            raise ValueError("protocol 'preference' compares algorithms: add a second [conditions.NAME]")
        if self.shown_before == "input" and study.reference.inputs is None:
            raise ValueError(
                "protocol.shown_before = 'input' needs the inputs: set [reference] inputs to their folder"
            )

    def trial(self, study: "Study", index: ImageIndex, pairing: "Pairing", number: int) -> Trial:  # noqa: ARG002
        """One input by two algorithms; the target is the image of the first-named one."""
        own_side, other_side = sides_of(pairing)
        own, other = (
            slot_of(index[key], side, self.exposure_ms)
            for key, side in (
                ((pairing.condition, pairing.run, pairing.source_id), own_side),
                ((pairing.rival, pairing.run, pairing.partner_id), other_side),
            )
        )
        slots = (own, other) if pairing.fake_first else (other, own)
        target = 1 if pairing.fake_first else 2
        return Trial(
            phase_of(pairing),
            number,
            0,
            self.criterion,
            slots,
            target,
            self._context(index, pairing.source_id),
        )

    def _context(self, index: ImageIndex, source_id: str) -> Slot | None:
        if self.shown_before == "nothing":
            return None
        return slot_of(index[CONTEXT[self.shown_before], 0, source_id], "centre", self.before_ms)

    def alike(self, trial: Trial) -> "Hashable":
        """A void trial is replaced by one of the same two algorithms."""
        return frozenset(slot.condition for slot in trial.slots)

    def schedule(self, trial: Trial) -> tuple[Frame, ...]:
        """Blank, the picture before if there is one, then both images, at once or in turn, and the question."""
        frames = [Frame("blank", self.blank_ms)]
        if trial.context is not None:
            frames += [Frame("images", self.before_ms, (0,)), Frame("blank", self.gap_ms)]
        buttons, text = side_buttons(trial), self._asked()
        if self.exposure_ms == 0:
            return (*frames, Frame("question", slots=(1, 2), text=text, buttons=buttons))
        if self.presentation == "simultaneous":
            frames.append(Frame("images", self.exposure_ms, (1, 2)))
        else:
            frames += [
                Frame("images", self.exposure_ms, (1,)),
                Frame("blank", self.gap_ms),
                Frame("images", self.exposure_ms, (2,)),
            ]
        delay = Frame("blank", self.question_delay_ms)
        return (*frames, delay, Frame("question", text=text, buttons=buttons))

    def _asked(self) -> Told:
        if self.criterion == "closer":
            return told("Which image is closer to the first picture?")
        return told("Which image is better?")

    def instructions(self, question: Question) -> Instructions:  # noqa: ARG002 - it asks for neither
        """Two images of the same thing; no word of real and fake."""
        steps = []
        if self.shown_before != "nothing":
            shown_for = duration(self.before_ms)
            steps.append(
                Step(
                    "input", told("First a picture appears in the middle for {duration}.", duration=shown_for)
                )
            )
        if self.exposure_ms == 0:
            steps.append(Step("both", told("Two images appear side by side and stay until you answer.")))
        elif self.presentation == "simultaneous":
            shown_for = duration(self.exposure_ms)
            steps.append(
                Step("both", told("Two images appear side by side for {duration}.", duration=shown_for))
            )
        else:
            shown_for = duration(self.exposure_ms)
            steps += [
                Step(
                    "first",
                    told(
                        "One image appears for {duration}, on the left or on the right.", duration=shown_for
                    ),
                ),
                Step("second", told("Then the other image appears on the other side, just as long.")),
            ]
        return Instructions(
            lead=told(
                "You will see two images of the same thing that two computer programs made. Nothing here is right or "
                "wrong: we want to know what you think. Each time we ask:"
            ),
            asked=self._asked(),
            steps=(*steps, ANSWER_BY_SIDE),
            debriefing=told(
                "Different computer programs had made the two images of each pair from the same input. We want to know "
                "whose images people prefer, because no formula can tell. Only people can.\n\n"
                "There was no right answer, and some pairs hardly differ. Your answers are looked at only together with "
                "those of everybody else."
            ),
        )

    def truth(self, trial: Trial) -> "Mapping[int, Truth]":  # noqa: ARG002 - the contract
        """Nothing is right or wrong."""
        return {}

    def passes(self, trial: Trial, choice: Choice) -> float:
        """1 if the real image was preferred to the obvious fake of an attention check, else 0.

        Raises:
            ValueError: As `grade`.
        """
        return float(trial.slots[chosen_slot(self, choice) - 1].condition == REAL)

    def grade(self, trial: Trial, choice: Choice) -> float:
        """1 if the image of the pair's first-named algorithm was preferred, else 0.

        Raises:
            ValueError: `choice` is neither `first` nor `second`.
        """
        return float(trial.target == chosen_slot(self, choice))
