"""One image, real or fake, "is this real?": the error rate on fakes and on reals (HYPE-infinity)."""

from typing import ClassVar, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass as validated

from studies.protocols.base import Frame, Instructions, Step, duration
from studies.protocols.one_image import ANSWER_BY_NAME, DEBRIEFING, EITHER, OneImage, asked
from studies.records import Question, Trial
from studies.texts import told


@validated(frozen=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class YesNo(OneImage):
    """One image at a time, without a time limit unless one is set; exactly half of them are real.

    Source: Zhou et al. (2019), HYPE, the measure "HYPE infinity". What could not be read there, but is remembered of it,
    is marked so below.
    """

    exposure_ms: int = Field(default=0, ge=0, le=60_000)
    """How long the image is shown; 0 = until the answer (HYPE infinity has no time limit)."""
    practice: int = Field(default=10, ge=0, le=1000)
    """Practice trials with feedback; our choice."""
    scored: int = Field(default=100, ge=2, le=10_000)
    """Scored trials without feedback, half of them real images. 100 as remembered of HYPE, not checked."""
    reserve: int = Field(default=4, ge=0, le=1000)
    """Stand-ins for void scored trials; our addition."""
    blank_ms: int = Field(default=500, ge=0, le=60_000)
    """Blank before each image; our choice."""
    question_delay_ms: int = Field(default=100, ge=0, le=60_000)
    """Blank between image and question; only where the image has a time."""
    bonus_per_correct_cents: int = Field(default=0, ge=0, le=1000)
    """Paid on top of the reward for each correct scored answer, in cents of the currency. HYPE paid 2, as remembered."""

    name: ClassVar[str] = "yes_no"
    analyses: ClassVar[tuple[str, ...]] = ("error_rate", "fool_rate", "pairwise_differences")
    pays_per_correct: ClassVar[bool] = True

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        self.check_half()
        if 0 < self.exposure_ms < 17:
            raise ValueError(
                f"exposure_ms = {self.exposure_ms}: 0 (until the answer) or at least 17, one frame"
            )
        return self

    def first_ms(self) -> int:
        """As set; 0 = until the answer."""
        return self.exposure_ms

    def schedule(self, trial: Trial) -> tuple[Frame, ...]:  # noqa: ARG002 - the contract
        """Blank, then the image with the question under it; or blank, image, blank, question."""
        blank = Frame("blank", self.blank_ms)
        if self.exposure_ms == 0:
            return (blank, Frame("question", slots=(1,), text=asked(stays=True), buttons=EITHER))
        question = Frame("question", text=asked(stays=False), buttons=EITHER)
        return (
            blank,
            Frame("images", self.exposure_ms, (1,)),
            Frame("blank", self.question_delay_ms),
            question,
        )

    def instructions(self, question: Question) -> Instructions:  # noqa: ARG002 - it asks for neither
        """One image at a time."""
        stays = self.exposure_ms == 0
        shows = (
            told("One image appears in the middle and stays until you answer.")
            if stays
            else told("One image appears in the middle for {duration}.", duration=duration(self.exposure_ms))
        )
        return Instructions(
            lead=told(
                "You will see one image at a time. Some are real. The others are fake: a computer program made them. Each "
                "time we ask:"
            ),
            asked=asked(stays),
            steps=(Step("one", shows), Step("keys", ANSWER_BY_NAME)),
            debriefing=DEBRIEFING,
        )
