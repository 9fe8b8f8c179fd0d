"""What a protocol is: how a session is planned, shown and graded. The server and the page never ask which."""

import abc
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from studies.records import Choice, SessionPlan, Side, Stimulus, Trial

if TYPE_CHECKING:
    from studies.design import Study
    from studies.plan import Place


@dataclass(frozen=True)
class Button:
    """One answer the participant may give."""

    value: Choice
    label: str
    side: Side
    """Where the button stands, and which arrow key presses it."""


@dataclass(frozen=True)
class Frame:
    """One step of a trial on the screen; the page interprets these and knows nothing else of the protocol."""

    kind: Literal["blank", "images", "mask", "question"]
    ms: int | None = None
    """How long; None for the question, which waits."""
    slots: tuple[int, ...] = ()
    """The slots that are shown, or masked, during this frame."""
    text: str = ""
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True)
class Issued:
    """A trial that was sent to the page, and what became of it so far."""

    trial: Trial
    choice: Choice | None = None
    void: bool = False

    @property
    def outstanding(self) -> bool:
        """Neither answered nor void."""
        return self.choice is None and not self.void


class Protocol(abc.ABC):
    """A way of showing trials and grading answers; a frozen dataclass of its parameters.

    Subclasses are registered in `studies.protocols.PROTOCOLS` under the name of their module.
    """

    name: ClassVar[str]
    """The module's stem, the key in PROTOCOLS and in study.toml."""
    outcome: ClassVar[str]
    """What `grade` returns 1 for, in words."""
    images_per_trial: ClassVar[int]

    practice: int
    """Practice trials at the start, with feedback."""
    scored: int
    """Scored trials, without feedback."""
    reserve: int
    """Stand-ins for void scored trials."""

    @property
    def total(self) -> int:
        """Trials in a session without its reserve."""
        return self.practice + self.scored

    @abc.abstractmethod
    def plan(self, study: "Study", images: Sequence[Stimulus], place: "Place") -> SessionPlan:
        """The trials of one place, with the images of its condition."""

    @abc.abstractmethod
    def schedule(self, trial: Trial) -> tuple[Frame, ...]:
        """What the page shows, step by step; goes to the page, so it must tell nothing of the truth."""

    @abc.abstractmethod
    def grade(self, trial: Trial, choice: Choice) -> float:
        """The outcome of an answer: 0, 0.5 or 1, by the meaning that `outcome` names."""

    def next_trial(self, plan: SessionPlan, issued: Sequence[Issued]) -> Trial | None:
        """The trial to send after those already issued, or None when there is none left.

        Planned trials come first, in order; then, for each void scored trial not yet replaced, the next of the
        reserve under the same index with the next attempt. Void practice trials are not replaced: nothing is
        measured in them. Pure; a protocol may let answers change the next exposure, never the next images.
        """
        if len(issued) < len(plan.trials):
            return plan.trials[len(issued)]
        used = len(issued) - len(plan.trials)
        waiting = list(self._unreplaced(issued))
        if not waiting or used >= len(plan.reserve):
            return None
        stand_in = plan.reserve[used]
        return dataclasses.replace(
            stand_in, trial_index=waiting[0].trial_index, attempt=waiting[0].attempt + 1
        )

    @staticmethod
    def _unreplaced(issued: Sequence[Issued]) -> Iterator[Trial]:
        taken = {(item.trial.trial_index, item.trial.attempt) for item in issued}
        for item in issued:
            trial = item.trial
            if (
                item.void
                and trial.phase != "practice"
                and (trial.trial_index, trial.attempt + 1) not in taken
            ):
                yield trial

    def parameters(self) -> dict[str, Any]:
        """The values of this protocol's settings, as they stand in study.toml, name first."""
        return {"name": self.name, **dataclasses.asdict(self)}  # type: ignore[call-overload]  # every subclass is a dataclass
