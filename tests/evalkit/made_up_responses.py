"""A whole study folder with known answers: crossed worker and image effects, real records, real pictures."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.special import expit, logit

from studies.design import load_study
from studies.imagesets import write_manifest
from studies.records import REAL, Arrival, DataKind, Response, Session, SessionState, write_csv
from studies.stimuli import build_bundle

STUDY_TOML = """
[study]
id = "made-up"
preset = {preset}
pairing = "{pairing}"
design = "{design}"
participants_per_condition = {workers}
seed = 7
[protocol]
name = "two_afc"
practice = 2
scored = {trials}
[reference]
images = "real"
{conditions}
[exclusions]
max_void_trials = 5
[analysis]
target = "{target}"
planned = {planned}
[ethics]
approval = "IRB 2026-17"
contact = "study@lab.example"
retention = "ten years, without names"
pay = "2 pounds, also for those who stop"
"""


@dataclass
class MadeUp:
    """What the made-up study is like; every field can be changed before `write`."""

    rates: dict[str, float] = field(default_factory=lambda: {"pix2pix": 0.3, "cyclegan": 0.2})
    workers: int = 12
    """Finished sessions per condition."""
    images: int = 24
    trials: int = 20
    """Scored trials per session."""
    runs: int = 1
    worker_sd: float = 0.5
    image_sd: float = 0.7
    pairing: str = "different"
    design: str = "between"
    target: str = "this generator"
    planned: str = '["fool_rate", "pairwise_differences"]'
    preset: str = '"pix2pix2017"'
    data: DataKind = "live"
    observer: str = ""
    seed: int = 1
    stopped: int = 1
    """Sessions per condition that stop halfway, in addition."""
    voided: int = 1
    """Sessions per condition, in addition, that are finished with more void trials than allowed."""
    void_trials: int = 2
    """Void trials, never replaced, in the first finished session of each condition."""

    losses: dict[str, str] = field(default_factory=dict)
    """Condition -> the loss that its image sets' manifests tell of; no manifests if empty."""

    ids: dict[tuple[str, int, str], str] = field(default_factory=dict)
    """Stimulus ids by condition, run and input; filled by the bundle."""
    responses: list[Response] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)

    def draw(self) -> "MadeUp":
        """Fill responses, sessions and arrivals."""
        rng = np.random.default_rng(self.seed)
        self._image_effects = {
            (c, r, i): float(rng.normal(0, self.image_sd))
            for c in self.rates
            for r in range(self.runs)
            for i in range(self.images)
        }
        for condition in self.rates:
            kinds: list[tuple[SessionState, int]] = [("finished", 0)] * self.workers
            kinds[:1] = [("finished", self.void_trials)][: self.workers]
            kinds += [("finished", 6)] * self.voided + [("stopped", 0)] * self.stopped
            for place, (state, void) in enumerate(kinds):
                self._session(condition, place, state, void, rng)
        self.arrivals.append(Arrival("made-up", self.data, "2026-11-02T12:00:00+00:00", "late", "full", ""))
        return self

    def _session(
        self, condition: str, place: int, state: SessionState, void: int, rng: np.random.Generator
    ) -> None:
        name, worker = f"{condition}-{place}", f"w-{condition}-{place}"
        at = f"2026-11-02T10:{place % 60:02d}:00+00:00"
        finished_at = at if state == "finished" else ""
        self.arrivals.append(Arrival("made-up", self.data, at, worker, "admitted", condition))
        self.sessions.append(
            Session(
                *(
                    "made-up",
                    self.data,
                    name,
                    worker,
                    condition if self.design == "between" else "",
                    place,
                    state,
                ),
                *(at, finished_at, "1", "", self.observer),
            )
        )
        effect = float(rng.normal(0, self.worker_sd))
        order = rng.permutation(self.images)
        conditions = list(self.rates)
        count = self.trials if state == "finished" else self.trials // 2
        for index in range(count):
            shown = condition if self.design == "between" else conditions[index % len(conditions)]
            fake, real = int(order[index % self.images]), int(order[(index + self.images // 2) % self.images])
            real = fake if self.pairing == "same" else real
            run = (place + index) % self.runs
            chance = expit(logit(self.rates[shown]) + effect + self._image_effects[shown, run, fake])
            outcome = float(rng.random() >= chance)
            self.responses.append(
                self._response(name, worker, shown, run, fake, real, index, outcome, index < void, rng)
            )

    def _response(
        self,
        session: str,
        worker: str,
        condition: str,
        run: int,
        fake: int,
        real: int,
        index: int,
        outcome: float,
        void: bool,
        rng: np.random.Generator,
    ) -> Response:
        fake_first = bool(rng.random() < 0.5)
        slots = [(self._id(condition, run, fake), f"input{fake:03d}", condition, run, "left")]
        slots.append((self._id(REAL, 0, real), f"input{real:03d}", REAL, 0, "right"))
        slots = slots if fake_first else slots[::-1]
        shown = [(*slot, 1000, None if void else 1000.0 + float(rng.normal(0, 6)), 17.0) for slot in slots]
        target = 1 if fake_first else 2
        choice = target if outcome else 3 - target
        return Response(
            *("made-up", self.data, session, worker, condition, run, self.design, "two_afc", "scored", index + 2, 0),
            "fake", *shown[0], *shown[1], target,
            "" if void else ("first", "second")[choice - 1], None if void else outcome,
            None if void else float(rng.lognormal(6.5, 0.4)), "hidden" if void else "", "",
            "key", "2026-11-02T10:00:00+00:00", "" if void else "2026-11-02T10:00:05+00:00",
            60.0, 1.0, 1.0, 1, "1920x1080", "1600x900",
        )  # fmt: skip

    def write(self, folder: Path, *, bundle: bool = True) -> Path:
        """Write the whole study folder; returns it."""
        (folder / self.data).mkdir(parents=True, exist_ok=True)
        self._write_images(folder)
        (folder / "study.toml").write_text(self.toml(), encoding="utf-8")
        if bundle:
            built = build_bundle(load_study(folder), folder, allow_near_duplicates=True)
            self.ids = {(image.condition, image.run, image.source_id): image.id for image in built.stimuli}
        if not self.sessions:
            self.draw()
        write_csv(folder / self.data / "responses.csv", Response, self.responses)
        write_csv(folder / self.data / "sessions.csv", Session, self.sessions)
        write_csv(folder / self.data / "arrivals.csv", Arrival, self.arrivals)
        return folder

    def _id(self, condition: str, run: int, image: int) -> str:
        return self.ids.get((condition, run, f"input{image:03d}"), f"{condition}-{run}-{image:03d}")

    def toml(self) -> str:
        """The study.toml of this study."""
        runs = {name: [f"{name}/seed{run}" for run in range(self.runs)] for name in self.rates}
        conditions = "\n".join(
            f"[conditions.{name}]\nimages = {paths}".replace("'", '"') for name, paths in runs.items()
        )
        return STUDY_TOML.format(
            preset=self.preset, pairing=self.pairing, design=self.design, workers=max(self.workers, 1), trials=self.trials,
            conditions=conditions, target=self.target, planned=self.planned,
        )  # fmt: skip

    def _write_images(self, folder: Path) -> None:
        sets = {"real": 0} | {f"{name}/seed{run}": 1 + run for name in self.rates for run in range(self.runs)}
        for place, (name, blur) in enumerate(sets.items()):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for image in range(self.images):
                _facade(image, blur, place).save(folder / name / f"input{image:03d}.png")
            condition, _, run = name.partition("/seed")
            if condition in self.losses:
                settings = {
                    "method": "pix2pix",
                    "loss": self.losses[condition],
                    "training": {"seed": int(run)},
                }
                write_manifest(folder / name, generator="pix2pix", settings=settings, seed=int(run))


def _facade(image: int, variant: int, place: int) -> Image.Image:
    """A little house front; fakes have windows that are a bit off."""
    rng = random.Random(image)
    canvas = Image.new(
        "RGB", (64, 64), (rng.randrange(120, 220), rng.randrange(100, 190), rng.randrange(90, 170))
    )
    pen = ImageDraw.Draw(canvas)
    wobble = random.Random(image * 31 + place)
    for row in range(3):
        for column in range(rng.randrange(3, 5)):
            shift = wobble.randrange(-3, 4) if variant else 0
            x, y = 6 + column * 14 + shift, 6 + row * 20 + shift
            pen.rectangle((x, y, x + 8, y + 12), fill=(40 + 30 * variant, 50 + rng.randrange(60), 80))
    return canvas
