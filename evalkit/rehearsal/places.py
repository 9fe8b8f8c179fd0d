"""The study's own plan as arrays, made once: every place, every trial, what it shows and how each answer is graded."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studies.design import Study
from studies.errors import UserError
from studies.plan import Place, allocate, plan_session
from studies.protocols.base import Protocol
from studies.records import INPUT, NOT_GENERATED, REAL, Choice, Slot, Stimulus, Trial
from studies.stimuli import FOLDER, collect, load_bundle

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
ObjectArray = npt.NDArray[np.object_]

PRACTICE, SCORED, CHECK, RESERVE = range(4)
_PHASES = {"practice": PRACTICE, "scored": SCORED, "check": CHECK}
NONE = -1
"""No algorithm, no fake, no real image."""


@dataclass(frozen=True)
class Places:
    """All places: a row for each, in the order in which they are handed out, and a column for each planned trial.

    Every array has the shape (places, trials), practice, scored trials and checks in order of showing, then the reserve.
    """

    conditions: tuple[str, ...]
    inputs: tuple[str, ...]
    runs: int
    place_condition: ObjectArray
    """Shape (places,): the algorithm; empty in a within design."""
    place_index: IntArray
    """Shape (places,)."""
    phase: IntArray
    algorithm: IntArray
    """Of the fake: an index into `conditions`; NONE where there is none, as in attention checks."""
    run: IntArray
    fake: IntArray
    """The fake's input; NONE where there is none."""
    real: IntArray
    """The real image's input; NONE where there is none."""
    real_alone: BoolArray
    """A single real image is judged."""
    first_answer: BoolArray
    """Whether the first of the two answers is the mistaken one (of a check: the failing one)."""
    mistake_is_left: BoolArray
    """Whether the mistaken answer's button stands on the left."""
    columns: Mapping[str, ObjectArray]
    """What a response says whatever the answer is, by column, each of shape (places * trials,)."""
    answers: tuple[Choice, Choice]

    @property
    def count(self) -> int:
        """Places."""
        return len(self.place_index)

    @property
    def length(self) -> int:
        """Trials of a place, reserve included."""
        return int(self.phase.shape[1])


def images_of(study: Study, folder: Path) -> tuple[tuple[Stimulus, ...], str]:
    """The study's images: those of its bundle, or, before it is built, named after the folders' inputs.

    Returns:
        The images and where they are from, in words.

    Raises:
        UserError: The bundle does not fit study.toml, or a folder of images cannot be read.
    """
    if (folder / FOLDER / "manifest.json").is_file():
        return load_bundle(folder, verify=False).stimuli, "the stimulus bundle"
    sources, _ = collect(study, folder.resolve())
    inputs = [image.source_id for image in sources[1].images.images]
    return made_up_images(study, inputs), "the image folders (the bundle is not built yet)"


def made_up_images(study: Study, inputs: Sequence[str]) -> tuple[Stimulus, ...]:
    """A stimulus for each input, algorithm and training run, with nothing behind it."""
    sets = [(REAL, 0), *((name, run) for name in study.conditions for run in range(study.runs))]
    if study.reference.inputs is not None:
        sets.append((INPUT, 0))
    if study.checks_per_session:
        sets.append(("check", 0))
    return tuple(
        Stimulus(f"{name}.{run}.{source}", name, run, source, "", "", "")
        for name, run in sets
        for source in inputs
    )


