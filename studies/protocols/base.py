"""What a protocol is: how a session is planned, shown and graded. The server and the page never ask which."""

import abc
import dataclasses
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from studies.records import REAL, Choice, Phase, Question, SessionPlan, Side, Slot, Stimulus, Trial
from studies.texts import Told, told

if TYPE_CHECKING:
    from studies.design import Study
    from studies.plan import Pairing, Place

Layout = Literal["real_and_fake", "one_image", "two_algorithms", "two_inputs"]
Truth = Literal["real", "fake", "match", "other"]
Presentation = Literal["sequential", "simultaneous"]
ImageIndex = Mapping[tuple[str, int, str], Stimulus]
"""Images by condition, training run and input."""


@dataclass(frozen=True)
class Button:
    """One answer the participant may give."""

    value: Choice
    label: Told
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
    text: Told | None = None
    """The question."""
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of the instructions: what happens in a trial, with a small drawing of it."""

    picture: Literal["one", "first", "second", "both", "keys", "mask", "input"]
    """Which drawing: one image in the middle, the first (left), the second (right), both, the answer keys, noise, or a
    picture that is shown before."""
    text: Told


@dataclass(frozen=True)
class Instructions:
    """What a participant is told before the first trial, and what the study was about after the last."""

    lead: Told
    """What will be seen."""
    asked: Told
    """The question of every trial."""
    steps: tuple[Step, ...]
    debriefing: Told
    """Paragraphs, with an empty line between them."""


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
    layout: ClassVar[Layout]
    """What a trial is made of, which is all that the plan knows of a protocol: a fake and a real image; one image, real
    or fake; the same input by two algorithms; two inputs by the same algorithm."""
    analyses: ClassVar[tuple[str, ...]]
    """Analyses that fit its outcome: the keys that study.toml may plan, the first ones by default."""
    gives_feedback: ClassVar[bool] = True
    """Whether an answer can be right or wrong, so that practice can say so."""
    adapts_exposure: ClassVar[bool] = False
    """Whether answers change how long later images are shown."""
    pays_per_correct: ClassVar[bool] = False
    """Whether it knows a bonus per correct answer (`bonus_per_correct_cents`)."""

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

    def check_study(self, study: "Study") -> None:  # noqa: B027  (most protocols ask for nothing)
        """Whether the rest of the study fits the protocol.

        Raises:
            ValueError: It does not; names the setting, and what to set.
        """

    def plan(self, study: "Study", images: Sequence[Stimulus], place: "Place") -> SessionPlan:
        """The trials of one place, one per pairing, with the images of its condition."""
        index = {(image.condition, image.run, image.source_id): image for image in images}
        trials = [
            self.trial(study, index, pairing, number)
            for number, pairing in enumerate(place.pairings)
            if pairing.phase != "reserve"
        ]
        reserve = [
            self.trial(study, index, pairing, 0) for pairing in place.pairings if pairing.phase == "reserve"
        ]
        return SessionPlan(tuple(trials), tuple(reserve))

    @abc.abstractmethod
    def trial(self, study: "Study", index: "ImageIndex", pairing: "Pairing", number: int) -> Trial:
        """What one pairing shows; one of the reserve becomes a scored trial."""

    @abc.abstractmethod
    def schedule(self, trial: Trial) -> tuple[Frame, ...]:
        """What the page shows, step by step; goes to the page, so it must tell nothing of the truth."""

    @abc.abstractmethod
    def instructions(self, question: Question) -> Instructions:
        """What participants are told of the trials and of the study; `question` as in study.toml."""

    @abc.abstractmethod
    def grade(self, trial: Trial, choice: Choice) -> float:
        """The outcome of an answer: 0, 0.5 or 1, by the meaning that `outcome` names."""

    def passes(self, trial: Trial, choice: Choice) -> float:
        """1 if an attention check was answered as everybody awake answers it, else 0.

        Raises:
            ValueError: As `grade`.
        """
        return float(self.grade(trial, choice) == 1.0)

    def truth(self, trial: Trial) -> Mapping[int, Truth]:
        """What each image was, for the feedback after a practice answer; empty where nothing is right or wrong."""
        return {
            number: "real" if slot.condition == REAL else "fake" for number, slot in enumerate(trial.slots, 1)
        }

    def alike(self, trial: Trial) -> Hashable:  # noqa: ARG002  (most protocols have one kind of trial)
        """The kind of a trial: a void one is replaced by one of its own kind while the reserve has any."""
        return None

    def next_trial(self, plan: SessionPlan, issued: Sequence[Issued]) -> Trial | None:
        """The trial to send after those already issued, or None when there is none left.

        Planned trials come first, in order; then, for each void scored trial not yet replaced, the next of the
        reserve under the same index with the next attempt. Void practice trials are not replaced: nothing is
        measured in them; nor are void checks, of which there are several. Pure; a protocol may let answers change the
        next exposure, never the next images.
        """
        if len(issued) < len(plan.trials):
            return plan.trials[len(issued)]
        waiting = next(self._unreplaced(issued), None)
        seen = {image for item in issued for image in _images(item.trial)}
        left = [trial for trial in plan.reserve if seen.isdisjoint(_images(trial))]
        if waiting is None or not left:
            return None
        stand_in = next((trial for trial in left if self.alike(trial) == self.alike(waiting)), left[0])
        return dataclasses.replace(stand_in, trial_index=waiting.trial_index, attempt=waiting.attempt + 1)

    @staticmethod
    def _unreplaced(issued: Sequence[Issued]) -> Iterator[Trial]:
        taken = {(item.trial.trial_index, item.trial.attempt) for item in issued}
        for item in issued:
            trial = item.trial
            if item.void and trial.phase == "scored" and (trial.trial_index, trial.attempt + 1) not in taken:
                yield trial

    def parameters(self) -> dict[str, Any]:
        """The values of this protocol's settings, as they stand in study.toml, name first."""
        return {"name": self.name, **dataclasses.asdict(self)}  # type: ignore[call-overload]  # every subclass is a dataclass


