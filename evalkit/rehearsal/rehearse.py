"""A whole rehearsal: grid point by grid point, then what could be changed; each finished part is on disk at once."""

import dataclasses
import hashlib
import importlib.metadata
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from evalkit.rehearsal import advice
from evalkit.rehearsal.assumptions import GridPoint, Range
from evalkit.rehearsal.certificate import FILE
from evalkit.rehearsal.characteristics import Maker, equal_losses, of_point
from evalkit.rehearsal.places import Places, images_of, made_up_images, plan_places
from evalkit.rehearsal.running import Runner, runner
from evalkit.rehearsal.slow import slow_records
from evalkit.rehearsal.studies import ALL_HALF, DIFFERENT, EQUAL, EQUAL_LOSSES, Batch
from evalkit.rehearsal.words import AS_IT_IS
from evalkit.results import Estimate, Provenance, Result, write_results
from studies.design import Study
from studies.records import Stimulus

PACKAGES = ("evalkit", "numpy", "scipy", "pandas")
PROPOSED = ("half_width_of_fool_rate", "half_width_of_difference", "power", "cost")
"""What is told of a changed design."""
LEAST = 20
"""Studies of the smaller parts, at least."""

Tell = Callable[[int, int, str], None]
"""Is told how many studies are done, of how many, and of what."""