def plan_places(study: Study, images: Sequence[Stimulus]) -> Places:
    """Draw the study's places, as the server will, and lay them out as arrays.

    Raises:
        UserError: The protocol's outcome is no fool rate, or a session needs more inputs than there are.
    """
    if "fool_rate" not in study.protocol.analyses:
        raise UserError(
            f"protocol {study.protocol.name!r} has no fool rate (its outcome: {study.protocol.outcome}), and a rehearsal "
            "knows fool rates and their differences only. Protocols that can be rehearsed: two_afc, yes_no."
        )
    places = allocate(study, images)
    planned = [_trials(study, images, place) for place in places]
    conditions = tuple(study.conditions)
    inputs = tuple(sorted({image.source_id for image in images}))
    number = {name: index for index, name in enumerate(inputs)}
    algorithm = {name: index for index, name in enumerate(conditions)}

    def each(of: Callable[[Trial], int], dtype: Any = np.int64) -> Any:
        return np.array([[of(trial) for trial, _ in trials] for trials in planned], dtype=dtype)

    def source(slot: Slot | None) -> int:
        return NONE if slot is None else number[slot.source_id]

    answers = _answers(study.protocol, planned[0][0][0])
    mistakes = [[_mistake(study.protocol, trial, answers) for trial, _ in trials] for trials in planned]
    return Places(
        conditions=conditions,
        inputs=inputs,
        runs=study.runs,
        place_condition=np.array([place.condition for place in places], dtype=object),
        place_index=np.array([place.index for place in places]),
        phase=np.array([[phase for _, phase in trials] for trials in planned]),
        algorithm=each(lambda trial: algorithm[fake.condition] if (fake := _fake(trial)) else NONE),
        run=each(lambda trial: fake.run if (fake := _fake(trial)) else 0),
        fake=each(lambda trial: source(_fake(trial))),
        real=each(lambda trial: source(_real(trial))),
        real_alone=each(lambda trial: len(trial.slots) == 1 and _real(trial) is not None, np.bool_),
        first_answer=np.array([[first for first, _ in row] for row in mistakes]),
        mistake_is_left=np.array([[left for _, left in row] for row in mistakes]),
        columns=_columns(places, planned),
        answers=answers,
    )


def _trials(study: Study, images: Sequence[Stimulus], place: Place) -> list[tuple[Trial, int]]:
    plan = plan_session(study, images, place)
    shown = [(trial, _PHASES[trial.phase]) for trial in plan.trials]
    return shown + [(trial, RESERVE) for trial in plan.reserve]


def _fake(trial: Trial) -> Slot | None:
    return next((slot for slot in trial.slots if slot.condition not in NOT_GENERATED), None)


def _real(trial: Trial) -> Slot | None:
    return next((slot for slot in trial.slots if slot.condition == REAL), None)


def _answers(protocol: Protocol, trial: Trial) -> tuple[Choice, Choice]:
    first, second = sorted(button.value for button in protocol.schedule(trial)[-1].buttons)
    return first, second


def _mistake(protocol: Protocol, trial: Trial, answers: tuple[Choice, Choice]) -> tuple[bool, bool]:
    """Whether the first answer is the mistaken one, and whether the mistaken one's button stands on the left."""
    judge = protocol.passes if trial.phase == "check" else protocol.grade
    first = judge(trial, answers[0]) == 0
    mistaken = answers[0] if first else answers[1]
    buttons = {button.value: button.side for button in protocol.schedule(trial)[-1].buttons}
    return first, buttons[mistaken] == "left"


def _columns(places: Sequence[Place], planned: Sequence[list[tuple[Trial, int]]]) -> dict[str, ObjectArray]:
    rows = [
        _row(place, number, trial, phase)
        for place, trials in zip(places, planned, strict=True)
        for number, (trial, phase) in enumerate(trials)
    ]
    return {name: np.array([row[name] for row in rows], dtype=object) for name in rows[0]}


def _row(place: Place, number: int, trial: Trial, phase: int) -> dict[str, Any]:
    """The columns of Response that a planned trial settles; a stand-in's index is settled when it is used."""
    fake = _fake(trial)
    row: dict[str, Any] = {
        "condition": fake.condition if fake else place.condition,
        "run": float(fake.run) if fake else np.nan,
        "phase": trial.phase,
        "trial_index": NONE if phase == RESERVE else number,
        "question": trial.question,
        "target": np.nan if trial.target is None else float(trial.target),
    }
    for slot_number in (1, 2):
        slot = trial.slots[slot_number - 1] if slot_number <= len(trial.slots) else None
        shown = dataclasses.asdict(slot) if slot else {}
        row |= {
            f"image_{slot_number}": shown.get("image", ""),
            f"source_id_{slot_number}": shown.get("source_id", ""),
            f"condition_{slot_number}": shown.get("condition", ""),
            f"run_{slot_number}": float(shown["run"]) if slot else np.nan,
            f"side_{slot_number}": shown.get("side", ""),
            f"planned_ms_{slot_number}": float(shown["planned_ms"] or "nan") if slot else np.nan,
        }
    return row
