"""One simulated study: people who differ, images that differ, voids, stand-ins, and people who leave."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from evalkit.rehearsal.assumptions import GridPoint, centre_for, mean_rate, pooled
from evalkit.rehearsal.places import (
    CHECK,
    NONE,
    PRACTICE,
    RESERVE,
    SCORED,
    BoolArray,
    FloatArray,
    IntArray,
    ObjectArray,
    Places,
)
from evalkit.responses import COLUMNS
from studies.design import Study
from studies.records import Arrival, Response, Session

ROUNDS = 60
"""How often one place is handed out at most; with half of all people leaving, 1 place in 10^18 stays empty."""
CHECK_SLIP = 0.02
"""Share of attention checks that careful people fail."""
VOID_SHAPE = 0.5
"""First parameter of the beta distribution of people's void shares: most have hardly any, a few have many."""
CARELESS_RT_MS, CAREFUL_RT_MS = 180.0, 800.0
"""Median response times; plausible, not fitted."""


@dataclass(frozen=True)
class World:
    """What is assumed of people and images in one simulated study."""

    point: GridPoint
    rates: tuple[float, ...]
    """Of each algorithm: its mean over people, images and, if the target is the loss, runs."""
    real_mistakes: float
    """How often a real image that is judged alone is called fake."""
    runs_differ: bool
    """Whether training runs are drawn anew; else all runs of an algorithm are alike."""


@dataclass(frozen=True)
class Simulated:
    """One simulated study, as the server would export it, and the truth behind it."""

    responses: pd.DataFrame
    sessions: pd.DataFrame
    arrivals: pd.DataFrame
    truth: FloatArray
    """Shape (algorithms,): the true rates that the study's target means."""


@dataclass(frozen=True)
class _People:
    """Everybody who came, place by place."""

    place: IntArray
    ease: FloatArray
    """How easily fooled, logits."""
    lean: FloatArray
    """To the left, logits."""
    careless: IntArray
    """0 careful, 1 answers by chance, 2 always answers left."""
    stop_at: IntArray
    """The trial before which they leave; the length of a session if they stay."""

    @cached_property
    def count(self) -> int:
        return len(self.place)


@dataclass(frozen=True)
class _Shown:
    """The trials that were shown, one row each, session by session."""

    person: IntArray
    cell: IntArray
    """Place times length plus number: where the plan has it."""
    trial_index: IntArray
    attempt: IntArray
    void: BoolArray