@dataclass(frozen=True)
class Plan:
    """How much is to be rehearsed."""

    studies: int = 1000
    """Per grid point, half of them with equal algorithms and half with different ones."""
    slow: int = 50
    """For planned analyses that resample or fit a model."""
    full: bool = False
    """Every combination of the standard deviations, not only all low, all middle, all high."""
    seed: int = 0
    processes: int = 2

    @property
    def half(self) -> int:
        """Studies of each of the two main scenarios."""
        return max(self.studies // 2, 1)

    @property
    def small(self) -> int:
        """Studies of the smaller parts."""
        return max(self.studies // 5, min(self.half, LEAST))


@dataclass(frozen=True)
class Outcome:
    """What a rehearsal came to."""

    results: tuple[Result, ...]
    seconds_per_point: tuple[float, ...]
    """Wall clock of each grid point, without the plan."""
    interrupted: bool


def rehearse(study: Study, folder: Path, range_: Range, plan: Plan, tell: Tell = lambda *_: None) -> Outcome:
    """Run the study in `folder` many times and replace its rehearsal.jsonl.

    The file is written anew after each grid point. An interrupt (Ctrl-C) keeps the grid points that are done; if none
    is, an earlier rehearsal stays as it was.

    Raises:
        UserError: The study cannot be rehearsed, or its images cannot be read.
        KeyboardInterrupt: Stopped before the first grid point was done.
    """
    images, whence = images_of(study, folder)
    places = plan_places(study, images)
    work = _Work(study, folder, images, places, range_, plan, tell, whence)
    return work.all()


class _Work:
    def __init__(
        self, study: Study, folder: Path, images: Sequence[Stimulus], places: Places, range_: Range, plan: Plan, tell: Tell,
        whence: str,
    ) -> None:  # fmt: skip
        self.study, self.folder, self.images, self.places = study, folder, images, places
        self.range, self.plan, self.tell = range_, plan, tell
        self.grid = range_.grid(study, full=plan.full)
        self.design = advice.design_of(study, images)
        self.proposals = advice.proposals(study, self.design)
        self.provenance = _provenance(study, folder)
        self.results: list[Result] = []
        self.seconds: list[float] = []
        self.whence = whence
        self.done, self.about = 0, ""
        self.total = self._count()

    def all(self) -> Outcome:
        """Everything, or what was done before an interrupt."""
        try:
            with self._runner(self.study, self.places) as runs:
                for point in self.grid:
                    begun = time.perf_counter()
                    self._point(runs, point)
                    self.seconds.append(time.perf_counter() - begun)
                    self._write(interrupted=True)
            self._advise()
        except KeyboardInterrupt:
            if not self.seconds:
                raise
            self._write(interrupted=True)
            return Outcome(tuple(self.results), tuple(self.seconds), interrupted=True)
        self._write(interrupted=False)
        return Outcome(tuple(self.results), tuple(self.seconds), interrupted=False)

    def _runner(self, study: Study, places: Places) -> AbstractContextManager[Runner]:
        return runner(study, places, seed=self.plan.seed, processes=self.plan.processes, done=self._done)

    def _done(self, studies: int) -> None:
        self.done += studies
        self.tell(self.done, self.total, self.about)

    def _count(self) -> int:
        per_point = 2 * self.plan.half + (self.plan.small if self._has_margin else 0)
        losses = self.plan.small if self._asks_for_losses else 0
        return len(self.grid) * per_point + losses + self.plan.small * len(self.proposals)

    @property
    def _has_margin(self) -> bool:
        return self.study.analysis.equivalence_margin is not None

    @property
    def _asks_for_losses(self) -> bool:
        return self.study.analysis.target != "this loss" and len(self.study.conditions) > 1

    def _maker(self, point: GridPoint) -> Maker:
        return Maker(self.study, point, self.provenance, self.plan.seed)

    def _point(self, runs: Runner, point: GridPoint) -> None:
        self.about = point.name
        scenarios = {EQUAL: self.plan.half, DIFFERENT: self.plan.half}
        if self._has_margin:
            scenarios[ALL_HALF] = self.plan.small
        batches = {name: runs.run(point, name, count) for name, count in scenarios.items()}
        self.results += of_point(self._maker(point), batches)
        if point == self.grid[0]:
            self.results += self._proposed(
                advice.Proposal(AS_IT_IS, self.design), self.study, batches[DIFFERENT]
            )
            self._losses(runs, point)
            self.results += slow_records(self.study, self.places, self._maker(point), self.plan.slow)

    def _losses(self, runs: Runner, point: GridPoint) -> None:
        if not self._asks_for_losses:
            return
        middle = self.range.run_sd[len(self.range.run_sd) // 2]
        with_runs = dataclasses.replace(point, run_sd=middle)
        batch = runs.run(with_runs, EQUAL_LOSSES, self.plan.small)
        self.results.append(equal_losses(self._maker(with_runs), batch))

    def _advise(self) -> None:
        self.results += self._needed()
        for proposal in self.proposals:
            self.about = proposal.name
            study, inputs = advice.changed(self.study, proposal.design)
            places = plan_places(study, made_up_images(study, inputs))
            with self._runner(study, places) as runs:
                batch = runs.run(self.grid[0], DIFFERENT, self.plan.small)
            self.results += self._proposed(proposal, study, batch)

    def _proposed(self, proposal: advice.Proposal, study: Study, batch: Batch) -> list[Estimate]:
        maker = dataclasses.replace(self._maker(self.grid[0]), study=study)
        records = [one for one in of_point(maker, {EQUAL: batch, DIFFERENT: batch}) if not one.condition]
        predicted = advice.predicted_power(self.study, self.grid[0], proposal.design)
        told = "" if predicted is None else f"Power by the formula alone: {100 * predicted:.0f} %."
        return [
            dataclasses.replace(
                one,
                key=f"proposed_{one.key}",
                detail=proposal.name,
                notes=(*one.notes, *([told] if told and one.key == "power" else [])),
            )
            for one in records
            if one.key in PROPOSED
        ]

    def _needed(self) -> list[Estimate]:
        """People for the power that a design should have, with these inputs and with more."""
        if len(self.study.conditions) < 2:
            return []
        method = (
            f"formula, {self.grid[0].name}: people per algorithm for {100 * advice.POWER:.0f} % power at a difference of "
            f"{100 * self.study.analysis.smallest_difference:g} points, one contrast by itself"
        )
        return [
            Estimate(
                key="people_for_power", value=people, unit="people", method=method, detail=f"{inputs} inputs",
                notes=() if people else (f"No number of people is enough with {inputs} inputs.",), provenance=self.provenance,
            )
            for inputs, people in advice.people_needed(self.study, self.grid[0], self.design)
        ]  # fmt: skip

    def _write(self, *, interrupted: bool) -> None:
        settings = self.study.rehearsal
        assumed = ", ".join(
            f"{name} {getattr(settings, name):g}"
            for name in type(settings).model_fields
            if isinstance(getattr(settings, name), float)
        )
        notes = [
            f"Standard deviations from {self.range.source}; the plan from {self.whence}.",
            f"Assumed: {assumed}.",
        ]
        if len(self.seconds) < len(self.grid):
            notes.append(f"Interrupted: {len(self.seconds)} of {len(self.grid)} grid points were rehearsed.")
        elif interrupted and any(not one.key.startswith("proposed") for one in self.results):
            notes.append("The changed designs were not rehearsed to the end.")
        head = Estimate(
            key="rehearsal", value=float(2 * self.plan.half), unit="studies per grid point", seed=self.plan.seed,
            method="whole studies simulated from the study's own plan, through the analyses of the real answers",
            n={
                "grid_points": len(self.seconds), "inputs": self.design.images, "people_per_condition": self.design.workers,
                "conditions": len(self.study.conditions), "scored_trials": self.study.protocol.scored, "runs": self.study.runs,
            },
            notes=tuple(notes), provenance=self.provenance,
        )  # fmt: skip
        write_results(self.folder / FILE, [head, *self.results])


def _provenance(study: Study, folder: Path) -> Provenance:
    digests = {"study settings": study.digest()}
    manifest = folder / "stimuli" / "manifest.json"
    if manifest.is_file():
        digests["stimuli/manifest.json"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return Provenance(
        study=study.id,
        data="rehearsal",
        target=study.analysis.target,
        status="planned",
        analysis="rehearsal",
        digests=digests,
        software={"python": platform.python_version(), **versions},
    )
