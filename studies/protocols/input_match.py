"""An input, then two outputs of one algorithm: which was made from it? What a fool rate cannot see."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict, Field
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
from studies.records import CHECK, INPUT, REAL, Choice, Question, Trial
from studies.texts import Told, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from studies.design import Study
    from studies.plan import Pairing


@validated(frozen=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class InputMatch(Protocol):
    """A generator that ignores its input can fool everybody; here it comes out at 50 %.

    Our own protocol, no source: the times are those of two_afc.
    """

    input_ms: int = Field(default=1000, ge=17, le=60_000)
    """How long the input is shown."""
    presentation: Presentation = "simultaneous"
    """Both outputs at once, or one after the other."""
    exposure_ms: int = Field(default=1000, ge=17, le=60_000)
    """How long the outputs are shown."""
    practice: int = Field(default=10, ge=0, le=1000)
    """Practice trials with feedback."""
    scored: int = Field(default=40, ge=1, le=10_000)
    """Scored trials without feedback."""
    reserve: int = Field(default=3, ge=0, le=1000)
    """Stand-ins for void scored trials."""
    blank_ms: int = Field(default=900, ge=0, le=60_000)
    """Blank before the input."""
    gap_ms: int = Field(default=600, ge=0, le=60_000)
    """Blank between pictures."""
    question_delay_ms: int = Field(default=100, ge=0, le=60_000)
    """Blank between the last output and the question."""

    name: ClassVar[str] = "input_match"
    outcome: ClassVar[str] = (
        "1 = the output that was made from the input was chosen (right), 0 = the other one"
    )
    images_per_trial: ClassVar[int] = 2
    layout: ClassVar[Layout] = "two_inputs"
    analyses: ClassVar[tuple[str, ...]] = ("input_match_share",)

    def check_study(self, study: "Study") -> None:
        """It shows the inputs, so it has to have them."""
        if study.reference.inputs is None:
            raise ValueError(
                "protocol 'input_match' shows the inputs: set [reference] inputs to their folder"
            )

    def trial(self, study: "Study", index: ImageIndex, pairing: "Pairing", number: int) -> Trial:  # noqa: ARG002
        """The output of the input, which is the target, and that of another input, by the same training run."""
        own_side, other_side = sides_of(pairing)
        own, other = (
            slot_of(index[condition, pairing.run, source_id], side, self.exposure_ms)
            for condition, source_id, side in (
                # In an attention check the real image belongs to the input, and an obvious fake does not.
                (REAL if pairing.condition == CHECK else pairing.condition, pairing.source_id, own_side),
                (pairing.condition, pairing.partner_id, other_side),
            )
        )
        slots = (own, other) if pairing.fake_first else (other, own)
        context = slot_of(index[INPUT, 0, pairing.source_id], "centre", self.input_ms)
        target = 1 if pairing.fake_first else 2
        return Trial(phase_of(pairing), number, 0, "match", slots, target, context)

    def schedule(self, trial: Trial) -> tuple[Frame, ...]:
        """Blank, input, gap, outputs at once or in turn, blank, question."""
        frames = [
            Frame("blank", self.blank_ms),
            Frame("images", self.input_ms, (0,)),
            Frame("blank", self.gap_ms),
        ]
        if self.presentation == "simultaneous":
            frames.append(Frame("images", self.exposure_ms, (1, 2)))
        else:
            frames += [
                Frame("images", self.exposure_ms, (1,)),
                Frame("blank", self.gap_ms),
                Frame("images", self.exposure_ms, (2,)),
            ]
        question = Frame("question", text=_asked(), buttons=side_buttons(trial))
        return (*frames, Frame("blank", self.question_delay_ms), question)

    def instructions(self, question: Question) -> Instructions:  # noqa: ARG002 - it asks for neither
        """A picture, then two images of which one was made from it."""
        shown_for = duration(self.exposure_ms)
        if self.presentation == "simultaneous":
            outputs = [
                Step("both", told("Then two images appear side by side for {duration}.", duration=shown_for))
            ]
        else:
            outputs = [
                Step(
                    "first",
                    told(
                        "Then one image appears for {duration}, on the left or on the right.",
                        duration=shown_for,
                    ),
                ),
                Step("second", told("Then the other image appears on the other side, just as long.")),
            ]
        first = told(
            "First a picture appears in the middle for {duration}.", duration=duration(self.input_ms)
        )
        return Instructions(
            lead=told(
                "A computer program makes an image from a picture. You will see a picture, and then two images. One was "
                "made from the picture, the other one from another picture. Each time we ask:"
            ),
            asked=_asked(),
            steps=(Step("input", first), *outputs, ANSWER_BY_SIDE),
            debriefing=told(
                "Computer programs can now turn one picture into another. We want to know how well their images keep to "
                "the picture that they were made from, because no formula can tell what people see of it.\n\n"
                "For some pairs nobody can do better than guess. So please do not worry if you were often unsure: that is "
                "exactly what we wanted to learn. Your answers are looked at only together with those of everybody else."
            ),
        )

    def truth(self, trial: Trial) -> "Mapping[int, Truth]":
        """Which output belongs to the input."""
        return {number: "match" if number == trial.target else "other" for number in (1, 2)}

    def grade(self, trial: Trial, choice: Choice) -> float:
        """1 if the output of the input was chosen, else 0.

        Raises:
            ValueError: `choice` is neither `first` nor `second`.
        """
        return float(trial.target == chosen_slot(self, choice))


def _asked() -> Told:
    return told("Which image was made from the first picture?")
