"""One image for an adaptive time, then noise, then "real or fake?": how long people must look (HYPE-time)."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass as validated

from studies.protocols.base import Frame, Instructions, Issued, Step
from studies.protocols.one_image import ANSWER_BY_NAME, DEBRIEFING, EITHER, OneImage, asked
from studies.records import Question, SessionPlan, Trial
from studies.texts import told

STAIRCASES = 2
"""Interleaved: the server sends a trial while the one before it is still unanswered, so the newest answer that the next
exposure can depend on is that to the trial before the last. Our choice; HYPE ran one staircase."""


@validated(frozen=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class TimedStaircase(OneImage):
    """Shorter after a correct answer, longer after a mistake; a session's score is the exposure it met most often.

    Two staircases take turns over the scored trials and the checks among them. Practice is shown for `start_ms`; void
    trials and checks move nothing. Whoever compares exposures learns afterwards whether an answer was right: that is the
    method, and the only place where the server tells anything about the truth of a scored trial.

    Source: Zhou et al. (2019), HYPE, the measure "HYPE time". The paper's constants could not be read when this was
    written; those marked "as remembered" have to be checked before they are quoted.
    """

    start_ms: int = Field(default=500, ge=17, le=60_000)
    """Exposure of the first trials. 500 as remembered of HYPE."""
    min_ms: int = Field(default=100, ge=17, le=60_000)
    """Shortest exposure. 100 as remembered of HYPE."""
    max_ms: int = Field(default=1000, ge=17, le=60_000)
    """Longest exposure. 1000 as remembered of HYPE."""
    shorter_ms: int = Field(default=30, ge=1, le=10_000)
    """How much shorter after a correct answer. 30 as remembered of HYPE."""
    longer_ms: int = Field(default=10, ge=1, le=10_000)
    """How much longer after a mistake. 10 as remembered of HYPE."""
    masks: int = Field(default=5, ge=0, le=50)
    """Noise masks after the image, each with new noise. 5 as remembered of HYPE."""
    mask_ms: int = Field(default=30, ge=17, le=1000)
    """How long each mask stays. 30 as remembered of HYPE."""
    practice: int = Field(default=10, ge=0, le=1000)
    """Practice trials with feedback; our choice."""
    scored: int = Field(default=150, ge=2, le=10_000)
    """Scored trials without feedback, half of them real images. One block of 150, as remembered of HYPE (which had 3)."""
    reserve: int = Field(default=4, ge=0, le=1000)
    """Stand-ins for void scored trials; our addition."""
    blank_ms: int = Field(default=500, ge=0, le=60_000)
    """Blank before each image; our choice."""

    name: ClassVar[str] = "timed_staircase"
    analyses: ClassVar[tuple[str, ...]] = ("modal_exposure",)
    adapts_exposure: ClassVar[bool] = True

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        self.check_half()
        if not self.min_ms <= self.start_ms <= self.max_ms:
            raise ValueError(
                f"start_ms = {self.start_ms} must lie between min_ms = {self.min_ms} and max_ms = {self.max_ms}"
            )
        return self

    def first_ms(self) -> int:
        """Where the staircases begin."""
        return self.start_ms

    def next_trial(self, plan: SessionPlan, issued: Sequence[Issued]) -> Trial | None:
        """The planned trial, shown for as long as its staircase has come to by the answers so far."""
        trial = super().next_trial(plan, issued)
        if trial is None or trial.phase == "practice":
            return trial  # a check is shown like a scored trial, or its time would give it away
        slot = dataclasses.replace(trial.slots[0], planned_ms=self.next_ms(issued))
        return dataclasses.replace(trial, slots=(slot,))

    def next_ms(self, issued: Sequence[Issued]) -> int:
        """The exposure of the next trial: every other trial since practice belongs to its staircase.

        A check takes its turn and moves nothing, as a void trial does. Without a turn of its own it would have the very
        exposure of the trial after it, which the page holds before the check is shown.
        """
        sent = [item for item in issued if item.trial.phase != "practice"]
        ms = self.start_ms
        for item in sent[len(sent) % STAIRCASES :: STAIRCASES]:
            if item.trial.phase == "check" or item.void or item.choice is None:
                continue
            correct = self.grade(item.trial, item.choice) == 1
            ms = max(self.min_ms, ms - self.shorter_ms) if correct else min(self.max_ms, ms + self.longer_ms)
        return ms

    def schedule(self, trial: Trial) -> tuple[Frame, ...]:
        """Blank, image, masks, question."""
        return (
            Frame("blank", self.blank_ms),
            Frame("images", trial.slots[0].planned_ms, (1,)),
            *(Frame("mask", self.mask_ms, (1,)) for _ in range(self.masks)),
            Frame("question", text=asked(stays=False), buttons=EITHER),
        )

    def instructions(self, question: Question) -> Instructions:  # noqa: ARG002 - it asks for neither
        """One image for a short time, then noise."""
        steps = [
            Step("one", told("One image appears in the middle for a moment, sometimes a very short one."))
        ]
        if self.masks:
            steps.append(Step("mask", told("Then coloured noise flickers in its place.")))
        return Instructions(
            lead=told(
                "You will see one image at a time, each for a short moment. Some are real. The others are fake: a computer "
                "program made them. Each time we ask:"
            ),
            asked=asked(stays=False),
            steps=(*steps, Step("keys", ANSWER_BY_NAME)),
            debriefing=DEBRIEFING,
        )