def _images(trial: Trial) -> tuple[str, ...]:
    """What it shows to be judged; no image is judged twice in a session, not even after an attention check."""
    return tuple(slot.image for slot in trial.slots)


def slot_of(image: Stimulus, side: Side, planned_ms: int) -> Slot:
    """An image in its place."""
    return Slot(image.id, image.source_id, image.condition, image.run, side, planned_ms)


def phase_of(pairing: "Pairing") -> Phase:
    """A stand-in counts like the trial that it stands in for."""
    return "scored" if pairing.phase == "reserve" else pairing.phase


def sides_of(pairing: "Pairing") -> tuple[Side, Side]:
    """Where the pairing's own image stands, and where the other one does."""
    return ("left", "right") if pairing.fake_left else ("right", "left")


def side_buttons(trial: Trial) -> tuple[Button, ...]:
    """A button under each of two images, from left to right."""
    buttons = [
        Button(
            "first" if number == 1 else "second",
            told("Left") if slot.side == "left" else told("Right"),
            slot.side,
        )
        for number, slot in enumerate(trial.slots, 1)
    ]
    return tuple(sorted(buttons, key=lambda button: button.side))


def chosen_slot(protocol: Protocol, choice: Choice) -> int:
    """The slot that a button under an image stands for.

    Raises:
        ValueError: `choice` is neither `first` nor `second`.
    """
    if choice not in ("first", "second"):
        raise ValueError(f"{protocol.name} has no choice {choice!r}")
    return 1 if choice == "first" else 2


def duration(ms: int) -> Told:
    """A time in words.

    >>> str(duration(1000)), str(duration(700))
    ('one second', '0.7 seconds')
    """
    if ms == 1000:
        return told("one second")
    if ms == 500:
        return told("half a second")
    return told("{seconds} seconds", seconds=f"{ms / 1000:g}")


ANSWER_BY_SIDE = Step(
    "keys",
    told("Answer with the ← and → keys, or press the button under the side you mean."),
)
"""For questions about a side."""