class Simulator:
    """Draws whole studies from one plan."""

    def __init__(self, study: Study, places: Places) -> None:
        """`places` must be the study's own."""
        self.study, self.places, self.settings = study, places, study.rehearsal
        # Practice is shown to everybody, but nothing that is rehearsed reads it unless a rule does.
        self._practice = getattr(study.exclusions, "min_practice_correct", None) is not None
        self._defaults = {name: _empty(name) for name in COLUMNS if name not in places.columns}

    def draw(self, world: World, rng: np.random.Generator) -> Simulated:
        """One study."""
        people = self._people(world, rng)
        shown = self._shown(people, rng)
        logits, truth = self._images(world, rng)
        chance = self._chances(logits, people, shown)
        mistaken = rng.random(len(chance)) < chance
        answers = self._answers(mistaken, people, shown, rng)
        return Simulated(self._responses(shown, answers), self._sessions(people), _nobody_else(), truth)

    def _people(self, world: World, rng: np.random.Generator) -> _People:
        """Each place goes to one person after the other until one stays to the end."""
        pending, parts = np.arange(self.places.count), []
        for _ in range(ROUNDS):
            if not pending.size:
                break
            came = self._come(pending, world.point, rng)
            parts.append(came)
            pending = pending[came.stop_at < self._main]
        names = [field.name for field in dataclasses.fields(_People)]
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        order = np.argsort(joined["place"], kind="stable")
        return _People(**{name: values[order] for name, values in joined.items()})

    def _come(self, places: IntArray, point: GridPoint, rng: np.random.Generator) -> _People:
        size, settings = len(places), self.settings
        ability = rng.standard_normal(size)
        slope = settings.attrition_by_ability
        leaving = np.zeros(size, dtype=np.bool_)
        if settings.attrition:
            centre = centre_for(settings.attrition, abs(slope))
            leaving = rng.random(size) < special.expit(centre + slope * ability)
        kind = np.where(rng.random(size) < settings.careless_share, rng.integers(1, 3, size), 0)
        leave_at = rng.integers(0, self._main, size)
        return _People(
            place=places,
            ease=point.worker_sd * ability,
            lean=settings.side_sd * rng.standard_normal(size),
            careless=kind,
            stop_at=np.where(leaving, leave_at, self._main),
        )

    @cached_property
    def _main(self) -> int:
        """Trials before the reserve; alike in all places."""
        return int((self.places.phase[0] != RESERVE).sum())

    @cached_property
    def _stand_in_kinds(self) -> BoolArray:
        """What kind of trial a stand-in must be; shape (places, trials)."""
        return self.places.real_alone

    def _shown(self, people: _People, rng: np.random.Generator) -> _Shown:
        """Who saw which trial, which became void, and what stood in for it."""
        void = self._void(people, rng)
        phase = self.places.phase[people.place]
        number = np.arange(self._main)
        seen = number < people.stop_at[:, None]
        if not self._practice:
            seen &= phase[:, : self._main] != PRACTICE
        person, trial = np.nonzero(seen)
        cell = people.place[person] * self.places.length + trial
        planned = _Shown(person, cell, trial, np.zeros_like(trial), void[person, trial])
        stood_in = self._stand_ins(people, phase, void)
        rows = [
            np.concatenate(pair)
            for pair in zip(dataclasses.astuple(planned), dataclasses.astuple(stood_in), strict=True)
        ]
        order = np.argsort(rows[0], kind="stable")
        return _Shown(*(row[order] for row in rows))

    def _void(self, people: _People, rng: np.random.Generator) -> BoolArray:
        share = self.settings.void_share
        if share == 0:
            return np.zeros((people.count, self.places.length), dtype=np.bool_)
        own = rng.beta(VOID_SHAPE, VOID_SHAPE * (1 - share) / share, people.count)
        return rng.random((people.count, self.places.length)) < own[:, None]

    def _stand_ins(self, people: _People, phase: IntArray, void: BoolArray) -> _Shown:
        """For each void scored trial the first reserve trial of its kind, or any, as `Protocol.next_trial` takes them."""
        found: list[tuple[int, int, int, int, bool]] = []
        holes = void[:, : self._main] & (phase[:, : self._main] == SCORED)
        first = self._main
        for person in np.flatnonzero(holes.any(axis=1) & (people.stop_at == self._main)).tolist():
            place = int(people.place[person])
            kinds = self._stand_in_kinds[place]
            left = list(range(first, self.places.length))
            waiting = [(int(index), 0, kinds[index]) for index in np.flatnonzero(holes[person])]
            for index, attempt, kind in waiting:  # grows while it is walked: a stand-in can become void too
                if not left:
                    break
                taken = next((one for one in left if kinds[one] == kind), left[0])
                left.remove(taken)
                gone = bool(void[person, taken])
                found.append((person, place * self.places.length + taken, index, attempt + 1, gone))
                if gone:
                    waiting.append((index, attempt + 1, kinds[taken]))
        columns = list(zip(*found, strict=True)) or [()] * 5
        numbers = [np.array(column, dtype=np.int64) for column in columns]
        return _Shown(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4].astype(np.bool_))

    def _images(self, world: World, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Logit of a mistake in each planned cell for an average person, and the algorithms' true rates."""
        places, settings, point = self.places, self.settings, world.point
        inputs, kinds = len(places.inputs), len(places.conditions)
        own_share = 1 - settings.shared_image_variance
        shared = point.image_sd * np.sqrt(1 - own_share) * rng.standard_normal(inputs)
        own = point.image_sd * np.sqrt(own_share) * rng.standard_normal((kinds, places.runs, inputs))
        real_sd = 0.0 if bool((places.real[places.fake != NONE] == NONE).all()) else settings.real_image_sd
        reals = settings.real_image_sd * rng.standard_normal(inputs)
        run_sd = point.run_sd if world.runs_differ else 0.0
        runs = run_sd * rng.standard_normal((kinds, places.runs))
        people = pooled((point.worker_sd, settings.side_sd))
        everything = pooled((people, point.image_sd, real_sd, run_sd))
        centres = np.array([centre_for(rate, everything) for rate in world.rates])
        fakes = centres[:, None, None] + runs[:, :, None] + shared + own
        has_fake = places.fake != NONE
        logits = np.where(has_fake, fakes[places.algorithm, places.run, places.fake], 0.0)
        logits += np.where(places.real != NONE, reals[places.real], 0.0)
        alone = centre_for(world.real_mistakes, pooled((people, settings.real_image_sd)))
        logits += np.where(places.real_alone, alone, 0.0)
        if self.study.analysis.target == "this loss":
            return logits, np.array(world.rates)
        if self.study.analysis.target == "these images":
            return logits, self._of_these_images(logits, people)
        generators = mean_rate(centres[:, None] + runs, pooled((people, point.image_sd, real_sd)))
        return logits, generators.mean(axis=1)

    def _of_these_images(self, logits: FloatArray, people_sd: float) -> FloatArray:
        """The mean over people of each algorithm's planned scored trials."""
        counted = (self.places.phase == SCORED) & (self.places.fake != NONE)
        which, kinds = self.places.algorithm[counted], len(self.places.conditions)
        sums = np.bincount(which, weights=mean_rate(logits[counted], people_sd), minlength=kinds)
        return sums / np.maximum(np.bincount(which, minlength=kinds), 1)

    def _chances(self, logits: FloatArray, people: _People, shown: _Shown) -> FloatArray:
        left = self.places.mistake_is_left.ravel()[shown.cell]
        lean = np.where(left, 1.0, -1.0) * people.lean[shown.person]
        chance = special.expit(logits.ravel()[shown.cell] + people.ease[shown.person] + lean)
        chance = np.where(self.places.phase.ravel()[shown.cell] == CHECK, CHECK_SLIP, chance)
        careless = people.careless[shown.person]
        return np.where(careless == 0, chance, np.where(careless == 1, 0.5, left))

    def _answers(
        self, mistaken: BoolArray, people: _People, shown: _Shown, rng: np.random.Generator
    ) -> dict[str, Any]:
        first = self.places.first_answer.ravel()[shown.cell] == mistaken
        names = np.array([self.places.answers[1], self.places.answers[0]], dtype=object)
        median = np.where(people.careless == 0, CAREFUL_RT_MS, CARELESS_RT_MS)
        median = median * np.exp(0.3 * rng.standard_normal(people.count))
        times = median[shown.person] * np.exp(0.5 * rng.standard_normal(len(first)))
        return {
            "session": _names("s", people.count)[shown.person],
            "worker": _names("w", people.count)[shown.person],
            "trial_index": shown.trial_index,
            "attempt": shown.attempt,
            "choice": np.where(shown.void, "", names[first.astype(np.int64)]),
            "outcome": np.where(shown.void, np.nan, 1.0 - mistaken),
            "rt_ms": np.where(shown.void, np.nan, times),
            "void_reason": np.where(shown.void, "hidden", "").astype(object),
            "refresh_hz": np.full(len(first), 60.0),
        }

    def _responses(self, shown: _Shown, answers: dict[str, Any]) -> pd.DataFrame:
        size = len(shown.cell)
        columns: dict[str, Any] = {}
        for name in COLUMNS:
            if name in answers:
                columns[name] = answers[name]
            elif name in self.places.columns:
                columns[name] = self._planned(name)[shown.cell]
            elif name in ("exposure_ms_1", "exposure_ms_2"):
                columns[name] = self._planned(f"planned_ms_{name[-1]}")[shown.cell]
            else:
                columns[name] = np.full(size, self._defaults[name])
        return pd.DataFrame(columns)

    def _planned(self, name: str) -> Any:
        return self._typed[name]

    @cached_property
    def _typed(self) -> dict[str, Any]:
        """The planned columns; numbers as floats."""
        return {
            name: values if isinstance(values[0], str) else values.astype(np.float64)
            for name, values in self.places.columns.items()
        }

    def _sessions(self, people: _People) -> pd.DataFrame:
        state = np.where(people.stop_at == self._main, "finished", "stopped").astype(object)
        at = "2000-01-01T00:00:00+00:00"
        known = {
            "study": self.study.id,
            "data": "rehearsal",
            "session": _names("s", people.count),
            "worker": _names("w", people.count),
            "condition": self.places.place_condition[people.place],
            "place_index": self.places.place_index[people.place],
            "state": state,
            "started_at": at,
            "finished_at": np.where(state == "finished", at, "").astype(object),
        }
        fields = [field.name for field in dataclasses.fields(Session)]
        return pd.DataFrame({name: known.get(name, "") for name in fields}, index=pd.RangeIndex(people.count))


def _names(prefix: str, count: int) -> ObjectArray:
    return np.array([f"{prefix}{number}" for number in range(count)], dtype=object)


def _empty(name: str) -> Any:
    """What a column of Response holds where nothing was measured."""
    kinds = {field.name: field.type for field in dataclasses.fields(Response)}
    return "" if kinds.get(name) in (str, "str") else np.nan


def _nobody_else() -> pd.DataFrame:
    return pd.DataFrame({field.name: [] for field in dataclasses.fields(Arrival)})
